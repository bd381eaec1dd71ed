"""The files of a new package: `metricface plugin new`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from metricface import __version__
from metricface.cli.scaffold.plugin.names import Names, check_kind, names_of
from metricface.contracts import KINDS
from metricface.errors import UsageError
from metricface.files import made_folder


@dataclass(frozen=True, slots=True)
class Sample:
    """What the template of a kind is: a sentence, and the part of a recipe that has it in; $component is its name."""

    about: str
    section: str
    toml: str


_RECIPE = {
    "run": '[run]\nname = "$component"\nseed = 0',
    "data": '[data]\nname = "identity-folder"\nroot = "data/task_b"\nimage_size = 64',
    "transform": '[[transform]]\nname = "horizontal-flip"',
    "backbone": '[backbone]\nname = "timm"\nmodel = "mobilenetv3_small_100"\nweights = "random"',
    "embedding": "[embedding]\ndim = 128",
    "head": '[head]\nname = "arcface"\nscale = 30.0\nmargin = 0.3  # radians',
    "loss": '[[loss]]\nname = "cross-entropy"',
    "sampler": '[sampler]\nname = "identity-balanced"\nviews = 4',
    "optimizer": '[optimizer]\nname = "adamw"\nlr = 1e-3',
    "train": "[train]\nepochs = 1\nbatch_size = 64",
    "evaluate": '[[evaluate]]\nname = "identification"',
}

TEMPLATES: Mapping[str, Sample] = {
    "backbone": Sample(
        "A backbone for MetricFace: a small convolutional network.",
        "backbone",
        '[backbone]\nname = "$component"\nchannels = 32',
    ),
    "head": Sample(
        "A head for MetricFace: a normalised softmax with a margin on the cosine.",
        "head",
        '[head]\nname = "$component"\nscale = 30.0\nmargin = 0.2  # a cosine',
    ),
    "loss": Sample(
        "A loss for MetricFace: the binomial deviance of all pairs.",
        "loss",
        '[[loss]]\nname = "$component"\nscale = 10.0\nthreshold = 0.5',
    ),
    "sampler": Sample(
        "A sampler for MetricFace: every photo once per epoch, in random order.",
        "sampler",
        '[sampler]\nname = "$component"',
    ),
    "dataset": Sample(
        "A dataset for MetricFace: photos in one folder per person.",
        "data",
        '[data]\nname = "$component"\nroot = "data/task_b"\nimage_size = 64',
    ),
    "tracker": Sample(
        "A tracker for MetricFace: the figures of a run as a table.",
        "tracker",
        '[[tracker]]\nname = "$component"\nfile = "figures.csv"',
    ),
    "index": Sample(
        "An index for MetricFace: vectors in half precision, each compared with every query.",
        "evaluate",
        '[[evaluate]]\nname = "index-bench"\nindexes = [{ name = "exact" }, { name = "$component" }]',
    ),
    "distortion": Sample(
        "A distortion for MetricFace: squares of one colour.",
        "transform",
        '[[transform]]\nname = "random-distortion"\nprobability = 0.5\ndistortions = ["$component"]',
    ),
}


def write_package(kind: str, name: str, parent: Path) -> Path:
    """Write a package with one component that works into a new folder, `parent`/`name`; return that.

    Args:
        kind: one that has a template.
        name: of the package; the component goes by the same, less a "metricface-" before it.
        parent: is made where it is not there.

    Raises:
        UsageError: no such kind, a name that cannot be taken, or the folder is there or cannot be made.
    """
    check_kind(kind, TEMPLATES)
    names = names_of(kind, name)
    texts = _files(kind, names)
    folder = parent / name
    try:
        with made_folder(folder, "--dir", new=True):
            for path, text in texts.items():
                (folder / path).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{folder}: is there already and stays as it is. Take another NAME or --dir.") from None
    return folder


def _files(kind: str, names: Names) -> dict[str, str]:
    """Return the text of every file of a package by its name."""
    sample = TEMPLATES[kind]
    values = {
        "about": sample.about,
        "class_name": names.class_name,
        "component": names.component,
        "group": KINDS[kind].group,
        "kind": kind,
        "module": names.module,
        "name": names.package,
        "version": __version__,
    }
    values["toml"] = Template(sample.toml).substitute(values)
    templates = files("metricface.cli.scaffold.plugin") / "templates"
    sources = {
        "pyproject.toml": "pyproject.toml",
        f"{names.module}.py": f"{kind}.py",
        f"test_{names.module}.py": f"test_{kind}.py",
        "README.md": "README.md",
        "LICENSE": "LICENSE",
    }
    texts = {path: (templates / f"{source}.txt").read_text(encoding="utf-8") for path, source in sources.items()}
    texts["recipe.toml"] = _recipe(sample)
    return {path: Template(text).substitute(values) for path, text in texts.items()}


def _recipe(sample: Sample) -> str:
    """Return a recipe that trains an epoch with the component. A loss on embeddings has no use for a head."""
    parts = {**_RECIPE, sample.section: sample.toml}
    if sample.section == "loss":
        del parts["head"]
    first = "# One epoch with $component on the demo faces (metricface data demo): it shows that it trains, no more."
    return "\n\n".join((first, *parts.values())) + "\n"
