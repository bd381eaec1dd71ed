"""Formulas without state: tensors here, numpy arrays in metrics/."""
