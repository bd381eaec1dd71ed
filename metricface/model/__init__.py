"""The model that is trained: its layers, how photos become its input, and its folder on disk."""
