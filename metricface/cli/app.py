"""Wires the verbs into one command. Importing this loads neither torch nor numpy: each verb imports what it needs."""

from __future__ import annotations

import typer

from metricface.cli.check import check
from metricface.cli.classify import classify
from metricface.cli.compare import compare
from metricface.cli.data import demo, distort
from metricface.cli.doctor import doctor
from metricface.cli.embed import embed
from metricface.cli.eval import evaluate
from metricface.cli.exits import OneLineGroup, guarded
from metricface.cli.index import build, search
from metricface.cli.index_bench import bench
from metricface.cli.init import init
from metricface.cli.list import list_components
from metricface.cli.options import before_the_verb
from metricface.cli.plugin import plugin_app
from metricface.cli.run import run
from metricface.cli.runs import export_runs, list_runs, show_run, watch_run
from metricface.cli.show import show
from metricface.machine import reuse_freed_memory, wait_without_spinning

app = typer.Typer(
    name="metricface",
    cls=OneLineGroup,
    callback=before_the_verb,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},  # of every verb: they inherit it
    pretty_exceptions_enable=False,
)
index_app = typer.Typer(help="Find the nearest of many embeddings.", no_args_is_help=True)
data_app = typer.Typer(help="Make and lay out photos.", no_args_is_help=True)
runs_app = typer.Typer(help="Look at the runs that are there.", no_args_is_help=True)

app.command("run")(guarded(run))
app.command("init")(guarded(init))
app.command("check")(guarded(check))
app.command("eval")(guarded(evaluate))
app.command("classify")(guarded(classify))
app.command("embed")(guarded(embed))
app.command("compare")(guarded(compare))
app.command("list")(guarded(list_components))
app.command("show")(guarded(show))
app.command("doctor")(guarded(doctor))
data_app.command("demo")(guarded(demo))
data_app.command("distort")(guarded(distort))
app.add_typer(data_app, name="data")
index_app.command("build")(guarded(build))
index_app.command("search")(guarded(search))
index_app.command("bench")(guarded(bench))
app.add_typer(index_app, name="index")
app.add_typer(plugin_app, name="plugin")
runs_app.command("list")(guarded(list_runs))
runs_app.command("show")(guarded(show_run))
runs_app.command("watch")(guarded(watch_run))
runs_app.command("export")(guarded(export_runs))
app.add_typer(runs_app, name="runs")


def main() -> None:
    """Run the command line."""
    wait_without_spinning()
    reuse_freed_memory()
    app()
