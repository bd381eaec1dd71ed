"""Evaluators that come with MetricFace, one per file."""
