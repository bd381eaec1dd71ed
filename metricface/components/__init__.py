"""The interchangeable parts, and the registry that finds them."""
