"""MetricFace: metric learning for faces.

The names below are imported when they are first used, so that `import metricface` loads neither torch nor numpy. Type
checkers see where each comes from. `docs/python.md` shows how they go together.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Classifier",
    "EmbeddingSet",
    "FaceModel",
    "HeadOutput",
    "Item",
    "LossInput",
    "MetricFaceError",
    "Recipe",
    "Result",
    "Silent",
    "View",
    "__version__",
    "compare",
    "evaluate_model",
    "installed_registries",
    "load_model",
    "load_recipe",
    "registries",
    "run",
]

if TYPE_CHECKING:
    from metricface.build.model_folder import load_model
    from metricface.components.registry import installed_registries
    from metricface.components.registry import installed_registries as registries  # its name until 0.1.0
    from metricface.contracts import Batch, EmbeddingSet, HeadOutput, Item, LossInput, Result, Silent, View
    from metricface.deploy.classify import Classifier
    from metricface.deploy.evaluate import evaluate_model
    from metricface.errors import MetricFaceError
    from metricface.model.face_model import FaceModel
    from metricface.recipe.load import load_recipe
    from metricface.recipe.schema import Recipe
    from metricface.runs.compare import compare_runs as compare
    from metricface.runs.run import run
else:
    from importlib import import_module

    _HOME = {
        **dict.fromkeys(("Batch", "EmbeddingSet", "HeadOutput", "Item", "LossInput"), "metricface.contracts"),
        **dict.fromkeys(("Result", "Silent", "View"), "metricface.contracts"),
        "Classifier": "metricface.deploy.classify",
        "FaceModel": "metricface.model.face_model",
        "MetricFaceError": "metricface.errors",
        "Recipe": "metricface.recipe.schema",
        "compare": "metricface.runs.compare:compare_runs",
        "evaluate_model": "metricface.deploy.evaluate",
        "installed_registries": "metricface.components.registry",
        "load_model": "metricface.build.model_folder",
        "load_recipe": "metricface.recipe.load",
        "registries": "metricface.components.registry:installed_registries",
        "run": "metricface.runs.run",
    }

    def __getattr__(name):
        """Import one of the public names; a type checker does not see this, and so refuses all others."""
        if name not in _HOME:
            raise AttributeError(f"module 'metricface' has no attribute {name!r}")
        module, _, attribute = _HOME[name].partition(":")
        return getattr(import_module(module), attribute or name)

    def __dir__():
        """Return the public names."""
        return sorted(__all__)
