"""Running the checks that every component shares, and then those of its kind."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metricface.components.registry import Factory
from metricface.contracts import KINDS, HasExemptions, Kind
from metricface.errors import RecipeError, nearest
from metricface.recipe.problems import Problems
from metricface.recipe.signature import arguments_model, validated
from metricface.testing.engine import Check, CheckResult, Report, Skip, Suite, Trial, Violation, outcome
from metricface.testing.general import CHECKS, CONTRACT, MADE, SCHEMA

WITH_SUITE = ("loss", "head", "backbone", "miner", "sampler", "transform", "distortion", "dataset", "tracker", "index")


def suite_of(kind: str) -> Suite[Any]:
    """Return the checks of a kind; those without a suite of their own are made, and nothing else."""
    module = KINDS[kind].plural if kind in WITH_SUITE else "others"
    found: Suite[Any] = importlib.import_module(f"metricface.testing.{module}").SUITE
    return found


def examine(
    kind: str, component: Factory, arguments: Mapping[str, Any] | None = None, *, root: Path | None = None
) -> Report:
    """Put a component through every check of its kind.

    Args:
        kind: one of KINDS.
        component: the class or factory.
        arguments: what a recipe would set.
        root: for a dataset, a folder with the splits train and val; without one its photos are not looked at.

    Raises:
        RecipeError: the arguments are not those that the component takes.
    """
    name = f"{kind} {getattr(component, '__name__', repr(component))}"
    bare = Trial(KINDS[kind], component, {}, root)
    outcomes = [outcome(CONTRACT, bare, {}, component)]
    if outcomes[0].status == "passed":
        outcomes.append(outcome(SCHEMA, bare, {}, component))
    if outcomes[-1].status != "passed":
        return Report(name, tuple(outcomes))
    trial = replace(bare, arguments=_checked(name, component, KINDS[kind], arguments or {}))
    declared: object = component.conformance_exempt if isinstance(component, HasExemptions) else {}
    exempt = declared if isinstance(declared, Mapping) else {}
    outcomes += [outcome(general, trial, exempt, component) for general in CHECKS]
    return Report(name, (*outcomes, *_of_its_kind(trial, declared, exempt)))


def _of_its_kind(trial: Trial, declared: object, exempt: Mapping[str, str]) -> list[CheckResult]:
    """Make the component and run the checks of its kind, less those that it is exempt from."""
    suite = suite_of(trial.kind.name)
    prepared: list[Any] = []
    component = trial.component
    made = outcome(replace(MADE, run=lambda tried: prepared.append(suite.prepare(tried))), trial, {}, component)
    allowed = [known.name for known in (*CHECKS, *suite.checks)]
    outcomes = [outcome(_exemptions(declared, allowed), trial, {}, component), made]
    if made.status == "passed":
        return outcomes + [outcome(own, prepared[0], exempt, component) for own in suite.checks]
    why = made.said if made.status == "skipped" else "it cannot be made"
    return outcomes + [outcome(replace(own, run=_never(why)), trial, exempt, component) for own in suite.checks]


def _never(why: str) -> Any:
    def run(_subject: object) -> None:
        raise Skip(why)

    return run


def _exemptions(declared: object, allowed: list[str]) -> Check[Trial]:
    """Return the check of the component's own exemptions, which may be declared from the checks `allowed`."""

    def run(_trial: Trial) -> None:
        if not isinstance(declared, Mapping):
            raise Violation(f"conformance_exempt is a {type(declared).__name__}, not a mapping of check to reason")
        for name, reason in declared.items():
            if name not in allowed:
                raise Violation(f"no check {name!r}.{nearest(str(name), allowed)} Checks: {', '.join(allowed)}")
            if not (isinstance(reason, str) and reason.strip()):
                raise Violation(f"no reason for {name!r}")

    return Check(
        "exemptions",
        "Exemptions name checks of this kind, each with its reason.",
        "A misspelt one exempts from nothing, and one without a reason tells a reader nothing.",
        run,
    )


def _checked(name: str, component: Factory, kind: Kind, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments as a recipe would give them to the component."""
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in arguments.items()}
    model = arguments_model(component, kind)
    try:
        return validated(model, plain)
    except ValidationError as error:
        problems = Problems(name, {}, plain)
        problems.add_invalid((), error, model.model_fields)
        problems.refuse()
        raise  # it says nothing that Problems would not
    except TypeError as error:
        raise RecipeError(
            f"{name}: an argument is no value of TOML ({error}). Give what a recipe could say."
        ) from error
