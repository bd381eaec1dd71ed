"""Runs of one recipe that differ in their seed: where they lie, which of them count, and what sums them up."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metricface.errors import DataError, UsageError
from metricface.recipe.schema import Recipe
from metricface.runs.folder import RunFolder

_SEED = re.compile(r"seed-(0|[1-9]\d*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunSet:
    """A folder of several runs.

    Args:
        path: the folder itself; it need not be there.
        apart: the runs are to lie elsewhere, each in a folder that nobody named; else they lie in seed-<seed>/ here.
    """

    path: Path
    apart: bool = False

    @classmethod
    def of(cls, recipes: Sequence[Recipe], out: Path | None) -> RunSet:
        """Return the set of runs of recipes that differ in their seed alone.

        Args:
            recipes: one for each seed.
            out: holds the runs; None for a folder under runs/<name>/ that another set of recipes has another of.
        """
        if out is not None:
            return cls(out)
        digests = "".join(sorted(recipe.digest for recipe in recipes))
        name = f"seeds-{hashlib.sha256(digests.encode()).hexdigest()[:8]}"
        return cls(Path("runs") / recipes[0].run.name / name, apart=True)

    @property
    def summary_path(self) -> Path:
        """What the runs have in common, and their folders, as one document."""
        return self.path / "seeds.json"

    @property
    def summary_page(self) -> Path:
        """The same to read."""
        return self.path / "seeds.md"

    def folder(self, seed: int) -> Path | None:
        """Return the folder of one run; None where the runs lie apart."""
        return None if self.apart else self.path / f"seed-{seed}"

    def seeds(self) -> dict[int, Path]:
        """Return seed -> folder of every seed-<seed>/ that is there, by seed."""
        folders = self.path.iterdir() if self.path.is_dir() else ()
        found = ((_SEED.fullmatch(path.name), path) for path in folders if path.is_dir())
        return dict(sorted((int(match[1]), path) for match, path in found if match))

    def runs(self) -> tuple[Path, ...]:
        """Return the runs: those that the summary names, else every seed-<seed>/, else the folder as a single run.

        Raises:
            DataError: the summary is damaged.
        """
        return self._listed() or tuple(self.seeds().values()) or (self.path,)

    def check(self) -> None:
        """Refuse a folder that cannot be one of several runs.

        Raises:
            UsageError: it is that of a single run, or no folder.
        """
        if self.path.is_dir() and RunFolder(self.path).record_path.exists():
            what = "the folder of a single run"
        elif self.path.exists() and not self.path.is_dir():
            what = "a file"
        else:
            return
        raise UsageError(f"{self.path}: {what}. Name another --out, which gets a folder for each seed.")

    def others(self, recipes: Sequence[Recipe]) -> list[tuple[Recipe, Path]]:
        """Return the runs here that are not asked for, by seed: the recipe that each should be of, and its folder."""
        if self.apart:
            return []
        asked, run = {recipe.run.seed for recipe in recipes}, recipes[0].run
        return [
            (replace(recipes[0], run=run.model_copy(update={"seed": seed})), folder)
            for seed, folder in self.seeds().items()
            if seed not in asked and RunFolder(folder).record_path.exists()
        ]

    def _listed(self) -> tuple[Path, ...]:
        """Return the runs that the summary names, wherever the folder was moved since; none without one."""
        path = self.summary_path
        if not path.is_file():
            return ()
        try:
            named = [Path(run["folder"]) for run in json.loads(path.read_text(encoding="utf-8"))["runs"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not a list of runs ({type(error).__name__}: {error}). Name one run.") from error
        return tuple(self._place(run) for run in named)

    def _place(self, run: Path) -> Path:
        """Return where a run of the summary lies: in this folder, where it was, or beside this folder."""
        # There may be a seed-0/ of any recipe beside it.
        beside = () if _SEED.fullmatch(run.name) else (self.path.parent / run.name,)
        places = (self.path / run.name, run, *beside)
        return next((place for place in places if place.is_dir()), run)
