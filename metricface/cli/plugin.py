"""metricface plugin."""

from __future__ import annotations

import typer

from metricface.cli import plugin_check, plugin_new
from metricface.cli.exits import guarded

plugin_app = typer.Typer(help="Write plugins and check them.", no_args_is_help=True)
plugin_app.command("new")(guarded(plugin_new.new))
plugin_app.command("check")(guarded(plugin_check.check))
