"""MetricFace: metric learning for faces.

The names below are imported when they are first used, so that `import metricface` loads neither torch nor numpy.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Batch": "metricface.contracts",
    "EmbeddingSet": "metricface.contracts",
    "FaceModel": "metricface.model.face_model",
    "HeadOutput": "metricface.contracts",
    "LossInput": "metricface.contracts",
    "MetricFaceError": "metricface.errors",
    "Result": "metricface.contracts.results",
    "View": "metricface.contracts",
    "evaluate_model": "metricface.deploy.evaluate",
    "load_model": "metricface.build.model_file",
    "load_recipe": "metricface.recipe.load",
    "installed_registries": "metricface.components.registry",
}


def __getattr__(name: str) -> Any:
    """Import one of the public names."""
    if name not in _HOME:
        raise AttributeError(f"module 'metricface' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(["__version__", *_HOME])
