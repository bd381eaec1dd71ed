"""From a recipe to objects, and from a model file to a model."""
