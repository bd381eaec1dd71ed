"""Every built-in component and every package under plugins/ passes the kit, whatever is registered.

A component that is added is checked here without a change to this file, unless it needs a parameter that has no
default, or is large by default: then EXAMPLES says what to give it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support import ROOT
from support.layouts import class_tree, people_manifest
from support.task_b_tree import make_tree

from metricface.components.registry import installed_registries
from metricface.testing import check_loss
from metricface.testing.components import check_all
from metricface.testing.examine import examine
from metricface.testing.packages import open_package

KNOWN = installed_registries()
COMPONENTS = [
    (kind, entry.name)
    for kind, registry in KNOWN.items()
    for entry in registry.entries()
    if entry.distribution == "metricface" and kind != "tracker"  # their own tests, where their packages are installed
]
PLUGINS = sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))
EXAMPLES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("backbone", "iresnet"): {"depth": 18, "feature_dim": 32},  # all depths have the same units
    ("backbone", "timm"): {"model": "test_resnet", "weights": "random"},  # any model, small and without a download
    ("backbone", "torchvision"): {"model": "shufflenet_v2_x0_5", "weights": "random"},
    ("dataset", "class-folder"): {"classes": ["female", "male"]},
    ("index", "faiss"): {"factory": "IVF{lists},SQ8"},
    ("index", "ivf-pq"): {"lists": 16, "bits": 4},  # k-means with 256 centroids takes minutes
    ("index", "ivf-pq-fastscan"): {"lists": 16},
    ("loss", "pml"): {"loss": "MultiSimilarityLoss"},
    ("miner", "pml"): {"miner": "MultiSimilarityMiner"},
    ("transform", "albumentations"): {"transform": "ElasticTransform"},
    ("transform", "torchvision"): {"transform": "RandAugment"},
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A folder of photos for each dataset."""
    folder = tmp_path_factory.mktemp("photos")
    people_manifest(folder / "csv")
    return {
        "class-folder": class_tree(folder / "classes"),
        "identity-folder": make_tree(folder / "people"),
        "csv-manifest": folder / "csv",
    }


def test_there_are_components_and_plugins_to_check() -> None:
    assert {"head", "loss", "backbone", "sampler", "distortion", "dataset", "miner"} <= {kind for kind, _ in COMPONENTS}
    assert "metricface-efficientnet-lite" in [folder.name for folder in PLUGINS]


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=[" ".join(component) for component in COMPONENTS])
def test_every_built_in_component_passes(kind: str, name: str, photos: Mapping[str, Path]) -> None:
    arguments = dict(EXAMPLES.get((kind, name), {}))
    if name == "csv-manifest":
        arguments["manifest"] = photos[name] / "photos.csv"
    report = examine(kind, KNOWN[kind].load(f"metricface:{name}"), arguments, root=photos.get(name))
    report.refuse()
    assert [it.status for it in report.outcomes if it.name == "made"] == ["passed"]  # a dataset needs photos for it


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_every_plugin_of_this_repository_passes(folder: Path) -> None:
    package = open_package(folder)
    choices = [(registry, name) for registry in package.registries.values() for name in registry.names()]
    for checked in check_all(choices, package, {}):
        checked.report.refuse()


def test_the_loss_on_the_page_of_plugins_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(
        r"```python\n# (\w+)\.py\n(.*?)```", (ROOT / "docs/plugins.md").read_text(encoding="utf-8"), re.DOTALL
    )
    ((module, source),) = blocks
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, module, raising=False)
    check_loss(__import__(module).CosineGap)
