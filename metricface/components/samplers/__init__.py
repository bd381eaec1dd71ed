"""Samplers: which photos make a batch."""
