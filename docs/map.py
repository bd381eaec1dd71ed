"""Draw the rooms of the package and what they import, from the import statements: docs/rooms.svg.

    python docs/map.py        # or make map

Rooms stand in rows by level (tests/support/rooms.py has the levels). An import that a longer way down implies already
is left out, so that the picture stays readable; the test of the levels looks at all of them.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.rooms import LEVELS, files, imports, room_of  # noqa: E402 - found by the line above

PICTURE = HERE / "rooms.svg"
ABOUT = {
    "errors": "what users can fix",
    "files": "atomic writes",
    "machine": "cores, device",
    "contracts": "what parts agree on",
    "functional": "formulas and metrics",
    "model": "network and its folder",
    "data": "photos to batches",
    "training": "step, loop, checkpoint",
    "evaluation": "embeddings to figures",
    "components": "the parts and their registry",
    "recipe": "TOML, checked",
    "build": "names to objects",
    "testing": "the conformance kit",
    "runs": "what a run leaves",
    "deploy": "using a trained model",
    "cli": "one verb per file",
}
FOR_PLUGINS = ("errors", "contracts", "functional", "testing")
INTERCHANGEABLE = ("components",)

ROW, BOX_WIDTH, BOX_HEIGHT, LEFT, TOP = 86, 190, 48, 56, 24
LANE = 26  # room of a line that passes a row, in pixels
SWEEPS = 12
TO_THE_MIDDLE = 0.7  # how much everything wants to stand there, where two rooms that are joined pull with 1
COLOURS = {"plugin": ("#e7f3ea", "#5b9a6b"), "parts": ("#fdf0dc", "#c98a2b"), "engine": ("#eef2f8", "#7f93b2")}

Graph = dict[str, set[str]]
Rows = list[list[str]]


def graph() -> Graph:
    """Return room -> rooms that it imports; what only starts the command line is left out."""
    found: Graph = {room: set() for room in LEVELS if room != "__main__"}
    for path in files():
        if room_of(path) in found:
            found[room_of(path)] |= imports(path) - {room_of(path)}
    return found


def reduced(full: Graph) -> Graph:
    """Return the imports that no longer way down implies."""

    def below(room: str) -> set[str]:
        return full[room].union(*map(below, full[room]))

    return {room: used - set().union(*map(below, used)) for room, used in full.items()}


def row_of(room: str) -> int:
    """Return the row from the bottom: its level, but the loose files that import another of level 0 one higher."""
    return 0 if room == "errors" else LEVELS[room] + 1


def with_lanes(used: Graph) -> tuple[Rows, list[list[str]]]:
    """Return the rows from the bottom, and every import as a chain of what it passes: room, lanes, room."""
    rows: Rows = [[] for _ in range(max(map(row_of, used)) + 1)]
    for room in sorted(used):
        rows[row_of(room)].append(room)
    chains = []
    for upper, lower in sorted((upper, lower) for upper, below in used.items() for lower in below):
        lanes = [f"{upper}>{lower}@{row}" for row in range(row_of(upper) - 1, row_of(lower), -1)]
        for lane in lanes:
            rows[int(lane.rpartition("@")[2])].append(lane)
        chains.append([upper, *lanes, lower])
    return rows, chains


def neighbours(chains: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    """Return what each room and lane is joined to."""
    joined: dict[str, list[str]] = {}
    for upper, lower in itertools.chain.from_iterable(map(itertools.pairwise, chains)):
        joined.setdefault(upper, []).append(lower)
        joined.setdefault(lower, []).append(upper)
    return joined


def ordered(rows: Rows, chains: Sequence[Sequence[str]]) -> Rows:
    """Return the rows in the order with the fewest crossings that sweeps up and down find."""
    joined = neighbours(chains)
    best = rows = [list(row) for row in rows]
    for sweep in range(SWEEPS):
        numbers = list(range(len(rows)))
        for number in numbers if sweep % 2 else reversed(numbers):
            at = {name: place for row in rows for place, name in enumerate(row)}
            beside = number - 1 if sweep % 2 else number + 1
            there = set(rows[beside]) if 0 <= beside < len(rows) else set()

            def wanted(name: str, at: Mapping[str, int] = at, there: set[str] = there) -> float:
                places = [at[other] for other in joined.get(name, ()) if other in there]
                return sum(places) / len(places) if places else at[name]

            rows[number] = sorted(rows[number], key=wanted)
        if crossings(rows, chains) < crossings(best, chains):
            best = [list(row) for row in rows]
    return best


def crossings(rows: Rows, chains: Iterable[Sequence[str]]) -> int:
    """Count the pairs of lines between two rows that cross."""
    at = {name: (number, place) for number, row in enumerate(rows) for place, name in enumerate(row)}
    lines = [(at[a], at[b]) for chain in chains for a, b in itertools.pairwise(chain)]
    return sum(
        first[0][0] == second[0][0] and (first[0][1] - second[0][1]) * (first[1][1] - second[1][1]) < 0
        for first, second in itertools.combinations(lines, 2)
    )


def placed(rows: Rows, chains: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return the middle of every room and lane in pixels: near what it is joined to, and apart from its row."""
    joined = neighbours(chains)
    middle = {name: 0.0 for row in rows for name in row}
    for _ in range(100 * SWEEPS):
        for row in rows:
            pulls = {
                name: [(TO_THE_MIDDLE, 0.0), *((_pull(name, other), middle[other]) for other in joined.get(name, ()))]
                for name in row
            }
            sizes = [BOX_WIDTH + LANE if name in LEVELS else LANE for name in row]
            middle.update(zip(row, apart([_mean(pulls[name]) for name in row], sizes), strict=True))
    leftmost = min(middle[room] for room in ABOUT) - BOX_WIDTH / 2
    # Twice, since the last bits, which differ from Python to Python, could decide about a half.
    return {name: round(round(place - leftmost, 3)) + LEFT for name, place in middle.items()}


