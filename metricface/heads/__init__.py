"""Heads: embeddings to logits."""
