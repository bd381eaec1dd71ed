"""metricface data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from metricface.cli.arguments import AsJson
from metricface.files import printable


def demo(
    root: Annotated[Path, typer.Option("--root", help="Where task_b/ and task_a/ are laid out.")] = Path("data"),
    as_json: AsJson = False,
) -> None:
    """Lay out the AT&T/ORL faces (40 people, 10 photos each) as data/task_b and data/task_a."""
    from metricface.build.components import distortions
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.data.making.demo import demo as lay_out

    with Screen() as screen:
        summary = lay_out(root, distortions(installed_registries()), screen.progress("distorting"))
    if as_json:
        trees = {"task_b": summary.task_b.to_json(), "task_a": summary.task_a.to_json()}
        print(json.dumps({**trees, "provenance": summary.provenance}, indent=2))
    else:
        print(summary)


def distort(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Clean photos: SRC/<person>/*.jpg", show_default=False)],
    destination: Annotated[Path, typer.Argument(metavar="DST", help="Task B tree to make.", show_default=False)],
    train_people: Annotated[int | None, typer.Option(help="People to train on. Default: all that are left.")] = None,
    val_people: Annotated[int | None, typer.Option(help="People to evaluate on. Default: a fifth.")] = None,
    min_per_person: Annotated[int, typer.Option(help="Leave out people with fewer photos.")] = 2,
    limit_per_person: Annotated[int | None, typer.Option(help="Use at most so many photos of each person.")] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of people and of every distortion.")] = 0,
    split: Annotated[
        Path | None, typer.Option(help="CSV with columns split, person, photo, instead of a random choice.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build a Task B tree (clean photos and seven distortions of each) from clean photos."""
    from metricface.build.components import distortions
    from metricface.cli.render import Screen
    from metricface.components.registry import installed_registries
    from metricface.data.making.choice import Draw
    from metricface.data.making.distort import distort as make

    with Screen() as screen:
        tree = make(
            source,
            destination,
            distortions(installed_registries()),
            draw=Draw(train_people, val_people, min_per_person, limit_per_person),
            split=split,
            seed=seed,
            reading=screen.progress("reading"),
            progress=screen.progress("distorting"),
        )
        for notice in tree.notices:
            screen.say(notice)
    print(json.dumps(tree.to_json(), indent=2) if as_json else printable(str(tree)))
