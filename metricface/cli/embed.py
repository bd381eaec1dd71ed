"""metricface embed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metricface.cli.arguments import AsJson, BatchSize, Device, Force, Model, check_device, check_model
from metricface.errors import UsageError, counted

if TYPE_CHECKING:
    from metricface.deploy.embed import Embedding


Source = Annotated[
    Path,
    typer.Argument(
        metavar="PHOTOS",
        help="A folder of people's folders, or one with splits, or a CSV manifest.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The .npz to write.", show_default=False)]
Split = Annotated[
    str | None, typer.Option(help="Of the folder or manifest. Default: val if there is one, else all of it.")
]


def embed(
    model: Model,
    source: Source,
    out: Out,
    split: Split = None,
    force: Force = False,
    as_json: AsJson = False,
    batch_size: BatchSize = 64,
    device: Device = "auto",
) -> None:
    """Embed photos with a trained model: vectors, people, conditions and paths in one file, for every later verb.

    What is done lies in FILE.npz.parts until all is: the same line goes on where it stood, whatever ended it.
    """
    _check(out, force=force)
    check_model(model)
    if not source.exists():
        raise UsageError(f"{source}: no such file or folder. Name a folder of people's folders, or a CSV manifest.")
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.data.embedding_file import write_embeddings
    from metricface.deploy.embed import embed as embed_all
    from metricface.deploy.shards import Shards

    check_device(device)
    begun = time.monotonic()
    parts = out.with_name(f"{out.name}.parts")
    with Screen() as screen:
        found = embed_all(
            *(model, source, installed_registries(), screen),
            split=split,
            shards=parts,
            device=device,
            batch_size=batch_size,
        )
        write_embeddings(out, found.stored.embeddings, found.stored.contract)
        Shards.remove(parts)
        screen.say(_pace(found, time.monotonic() - begun))
    print(json.dumps(_described(out, found), indent=2) if as_json else out)


def _pace(found: Embedding, seconds: float) -> str:
    new = found.photos - found.done_before
    again = f", {found.done_before} of them embedded before" if found.done_before else ""
    return f"{counted(found.photos, 'photo', 'photos')}{again}; {new / max(seconds, 1e-9):.0f} photos/s"


def _described(out: Path, found: Embedding) -> dict[str, Any]:
    """Return what there is to know of the file, for programs."""
    embeddings = found.stored.embeddings
    rows, dim = embeddings.vectors.shape
    return {
        "file": str(out),
        "vectors": rows,
        "dim": dim,
        "people": len(set(embeddings.labels.tolist())),
        "contract": found.stored.contract,
        "photos": found.photos,
        "embedded_before": found.done_before,
    }


def _check(out: Path, *, force: bool) -> None:
    """Refuse, before any work, a file that could not or should not be written."""
    if out.suffix != ".npz":
        raise UsageError(f"{out}: embeddings are written as .npz. Name it {out.with_suffix('.npz').name}.")
    if out.is_dir() or not out.parent.is_dir():
        raise UsageError(f"{out}: cannot be written (it is a folder, or its folder is missing). Name a file.")
    if out.exists() and not force:
        raise UsageError(f"{out}: is there already. Name another file, or replace it with --force.")
