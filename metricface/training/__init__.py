"""The training loop and what a checkpoint saves."""