def apart(wanted: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """Return the places nearest to the wanted ones (least squares) at which a row of such sizes does not overlap."""
    offsets = [sum(sizes[:number]) + size / 2 for number, size in enumerate(sizes)]
    groups: list[list[float]] = []  # what touches moves as one: pool adjacent violators
    for place, offset in zip(wanted, offsets, strict=True):
        groups.append([place - offset])
        while len(groups) > 1 and sum(groups[-2]) / len(groups[-2]) >= sum(groups[-1]) / len(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    starts = [sum(group) / len(group) for group in groups for _ in group]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]


def _pull(name: str, other: str) -> float:
    """Return how much one wants to stand above the other: lanes most, so that lines stay straight."""
    return 1.0 if name in LEVELS and other in LEVELS else 2.0 if name in LEVELS or other in LEVELS else 20.0


def _mean(pulls: Sequence[tuple[float, float]]) -> float:
    return sum(pull * place for pull, place in pulls) / sum(pull for pull, _ in pulls)


def line(chain: Sequence[str], middle: Mapping[str, int], rows: int) -> str:
    """Return the path of one import, from the foot of its room through its lanes to an arrow's head."""
    row = row_of(chain[0])
    x, y = middle[chain[0]], _top(row, rows) + BOX_HEIGHT
    path = f"M{x} {y}"
    for name in chain[1:]:
        row -= 1
        to_x, to_y = middle[name], _top(row, rows) - (3 if name in LEVELS else 0)
        half = (y + to_y) // 2
        path += f" C{x} {half} {to_x} {half} {to_x} {to_y}"
        x, y = to_x, to_y
        if name not in LEVELS:
            y += BOX_HEIGHT
            path += f" V{y}"
    return f'<path d="{path}"><title>{chain[0]} imports {chain[-1]}</title></path>'


def box(room: str, middle: Mapping[str, int], rows: int) -> list[str]:
    """Return the box of a room: its name, and what it is."""
    tone = "plugin" if room in FOR_PLUGINS else "parts" if room in INTERCHANGEABLE else "engine"
    fill, edge = COLOURS[tone]
    x, y = middle[room], _top(row_of(room), rows)
    return [
        f'<rect x="{x - BOX_WIDTH // 2}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7" '
        f'fill="{fill}" stroke="{edge}"/>',
        f'<text x="{x}" y="{y + 20}" class="room">{room}</text>',
        f'<text x="{x}" y="{y + 37}">{escape(ABOUT[room])}</text>',
    ]


def _top(row: int, rows: int) -> int:
    return TOP + (rows - 1 - row) * ROW


def svg() -> str:
    """Return the picture, the same text for the same imports."""
    rows, chains = with_lanes(reduced(graph()))
    rows = ordered(rows, chains)
    middle, count = placed(rows, chains), len(rows)
    height, width = TOP + count * ROW + 34, max(middle.values()) + BOX_WIDTH // 2 + 24
    levels = {row_of(room): LEVELS[room] for room in ABOUT}
    captions = (
        "An arrow says: imports. Imports that a longer way down implies are left out.",
        "Green: what plugins build on. Orange: what a recipe names, and a plugin adds to. Numbers: the level.",
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            'role="img">',
            "<title>The rooms of metricface by level, and what they import</title>",
            "<style>text{font:12px Helvetica,Arial,sans-serif;fill:#44505f;text-anchor:middle}"
            ".room{font-weight:bold;font-size:15px;fill:#1d2733}.level{font-size:13px;fill:#8a94a1}"
            ".caption{text-anchor:start;fill:#5d6875}</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0L8 4L0 8z" fill="#6b7787"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *(
                f'<text x="{LEFT // 2}" y="{_top(row, count) + BOX_HEIGHT // 2 + 5}" class="level">{level}</text>'
                for row, level in sorted(levels.items())
            ),
            '<g fill="none" stroke="#6b7787" stroke-width="1.3" marker-end="url(#head)">',
            *(line(chain, middle, count) for chain in chains),
            "</g>",
            *itertools.chain.from_iterable(box(room, middle, count) for room in sorted(ABOUT)),
            *(
                f'<text x="{LEFT}" y="{height - 34 + 18 * number}" class="caption">{text}</text>'
                for number, text in enumerate(captions)
            ),
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")
