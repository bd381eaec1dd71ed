"""Using trained models on photos that nobody has labelled."""
