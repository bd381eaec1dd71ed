"""Kinds without checks of their own: a component is made from what build offers and its methods are looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from metricface.components.indexes.exact import Exact
from metricface.contracts import IndexChoice
from metricface.testing.engine import Suite, Trial, Violation

if TYPE_CHECKING:
    from metricface.contracts import Image

SIZE = 112  # pixels of each side


def _darker(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Stand in for the distortions that a transform or evaluator asks for."""
    return image // np.uint8(1 + severity)


def prepare(trial: Trial) -> Any:
    """Make the component."""
    made = trial.make(
        {
            "image_size": SIZE,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "distortions": {"darker": _darker},
            "class_names": ("no", "yes"),
            "total_steps": 100,
            "parameter_groups": [{"params": [torch.nn.Parameter(torch.zeros(2))]}],
            "index": None,
            "indexes": [IndexChoice("exact", {}, lambda dim: Exact(dim=dim))],
        }
    )
    missing = [method for method in trial.kind.methods if not callable(getattr(made, method, None))]
    if missing:
        raise Violation(f"what it makes, a {type(made).__name__}, has no {' and no '.join(missing)}")
    return made


SUITE = Suite(prepare, ())
