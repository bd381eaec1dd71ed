"""metricface index bench."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metricface.cli.arguments import settings_table
from metricface.errors import UsageError

if TYPE_CHECKING:
    from metricface.components.registry import Registries
    from metricface.contracts import Console
    from metricface.deploy.index_bench import Candidate
    from metricface.evaluation.index_task import SearchTask


Embeddings = Annotated[
    Path | None, typer.Argument(metavar="EMB", help="A file of embeddings, a run or a model.", show_default=False)
]
Probes = Annotated[Path | None, typer.Option(help="Embeddings to look for among EMB. Default: photos of EMB itself.")]
Indexes = Annotated[
    list[str] | None,
    typer.Option(
        "--index",
        metavar="'NAME KEY=VALUE ...'",
        help="An index with its parameters; may be repeated. Default: all of ours.",
        show_default=False,
    ),
]
MaxLoss = Annotated[float, typer.Option(min=0, max=1, help="Share of identities that may be lost.")]
Threads = Annotated[str, typer.Option(help="Numbers of threads to measure speeds with: 1,2.")]
Seconds = Annotated[float, typer.Option(min=0.01, help="That each timing takes, at least.")]
Synthetic = Annotated[
    str | None, typer.Option(metavar="N,D", help="Made-up people instead: N vectors of D dimensions.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of who is in the gallery, and of made-up people.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for what is measured. Default: EMB.bench.")]
Again = Annotated[bool, typer.Option("--force", help="Measure again what was measured before.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print conditions and rows as one JSON document.")]


def bench(
    embeddings: Embeddings = None,
    probes: Probes = None,
    index: Indexes = None,
    max_loss: MaxLoss = 0.005,
    threads: Threads = "1",
    seconds: Seconds = 2.0,
    synthetic: Synthetic = None,
    seed: Seed = 0,
    out: Out = None,
    force: Again = False,
    as_json: AsJson = False,
) -> None:
    """Measure indexes in identities: who is lost against exact search, at which speed and size.

    What is measured stays in the folder, with a table (index_bench.md) and a picture; the same line goes on there.
    """
    counts = _threads(threads)
    size = _synthetic(synthetic, embeddings, probes)
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.deploy.index_bench import USUAL, Plan
    from metricface.deploy.index_bench import bench as measure

    registries = installed_registries()
    candidates = [_candidate(text, registries) for text in index or USUAL]
    name = f"synthetic-{synthetic}" if embeddings is None else embeddings.name
    folder = out or (embeddings or Path(name)).with_name(f"{name}.bench")
    with Screen() as screen:
        task, contract = _task(embeddings, probes, size, seed, registries, screen)
        plan = Plan(task, candidates, counts, max_loss, seconds, contract, synthetic=size is not None)
        document = measure(plan, folder, screen, force=force)
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        _show(document)
        print(folder)


def _show(document: dict[str, Any]) -> None:
    from metricface.cli.tables import table
    from metricface.evaluation.report.index_report import COLUMNS, cells, parts

    about = document["conditions"]
    print(f"{about['vectors']:,} vectors of {about['dim']} dimensions, {about['people']:,} people; {about['task']}")
    table(COLUMNS, [cells(row) for row in document["rows"]])
    for by in ("condition", "margin"):
        headings, rows = parts(document["rows"], by)
        if rows:
            print(f"\nidentities lost by {by}, % (95 % interval over people)")
            table(headings, rows)
    print(f"\n{document['verdict']}")


def _threads(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise UsageError(f"--threads: takes numbers from 1 with commas between, for instance 1,2 (got {text!r}).")
    return sorted(set(counts))


def _synthetic(text: str | None, embeddings: Path | None, probes: Path | None) -> tuple[int, int] | None:
    """Return N and D; refuse them beside embeddings, and neither of both."""
    if text is None:
        if embeddings is None:
            raise UsageError("index bench: nothing to measure on. Name a file of embeddings, or --synthetic 100000,512")
        return None
    if embeddings is not None or probes is not None:
        raise UsageError(f"--synthetic: stands alone, without EMB and --probes (got {embeddings or probes}).")
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise UsageError(f"--synthetic: takes two numbers, vectors and dimensions: 100000,512 (got {text!r}).")
    return int(parts[0]), int(parts[1])


def _candidate(text: str, registries: Registries) -> Candidate:
    from metricface.deploy.index_bench import candidate_of

    try:
        name, *settings = shlex.split(text) or [""]
    except ValueError as error:
        raise UsageError(f"--index {text!r}: cannot be read ({error}).") from error
    return candidate_of(name, settings_table(settings), registries)


def _task(
    embeddings: Path | None,
    probes: Path | None,
    size: tuple[int, int] | None,
    seed: int,
    registries: Registries,
    console: Console,
) -> tuple[SearchTask, str]:
    """Return the task, and the contract of the model that made its vectors."""
    from metricface.deploy.embed import read_or_embed
    from metricface.deploy.index_store import refuse_other_model
    from metricface.evaluation.index_task import search_task
    from metricface.evaluation.synthetic_task import synthetic_task

    if size is not None:
        return synthetic_task(*size, seed=seed), ""
    assert embeddings is not None
    paths: Sequence[Path] = [embeddings] if probes is None else [embeddings, probes]
    stored = [read_or_embed(path, registries, console) for path in paths]
    for one in stored:
        for notice in one.notices:
            console.say(notice)
    if probes is not None:
        refuse_other_model(stored[0].contract, stored[1].contract, (str(embeddings), str(probes)))
    return search_task(*(one.embeddings for one in stored), seed=seed), stored[0].contract
