"""The rows of a manifest, read and checked; every kind of mistake is told at once, with file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from metricface.contracts import CLEAN
from metricface.data.folders import shortened
from metricface.data.images import IMAGE_SUFFIXES, is_image
from metricface.data.person_names import composed
from metricface.data.tables import Row, Table, read_table
from metricface.errors import DataError, RecipeError, nearest

REQUIRED = ("path", "split")
ATTRIBUTES = ("role", "group")
COLUMNS = (*REQUIRED, "identity", "label", "condition", "source", *ATTRIBUTES)
_ROLES = ("", "gallery", "probe")
_LAYOUT = "The columns are path, split, identity or label, and as you like condition, source, role, group."


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a manifest; `path` and `source` are relative to the root, in one spelling, with / between folders."""

    line: int
    path: str
    split: str
    identity: str
    label: str
    condition: str
    source: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """All rows of a manifest, and its columns as they stand in the file."""

    entries: Sequence[Entry]
    columns: Sequence[str]


class Mistakes:
    """Mistakes in a file: of each kind the first, and how many more there are."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, list[tuple[int, str]]] = {}

    def add(self, kind: str, line: int, text: str) -> None:
        """Add a mistake in a line; those of one `kind` are told together."""
        self._found.setdefault(kind, []).append((line, text))

    def refuse(self) -> None:
        """Raise what was found, one line for each kind.

        Raises:
            DataError: there is something.
        """
        told = sorted((found[0], len(found) - 1) for found in self._found.values())
        if told:
            more = (f" ({count} more like it)" if count else "" for _, count in told)
            lines = (f"{self._file}:{line}: {text}" for (line, text), _ in told)
            raise DataError("\n".join(line + rest for line, rest in zip(lines, more, strict=True)))


def read_manifest(file: Path, classes: Sequence[str]) -> Manifest:
    """Read a manifest and check all that can be checked without looking for the photos.

    Args:
        file: a CSV file.
        classes: the labels that may occur; empty when the file tells people apart by `identity`.

    Raises:
        DataError: the file cannot be read, or the first mistake of each kind with its line.
        RecipeError: the file has labels, and there are no classes.
    """
    table = read_table(file, (*REQUIRED, "label") if classes else REQUIRED, _LAYOUT)
    if not classes:
        _check_people(file, table)
    mistakes = Mistakes(file)
    entries = [_entry(row) for row in table.rows]
    for row, entry in zip(table.rows, entries, strict=True):
        _check_values(row, entry, classes, mistakes)
    _check_paths(entries, mistakes)
    mistakes.refuse()
    return Manifest(entries, table.columns)


def _check_people(file: Path, table: Table) -> None:
    """Refuse a file that is not about people: the order of its labels must not be guessed."""
    if "label" in table.columns:
        labels = [repr(label) for label in dict.fromkeys(row.values["label"] for row in table.rows) if label]
        raise RecipeError(
            f"data.classes: is missing, and {file} has a column 'label' (labels there: {shortened(labels)}). "
            "Name them in label order; to tell people apart instead, rename the column."
        )
    if "identity" not in table.columns:
        raise DataError(f"{file}:1: no column 'identity' or 'label' (got {', '.join(table.columns)}). {_LAYOUT}")


def _entry(row: Row) -> Entry:
    """Return a row as an entry, empty columns filled in."""
    values = {name: row.values.get(name, "") for name in COLUMNS}
    path, condition = _one_spelling(values["path"]), values["condition"].lower() or CLEAN
    return Entry(
        line=row.line,
        path=path,
        split=values["split"],
        identity=composed(values["identity"]),
        label=values["label"],
        condition=condition,
        source=_one_spelling(values["source"]) or (path if condition == CLEAN else ""),
        attributes={name: values[name] for name in ATTRIBUTES if name in row.values},
    )


def _one_spelling(path: str) -> str:
    """Return a path without doubled slashes and dots, so that equal ones compare equal."""
    return PurePosixPath(path).as_posix() if path else ""


def _check_values(row: Row, entry: Entry, classes: Sequence[str], mistakes: Mistakes) -> None:
    """Add what is wrong with one row by itself."""
    for name in COLUMNS:
        value = row.values.get(name, "")
        if value != value.strip():
            mistakes.add(f"blanks {name}", row.line, f"{name} has blanks around it (got {value!r}). Take them out.")
    for name in (*REQUIRED, "label" if classes else "identity"):
        if not row.values[name]:
            mistakes.add(f"empty {name}", row.line, f"{name} is empty. Fill it in, or take the row out.")
    if classes and entry.label and entry.label not in classes:
        mistakes.add(
            "label",
            row.line,
            f"label {entry.label!r} is none of data.classes.{nearest(entry.label, classes)} "
            f"Classes: {', '.join(classes)}.",
        )
    if entry.attributes.get("role", "") not in _ROLES:
        mistakes.add("role", row.line, f"role must be gallery, probe or empty (got {entry.attributes['role']!r}).")
    if not _stays_inside(row.values["path"]):
        mistakes.add(
            "outside",
            row.line,
            f"path must stay in data.root: relative, with / between folders and no .. (got {row.values['path']!r}).",
        )
    elif entry.path and not is_image(Path(entry.path)):
        known = ", ".join(sorted(IMAGE_SUFFIXES))
        mistakes.add("suffix", row.line, f"path is no photo by its suffix (got {entry.path!r}). Suffixes: {known}.")


def _stays_inside(path: str) -> bool:
    """Whether a path is relative and goes up nowhere, read as POSIX or as Windows would."""
    windows = PureWindowsPath(path)
    return not (windows.drive or windows.root or ".." in windows.parts or set(path) & set("\\\0"))


def _check_paths(entries: Sequence[Entry], mistakes: Mistakes) -> None:
    """Add paths that are listed twice and sources that are no clean photo of the same person and split."""
    by_path: dict[str, Entry] = {}
    for entry in entries:
        first = by_path.setdefault(entry.path, entry)
        if first is not entry and entry.path:
            mistakes.add("twice", entry.line, f"{entry.path!r} is listed already, in line {first.line}.")
    for entry in entries:
        if entry.source and entry.source != entry.path:
            text = _wrong_source(entry, by_path.get(entry.source))
            if text:
                mistakes.add(text[0], entry.line, f"source {entry.source!r} {text[1]}")
        elif entry.condition != CLEAN and entry.source:
            mistakes.add("self", entry.line, "a distorted photo cannot be its own source. Name the clean photo's path.")


def _wrong_source(entry: Entry, source: Entry | None) -> tuple[str, str] | None:
    """Return the kind of a mistake and what to say of the source, or None when it is right."""
    if entry.condition == CLEAN:
        return "clean", "is of a clean photo, which is its own. Leave it empty, or name the condition."
    if source is None:
        return "unlisted", "is no path of this file. List the clean photo, or leave source empty if it is unknown."
    if source.condition != CLEAN:
        return "distorted", f"is itself {source.condition} (line {source.line}). Name the clean photo's path."
    for name in ("split", "identity", "label"):
        own, other = getattr(entry, name), getattr(source, name)
        if own != other:
            return f"other {name}", f"has another {name}: {other!r} in line {source.line} (here {own!r})."
    return None
