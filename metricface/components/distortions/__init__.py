"""Distortions: a photo under bad conditions, severity 1-5."""
