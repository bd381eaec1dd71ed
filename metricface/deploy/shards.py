"""Embeddings of a part of many photos each, kept until all are there."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metricface.errors import UsageError
from metricface.files import write_atomically, write_json

_PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class Shard:
    """Some photos.

    Args:
        numbers: (n,) int64 of those that could be read, among all photos.
        vectors: (n, D) float32, not normalised.
        reasons: why the others could not.
    """

    numbers: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]
    reasons: tuple[str, ...]


class Shards:
    """A folder of shards. What is there of another plan, of another model or other photos, is thrown away.

    Args:
        folder: is made if missing.
        plan: what the shards are of, plain JSON.

    Raises:
        UsageError: the folder is there and is none of shards, or cannot be made.
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any]) -> None:
        self.folder = folder
        if folder.exists():
            if not folder.is_dir() or (any(folder.iterdir()) and not (folder / _PLAN).is_file()):
                raise UsageError(f"{folder}: is in the way, and was not made by metricface embed. Move it.")
            if _plan_in(folder) == plan:
                return
            shutil.rmtree(folder)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be made ({error.strerror}). Write elsewhere.") from error
        write_json(folder / _PLAN, dict(plan))

    def read(self, start: int) -> Shard | None:
        """Return the shard that begins with photo `start`, None where it is not there or not whole."""
        try:
            with np.load(self._path(start), allow_pickle=False) as stored:
                return Shard(stored["numbers"], stored["vectors"], tuple(map(str, stored["reasons"])))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def write(self, start: int, shard: Shard) -> None:
        """Keep a shard; it is there once it is whole."""
        reasons = np.array(shard.reasons, np.str_)
        arrays: dict[str, Any] = {"numbers": shard.numbers, "vectors": shard.vectors, "reasons": reasons}
        write_atomically(self._path(start), lambda file: np.savez(file, **arrays))

    @staticmethod
    def remove(folder: Path) -> None:
        """Take a folder of shards away."""
        shutil.rmtree(folder, ignore_errors=True)

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:09d}.npz"


def _plan_in(folder: Path) -> Any:
    try:
        return json.loads((folder / _PLAN).read_bytes())
    except (OSError, ValueError):
        return None
