"""Where every component comes from and whether it works, with none of them loaded into this process.

Our own are read, which takes no time. Those of other packages are loaded for real, since an import that fails cannot be
seen from outside; a process of its own does it, which may take seconds and may die (see load_probe.py). One that loaded
is not loaded again until something changed that may break it: its files, ours, or what is installed.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metricface.components.loaded_before import LoadCheck, find_module, loaded_before, remember_loaded
from metricface.components.registry import Entry, Registries

BROKEN = "BROKEN"
_OWN = "metricface"
_SECONDS = 300.0  # on a busy machine, importing torch alone has taken a minute


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of one component.

    Args:
        kind, name: as on the command line and in recipes.
        object: "module:object".
        distribution, version: of the package that brings it.
        file: that defines the object's module, "" where it cannot be found.
        status: "available", "ambiguous" when two packages use the name, or "BROKEN".
        reason: for a status that is not "available".
        summary: first line of the docstring.
    """

    kind: str
    name: str
    object: str
    distribution: str
    version: str
    file: str
    status: str
    reason: str = ""
    summary: str = ""


def survey(registries: Registries, kinds: Iterable[str]) -> list[Provenance]:
    """Return every component of some kinds, those of other packages after a trial."""
    asked = [registries[kind] for kind in kinds]
    entries = [entry for registry in asked for entry in registry.entries()]
    foreign = [entry for entry in entries if entry.distribution != _OWN]
    trials = loaded_before(foreign)
    untried = [entry for entry in foreign if entry not in trials]
    trials |= (found := dict(zip(untried, _try_out(untried), strict=True)))
    remember_loaded(found)
    twins = {entry: [twin for twin in entries if _key(twin) == _key(entry) and twin != entry] for entry in entries}
    return [describe(entry, trials.get(entry), twins[entry]) for entry in entries]


def describe(entry: Entry, trial: LoadCheck | None = None, twins: Sequence[Entry] = ()) -> Provenance:
    """Return where a component comes from.

    Args:
        entry: as its package announces it.
        trial: what came of loading it; None reads its source instead.
        twins: of other packages, with the same name.
    """
    file, read = _read(entry)
    trial = trial or read
    status, reason = entry.status, trial.reason
    if reason:
        status = BROKEN
    elif twins:
        brought = " and ".join(f"{twin.distribution} {twin.version}" for twin in twins)
        reason = f'brought by {brought} too. In a recipe write "{entry.distribution}:{entry.name}".'
    place = (entry.value, entry.distribution, entry.version, file)
    return Provenance(entry.kind, entry.name, *place, status, reason, trial.summary)


def first_line(text: str | None) -> str:
    """Return the first line of a docstring, "" without one."""
    return (text or "").strip().partition("\n")[0].strip()


def _key(entry: Entry) -> tuple[str, str]:
    return entry.kind, entry.name


def _read(entry: Entry) -> tuple[str, LoadCheck]:
    """Return the file of a component's module, and what its text says: a fault, or the docstring."""
    module, _, name = entry.value.partition(":")
    file = ""
    try:
        spec = find_module(module)
        file = (spec.origin if spec is not None else None) or ""
        if not file:
            return "", LoadCheck(f"there is no module {module}. Install {entry.distribution} again.")
        tree = ast.parse(Path(file).read_bytes()) if file.endswith(".py") else ast.Module([], [])
    except (OSError, SyntaxError, ValueError, ImportError) as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return file, LoadCheck(f"{module} cannot be read ({said}). Install {entry.distribution} again.")
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return file, LoadCheck(summary=first_line(ast.get_docstring(node)))
    return file, LoadCheck(f"{file} defines no {name}. Install {entry.distribution} again.")


def _try_out(entries: Sequence[Entry]) -> list[LoadCheck]:
    """Load components of other packages in processes: one for all, and another one after each that ends its own."""
    found: list[LoadCheck] = []
    while len(found) < len(entries):
        left = entries[len(found) :]
        answers, end = _in_a_process([f"{entry.kind} {entry.distribution}:{entry.name}" for entry in left])
        found += [LoadCheck(**json.loads(answer)) for answer in answers]
        if len(answers) < len(left):
            package = left[len(answers)].distribution
            found.append(LoadCheck(f"importing it {end}. Fix or uninstall {package}."))
    return found


def _in_a_process(asked: Sequence[str]) -> tuple[list[str], str]:
    """Return the answers of trial.py, one for each component that it got through, and how it ended."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NO_ALBUMENTATIONS_UPDATE": "1"}
    command = [sys.executable, "-P", "-m", "metricface.components.load_probe", *asked]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
        output, end = done.stdout, f"ends the process (exit status {done.returncode})"
    except subprocess.TimeoutExpired as error:
        output, end = error.stdout or b"", f"takes more than {_SECONDS:g} s"
    return output.decode().split("\n")[:-1], end
