"""How the nearest of many vectors are found."""
