"""From embeddings and logits to figures, and reports of them."""
