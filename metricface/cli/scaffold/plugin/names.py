"""What a new package may be called."""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

from metricface.components.registry import Registry
from metricface.contracts import KINDS
from metricface.errors import UsageError, nearest

# A normalised name of PEP 503 that begins with a letter, so that a module can be called after it.
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PREFIX = "metricface-"
_OURS = frozenset({"setup", "conftest"})  # files of setuptools and pytest


@dataclass(frozen=True, slots=True)
class Names:
    """What a package, its module, its class and its component are called.

    Args:
        package: for pip, for instance "metricface-soft".
        module: "metricface_soft".
        class_name: "SoftLoss".
        component: as recipes say it, "soft".
    """

    package: str
    module: str
    class_name: str
    component: str


def check_kind(kind: str, kinds: Iterable[str]) -> None:
    """Refuse a kind that has no template; `kinds` are those that have one.

    Raises:
        UsageError: says which have one.
    """
    if kind not in (known := tuple(kinds)):
        what = "no template for kind" if kind in KINDS else "no kind"
        near = "" if kind in KINDS else nearest(kind, known)
        raise UsageError(f"plugin new: {what} {kind!r}.{near} Kinds: {', '.join(known)}")


def names_of(kind: str, package: str) -> Names:
    """Return what belongs to the name of a package, which nothing that is installed may have already.

    Raises:
        UsageError: it is no name for a package or a module, or is taken.
    """
    _check_spelling(package)
    module, component = package.replace("-", "_"), package.removeprefix(_PREFIX)
    if keyword.iskeyword(module) or module in _OURS or _importable(module):
        raise UsageError(
            f"plugin new: NAME {package!r} needs a module {module!r}, which is a word of Python or there already. "
            f'Take another, for instance "metricface-{package}".'
        )
    _check_free(kind, package, component)
    words = component.split("-") if component.split("-")[-1] == kind else [*component.split("-"), kind]
    class_name = "".join(word.capitalize() for word in words)
    return Names(package, module, class_name, component)


def _check_spelling(package: str) -> None:
    """Refuse what is no normalised name of a package; the nearest one is proposed where there is one."""
    if _NAME.fullmatch(package):
        return
    proposed = re.sub(r"[-_. ]+", "-", package).lower().strip("-")
    near = f' Did you mean "{proposed}"?' if _NAME.fullmatch(proposed) else ""
    raise UsageError(
        f"plugin new: NAME must be lower-case letters and digits, parts joined by -, a letter first (got {package!r})."
        f"{near}"
    )


def _importable(module: str) -> bool:
    """Whether a top-level module is there; nothing is imported. A mere folder on the way is none."""
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None


def _check_free(kind: str, package: str, component: str) -> None:
    """Refuse the name of a component or package that is installed."""
    for entry in Registry(KINDS[kind]).entries():
        if entry.name == component:
            raise UsageError(
                f"plugin new: there is a {kind} {component!r} already, of {entry.distribution} {entry.version}. "
                "Take another NAME."
            )
    try:
        version = distribution(package).version
    except PackageNotFoundError:
        return
    raise UsageError(f"plugin new: a package {package!r} is installed already ({version}). Take another NAME.")
