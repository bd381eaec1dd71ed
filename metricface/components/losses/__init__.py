"""Losses: LossInput to a scalar."""
