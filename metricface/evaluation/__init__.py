"""Evaluators: embeddings in, Result out."""
