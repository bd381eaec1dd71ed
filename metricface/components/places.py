"""Where in a component's own code an exception came from, and what it says."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from pathlib import Path

from metricface.components.registry import Factory

_OURS = "metricface"
# In the text of an exception that came from a process of the loader, and of a WrongReturnError.
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_TORCHS_HINT = "Hint: enable anomaly detection"  # nothing that a user can do here


def place_in(error: BaseException, component: Factory) -> str:
    """Return "file:line" of the component's package that an exception came through last, "" where there is none."""
    homes = _homes(component)
    told = [(found["file"], int(found["line"])) for found in _FRAME.finditer(str(error))]
    raised = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    for name, line in reversed([*raised, *told]):
        file = Path(name).resolve()
        if any(file.is_relative_to(home) for home in homes):
            return f"{name}:{line}"
    return ""


def text_of(error: BaseException) -> str:
    """Return what an exception says, without torch's advice on how to look for it in Python."""
    return str(error).partition(_TORCHS_HINT)[0]


def _homes(component: Factory) -> list[Path]:
    """Return the folder of the package that a component comes from, or the file of its module; of ours the file."""
    module = inspect.getmodule(component)
    if module is None:
        return []
    top = sys.modules.get(module.__name__.partition(".")[0], module)
    if top.__name__ != _OURS and hasattr(top, "__path__"):
        return [Path(folder).resolve() for folder in top.__path__]
    return [Path(module.__file__).resolve()] if module.__file__ else []
