"""`metricface data` as a user meets it."""

from __future__ import annotations

from pathlib import Path

from support.task_b_tree import photo
from typer.testing import CliRunner, Result

from metricface.cli.app import app
from metricface.data.images import write_image


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def make_people(folder: Path, people: int = 4, photos: int = 2) -> Path:
    for person in range(people):
        (folder / f"person_{person}").mkdir(parents=True)
        for number in range(photos):
            write_image(folder / f"person_{person}" / f"photo_{number}.png", photo(person, number))
    return folder


def test_distort_makes_a_tree_and_does_not_make_it_twice(tmp_path: Path) -> None:
    source = make_people(tmp_path / "people")
    arguments = ("data", "distort", source, tmp_path / "tree", "--val-people", 1)
    done = metricface(*arguments)
    assert done.exit_code == 0, done.output
    assert "made: train 6 photos in 3 folders, val 2 photos in 1 folder; each photo also blurred, foggy" in done.stdout
    assert len(list((tmp_path / "tree").glob("train/*/distortion/*.jpg"))) == 6 * 7
    assert "lay there already" in metricface(*arguments).stdout


def test_mistakes_are_one_line_with_exit_code(tmp_path: Path) -> None:
    source = make_people(tmp_path / "people")
    done = metricface("data", "distort", tmp_path / "nowhere", tmp_path / "tree")
    assert (done.exit_code, done.stderr) == (3, f"error: {tmp_path}/nowhere: no such folder. It holds the people.\n")
    done = metricface("data", "distort", source, tmp_path / "tree", "--train-people", 4)
    assert done.exit_code == 3
    assert "Ask for fewer, or lower --min-per-person." in done.stderr
    done = metricface("data", "distort", source, tmp_path / "tree", "--val-people", 0)
    assert (done.exit_code, done.stderr) == (2, "error: --val-people: must be at least 1 (got 0).\n")
    assert not (tmp_path / "tree").exists()


def test_demo_lays_out_both_tasks_and_says_where_the_photos_come_from(tmp_path: Path) -> None:
    done = metricface("data", "demo", "--root", tmp_path)
    assert done.exit_code == 0, done.output
    assert "task_b made: train 300 photos in 30 folders, val 100 photos in 10 folders" in done.stdout
    assert "credit AT&T Laboratories Cambridge" in done.stdout
    assert len(list((tmp_path / "task_a" / "val" / "female").iterdir())) == 20
