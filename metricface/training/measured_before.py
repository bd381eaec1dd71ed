"""What was measured on this machine before, one small file for each, in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from metricface.files import write_json


def cache_folder() -> Path:
    """Return the folder of the measurements; whoever wants them made anew deletes it."""
    return user_cache_path("metricface", appauthor=False) / "measured"


def recall(conditions: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was found under equal conditions; None where that was not measured, or its file is damaged."""
    try:
        stored = json.loads(_path(conditions).read_text(encoding="utf-8"))
        found = stored["found"]
        return found if isinstance(found, dict) and stored["conditions"] == _plain(conditions) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(conditions: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Keep what was found; where nothing can be written it is measured again next time."""
    path = _path(conditions)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"conditions": _plain(conditions), "found": dict(found)})


def _plain(conditions: Mapping[str, Any]) -> Any:
    """Return the conditions as JSON gives them back."""
    return json.loads(json.dumps(conditions, sort_keys=True, default=str))


def _path(conditions: Mapping[str, Any]) -> Path:
    text = json.dumps(_plain(conditions), sort_keys=True)
    return cache_folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
