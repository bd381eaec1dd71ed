"""metricface index build, index search."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from metricface.cli.arguments import AsJson, BatchSize, Device, Force, check_device, check_model, settings_table
from metricface.errors import UsageError, counted

Embeddings = Annotated[
    Path,
    typer.Argument(
        metavar="EMB", help="A file of metricface embed (or .npz, .npy of yours), a run or a model.", show_default=False
    ),
]


def build(
    embeddings: Embeddings,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", show_default=False)],
    index: Annotated[str, typer.Option("--index", help="Its name: metricface list index.")] = "exact",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter: metricface show index NAME.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Build an index of embeddings and save it, with what each vector stands for."""
    if out.exists() and not force:
        raise UsageError(f"{out}: is there already. Name another folder, or replace it with --force.")
    from metricface.build.components import configured
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.deploy.embed import read_or_embed
    from metricface.deploy.index_store import SIDECAR, filled, save_index

    registries = installed_registries()
    spec = configured(registries, "index", index, settings_table(settings or ()), f"--index {index}")
    with Screen() as screen:
        stored = read_or_embed(embeddings, registries, screen)
        for notice in stored.notices:
            screen.say(notice)
        made = filled(registries, spec, stored.embeddings.vectors)
        save_index(out, made, spec, stored, force=force)
    if as_json:
        print((out / SIDECAR).read_text(encoding="utf-8"), end="")
        return
    rows, dim = stored.embeddings.vectors.shape
    size = sum(file.stat().st_size for file in out.iterdir())
    vectors = counted(rows, "vector", "vectors")
    print(f"{out}: {index}, {vectors} of {dim} dimensions, {size / rows:.0f} bytes each with what they stand for")


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="What index build wrote.", show_default=False)]
Asked = Annotated[
    list[Path],
    typer.Argument(metavar="EMB|PHOTO...", help="Embeddings, or photos, folders, patterns.", show_default=False),
]


def search(
    folder: Folder,
    queries: Asked,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours of each.")] = 10,
    model: Annotated[
        Path | None, typer.Option(help="For photos: the model that made the index's vectors.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    batch_size: BatchSize = 64,
    device: Device = "auto",
) -> None:
    """Find the nearest vectors of an index for every photo or embedding."""
    if model is not None:
        check_model(model)
    from metricface.cli.render import Screen
    from metricface.cli.tables import table
    from metricface.components.registry import installed_registries
    from metricface.deploy.index_search import queries_of, search_index
    from metricface.deploy.index_store import load_index

    check_device(device)
    registries = installed_registries()
    with Screen() as screen:
        stored = load_index(folder, registries)
        asked = queries_of(queries, model, registries, screen, device=device, batch_size=batch_size)
        found = search_index(folder, stored, asked, k)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    table(
        ("query", "rank", "person", "cosine", "photo"),
        [
            (one.query, str(near.rank), near.person, f"{near.cosine:.3f}", near.path)
            for one in found
            for near in one.neighbours
        ],
    )
