"""Using a trained model: evaluating it, labelling photos."""
