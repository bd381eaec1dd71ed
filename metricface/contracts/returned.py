"""What a component may not return: refused where it is returned, with the place of the component's definition."""

from __future__ import annotations

import inspect


class WrongReturnError(TypeError):
    """A component returned what its contract does not allow; the text holds the file and line of its definition."""


def wrong_return(part: object, said: str) -> WrongReturnError:
    """Return the error.

    Args:
        part: the component; its class, or the function that it is, has a place.
        said: what it returned and what it should, as "returned a float, not a scalar tensor".
    """
    definition = part if inspect.isroutine(part) else type(part)
    try:
        place = f' (File "{inspect.getsourcefile(definition)}", line {inspect.getsourcelines(definition)[1]})'
    except (OSError, TypeError):  # made by hand, as in a notebook
        place = ""
    return WrongReturnError(f"{getattr(definition, '__name__', 'it')} {said}{place}")


def shown(value: object) -> str:
    """Return what a value is, in words: the type, and of a tensor or an array its shape and dtype."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    name = type(value).__name__
    return name if shape is None or dtype is None else f"{name} of shape {tuple(shape)}, {dtype}"
