from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support import ROOT

from metricface import __version__
from metricface.cli.scaffold.plugin.package import TEMPLATES, write_package
from metricface.contracts import KINDS
from metricface.errors import UsageError
from metricface.recipe.load import load_recipe

LONG = "metricface-a-name-that-is-much-longer-than-most-of-them"


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_files_of_a_package(kind: str, tmp_path: Path) -> None:
    folder = write_package(kind, "metricface-my-own", tmp_path / "new" / "folder")
    assert folder == tmp_path / "new/folder/metricface-my-own"
    assert {path.name for path in folder.iterdir()} == {
        "LICENSE",
        "README.md",
        "metricface_my_own.py",
        "pyproject.toml",
        "recipe.toml",
        "test_metricface_my_own.py",
    }
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["license"]) == ("metricface-my-own", "MIT")
    assert project["dependencies"] == [f"metricface>={__version__}"]
    assert project["entry-points"] == {
        f"metricface.{KINDS[kind].plural}": {"my-own": f"metricface_my_own:MyOwn{kind.capitalize()}"}
    }
    assert all("$" not in path.read_text() for path in folder.iterdir())
    assert "MIT License" in (folder / "LICENSE").read_text()


@pytest.mark.parametrize("name", ["mf-x", LONG])
def test_the_packages_are_clean_to_ruff_by_their_own_rules_and_by_ours(name: str, tmp_path: Path) -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    ours = ["--select", ",".join(rules["select"]), "--ignore", ",".join(rules["ignore"])]
    for kind in TEMPLATES:
        folder = write_package(kind, name, tmp_path / kind)
        # As for our own: a test's name says what it shows, and a contract's arguments need not all be of use.
        less = ["--per-file-ignores", "test_*.py:D1,*.py:ARG002"]
        for command in (["check"], ["check", *ours, *less], ["format", "--check"]):
            call = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
            done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{kind}: {done.stdout}{done.stderr}"


def test_the_packages_are_clean_to_mypy(tmp_path: Path) -> None:
    folders = [write_package(kind, f"mf-{kind}", tmp_path) for kind in TEMPLATES]
    modules = [path for folder in folders for path in folder.glob("*.py")]
    assert len(modules) == 2 * len(folders)
    call = [sys.executable, "-m", "mypy", "--strict", *map(str, modules)]  # with our settings and our cache
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_class_is_not_called_by_its_kind_twice(tmp_path: Path) -> None:
    folder = write_package("loss", "my-loss", tmp_path)
    assert "\nclass MyLoss:\n" in (folder / "my_loss.py").read_text()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("../x", "lower-case letters and digits, parts joined by -, a letter first (got '../x')."),
        ("a/b", "lower-case letters and digits, parts joined by -, a letter first (got 'a/b')."),
        ("..", "lower-case letters and digits, parts joined by -, a letter first (got '..')."),
        ("", "lower-case letters and digits, parts joined by -, a letter first (got '')."),
        ("mf-soft\n", "(got 'mf-soft\\n')."),
        ("größe", "(got 'größe')."),
        ("3d", "(got '3d')."),
        ("Mf_Soft", "(got 'Mf_Soft'). Did you mean \"mf-soft\"?"),
        ("metricface-", "(got 'metricface-'). Did you mean \"metricface\"?"),
        ("lambda", "NAME 'lambda' needs a module 'lambda', which is a word of Python or there already. Take another, "),
        ("random", "NAME 'random' needs a module 'random', which is "),
        ("torch", 'Take another, for instance "metricface-torch".'),
        ("metricface", "NAME 'metricface' needs a module 'metricface', which is "),
        ("setup", "NAME 'setup' needs a module 'setup', which is "),
        ("conftest", "NAME 'conftest' needs a module 'conftest', which is "),
        ("triplet", f"there is a loss 'triplet' already, of metricface {__version__}. Take another NAME."),
        ("metricface-triplet", f"there is a loss 'triplet' already, of metricface {__version__}. Take another NAME."),
        ("scikit-learn", "a package 'scikit-learn' is installed already ("),
    ],
)
def test_names_that_are_refused(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        write_package("loss", name, tmp_path / "new")
    message = str(caught.value)
    assert message.startswith("plugin new: ")
    assert text in message
    assert not (tmp_path / "new").exists()


def test_a_name_is_taken_for_its_own_kind_alone(tmp_path: Path) -> None:
    assert write_package("sampler", "triplet", tmp_path).is_dir()


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_what_is_there_is_never_written_over(there: str, tmp_path: Path) -> None:
    path = tmp_path / "mf-soft"
    if there == "file":
        path.write_text("mine")
    elif there == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError) as caught:
        write_package("loss", "mf-soft", tmp_path)
    assert str(caught.value) == f"{path}: is there already and stays as it is. Take another NAME or --dir."
    assert there != "file" or path.read_text() == "mine"
    assert there != "folder" or not list(path.iterdir())
    assert not (tmp_path / "nowhere").exists()


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        UsageError, match=r"file/mf-soft: cannot be written to \(Not a directory\)\. Name another folder"
    ):
        write_package("loss", "mf-soft", tmp_path / "file")


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_recipe_names_the_component_in_the_section_of_its_kind(kind: str, tmp_path: Path) -> None:
    folder = write_package(kind, "mf-x", tmp_path)
    table = tomllib.loads((folder / "recipe.toml").read_text())
    section = table[KINDS[kind].section or TEMPLATES[kind].section]
    found = section[0] if isinstance(section, list) else section
    named = {"index": [one["name"] for one in found.get("indexes", ())][1:], "distortion": found.get("distortions")}
    assert named.get(kind, [found["name"]]) == ["mf-x"]
    assert table["data"]["root"] == "data/task_b"


def test_only_the_loss_that_sees_no_logits_has_no_head(tmp_path: Path) -> None:
    recipe = write_package("loss", "mf-x", tmp_path) / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('"mf-x"\nscale = 10.0\nthreshold = 0.5', '"supcon"'))
    checked = load_recipe(recipe)
    assert checked.head is None
    assert checked.notices == ()
