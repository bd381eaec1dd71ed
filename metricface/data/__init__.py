"""Making and laying out data."""
