"""What holds for a component of any kind: its contract, its arguments, its docstring."""

from __future__ import annotations

import inspect
import tomllib

from pydantic import ValidationError

from metricface.components.registry import broken_contract
from metricface.recipe.signature import arguments_model, toml_example, validated
from metricface.testing.docstrings import described, has_number, missing_unit
from metricface.testing.engine import Check, Skip, Trial, Violation, check

_FEWEST_WORDS = 2


@check("contract", why="A recipe's keys are its parameters: a key that is swallowed or unnamed is a mistake unseen.")
def contract(trial: Trial) -> None:
    """It is callable, has the methods of its kind, and its parameters are named, keyword-only and annotated."""
    reason = broken_contract(trial.component, trial.kind)
    if reason is not None:
        raise Violation(reason)


@check("arguments", why="Recipes are checked against it before anything is built.")
def schema(trial: Trial) -> None:
    """A schema of its arguments can be derived, its defaults keep their own types and bounds, and TOML can say them."""
    model = arguments_model(trial.component, trial.kind)
    model.model_json_schema()
    defaults = {name: field.default for name, field in model.model_fields.items() if not field.is_required()}
    try:
        validated(model, {name: value for name, value in defaults.items() if value is not None})
    except ValidationError as error:
        for found in error.errors():
            if found["type"] != "missing":
                where = ".".join(map(str, found["loc"]))
                raise Violation(
                    f"the default of {where!r} is refused: {found['msg']} (got {found['input']!r})"
                ) from None
    tomllib.loads(toml_example("example", trial.component, trial.kind))


@check("docstring", why="`metricface show` prints it, and it is all that a recipe's author has to go by.")
def docstring(trial: Trial) -> None:
    """Its docstring says in a sentence what it is, and under Args, in two words or more, what each parameter is."""
    text = trial.component.__doc__ or ""
    if len(text.split()) < _FEWEST_WORDS:
        raise Violation(f"the docstring is {text!r}" if text else "it has no docstring of its own")
    known = described(text)
    for name in inspect.signature(trial.component).parameters:
        if len(known.get(name, "").split()) < _FEWEST_WORDS:
            raise Violation(f"parameter {name!r} is {known[name]!r}" if name in known else f"no {name!r} under Args")


@check("units", why="A margin in degrees and one in radians differ by a factor of 57, and both train.")
def units(trial: Trial) -> None:
    """Under Args, each number that a recipe sets and that has a unit by its name says which."""
    known = described(trial.component.__doc__ or "")
    parameters = inspect.signature(trial.component).parameters.values()
    own = [it for it in parameters if it.name not in trial.kind.offered and has_number(it.annotation)]
    if not own:
        raise Skip("a recipe sets no number of it")
    for parameter in own:
        wanted = missing_unit(parameter.name, known.get(parameter.name, ""))
        if wanted:
            raise Violation(f"{parameter.name!r} does not say whether it is {wanted}")


def _made(trial: Trial) -> None:
    """It can be made from its arguments and what build offers."""


CONTRACT, SCHEMA = contract, schema
MADE: Check[Trial] = check("made", why="A recipe that names it stops here.")(_made)
CHECKS = (docstring, units)
