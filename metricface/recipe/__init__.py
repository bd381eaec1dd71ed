"""Recipes: checked TOML files that name components."""
