"""A package to begin a plugin with."""
