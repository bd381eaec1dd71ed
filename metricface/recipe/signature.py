"""A component's configuration is its signature: from a callable to checked arguments."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tomli_w
from annotated_types import Unit
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from metricface.contracts import CHOSEN, KINDS, KeysOf, Kind

_SETTINGS = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
_CHOICES: dict[str, Any] = {
    "distortions": (list[str] | None, Field(default=None, min_length=1)),
    "index": (dict[str, Any] | None, None),
    "indexes": (list[dict[str, Any]] | None, Field(default=None, min_length=1)),
}
_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def arguments_model(component: Any, kind: Kind) -> type[BaseModel]:
    """Return a pydantic model of what a recipe may set: the parameters less those that build offers.

    Those of CHOSEN are both: build offers the objects, a recipe may choose them by name.
    """
    hints = get_type_hints(component.__init__ if inspect.isclass(component) else component, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(component).parameters.values():
        if parameter.name in CHOSEN & kind.offered:
            fields[parameter.name] = _CHOICES[parameter.name]
        elif parameter.name not in kind.offered:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
    return create_model(getattr(component, "__name__", "Arguments"), __config__=_SETTINGS, **fields)


def signature_model(name: str, signature: inspect.Signature) -> type[BaseModel]:
    """Return a pydantic model of a signature whose annotations are objects, not text."""
    fields: dict[str, Any] = {
        parameter.name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for parameter in signature.parameters.values()
    }
    return create_model(name, __config__=_SETTINGS, **fields)


def keys_of(field: FieldInfo) -> KeysOf | None:
    """Return the KeysOf of a parameter that is a table with keys of something chosen by name, or None."""
    return next((note for note in field.metadata if isinstance(note, KeysOf)), None)


def in_degrees(field: FieldInfo) -> bool:
    """Whether a parameter is an angle in degrees, as those of some libraries that we hand it on to."""
    return Unit("degrees") in field.metadata


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
    bounds = ", ".join((*_bounds(field.metadata), *_units(field.metadata)))
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


def choices(component: Any, kind: Kind) -> list[str]:
    """Return what may stand in a component's tables: a line for each choice, and one for each name of it below."""
    lines: list[str] = []
    waiting, seen = [arguments_model(component, kind)], set()
    while waiting:
        for field in waiting.pop(0).model_fields.values():
            keys = keys_of(field)
            if keys is None or keys.what in seen:
                continue
            seen.add(keys.what)
            models = [signature_model(name, signature) for name, signature in keys.signatures().items()]
            shown = {model.__name__: list(_brief(model)) for model in models}
            common = [text for text in next(iter(shown.values())) if all(text in texts for texts in shown.values())]
            also = f" (each also takes {', '.join(common)})" if common else ""
            lines.append(f"{keys.what}, one of{also}:")
            for name, texts in shown.items():
                own = ", ".join(text for text in texts if text not in common)
                lines.append(f"  {name}: {own}" if own else f"  {name}")
            waiting += models
    return lines


def _brief(model: type[BaseModel]) -> Iterator[str]:
    """Yield each parameter without its type: `margin = 28.6 (degrees)`, `distance = {...}`."""
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else f" = {_plain(field.default)}"
        shown = " = {...}" if keys_of(field) else default
        yield f"{name}{shown}" + "".join(f" ({unit})" for unit in _units(field.metadata))


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
    if origin is dict:
        return "table"
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


def _units(metadata: Iterable[Any]) -> list[str]:
    return [note.unit for note in metadata if isinstance(note, Unit)]


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
