"""One fault in a component's code is told once, with the line that it lies in."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from metricface.errors import RecipeError
from metricface.testing import ConformanceError, check_head, examine
from metricface.testing.faults import fault_of

SOURCE = '''
"""A loss that cannot be called, and one that can."""

import torch
from mf_faulty.inner import divide


class Faulty:
    """Divides by what is not there.

    Args:
        num_classes: C, classes of the train split.
    """

    consumes = "embeddings"

    def __init__(self, *, num_classes: int) -> None:
        self.num_classes = num_classes

    def __call__(self, given):
        return divide(given)


class TwoFaults(Faulty):
    """Fails in one way for a single photo, and in another for more.

    Args:
        num_classes: C, classes of the train split.
    """

    def __call__(self, given):
        if len(given.labels) == 1:
            raise KeyError("one")
        return torch.zeros(3)[len(given.labels) + 3] + given.embeddings.sum()


class InTorch(Faulty):
    """Hands torch what does not fit.

    Args:
        num_classes: C, classes of the train split.
    """

    def __call__(self, given):
        return (given.embeddings @ torch.zeros(3, 3)).sum()
'''
INNER = "def divide(given):\n    return given.embeddings.sum() / (1 // 0)\n"


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    package = tmp_path / "mf_faulty"
    package.mkdir()
    (package / "__init__.py").write_text(SOURCE)
    (package / "inner.py").write_text(INNER)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("mf_faulty", "mf_faulty.inner"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("mf_faulty")


def line_of(faulty: ModuleType, text: str, file: str = "__init__.py") -> str:
    path = Path(str(faulty.__file__)).parent / file
    return f"{path}:{path.read_text().splitlines().index(text) + 1}"


def test_one_fault_is_one_row_with_the_line_of_the_plugins_own_code(faulty: ModuleType) -> None:
    report = examine("loss", faulty.Faulty)
    failed = [row for row in report.rows() if row[1] == "failed"]
    place = line_of(faulty, "    return given.embeddings.sum() / (1 // 0)", "inner.py")
    names = [it.name for it in report.failed]
    assert len(names) > 10
    assert failed == [
        (
            "finite",
            "failed",
            f"ZeroDivisionError: integer division or modulo by zero, at {place}. {len(names)} checks fail by it: "
            f"{', '.join(names)}.",
        )
    ]
    with pytest.raises(ConformanceError) as caught:
        report.refuse()
    first, second = str(caught.value).split("\n")
    assert first == f"loss Faulty: {len(names)} of {len(report.outcomes)} checks failed"
    assert second == f"finite: {failed[0][2]}"
    assert len(report.rows()) == len(report.outcomes) - len(names) + 1


def test_two_faults_are_two_rows_and_numbers_of_the_batch_make_no_third(faulty: ModuleType) -> None:
    rows = {name: said for name, status, said in examine("loss", faulty.TwoFaults).rows() if status == "failed"}
    assert list(rows) == ["finite", "one sample"]
    assert rows["finite"].startswith("IndexError: index 7 is out of bounds for dimension 0 with size 3, at ")
    place = line_of(faulty, '            raise KeyError("one")')
    assert f"KeyError: 'one', at {place}. Wanted: " in rows["one sample"]
    others = examine("loss", faulty.TwoFaults).failed
    assert {it.said.partition(",")[0] for it in others if "index" in it.said} > {
        "IndexError: index 7 is out of bounds for dimension 0 with size 3"
    }


def test_an_error_of_a_library_is_told_with_the_plugins_line_and_not_the_librarys(faulty: ModuleType) -> None:
    (row,) = [row for row in examine("loss", faulty.InTorch).rows() if row[1] == "failed"]
    assert f"at {line_of(faulty, '        return (given.embeddings @ torch.zeros(3, 3)).sum()')}. " in row[2]


class Headless:
    """Takes no labels.

    Args:
        num_classes: C, classes of the train split.
    """

    def __init__(self, *, num_classes: int) -> None:
        self.num_classes = num_classes

    def __call__(self, embeddings: object, labels: object = None) -> object:
        raise RuntimeError("not written yet")


def test_a_component_of_one_file_is_placed_in_that_file() -> None:
    with pytest.raises(ConformanceError) as caught:
        check_head(Headless)
    lines = str(caught.value).split("\n")
    assert len(lines) == 2
    code = Path(__file__).read_text(encoding="utf-8").splitlines()
    line = code.index('        raise RuntimeError("not written yet")') + 1
    assert lines[1].startswith(f"shapes: RuntimeError: not written yet, at {__file__}:{line}. ")


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_what_is_meant_for_a_user_is_told_as_it_is() -> None:
    assert fault_of(raised(RecipeError("loss mine: two classes (got 5).")), Headless).shown == (
        "loss mine: two classes (got 5)"
    )
    assert fault_of(raised(ValueError()), Headless).shown.startswith(f"ValueError, at {__file__}:")
    assert fault_of(ValueError("never raised"), Headless).shown == "ValueError: never raised"
