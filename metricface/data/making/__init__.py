"""Making trees of photos to train and evaluate on."""
