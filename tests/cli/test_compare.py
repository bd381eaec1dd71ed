"""`metricface compare` as a user meets it, on two tiny runs and on folders made by hand."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from support.task_b_tree import make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.contracts import Result as Found

HEADER = "evaluator\treading\tover\tfigure\tn\tpeople\tA %\tB %\tB - A (95 % interval)\tp"


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two finished runs on two copies of one tree: a/ and b/."""
    folder = tmp_path_factory.mktemp("runs")
    for name, extra in (("a", ()), ("b", ("--set", "head.margin=0.3", "--set", "run.seed=1"))):
        root = make_tree(folder / f"tree_{name}")
        arguments = (write_recipe(folder, root), "--set", "train.epochs=1", *extra, "--out", folder / name)
        done = metricface("run", *arguments)
        assert done.exit_code == 0, done.output
    return folder


def hand_made(folder: Path, hits: str, conditions: str = "fffrrr", status: str = "finished") -> Path:
    """A run of one probe per person: rank 1 where `hits` has an x."""
    (folder / "outcomes").mkdir(parents=True)
    rows = [
        ("same-source", f"p{number}/x_{condition}.png", f"p{number}", {"f": "foggy", "r": "rainy"}[condition], rank)
        for number, (condition, rank) in enumerate(
            zip(conditions, (1 if hit == "x" else 3 for hit in hits), strict=True)
        )
    ]
    with (folder / "outcomes" / "identification.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("reading", "path", "person", "condition", "rank"), *rows])
    (folder / "run.json").write_text(json.dumps({"status": status}))
    (folder / "recipe.toml").write_text('[run]\nname = "x"\nseed = 0\n[head]\nname = "arcface"\nmargin = 0.5\n')
    return folder


def error_of(done: Result, code: int = 3) -> str:
    lines = done.stderr.splitlines()
    assert (done.exit_code, len(lines), done.stdout) == (code, 1, "")
    return lines[0].removeprefix("error: ")


def test_two_runs_on_two_copies_of_the_data(runs: Path) -> None:
    done = metricface("compare", runs / "a", runs / "b", "--json", "--samples", "500")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    reports = [json.loads((runs / side / "report.json").read_text())["results"] for side in "ab"]
    assert [(found["reading"], found["row"]) for found in document["differences"]] == [
        (reading, row) for reading in ("cross-source", "same-source") for row in ("all", "clean", "blurred", "noisy")
    ]
    for found in document["differences"]:
        readings = [Found.from_json(report["identification"]).short()[found["reading"]] for report in reports]
        a, b = (reading if found["row"] == "all" else reading["by_condition"][found["row"]] for reading in readings)
        assert (found["a"], found["b"], found["n"]) == pytest.approx((a["rank1"], b["rank1"], a["n"]))
        assert found["interval"][0] <= found["difference"] <= found["interval"][1]
        assert found["people"] == 3
        assert 0 < found["p"] <= 1
    assert {"key": "head.margin", "a": [0.2], "b": [0.3]} in document["recipe"]
    assert {changed["key"] for changed in document["recipe"]} == {"data.root", "head.margin", "run.seed"}
    assert document["runs"] == {"a": [str(runs / "a")], "b": [str(runs / "b")]}


def test_into_a_pipe_the_table_is_tab_separated_and_the_keys_follow(tmp_path: Path) -> None:
    a, b = hand_made(tmp_path / "a", "x-----"), hand_made(tmp_path / "b", "xxx---")
    recipe = (b / "recipe.toml").read_text()
    (b / "recipe.toml").write_text(recipe.replace("0.5", "0.3") + "scale = 30.0\n")
    done = metricface("compare", a, b, "--samples", "99", "--seed", "1")
    lines = done.stdout.splitlines()
    assert lines[0] == HEADER
    rows = [line.split("\t") for line in lines[1:4]]
    assert [row[:8] for row in rows] == [
        ["identification", "same-source", "all", "rank1", "6", "6", "16.67", "50.00"],
        ["identification", "same-source", "foggy", "rank1", "3", "3", "33.33", "100.00"],
        ["identification", "same-source", "rainy", "rank1", "3", "3", "0.00", "0.00"],
    ]
    assert rows[0][8].startswith("+33.33 (+0.00 to +")
    assert rows[2][8:] == ["+0.00 (+0.00 to +0.00)", "1"]
    assert lines[4:9] == ["", f"A: {a}", f"B: {b}", "head.margin: 0.5 -> 0.3", "head.scale: absent -> 30.0"]
    assert lines[9].startswith("rows of fewer than 20 people (3 here): the interval is narrower")
    assert lines[10].startswith("p is two-sided: 2 (k + 1) / (n + 1), where k of n bootstrap samples")
    assert len(lines) == 11


def test_seeds_of_a_side_are_averaged_in_their_order(tmp_path: Path) -> None:
    for number, hits in ((10, "xx----"), (2, "xxxx--")):
        hand_made(tmp_path / "a" / f"seed-{number}", hits)
    (tmp_path / "a" / "seed-notes").mkdir()
    b = hand_made(tmp_path / "b", "xxxxxx")
    document = json.loads(metricface("compare", tmp_path / "a", b, "--json", "--samples", "50").stdout)
    assert document["differences"][0]["a"] == pytest.approx(0.5)
    assert document["runs"]["a"] == [str(tmp_path / "a" / f"seed-{number}") for number in (2, 10)]
    assert "A and B are means over 2 runs of A and 1 run of B, of outcomes averaged per probe" in document["notes"][0]


def test_seeds_json_names_the_runs_of_a_side(tmp_path: Path) -> None:
    for name, hits in (("t1", "xx----"), ("t2", "xxxx--"), ("older", "xxxxxx")):
        hand_made(tmp_path / "a" / name, hits)
    listed = {"runs": [{"folder": str(tmp_path / "a" / "t1")}, {"folder": "moved/since/t2"}]}
    (tmp_path / "a" / "seeds.json").write_text(json.dumps(listed))
    document = json.loads(metricface("compare", tmp_path / "a", tmp_path / "a" / "t1", "--json").stdout)
    assert document["runs"]["a"] == [str(tmp_path / "a" / name) for name in ("t1", "t2")]
    (tmp_path / "a" / "seeds.json").write_text("[]")
    assert "seeds.json: not a list of runs (TypeError" in error_of(
        metricface("compare", tmp_path / "a", tmp_path / "a")
    )


def test_seeds_json_counts_before_other_seeds_and_finds_its_runs_beside_it(tmp_path: Path) -> None:
    for number, hits in ((0, "xx----"), (1, "xxxx--")):
        hand_made(tmp_path / "a" / f"seed-{number}", hits)
    listed = {"runs": [{"folder": str(tmp_path / "a" / "seed-1")}]}
    (tmp_path / "a" / "seeds.json").write_text(json.dumps(listed))
    document = json.loads(metricface("compare", tmp_path / "a", tmp_path / "a" / "seed-0", "--json").stdout)
    assert document["runs"]["a"] == [str(tmp_path / "a" / "seed-1")]
    runs = hand_made(tmp_path / "runs" / "20260101T000000Z-abcd", "xx----").parent
    (runs / "seeds-1").mkdir()
    listed = {"runs": [{"folder": f"moved/since/{name}"} for name in ("20260101T000000Z-abcd", "seed-9")]}
    (runs / "seeds-1" / "seeds.json").write_text(json.dumps(listed))
    hand_made(runs / "seed-9", "xxxxxx")  # of any recipe: never taken for the one that is named
    said = error_of(metricface("compare", runs / "seeds-1", tmp_path / "a"))
    assert said.startswith("moved/since/seed-9: no outcomes to compare")
    (runs / "seeds-1" / "seeds.json").write_text(json.dumps({"runs": listed["runs"][:1]}))
    document = json.loads(metricface("compare", runs / "seeds-1", tmp_path / "a", "--json").stdout)
    assert document["runs"]["a"] == [str(runs / "20260101T000000Z-abcd")]


def test_a_classifier_is_compared_by_its_class_figures(tmp_path: Path) -> None:
    for name, predicted in (("a", "mmmm"), ("b", "mmff")):
        folder = tmp_path / name / "outcomes"
        folder.mkdir(parents=True)
        pairs = enumerate(zip("mmff", predicted, strict=True))
        rows = [f"{number}.jpg,,{label},{guess},0.9" for number, (label, guess) in pairs]
        (folder / "classification.csv").write_text("\n".join(["path,person,label,predicted,score", *rows, ""]))
    document = json.loads(metricface("compare", tmp_path / "a", tmp_path / "b", "--json", "--samples", "50").stdout)
    assert {found["figure"]: (found["a"], found["b"]) for found in document["differences"]} == {
        "accuracy": (0.5, 1.0),
        "balanced_accuracy": (0.5, 1.0),
        "f1 f": (0.0, 1.0),
        "f1 m": (pytest.approx(2 / 3), 1.0),
    }
    assert document["notes"][0] == f"recipes are not compared: {tmp_path / 'a'} has no recipe.toml"
    assert "classification: photos of nobody in particular count as a person of their own each" in document["notes"]


def test_what_only_one_side_has_is_noted_and_the_rest_compared(tmp_path: Path) -> None:
    a, b = hand_made(tmp_path / "a", "x-----"), hand_made(tmp_path / "b", "xxx---")
    (a / "outcomes" / "classification.csv").write_text("path,person,label,predicted\n")
    for run in (a, b):
        (run / "outcomes" / "mine.csv").write_text("path,person,loss\n")
    notes = json.loads(metricface("compare", a, b, "--json", "--samples", "9").stdout)["notes"]
    assert notes[:2] == [
        f"classification is not compared: {b} has no outcomes of it",
        "mine is not compared: its outcomes have no columns path, person, and rank or label",
    ]


def test_runs_that_cannot_be_compared_are_one_line_and_exit_3(tmp_path: Path) -> None:
    good, fewer = hand_made(tmp_path / "good", "x-----"), hand_made(tmp_path / "fewer", "x----", "fffrr")
    assert error_of(metricface("compare", good, fewer)) == (
        f"identification: not the same probes in {good} and {fewer}: 1 (for instance same-source p5/x_r.png) only in "
        "the first, 0 only in the second. Evaluate both on the same data: "
        "metricface eval MODEL --data DIR --outcomes FOLDER"
    )
    stopped = hand_made(tmp_path / "stopped", "x-----", status="interrupted")
    assert error_of(metricface("compare", good, stopped)) == (
        f"{stopped}: this run is not finished (its status is interrupted). Go on with it: "
        f"metricface run {stopped}/recipe.toml --out {stopped} --resume"
    )
    shutil.rmtree(fewer / "outcomes")
    assert error_of(metricface("compare", fewer, good)).startswith(
        f"{fewer}: no outcomes to compare (no outcomes/*.csv). A finished run leaves them; for a model that has none: "
    )
    (tmp_path / "photos").mkdir()  # a folder that is no run
    assert error_of(metricface("compare", good, tmp_path / "photos"), 2).startswith(f"{tmp_path}/photos: no outcomes")
    assert error_of(metricface("compare", good, tmp_path / "godo"), 2) == (
        f'{tmp_path}/godo: no such run folder. Did you mean "good"? Name a folder that metricface run has made.'
    )
    (stopped / "run.json").write_text("[1]")
    assert error_of(metricface("compare", good, stopped)) == f"{stopped}: run.json is a list, not a table. Run again."
    (stopped / "run.json").write_text('{"name": "x"}')
    assert error_of(metricface("compare", good, stopped)) == (
        f"{stopped}: run.json does not say how it ended. Run again."
    )
    (stopped / "run.json").unlink()
    (stopped / "recipe.toml").write_text("= 1")
    said = error_of(metricface("compare", good, stopped))
    assert said.startswith(f"{stopped}: recipe.toml cannot be read (Invalid statement")
    assert said.endswith("). Run again.")
    (stopped / "outcomes" / "identification.csv").rename(stopped / "outcomes" / "other.csv")
    assert error_of(metricface("compare", good, stopped)) == (
        f"{good} and {stopped}: nothing to compare. identification is not compared: {stopped} has no outcomes of it; "
        f"other is not compared: {good} has no outcomes of it."
    )


def test_outcomes_of_eval_can_be_compared_with_those_of_a_run(runs: Path, tmp_path: Path) -> None:
    done = metricface("eval", runs / "a", "--data", runs / "tree_b", "--outcomes", tmp_path / "on_b")
    assert done.exit_code == 0, done.output
    ours, theirs = (folder / "outcomes" / "identification.csv" for folder in (tmp_path / "on_b", runs / "a"))
    assert ours.read_text() == theirs.read_text()
    done = metricface("compare", runs / "a", tmp_path / "on_b", "--json", "--samples", "20")
    assert {found["difference"] for found in json.loads(done.stdout)["differences"]} == {0.0}
