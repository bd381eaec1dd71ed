"""The picture of the rooms in ARCHITECTURE.md is that of the imports, and can be read."""

from __future__ import annotations

import importlib.util
import itertools
import re
from types import ModuleType

import pytest
import support
from support.rooms import LEVELS


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("map_of_rooms", support.ROOT / "docs/map.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reached(graph: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Every (room, room that it imports by some way): the closure, by adding steps until nothing is new."""
    pairs = {(room, other) for room, used in graph.items() for other in used}
    while more := {(a, d) for (a, b), (c, d) in itertools.product(pairs, pairs) if b == c} - pairs:
        pairs |= more
    return pairs


def test_the_picture_is_up_to_date(drawing: ModuleType) -> None:
    drawn = (support.ROOT / "docs/rooms.svg").read_text(encoding="utf-8")
    assert drawn == drawing.svg(), "docs/rooms.svg is not that of the imports: run make map"


def test_only_imports_that_a_longer_way_implies_are_left_out(drawing: ModuleType) -> None:
    full = drawing.graph()
    drawn = drawing.reduced(full)
    assert reached(drawn) == reached(full)
    for room, other in [(room, other) for room, used in drawn.items() for other in used]:
        fewer = {name: used - {other} if name == room else used for name, used in drawn.items()}
        assert (room, other) not in reached(fewer)


def test_every_room_has_a_box_apart_from_the_others_and_above_what_it_imports(drawing: ModuleType) -> None:
    picture = drawing.svg()
    names = re.findall(r'class="room">(\w+)<', picture)
    assert sorted(names) == sorted(LEVELS.keys() - {"__main__"})
    corners = [(int(x), int(y)) for x, y in re.findall(r'<rect x="(\d+)" y="(\d+)"', picture)]
    box = dict(zip(names, corners, strict=True))
    for (x, y), (other_x, other_y) in itertools.combinations(corners, 2):
        assert abs(x - other_x) >= drawing.BOX_WIDTH or abs(y - other_y) >= drawing.BOX_HEIGHT
    arrows = re.findall(r"<title>(\w+) imports (\w+)</title>", picture)
    assert {room: {b for a, b in arrows if a == room} for room in names} == drawing.reduced(drawing.graph())
    assert all(box[room][1] < box[other][1] for room, other in arrows)


def test_the_architecture_names_every_room_and_shows_the_picture() -> None:
    page = (support.ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert "(docs/rooms.svg)" in page
    rows = dict(re.findall(r"^\| `(\w+)/?` \| (\d+) \|", page, re.MULTILINE))
    assert {room: int(level) for room, level in rows.items()} == {
        room: level for room, level in LEVELS.items() if room != "__main__"
    }
