"""metricface eval."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from metricface.cli.arguments import Model, check_model
from metricface.errors import UsageError

Data = Annotated[
    Path | None,
    typer.Option(help="A data root (its val split is used) or a split folder. Default: the data it was trained on."),
]
Gallery = Annotated[
    Path | None,
    typer.Option(help="People's folders whose clean photos make the gallery. Needs --probe.", show_default=False),
]
Probe = Annotated[
    Path | None,
    typer.Option(
        help="People's folders whose photos are identified; people not in the gallery are unknown.", show_default=False
    ),
]
OutcomesFolder = Annotated[
    Path | None,
    typer.Option(help="Folder to write what became of every probe to, for metricface compare.", show_default=False),
]


def evaluate(
    model: Model,
    data: Data = None,
    gallery: Gallery = None,
    probe: Probe = None,
    outcomes: OutcomesFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON document.")] = False,
) -> None:
    """Evaluate a trained model with the evaluators of its recipe, or on a gallery and probes of one's own."""
    folders = _both(gallery, probe, data)
    check_model(model)
    from metricface.cli.render import Screen, show_report
    from metricface.components.registry import installed_registries
    from metricface.deploy.evaluate import evaluate_model
    from metricface.evaluation.report.outcomes import write_outcomes
    from metricface.files import made_folder
    from metricface.runs.folder import RunFolder

    written = None if outcomes is None else RunFolder(outcomes).outcomes  # as a run has them: compare finds them
    with nullcontext() if written is None else made_folder(written, "--outcomes"):
        with Screen() as screen:
            results, evaluated_on = evaluate_model(
                model, data, installed_registries(), screen, gallery_and_probes=folders
            )
        if written is not None:
            write_outcomes(written, results)
    if as_json:
        short = {name: result.short() for name, result in results.items()}
        print(json.dumps({**short, "results": {name: result.to_json() for name, result in results.items()}}, indent=2))
    else:
        show_report(results, {"data": evaluated_on})


def _both(gallery: Path | None, probe: Path | None, data: Path | None) -> tuple[Path, Path] | None:
    """Return the folders of gallery and probes, None without either; refuse one without the other."""
    if gallery is None and probe is None:
        return None
    if gallery is None or probe is None:
        given, missing = ("--probe", "--gallery") if gallery is None else ("--gallery", "--probe")
        raise UsageError(f"{given}: stands alone. Name the other folder with {missing}, or use --data for one of both.")
    if data is not None:
        raise UsageError(f"--data: cannot stand beside --gallery and --probe (got {data}). Omit one or the other.")
    return gallery, probe
