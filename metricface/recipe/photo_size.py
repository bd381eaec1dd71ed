"""The side length of photos where a recipe names none: the one that its backbone is used to."""

from __future__ import annotations

from typing import Any

from metricface.components.registry import Registries
from metricface.contracts import HasImageSize
from metricface.errors import MetricFaceError, PluginError
from metricface.recipe.problems import Problems
from metricface.recipe.schema import ComponentSpec, DataSection


def with_usual_size(
    data: DataSection, backbone: ComponentSpec, registries: Registries, problems: Problems
) -> DataSection | None:
    """Return [data] with the backbone's usual side length, or as it is where that has none; None after a problem.

    Raises:
        PluginError: the backbone's `usual_image_size` fails.
    """
    component: Any = registries["backbone"].load(backbone.name)
    if not isinstance(component, HasImageSize):
        return data
    try:
        size = component.usual_image_size(backbone.arguments)
    except MetricFaceError as error:
        problems.add(("backbone",), f"data.image_size is not given, and its own cannot be told: {error}")
        return None
    except Exception as error:
        raise PluginError(
            f"backbone {backbone.name!r} of {backbone.distribution} {backbone.version}: usual_image_size() failed "
            f"({type(error).__name__}: {error}). Fix or uninstall {backbone.distribution}."
        ) from error
    return data if size is None else data.model_copy(update={"image_size": size})
