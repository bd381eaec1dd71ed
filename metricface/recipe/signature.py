"""A component's configuration is its signature: from a callable to checked arguments."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from metricface.contracts import KINDS, Kind

_SETTINGS = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def arguments_model(component: Any, kind: Kind) -> type[BaseModel]:
    """Return a pydantic model of what a recipe may set: the parameters less those that build offers.

    `distortions` is both: build offers the objects, a recipe may choose them by name.
    """
    hints = get_type_hints(component.__init__ if inspect.isclass(component) else component, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(component).parameters.values():
        if parameter.name == "distortions" and "distortions" in kind.offered:
            fields[parameter.name] = (list[str] | None, Field(default=None, min_length=1))
        elif parameter.name not in kind.offered:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
    return create_model(getattr(component, "__name__", "Arguments"), __config__=_SETTINGS, **fields)


def validated(model: type[BaseModel], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked values, defaults included, under their parameter names.

    Raises:
        pydantic.ValidationError: unknown keys, missing ones, wrong types or bounds.
        TypeError: a TOML date or time, which no parameter takes.
    """
    # Strict mode takes TOML's arrays and strings for tuples and paths only when it validates JSON.
    checked = model.model_validate_json(json.dumps(table), strict=True)
    return {name: getattr(checked, name) for name in model.model_fields}


def describe(name: str, field: FieldInfo) -> str:
    """Return one parameter in a line: `margin: float = 0.5  (>= 0, <= 1.57)`."""
    default = "" if field.is_required() else f" = {_plain(field.default)}"
    bounds = ", ".join(_bounds(field.metadata))
    return f"{name}: {_type(field.annotation)}{default}" + (f"  ({bounds})" if bounds else "")


def parameters(component: Any, kind: Kind) -> list[str]:
    """Return what a recipe may set, one line each."""
    return [describe(name, field) for name, field in arguments_model(component, kind).model_fields.items()]


def parameter_facts(component: Any, kind: Kind) -> list[dict[str, Any]]:
    """Return what a recipe may set, for programs: name, type, required, default (None where required) and bounds."""
    return [
        {
            "name": name,
            "type": _type(field.annotation),
            "required": field.is_required(),
            "default": None if field.is_required() else field.default,
            "bounds": _bounds(field.metadata),
        }
        for name, field in arguments_model(component, kind).model_fields.items()
    ]


def toml_example(name: str, component: Any, kind: Kind) -> str:
    """Return a table to paste into a recipe, every default written out; required keys are left as comments."""
    if kind.section is None:
        return f'# named by other components, for instance: distortions = ["{name}"]'
    model_fields = arguments_model(component, kind).model_fields
    header = f"[[{kind.section}]]" if kind.repeats else f"[{kind.section}]"
    values = {
        key: list(field.default) if isinstance(field.default, tuple) else field.default
        for key, field in model_fields.items()
        if not field.is_required() and field.default is not None
    }
    required = [f"# {key} = ...   (required)" for key, field in model_fields.items() if field.is_required()]
    return "\n".join([header, tomli_w.dumps({"name": name, **values}).rstrip(), *required])


def _type(annotation: Any) -> str:
    """Return an annotation as a recipe's author reads it: `float > 0 | "balanced"`, `[int >= 1 and <= 5, ...]`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return f"{_type(inner[0])} {' and '.join(_bounds(inner[1:]))}".rstrip()
    if origin in (Union, UnionType):
        return " | ".join(map(_type, inner))
    if origin is Literal:
        return " | ".join(map(_plain, inner))
    if origin is tuple:
        return f"[{', '.join('...' if part is Ellipsis else _type(part) for part in inner)}]"
    if origin is list:
        return f"[{_type(inner[0])}, ...]"
    return "None" if annotation is NoneType else inspect.formatannotation(annotation)


def _bounds(metadata: Iterable[Any]) -> list[str]:
    return [
        f"{sign} {getattr(bound, name):.4g}"
        for bound in metadata
        for name, sign in _SIGNS.items()
        if getattr(bound, name, None) is not None
    ]


def _plain(value: Any) -> str:
    """Return a value as TOML has it, None as Python does."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_plain, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def takes_distortions(component: Any, kind: str) -> bool:
    """Whether a component asks for distortions that a recipe chooses by name."""
    return "distortions" in KINDS[kind].offered and "distortions" in inspect.signature(component).parameters
