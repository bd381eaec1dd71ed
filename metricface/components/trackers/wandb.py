"""Weights & Biases, offline by default, and trackio, which has the same calls."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from metricface.components.trackers._packages import must_have
from metricface.errors import PluginError

if TYPE_CHECKING:
    from metricface.contracts import Ending, TrackedRun


class WandB:
    """A run of Weights & Biases in the run folder. Needs metricface[wandb]; send it later with `wandb sync`.

    Args:
        project: name of the project; "" for the recipe's.
        mode: "offline" writes files only, "online" sends them as they come (log in before, with `wandb login`).
        module: "trackio" keeps the run in trackio's own folder on this machine; needs pip install trackio.
    """

    def __init__(
        self,
        *,
        project: str = "",
        mode: Literal["offline", "online"] = "offline",
        module: Literal["wandb", "trackio"] = "wandb",
    ) -> None:
        must_have("wandb", "metricface[wandb]" if module == "wandb" else module, module)
        if (module, mode) == ("trackio", "online"):
            raise PluginError("tracker 'wandb': trackio is used on this machine only. Leave out mode.")
        self.project, self.mode, self.module = project, mode, module
        self._run: Any = None

    def start(self, run: TrackedRun) -> Mapping[str, str]:
        """Begin a run, or go on with the one of before."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        package: Any = importlib.import_module(self.module)
        project, folder = self.project or run.name, run.folder.absolute()
        name = run.before.get("run", folder.name)
        about = {"project": project, "name": name, "config": dict(run.recipe)}
        if self.module == "trackio":
            resume = "allow" if run.before else "never"
            self._run = package.init(**about, resume=resume, embed=False, auto_log_gpu=False, auto_log_cpu=False)
            return {"project": project, "run": name}
        # Neither the console, nor the code, nor what else the machine does is anybody's business.
        private = package.Settings(console="off", disable_git=True, save_code=False, x_disable_stats=True, silent=True)
        again = {"id": run.before["id"], "resume": "allow"} if "id" in run.before else {}
        self._run = package.init(**about, dir=str(folder), mode=self.mode, settings=private, **again)
        return {"project": project, "run": name, "id": str(self._run.id), "folder": str(self._run.dir)}

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Log the figures."""
        self._run.log(dict(figures), step=step)

    def finish(self, status: Ending) -> None:
        """Say how it ended, and write everything."""
        if self.module == "trackio":
            self._run.finish()
            return
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status == "finished" else 1)
