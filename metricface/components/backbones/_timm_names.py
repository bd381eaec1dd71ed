"""The names of timm's models, known without importing timm, which takes seconds, once they were asked for."""

from __future__ import annotations

import difflib
from importlib.metadata import version

from metricface.training.measured_before import recall, remember


def refused_model(model: str) -> str:
    """Return what is wrong with the name of a model, "" where timm has it or the hub would have to be asked."""
    if model.startswith(("hf_hub:", "hf-hub:")) or model in (known := _names()):
        return ""
    close = ", ".join(difflib.get_close_matches(model, known, n=3)) or "none"
    return (
        f'timm {version("timm")} has no such model (got "{model}"). Nearest: {close}. '
        "Browse them with timm.list_models()"
    )


def _names() -> list[str]:
    """Return all names, with and without the tag of weights; timm is imported once for each of its versions."""
    asked = {"names": "timm", "version": version("timm")}
    found = (recall(asked) or {}).get("names")
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return found
    import timm

    names = [*timm.list_models(), *timm.list_pretrained()]
    remember(asked, {"names": names})
    return names
