"""A sampler that asks for the dataset gets the photos that the loader will read, in the order of the labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import task_b_tree
from support.installed import install, installing

from metricface.build.experiment import build_experiment
from metricface.components.registry import installed_registries
from metricface.contracts import Silent
from metricface.recipe.load import load_recipe

SOURCE = """\
import numpy as np
from metricface.contracts import Dataset


class ByBrightness:
    "The darkest photo first."

    def __init__(self, *, dataset: Dataset, labels: np.ndarray, batch_size: int) -> None:
        self.dataset, self.labels, self.batch_size = dataset, labels, batch_size

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def batches(self, epoch):
        means = [self.dataset.read(index).mean() for index in range(len(self.dataset))]
        return iter(np.argsort(means)[: len(self) * self.batch_size].reshape(-1, self.batch_size).tolist())
"""


def test_the_dataset_is_the_train_split_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"metricface.samplers": {"by-brightness": "mf_by_brightness:ByBrightness"}}
    install(tmp_path / "site", "mf-by-brightness", {"mf_by_brightness": SOURCE}, points)
    installing(monkeypatch, tmp_path / "site")
    root = task_b_tree.make_tree(tmp_path / "tree")
    text = task_b_tree.RECIPE.replace('name = "cross-condition"\nviews = 4', 'name = "by-brightness"')
    known = installed_registries()
    recipe = load_recipe(task_b_tree.write_recipe(tmp_path, root, text), (), known)
    experiment = build_experiment(recipe, known, Silent())
    sampler = experiment.loader._sampler
    assert sampler.dataset is experiment.train
    assert sampler.dataset.read(0).shape == (32, 32, 3)  # data.image_size
    assert [item.label for item in sampler.dataset.items] == sampler.labels.tolist()
    images = [batch.images for batch in experiment.loader.epoch(0)]
    assert images[0].mean() < images[-1].mean()
