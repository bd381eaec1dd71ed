"""Run folders: whose run they hold, which one is gone on with, and what an end leaves."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from support.task_b_tree import write_recipe

from metricface.components.registry import installed_registries
from metricface.errors import DataError, Interrupted, MetricFaceError, ModelError, UsageError
from metricface.recipe.load import load_recipe
from metricface.recipe.schema import Recipe
from metricface.runs import folder as run_folder
from metricface.runs.choose import choose_folder, find_finished, holds_run_of
from metricface.runs.folder import RunFolder

KNOWN = installed_registries()


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.chdir(tmp_path)
    return load_recipe(write_recipe(tmp_path, tmp_path / "tree"), registries=KNOWN)


def with_keys(recipe: Recipe, *overrides: str) -> Recipe:
    return load_recipe(recipe.path, overrides, KNOWN)


def stored(
    folder: Path, recipe: Recipe, status: str = "finished", change: Callable[[Any], object] = lambda tables: None
) -> Path:
    """A run of a version whose recipes were a little different."""
    tables = recipe.document()
    change(tables)
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(tomli_w.dumps(tables))
    (folder / "run.json").write_text(json.dumps({"recipe_digest": digest, "status": status, "started": "2026"}))
    return folder


def older(tables: Any) -> None:
    """Before there were these keys."""
    del (
        tables["train"]["patience"],
        tables["train"]["threads"],
        tables["embedding"]["zoom"],
        tables["loss"][0]["label_smoothing"],
    )


def test_the_digest_of_a_recipe_is_that_of_the_file_in_its_run_folder(recipe: Recipe, tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run").open(recipe) as folder:
        pass
    tables = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    digest = hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()
    assert digest == recipe.digest == folder.record()["recipe_digest"]


def test_a_run_of_before_there_was_a_key_is_of_the_recipe_that_has_its_default(recipe: Recipe) -> None:
    run = stored(Path("runs/tiny/20260101T000000Z-aaaa"), recipe, change=older)
    assert json.loads((run / "run.json").read_text())["recipe_digest"] != recipe.digest
    assert find_finished(recipe, run, KNOWN) == find_finished(recipe, None, KNOWN) == run
    for other in ("train.patience=3", "train.threads=1", "embedding.zoom=0.5", "head.margin=0.1"):
        changed = with_keys(recipe, "train.select=identification.same-source.rank1", other)
        assert find_finished(changed, run, KNOWN) is find_finished(changed, None, KNOWN) is None
    newer = stored(Path("runs/tiny/20260102T000000Z-aaaa"), recipe, "interrupted", older)
    for out in (newer, None):
        assert choose_folder(recipe, out, KNOWN, resume=True) == RunFolder(newer, resumed=True)
    with pytest.raises(
        UsageError, match=r"other --set values: head\.margin \(there 0\.2, here 0\.1\)\. Go on with its own"
    ):
        choose_folder(with_keys(recipe, "head.margin=0.1"), newer, KNOWN, resume=True)


def test_a_resumed_run_keeps_the_recipe_and_the_digest_that_its_checkpoints_have(recipe: Recipe) -> None:
    run = stored(Path("run"), recipe, "interrupted", older)
    before = (run / "recipe.toml").read_text(), json.loads((run / "run.json").read_text())["recipe_digest"]
    with choose_folder(recipe, run, KNOWN, resume=True).open(recipe) as folder:
        assert folder.record()["status"] == "running"
    assert ((run / "recipe.toml").read_text(), folder.record()["recipe_digest"]) == before
    assert folder.record()["status"] == "finished"


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no record": (
        lambda run: (run / "run.json").unlink(),
        r"^run: no run of MetricFace \(no run\.json\)\. Name",
    ),
    "half a record": (
        lambda run: (run / "run.json").write_text('{"name": '),
        r"^run: run\.json cannot be read \(Expecting value.*\)\. Put back a copy of it, or name another --out\.$",
    ),
    "a list": (
        lambda run: (run / "run.json").write_text("[]"),
        r"^run: run\.json is a list, not a table\. Put back a copy of it, or name another --out\.$",
    ),
    "no digest": (
        lambda run: (run / "run.json").write_text('{"status": "finished"}'),
        r"^run: run\.json has no digest of a recipe\. Put back a copy of it, or name another --out\.$",
    ),
    "no recipe": (
        lambda run: (run / "recipe.toml").unlink(),
        r"^run: recipe\.toml is missing\. Put that back, or name another --out\.$",
    ),
    "no TOML": (
        lambda run: (run / "recipe.toml").write_text("= 1"),
        r"^run: recipe\.toml cannot be read \(Invalid statement.*\)\. Put that back, or name another --out\.$",
    ),
    "an edited recipe": (
        lambda run: (run / "recipe.toml").write_text((run / "recipe.toml").read_text().replace("0.2", "0.3")),
        r"^run: recipe\.toml is not what this run began with \(run\.json has its digest\)\. Put that back, or name",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_is_not_gone_on_with(name: str, recipe: Recipe) -> None:
    change, message = DAMAGE[name]
    run = stored(Path("run"), recipe, change=older)
    change(run)
    with pytest.raises(UsageError, match=message):
        choose_folder(recipe, run, KNOWN, resume=True)
    stored(Path("runs/tiny/1"), recipe, "interrupted", older)
    change(Path("runs/tiny/1"))
    with pytest.raises(UsageError, match=r"^--resume: no unfinished run of this recipe"):
        choose_folder(recipe, None, KNOWN, resume=True)


def test_an_edited_recipe_does_not_go_on_with_the_run_of_the_one_before(recipe: Recipe) -> None:
    run = stored(Path("run"), recipe, "interrupted")
    (run / "recipe.toml").write_text(with_keys(recipe, "head.margin=0.1").to_toml())
    edited = load_recipe(run / "recipe.toml", registries=KNOWN)
    with pytest.raises(UsageError, match="is not what this run began with"):
        choose_folder(edited, run, KNOWN, resume=True)


def test_a_recipe_that_can_no_longer_be_loaded_says_why(recipe: Recipe) -> None:
    run = stored(Path("run"), recipe, change=lambda tables: tables["head"].update(name="gone"))
    with pytest.raises(UsageError) as caught:
        holds_run_of(recipe, run, KNOWN)
    assert str(caught.value).startswith("run: this MetricFace cannot load the recipe of that run (run/recipe.toml:")
    assert "unknown head 'gone'" in str(caught.value)
    assert str(caught.value).endswith("Install what it was run with, or name another --out.")
    stored(Path("runs/tiny/1"), recipe, change=lambda tables: tables["head"].update(name="gone"))
    assert find_finished(recipe, None, KNOWN) is None


def test_a_record_without_a_status_is_of_an_unfinished_run(recipe: Recipe) -> None:
    run = stored(Path("runs/tiny/1"), recipe)
    (run / "run.json").write_text(json.dumps({"recipe_digest": recipe.digest}))
    assert choose_folder(recipe, None, KNOWN, resume=True) == RunFolder(run, resumed=True)


def test_two_runs_of_one_second_get_a_folder_each(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr("metricface.runs.choose.datetime", Clock)
    first, second, third = (choose_folder(recipe, None, KNOWN, resume=False) for _ in range(3))
    with first.open(recipe) as a, second.open(recipe) as b, third.open(recipe) as c:
        names = [folder.path.name for folder in (a, b, c)]
    stem = f"20260102T030405Z-{recipe.digest[:4]}"
    assert names == [stem, f"{stem}-2", f"{stem}-3"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_a_run_that_finds_the_folder_locked_leaves_it_to_the_other(recipe: Recipe) -> None:
    chosen = [choose_folder(recipe, Path("run"), KNOWN, resume=False) for _ in range(2)]
    with chosen[0].open(recipe):
        with pytest.raises(UsageError, match="another metricface is running there"), chosen[1].open(recipe):
            pass
        assert {path.name for path in Path("run").iterdir()} == {"run.json", "run.lock", "recipe.toml", "checkpoints"}


@pytest.mark.parametrize("error", [DataError("no photo"), Interrupted(2), KeyboardInterrupt(), ZeroDivisionError()])
def test_a_run_in_which_training_never_began_leaves_nothing(error: BaseException, recipe: Recipe) -> None:
    Path("mine").mkdir()
    before = set(Path().rglob("*"))
    for out in (Path("deep/down/run"), Path("mine"), None):
        with pytest.raises(type(error)), choose_folder(recipe, out, KNOWN, resume=False).open(recipe):
            raise error
        assert set(Path().rglob("*")) == before
    run = stored(Path("run"), recipe, "interrupted")
    with pytest.raises(type(error)), choose_folder(recipe, run, KNOWN, resume=True).open(recipe):
        raise error
    assert json.loads((run / "run.json").read_text())["status"] in ("interrupted", "failed")


def test_how_a_run_ended_is_recorded_and_an_earlier_error_forgotten(recipe: Recipe) -> None:
    def end(error: BaseException | None) -> dict[str, Any]:
        try:
            with choose_folder(recipe, Path("run"), KNOWN, resume=Path("run").exists()).open(recipe) as folder:
                folder.write_record(started="2026")
                if error is not None:
                    raise error
        except (MetricFaceError, KeyboardInterrupt, ZeroDivisionError):
            pass
        return {key: folder.record().get(key) for key in ("status", "error")}

    assert end(DataError("no photo")) == {"status": "failed", "error": "no photo"}
    assert end(Interrupted(15)) == {"status": "interrupted", "error": None}
    assert end(ZeroDivisionError("x")) == {"status": "failed", "error": "ZeroDivisionError: x"}
    assert end(KeyboardInterrupt()) == {"status": "interrupted", "error": None}
    assert end(None) == {"status": "finished", "error": None}


def test_a_full_disk_hides_no_other_error(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _document: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    run = stored(Path("run"), recipe, "interrupted")
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(DataError, match="the reason"))
        stack.enter_context(choose_folder(recipe, run, KNOWN, resume=True).open(recipe))
        monkeypatch.setattr(run_folder, "write_json", full)
        raise DataError("the reason")


def test_resume_without_a_run_to_go_on_with_names_the_nearest_and_what_differs(recipe: Recipe) -> None:
    alone = "--resume: no unfinished run of this recipe with these values under runs/tiny. "
    end = "Leave out --resume to begin a new run."
    with pytest.raises(UsageError) as caught:
        choose_folder(recipe, None, KNOWN, resume=True)
    assert str(caught.value) == alone + end
    stored(Path("runs/tiny/1"), with_keys(recipe, "head.margin=0.1"), "interrupted")
    far = with_keys(recipe, "head.margin=0.1", "train.epochs=9", "optimizer.lr=0.5", "run.seed=7", "head.scale=8")
    stored(Path("runs/tiny/2"), far, "failed", older)
    with pytest.raises(UsageError) as caught:
        choose_folder(recipe, None, KNOWN, resume=True)
    assert str(caught.value) == (
        f"{alone}The nearest of that name: runs/tiny/1 (interrupted) differs in head.margin (there 0.1, here 0.2); "
        "runs/tiny/2 (failed) differs in run.seed (there 7, here 0), head.scale (there 8.0, here 16.0), head.margin "
        "(there 0.1, here 0.2), optimizer.lr (there 0.5, here 0.001) and 1 more. Go on with one by its own "
        f"recipe.toml. {end}"
    )
    with pytest.raises(UsageError, match=r"with these values in elsewhere\. The nearest"):
        choose_folder(recipe, Path("elsewhere"), KNOWN, resume=True)


def test_resume_without_out_names_the_run_of_this_recipe_that_is_elsewhere(recipe: Recipe) -> None:
    stored(Path("runs/tiny/1"), with_keys(recipe, "head.margin=0.1"), "interrupted")
    stored(Path("runs/long/deep"), recipe, "finished")
    stored(Path("runs/long/own"), recipe, "interrupted")
    with pytest.raises(UsageError) as caught:
        choose_folder(recipe, None, KNOWN, resume=True)
    assert str(caught.value) == (
        "--resume: no unfinished run of this recipe with these values under runs/tiny. One is elsewhere, runs/long/own "
        "(interrupted). Go on with it: metricface run runs/long/own/recipe.toml --out runs/long/own --resume. "
        "Leave out --resume to begin a new run."
    )


def test_what_a_killed_process_leaves_before_its_record_is_no_obstacle(recipe: Recipe) -> None:
    run = Path("run")
    (run / "checkpoints").mkdir(parents=True)
    (run / "run.lock").touch()
    assert choose_folder(recipe, run, KNOWN, resume=False) == RunFolder(run)
    (run / "recipe.toml").write_text(recipe.to_toml())
    with choose_folder(recipe, run, KNOWN, resume=False).open(recipe) as folder:
        folder.write_record(started="2026")
    assert folder.is_finished()
    (run / "run.json").unlink()
    (run / "checkpoints" / "last.pt").touch()
    with pytest.raises(UsageError, match="there is something there already"):
        choose_folder(recipe, run, KNOWN, resume=False)
    with pytest.raises(ModelError) as caught:
        choose_folder(recipe, run, KNOWN, resume=True)
    assert str(caught.value) == (
        "run/checkpoints/last.pt: not a readable checkpoint (EOFError). Delete it to start the run anew."
    )
