"""MetricFace: metric learning for faces."""

__version__ = "0.1.0"
