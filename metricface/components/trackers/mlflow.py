"""MLflow, by default in a file beside the run folder."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metricface.components.trackers._packages import must_have

if TYPE_CHECKING:
    from metricface.contracts import Ending, TrackedRun

_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true"}
# A server that does not answer is given up after seconds; by default MLflow asks for many minutes, and training waits.
_SOON = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
_NO_NAME = re.compile(r"[^\w\-. :/]")  # what a metric or parameter of MLflow cannot be called
_LONGEST = 6000  # letters of a parameter's value
_AT_ONCE = 100  # metrics of a call: each call writes to disk or asks a server; parameters of one call, too


class MLflow:
    """A run of MLflow: parameters, metrics and status. Needs metricface[mlflow]; nothing leaves the machine by itself.

    Args:
        tracking_uri: of the store, for instance "http://localhost:5000"; "" for mlflow.db beside the run folder.
        experiment: name of the experiment; "" for the recipe's.
    """

    def __init__(self, *, tracking_uri: str = "", experiment: str = "") -> None:
        local = not tracking_uri or tracking_uri.startswith("sqlite:")
        must_have("mlflow", "metricface[mlflow]", "mlflow", *(("sqlalchemy", "alembic") if local else ()))
        self.tracking_uri, self.experiment = tracking_uri, experiment
        self._client: Any = None
        self._run_id = ""
        self._waiting: list[Any] = []

    def start(self, run: TrackedRun) -> Mapping[str, str]:
        """Begin a run in the store, or go on with the one of before."""
        for name, value in {**_QUIET, **_SOON}.items():
            os.environ.setdefault(name, value)
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        beside = run.folder.absolute().parent
        uri = self.tracking_uri or f"sqlite:///{beside / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=uri)
        if run.before.get("tracking_uri") == uri:
            self._run_id = run.before["run_id"]
            self._client.update_run(self._run_id, status="RUNNING")
        else:
            name = self.experiment or run.name
            found = self._client.get_experiment_by_name(name)
            artifacts = None if self.tracking_uri else (beside / "mlruns").as_uri()
            known = self._client.create_experiment(name, artifacts) if found is None else found.experiment_id
            self._run_id = self._client.create_run(known, run_name=run.folder.absolute().name).info.run_id
            given = [Param(_NO_NAME.sub("_", key), str(value)[:_LONGEST]) for key, value in run.recipe.items()]
            for first in range(0, len(given), _AT_ONCE):
                self._client.log_batch(self._run_id, params=given[first : first + _AT_ONCE])
        return {"tracking_uri": uri, "run_id": self._run_id}

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures as metrics; they are sent many at once."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)  # MLflow counts milliseconds
        self._waiting += [Metric(_NO_NAME.sub("_", name), value, now, step) for name, value in figures.items()]
        if len(self._waiting) >= _AT_ONCE:
            self._send()

    def finish(self, status: Ending) -> None:
        """Send what waits, and how it ended."""
        self._send()
        self._client.set_terminated(self._run_id, _STATUS[status])

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), _AT_ONCE):
            self._client.log_batch(self._run_id, metrics=waiting[first : first + _AT_ONCE])
