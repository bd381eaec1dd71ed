"""From photos on disk to batches, and making trees of photos."""
