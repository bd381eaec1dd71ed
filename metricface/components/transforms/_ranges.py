"""Ranges (low, high) of random amounts."""

from __future__ import annotations

from metricface.errors import RecipeError


def check_range(where: str, low: float, high: float) -> None:
    """Refuse a range the wrong way round; `where` names the parameter, for instance "random-crop.scale"."""
    if low > high:
        raise RecipeError(f"transform.{where}: a range is [low, high] (got [{low}, {high}]). Write [{high}, {low}].")
