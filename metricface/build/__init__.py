"""From a recipe to objects, and from a model folder to a model."""
