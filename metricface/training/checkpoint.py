"""Checkpoints: written in one step, read without running any code of theirs."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from metricface.errors import ModelError, TrainingError
from metricface.files import write_atomically
from metricface.training.state import TrainingState


def save_checkpoint(path: Path, state: TrainingState, recipe_digest: str) -> None:
    """Write the state and the digest of the recipe that it belongs to, atomically.

    Raises:
        TrainingError: the disk is full, or cannot be written to; an earlier checkpoint stays.
    """
    document = {"recipe_digest": recipe_digest, "state": state.state_dict()}
    try:
        write_atomically(path, lambda file: torch.save(document, file))
    except (OSError, RuntimeError) as error:
        # torch.save closes its archive after a failed write, and what that raises hides the reason.
        reason = error if isinstance(error, OSError) else error.__context__
        if not isinstance(reason, OSError):
            raise
        raise TrainingError(
            f"{path}: cannot be written ({reason.strerror}); an earlier checkpoint there is as it was. "
            "Make room, then go on with --resume."
        ) from error


def read_checkpoint(path: Path, recipe_digest: str) -> dict[str, Any]:
    """Return what `TrainingState.load_state_dict` takes, on the CPU; nothing is unpickled but tensors and plain values.

    Raises:
        ModelError: the file is damaged, no checkpoint of ours, or one of another recipe.
    """
    saved_digest, state = _read(path)
    if saved_digest != recipe_digest:
        raise ModelError(f"{path}: belongs to another recipe. Use the recipe of its run folder, or another --out.")
    return state


def digest_of(path: Path) -> str:
    """Return the digest of the recipe that a checkpoint is of.

    Raises:
        ModelError: the file is damaged, or no checkpoint of ours.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
        return str(document["recipe_digest"]), dict(document["state"])
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, UnpicklingError) as error:
        raise ModelError(
            f"{path}: not a readable checkpoint ({type(error).__name__}). Delete it to start the run anew."
        ) from error
