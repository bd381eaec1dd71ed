"""Packages installed in a test's folder: real metadata, real entry points, no pip."""

from __future__ import annotations

from pathlib import Path

import pytest


def install(
    folder: Path, package: str, modules: dict[str, str], points: dict[str, dict[str, str]], version: str = "1.0"
) -> None:
    """Write modules and a dist-info folder as pip would; `points` is group -> name -> "module:object"."""
    folder.mkdir(exist_ok=True)
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = [
        line
        for group, names in points.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in names.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def installing(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Put the folder on sys.path for the length of a test."""
    monkeypatch.syspath_prepend(str(folder))
