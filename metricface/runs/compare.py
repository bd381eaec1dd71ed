"""Comparing two runs on the same probes: `metricface compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from metricface.errors import DataError, UsageError, counted, nearest
from metricface.evaluation.comparison import Difference, compare_outcomes, is_comparable
from metricface.recipe.difference import differing_keys
from metricface.runs.folder import FINISHED, RunFolder
from metricface.runs.run_set import RunSet

_FEW = 20
_P = (
    "p is two-sided: 2 (k + 1) / (n + 1), where k of n bootstrap samples of people have a difference on the rarer side "
    "of 0, or of 0 itself; at most 1. Each row stands alone: of 20 rows without any difference, about one has p below "
    "0.05."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, or two sets of runs that differ in their seeds only, side by side.

    Args:
        runs: the folders of A and of B.
        samples, seed: of the bootstrap.
        differences: every figure of every row.
        keys: recipe key -> its values in A and in B, where they differ; None stands for a key that is not there.
        notes: how to read it, and what could not be compared.
    """

    runs: tuple[tuple[Path, ...], tuple[Path, ...]]
    samples: int
    seed: int
    differences: tuple[Difference, ...]
    keys: Mapping[str, tuple[list[Any], list[Any]]]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and numbers."""
        return {
            "runs": {side: [str(folder) for folder in runs] for side, runs in zip("ab", self.runs, strict=True)},
            "samples": self.samples,
            "seed": self.seed,
            "differences": [asdict(difference) for difference in self.differences],
            "recipe": [{"key": key, "a": a, "b": b} for key, (a, b) in self.keys.items()],
            "notes": list(self.notes),
        }


def compare_runs(a: str | PathLike[str], b: str | PathLike[str], *, samples: int = 10_000, seed: int = 0) -> Comparison:
    """Compare two finished runs, folders of runs of several seeds, or folders that `eval --outcomes` wrote.

    Args:
        a: the folder of one side.
        b: that of the other; B - A is reported.
        samples: how many the bootstrap draws.
        seed: of the draws.

    Raises:
        UsageError: a folder is not there.
        DataError: a run is not finished or has no outcomes; or the runs are not of the same probes.
    """
    sides = (_runs(Path(a)), _runs(Path(b)))
    outcomes = [{str(run): _outcomes(run) for run in side} for side in sides]
    differences: list[Difference] = []
    notes: list[str] = []
    evaluators = [set[str]().union(*side.values()) for side in outcomes]
    for name in sorted(evaluators[0] | evaluators[1]):
        tables = [{run: found[name] for run, found in side.items() if name in found} for side in outcomes]
        lacking = [run for side in outcomes for run, found in side.items() if name not in found]
        if lacking:
            notes.append(f"{name} is not compared: {lacking[0]} has no outcomes of it")
        elif not all(is_comparable(table) for side in tables for table in side.values()):
            notes.append(f"{name} is not compared: its outcomes have no columns path, person, and rank or label")
        else:
            differences += compare_outcomes(name, *tables, samples=samples, seed=seed)
    if not differences:
        raise DataError(f"{a} and {b}: nothing to compare. {'; '.join(notes) or 'They hold no probe'}.")
    notes += _means(sides)
    keys: Mapping[str, tuple[list[Any], list[Any]]] = {}
    if without := [run for side in sides for run in side if not RunFolder(run).recipe_path.is_file()]:
        notes.append(f"recipes are not compared: {without[0]} has no {RunFolder(without[0]).recipe_path.name}")
    else:
        keys = differing_keys(*([_recipe(run) for run in side] for side in sides))
    return Comparison(sides, samples, seed, tuple(differences), keys, (*notes, *_cautions(differences, outcomes), _P))


def _means(sides: Sequence[Sequence[Path]]) -> list[str]:
    """Return what is said of sides of several runs, nothing where both are a single one."""
    if max(map(len, sides)) == 1:
        return []
    sizes = [f"{counted(len(side), 'run', 'runs')} of {name}" for side, name in zip(sides, "AB", strict=True)]
    return [
        f"A and B are means over {' and '.join(sizes)}, of outcomes averaged per probe; the intervals are over people "
        "and do not cover how much runs differ from seed to seed"
    ]


def _cautions(differences: list[Difference], outcomes: list[dict[str, dict[str, Any]]]) -> list[str]:
    """Return what makes intervals less certain than they look."""
    cautions = []
    if fewest := [found for found in differences if found.people < _FEW]:
        cautions.append(
            f"rows of fewer than {_FEW} people ({len(fewest)} here): the interval is narrower and p smaller than they "
            "should be; with one person neither is given"
        )
    compared = {found.evaluator for found in differences}
    nobody = sorted({name for run in outcomes[0].values() for name in compared if "" in run[name]["person"]})
    if nobody:
        cautions.append(f"{', '.join(nobody)}: photos of nobody in particular count as a person of their own each")
    return cautions


def _runs(folder: Path) -> tuple[Path, ...]:
    """Return the runs of one side: those of a set, or the one."""
    if not folder.is_dir():
        near = nearest(folder.name, (path.name for path in folder.parent.glob("*") if path.is_dir()))
        raise UsageError(f"{folder}: no such run folder.{near} Name a folder that metricface run has made.")
    return RunSet(folder).runs()


def _outcomes(run: Path) -> dict[str, dict[str, list[str]]]:
    """Return the outcomes of every evaluator of a finished run.

    Raises:
        UsageError: it is no run and holds none. DataError: the run is not finished, or has none.
    """
    folder = RunFolder(run)
    if folder.record_path.is_file():
        record = folder.record()
        if record.problem:
            raise DataError(f"{run}: {record.problem}. Run again.")
        if record["status"] != FINISHED:
            raise DataError(
                f"{run}: this run is not finished (its status is {record['status']}). "
                f"Go on with it: {folder.resume_line}"
            )
    found = folder.outcomes_by_evaluator()
    if not found:
        wrong = UsageError if run.is_dir() and not folder.is_run() else DataError
        raise wrong(
            f"{run}: no outcomes to compare (no {folder.outcomes.name}/*.csv). A finished run leaves them; for a model "
            "that has none: metricface eval MODEL --outcomes FOLDER, and compare that folder."
        )
    return found


def _recipe(run: Path) -> dict[str, Any]:
    """Return a run's resolved recipe as plain tables."""
    recipe = RunFolder(run).recipe()
    if recipe.problem:
        raise DataError(f"{run}: {recipe.problem}. Run again.")
    return recipe
