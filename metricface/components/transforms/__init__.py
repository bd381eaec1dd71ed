"""Transforms: augmentation of uint8 photos."""
