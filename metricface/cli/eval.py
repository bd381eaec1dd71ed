"""metricface eval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[Path, typer.Argument(help="A run folder or a model folder.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(
            help="A data root (its val split is used) or a split folder. Default: the data it was trained on."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON document.")] = False,
) -> None:
    """Evaluate a trained model with the evaluators of its recipe."""
    from metricface.cli.render import Screen, show_report
    from metricface.evaluate import evaluate_model
    from metricface.registry import registries

    with Screen() as screen:
        results, evaluated_on = evaluate_model(model, data, registries(), screen)
    document = {name: result.to_json() for name, result in results.items()}
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        show_report({"results": document, "data": evaluated_on})
