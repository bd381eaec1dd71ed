"""MLflow's own client finds parameters, metrics and status, in a file beside the run folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from metricface.contracts import TrackedRun
from metricface.testing import check_tracker

tracking = pytest.importorskip("mlflow.tracking")
pytest.importorskip("sqlalchemy")

from metricface.components.trackers.mlflow import MLflow  # noqa: E402


def test_it_keeps_the_contract() -> None:
    check_tracker(MLflow)


def test_a_run_that_goes_on_is_one_run(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    first = MLflow()
    before = first.start(TrackedRun("try", folder, {"head.margin": 0.4, "loss": ["triplet"]}))
    first.log(1, {"losses/triplet": 0.25, "identification/tar@far=0.001": 0.5})
    first.finish("interrupted")
    again = MLflow()
    assert again.start(TrackedRun("try", folder, {}, 1, before)) == before
    again.log(2, {"losses/triplet": 0.125})
    again.finish("finished")
    assert before["tracking_uri"] == f"sqlite:///{tmp_path}/runs/mlflow.db"
    client = tracking.MlflowClient(before["tracking_uri"])
    experiment = client.get_experiment_by_name("try")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params == {"head.margin": "0.4", "loss": "['triplet']"}
    history = client.get_metric_history(run.info.run_id, "losses/triplet")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.25), (2, 0.125)]
    assert run.data.metrics["identification/tar_far_0.001"] == 0.5
