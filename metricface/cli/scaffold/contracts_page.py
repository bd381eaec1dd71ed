"""The contract of every kind of component as one page: `make plugins/README.md` prints it there."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from metricface import contracts
from metricface.cli.scaffold.plugin.package import TEMPLATES
from metricface.contracts import KINDS, Kind
from metricface.testing.engine import Check
from metricface.testing.examine import suite_of
from metricface.testing.general import CHECKS, CONTRACT, MADE, SCHEMA

_INTRODUCTION = """\
# Plugins

A plugin is a pip package with an entry point. `metricface plugin new KIND NAME` writes one that works, for any of
{templates}. `metricface plugin check NAME` says whether a component keeps the
contract of its kind.

Packages to learn from, each with a module, a test and a README: `metricface-circle` (a loss),
`metricface-quality-sampler` (a sampler), `metricface-efficientnet-lite` (a backbone), `metricface-usearch` (an index).

For every kind:

- A component is a class, or a function that returns an object, with the methods below. No base class is needed.
- Its parameters are keyword-only and annotated, without `*args` and `**kwargs`. A recipe may set them, with types and
  bounds checked; bounds are written with `annotated_types`, for instance `Annotated[float, Gt(0)]`.
- What MetricFace fills in is passed to a parameter of that name, if there is one. A recipe may not set it.
- `notices`, a sequence of strings, is shown to the user where a component has it.
- What a user can fix is refused with an error of `metricface.errors`.
- `metricface.testing` has the checks below for your own tests, for instance `check_loss(MyLoss)`. A component that by
  its nature cannot pass one says why: `conformance_exempt: ClassVar[Mapping[str, str]] = {{"permutation": "a queue"}}`.

Shapes: B batch, C classes, D embedding dim, N photos, P pairs, Q queries, K neighbours, H and W height and width. This
page is written by `make plugins/README.md` from the code, and a test compares the two.

Every component is checked for this:

{general}
"""

# What build fills in. A name means the same for every kind.
OFFERED: Mapping[str, str] = {
    "embedding_dim": "`int`, D of the embeddings",
    "num_classes": "`int`, C of the train split",
    "class_counts": "numpy (C,) int64, photos of each class in the train split",
    "rank": "`int`, number of this process, from 0",
    "world_size": "`int`, how many processes train together",
    "dataset": "a `Dataset`, the train split; its photo i is that of `labels[i]`, read and of the final size",
    "labels": "numpy (N,) int64, class of every photo",
    "conditions": "numpy (N,) int64, condition of every photo, 0 for clean",
    "condition_names": "`tuple[str, ...]`, what those numbers stand for, and the conditions that transforms make",
    "batch_size": "`int`, most photos of a batch",
    "seed": "`int`, 0 or above",
    "root": "`Path`, as the recipe has it",
    "split": '`str`, for instance "train"',
    "max_pixels": "`int`: a photo whose header says more is not to be decoded; hand it to `read_image`",
    "image_size": "`int`, side of the photos in pixels",
    "mean": "three floats, the backbone's mean in [0, 1], RGB",
    "std": "three floats, the backbone's standard deviation, RGB",
    "distortions": "name -> `Distortion`; a recipe may say which by a list of names, else all that are installed",
    "parameter_groups": "list of dicts as torch's optimizers take them",
    "total_steps": "`int`, optimizer steps of the whole run",
    "class_names": "names of the classes in label order",
    "dim": "`int`, D of the vectors",
    "index": "an `IndexChoice`; a recipe says which by a table with `name` and its arguments, else None",
    "indexes": "list of `IndexChoice`; a recipe says which by a list of such tables, else None",
}

# What the methods above are given and give.
_VALUES = (
    "Item",
    "View",
    "LossInput",
    "HeadOutput",
    "InputSpec",
    "EmbeddingSet",
    "Predictions",
    "Subject",
    "IndexChoice",
)
_OF_INDEXES = ("IndexChoice", "HasExact", "HasTraining", "HasFile", "HasRemoval", "HasSearchGrid")
_OPTIONAL = (
    "HasParameterGroups",
    "HasParameterStages",
    "HasNoWeightDecay",
    "HasRebalancing",
    "Rebalancing",
    *_OF_INDEXES,
)


def contracts_page() -> str:
    """Return the page, in Markdown."""
    general = "\n".join(map(_check, (CONTRACT, SCHEMA, *CHECKS, MADE)))
    parts = (
        _INTRODUCTION.format(templates=", ".join(TEMPLATES), general=general),
        *map(_kind, KINDS.values()),
        "## What they are given and give\n",
        *map(_source, _VALUES),
        "## What a component may offer besides\n",
        *map(_source, (*_OPTIONAL, *_OF_INDEXES)),
    )
    return "\n".join(parts).rstrip("\n") + "\n"


def _kind(kind: Kind) -> str:
    """Return the section of one kind."""
    asked = [f"  - `{name}`: {OFFERED[name]}" for name in OFFERED if name in kind.offered]
    checks = suite_of(kind.name).checks
    lines = [
        f"## {kind.name}\n",
        f"- Entry-point group: `{kind.group}`",
        f"- In a recipe: {_in_a_recipe(kind)}",
        f"- Methods: {', '.join(f'`{method}`' for method in kind.methods)}",
        *(["- MetricFace fills in:", *asked] if asked else ["- MetricFace fills in: nothing"]),
        "",
        _source(kind.name.capitalize()),
        *(["Checked:\n", *map(_check, checks), ""] if checks else []),
    ]
    return "\n".join(lines)


def _in_a_recipe(kind: Kind) -> str:
    if kind.section is None:
        return "named by other components"
    return f"`[[{kind.section}]]`, in any number" if kind.repeats else f"`[{kind.section}]`"


def _check(check: Check[Any]) -> str:
    return f"- {check.name}: {check.asserts}"


def _source(name: str) -> str:
    """Return a definition of contracts.py as it stands there."""
    return f"```python\n{inspect.getsource(getattr(contracts, name)).rstrip()}\n```\n"


if __name__ == "__main__":
    print(contracts_page(), end="")
