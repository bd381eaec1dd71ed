"""Miners: which pairs or triplets of a batch the pair losses see."""
