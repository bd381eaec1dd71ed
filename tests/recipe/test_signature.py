"""What `metricface show` says of a component's parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from metricface.contracts import KINDS
from metricface.recipe.signature import parameters


class Part:
    def __init__(
        self,
        *,
        margin: Annotated[float, Ge(0), Le(1.570796)] = 0.5,
        weight: Annotated[float, Gt(0)] | Literal["balanced"] = 1.0,
        recall: Annotated[float, Gt(0), Lt(1)] | None = None,
        mode: Literal["hard", "easy"] = "hard",
        span: tuple[Annotated[int, Ge(1)], int] = (1, 2),
        names: tuple[str, ...] = ("a", "b"),
        binary: bool = False,
        path: str,
    ) -> None: ...


SHOWN = """\
margin: float = 0.5  (>= 0, <= 1.571)
weight: float > 0 | "balanced" = 1.0
recall: float > 0 and < 1 | None = None
mode: "hard" | "easy" = "hard"
span: [int >= 1, int] = [1, 2]
names: [str, ...] = ["a", "b"]
binary: bool = false
path: str
"""


def test_parameters_are_shown_in_plain_text() -> None:
    assert parameters(Part, KINDS["loss"]) == SHOWN.splitlines()
