"""Datasets: which photos there are and what is known of them."""
