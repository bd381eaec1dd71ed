"""A tracker whose package is missing is refused with what to install, before anything begins."""

from __future__ import annotations

import importlib.util

import pytest

from metricface.components.trackers.mlflow import MLflow
from metricface.components.trackers.tensorboard import TensorBoard
from metricface.components.trackers.wandb import WandB
from metricface.errors import PluginError


@pytest.mark.parametrize(
    ("make", "package", "install"),
    [
        (TensorBoard, "tensorboard", "metricface[tensorboard]"),
        (MLflow, "mlflow", "metricface[mlflow]"),
        (WandB, "wandb", "metricface[wandb]"),
        (lambda: WandB(module="trackio"), "trackio", "trackio"),
    ],
)
def test_a_missing_package_is_named(make, package: str, install: str, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PluginError) as caught:
        make()
    assert str(caught.value).endswith(f": the package {package} is not installed. Run: pip install '{install}'")


def test_the_store_of_a_file_needs_more_than_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "mlflow" or None)
    MLflow(tracking_uri="http://localhost:5000")
    with pytest.raises(PluginError, match="package sqlalchemy is not installed"):
        MLflow()


def test_trackio_goes_online_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(PluginError, match="trackio is used on this machine only"):
        WandB(module="trackio", mode="online")
