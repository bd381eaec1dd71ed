"""metricface eval."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metricface.cli.arguments import BatchSize, Device, Force, check_device, check_model
from metricface.errors import UsageError

if TYPE_CHECKING:
    from metricface.contracts import Result

Data = Annotated[
    Path | None,
    typer.Option(help="A data root (its val split is used) or a split folder. Default: the data it was trained on."),
]
Gallery = Annotated[
    Path | None,
    typer.Option(help="People's folders whose clean photos make the gallery. Needs --probe.", show_default=False),
]
Probe = Annotated[
    list[Path] | None,
    typer.Option(
        help="Photos to identify: people's folders, one person's, files, patterns in quotes; may be repeated. People "
        "not in the gallery are unknown.",
        show_default=False,
    ),
]
MoreProbes = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PHOTOS", help="More of --probe, as a shell writes out --probe photos/*.jpg.", show_default=False
    ),
]
Embeddings = Annotated[
    Path | None, typer.Option(help="A file of embeddings instead of MODEL; see metricface embed.", show_default=False)
]
Protocol = Annotated[
    list[str] | None,
    typer.Option(
        help='An evaluator of embeddings instead of the recipe\'s: "retrieval", "identification"; may be repeated.',
        show_default=False,
    ),
]
MaybeModel = Annotated[
    Path | None,
    typer.Argument(metavar="MODEL", help="A run folder or a model folder.", show_default=False),
]
_USUAL = ("retrieval",)
OutcomesFolder = Annotated[
    Path | None,
    typer.Option(help="Folder to write what became of every probe to, for metricface compare.", show_default=False),
]


def evaluate(
    model: MaybeModel = None,
    photos: MoreProbes = None,
    embeddings: Embeddings = None,
    protocol: Protocol = None,
    data: Data = None,
    gallery: Gallery = None,
    probe: Probe = None,
    outcomes: OutcomesFolder = None,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON document.")] = False,
    batch_size: BatchSize = 64,
    device: Device = "auto",
) -> None:
    """Evaluate a trained model as its recipe says, on a gallery and probes of one's own, or embeddings in a file."""
    named = _both(gallery, probe or [], photos or [], data)
    _check(model, embeddings, protocol, others=named is not None or data is not None)
    from metricface.cli.render import Screen, show_report
    from metricface.components.registry import installed_registries
    from metricface.deploy.evaluate import evaluate_model
    from metricface.deploy.evaluate_embeddings import evaluate_embeddings

    with _outcomes(outcomes, force=force) as write, Screen() as screen:
        check_device(device)
        registries = installed_registries()
        if model is None or protocol:
            path = embeddings if model is None else model
            assert path is not None
            results, evaluated_on = evaluate_embeddings(path, protocol or _USUAL, registries, screen, device=device)
        else:
            results, evaluated_on = evaluate_model(
                *(model, data, registries, screen), gallery_and_probes=named, device=device, batch_size=batch_size
            )
        write(results)
    if as_json:
        short = {name: result.short() for name, result in results.items()}
        print(json.dumps({**short, "results": {name: result.to_json() for name, result in results.items()}}, indent=2))
    else:
        show_report(results, {"data": evaluated_on})


def _check(model: Path | None, embeddings: Path | None, protocol: Sequence[str] | None, *, others: bool) -> None:
    """Refuse what does not go together, and a model that is not there."""
    if model is None and embeddings is None:
        raise UsageError("eval: missing argument 'MODEL'. See metricface eval --help.")
    if embeddings is not None and (model or others):
        raise UsageError(f"--embeddings: stands alone, without MODEL, --data or --gallery (got {embeddings} and more).")
    if protocol and others:
        raise UsageError("--protocol: is computed on --embeddings, or on the photos of MODEL's recipe. Omit the rest.")
    if model is not None:
        check_model(model)


@contextmanager
def _outcomes(folder: Path | None, *, force: bool) -> Iterator[Callable[[Mapping[str, Result]], None]]:
    """Refuse, before any work, outcomes that could not or should not be written; yield what writes them."""
    from metricface.evaluation.report.outcomes import write_outcomes
    from metricface.files import made_folder
    from metricface.runs.folder import RunFolder

    if folder is None:
        yield lambda _: None
        return
    written = RunFolder(folder).outcomes  # as a run has them: compare finds them
    there = sorted(written.glob("*.csv"))
    if there and not force:
        raise UsageError(
            f"{written}: holds outcomes already ({there[0].name}). Name another folder, or replace them with --force."
        )
    with made_folder(written, "--outcomes"):
        yield partial(write_outcomes, written, instead_of=there)


def _both(
    gallery: Path | None, probe: Sequence[Path], more: Sequence[Path], data: Path | None
) -> tuple[Path, Sequence[Path]] | None:
    """Return the folder of the gallery and all probes, None without either; refuse one without the other."""
    if more and not probe:
        raise UsageError(f"{more[0]}: one MODEL only. Photos to identify follow --probe, beside --gallery.")
    if gallery is None and not probe:
        return None
    if gallery is None or not probe:
        given, missing = ("--probe", "--gallery") if gallery is None else ("--gallery", "--probe")
        raise UsageError(f"{given}: stands alone. Name the other folder with {missing}, or use --data for one of both.")
    if data is not None:
        raise UsageError(f"--data: cannot stand beside --gallery and --probe (got {data}). Omit one or the other.")
    return gallery, [*probe, *more]
