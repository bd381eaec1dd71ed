"""The packages of trackers, which are extras."""

from __future__ import annotations

import importlib.util

from metricface.errors import PluginError


def must_have(tracker: str, extra: str, *packages: str) -> None:
    """Refuse a tracker whose packages are not all installed; nothing is imported.

    Raises:
        PluginError: names the first one that is missing, and what to install.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise PluginError(
                f"tracker {tracker!r}: the package {package} is not installed. Run: pip install '{extra}'"
            )
