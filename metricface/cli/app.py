"""Wires the verbs into one command. Importing this loads neither torch nor numpy: each verb imports what it needs."""

from __future__ import annotations

import typer

from metricface.cli import check, classify, compare, data, doctor, eval, init, list, plugin, run, runs, show
from metricface.cli.exits import OneLineGroup, guarded
from metricface.cli.options import before_the_verb
from metricface.machine import reuse_freed_memory

app = typer.Typer(
    name="metricface",
    cls=OneLineGroup,
    callback=before_the_verb,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Make and lay out photos.", no_args_is_help=True)
runs_app = typer.Typer(help="Look at the runs that are there.", no_args_is_help=True)

app.command("run")(guarded(run.run))
app.command("init")(guarded(init.init))
app.command("check")(guarded(check.check))
app.command("eval")(guarded(eval.evaluate))
app.command("classify")(guarded(classify.classify))
app.command("compare")(guarded(compare.compare))
app.command("list")(guarded(list.list_components))
app.command("show")(guarded(show.show))
app.command("doctor")(guarded(doctor.doctor))
data_app.command("demo")(guarded(data.demo))
data_app.command("distort")(guarded(data.distort))
app.add_typer(data_app, name="data")
app.add_typer(plugin.plugin_app, name="plugin")
runs_app.command("list")(guarded(runs.list_runs))
runs_app.command("show")(guarded(runs.show_run))
app.add_typer(runs_app, name="runs")


def main() -> None:
    """Run the command line."""
    reuse_freed_memory()
    app()
