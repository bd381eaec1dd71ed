"""What the pages tell to type works, and what they point to is there."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shlex
from inspect import signature
from pathlib import Path

import pytest
import support
import typer
from support import task_b_tree
from support.throw_away import ThrowAway
from typer.testing import CliRunner

from metricface import errors
from metricface.cli.app import app
from metricface.model.embedding_layer import EmbeddingSection
from metricface.recipe.load import load_recipe
from metricface.recipe.schema import DataSection, TrainSection

DOCS = support.ROOT / "docs"
PAGES = sorted(path for folder in (".", "docs", "plugins", "plugins/*") for path in support.ROOT.glob(f"{folder}/*.md"))
FLAGS = re.DOTALL | re.MULTILINE
CODE = re.compile(r"^```.*?^```", FLAGS)


def named(path: Path) -> str:
    return str(path.relative_to(support.ROOT))


def commands(page: Path, heading: str = "") -> list[str]:
    """The lines of all blocks without a language on a page, or of the first one below a heading."""
    text = page.read_text(encoding="utf-8")
    below = text.partition(f"\n## {heading}\n")[2] if heading else text
    blocks = [block for language, block in re.findall(r"^```(\w*)\n(.*?)^```", below, FLAGS) if not language]
    assert blocks or not heading, f"no block of code below {heading!r}"
    return [line for block in (blocks[:1] if heading else blocks) for line in block.splitlines()]


def anchors(page: Path) -> set[str]:
    """The names that a link can give for the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "../..")):  # ../..: the project's own front page, where it is hosted
            continue
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        assert target.exists(), f"{named(page)}: {link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{named(page)}: {link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    for name in re.findall(r"`((?:metricface|tests|benchmarks|experiments|docs)/[\w./]+\.\w+)`", text):
        assert (support.ROOT / name).is_file(), f"{named(page)}: there is no {name}"


def test_the_five_questions_are_answered_by_what_is_there() -> None:
    page = (support.ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    answers = re.findall(r"^\| .+\? \| `(\S+)` \| `(\w+)` \|$", page, re.MULTILINE)
    assert len(answers) == 5
    for file, name in answers:
        parts = ast.parse((support.ROOT / file).read_text(encoding="utf-8")).body
        assert name in {getattr(part, "name", "") for part in parts}, f"ARCHITECTURE.md: no {name} in {file}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_has_its_verb_and_options(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if words[:1] != ["metricface"]:
            continue
        command = typer.main.get_command(app)
        words = words[1:]
        while hasattr(command, "commands"):
            verb = words.pop(0)
            assert verb in command.commands, f"{named(page)}: {line}: no verb {verb}"
            command = command.commands[verb]
        known = {option for parameter in command.params for option in parameter.opts}
        for word in words:
            assert not word.startswith("-") or word in known, f"{named(page)}: {line}: no option {word}"


def test_the_page_of_recipes_names_every_key_of_the_engine() -> None:
    page = (DOCS / "recipes.md").read_text(encoding="utf-8")
    layer = signature(EmbeddingSection).parameters
    missing = {key for key in (*DataSection.model_fields, *TrainSection.model_fields, *layer) if f"`{key}`" not in page}
    assert not missing, f"docs/recipes.md does not name {', '.join(sorted(missing))}"


def test_the_recipe_on_the_page_builds_on_the_shipped_one(tmp_path: Path) -> None:
    page = (DOCS / "recipes.md").read_text(encoding="utf-8")
    (block, *_) = re.findall(r"```toml\n(.*?)```", page.partition("\n## A recipe that builds on")[2], re.DOTALL)
    (tmp_path / "task_b.toml").write_bytes((support.ROOT / "experiments" / "task_b.toml").read_bytes())
    (tmp_path / "mine.toml").write_text(block)
    recipe = load_recipe(tmp_path / "mine.toml", ["train.epochs=2"])
    assert recipe.head is not None
    assert (recipe.head.name, recipe.head.arguments["margin"], recipe.head.arguments["scale"]) == ("arcface", 0.4, 30.0)
    assert [(loss.name, loss.weight) for loss in recipe.losses] == [("cross-entropy", 1.0), ("triplet", 0.5)]
    assert (recipe.sampler.name, recipe.train.epochs, recipe.run.name) == ("identity-balanced", 2, "mine")


def test_the_packages_on_the_page_of_recipes_go_into_a_recipe(tmp_path: Path) -> None:
    page = (DOCS / "recipes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page.partition("\n## albumentations and torchvision\n")[2], re.DOTALL)
    rest = re.sub(r"\[\[transform\]\].*?(?=\[embedding\])", "", task_b_tree.RECIPE, flags=re.DOTALL)
    (tmp_path / "r.toml").write_text(rest.format(root="photos") + block)
    recipe = load_recipe(tmp_path / "r.toml")
    assert [part.arguments["transform"] for part in recipe.transforms] == ["ImageCompression", "RandAugment"]
    assert recipe.backbone.arguments["model"] == "resnet18"


def test_every_exit_code_is_told() -> None:
    page = (DOCS / "command_line.md").read_text(encoding="utf-8").partition("\n## Exit codes\n")[2]
    told = {int(code) for cell in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for code in cell.split(",")}
    used = {
        error.exit_code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "exit_code")
    }
    assert told == {0, *used, errors.Interrupted(2).exit_code, errors.Interrupted(15).exit_code}


def test_the_walk_through_of_a_plugin_from_an_empty_folder(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    environment, folder = ThrowAway(tmp_path / "venv"), tmp_path / "empty"
    folder.mkdir()
    lines = commands(DOCS / "plugins.md", "Your own component")
    steps = (
        "plugin new loss mf-soft",
        "pip install --no-deps",
        "plugin check",
        "pytest",
        "data demo",
        "metricface run",
    )
    assert [step in line for step, line in zip(steps, lines, strict=True)] == [True] * len(steps)
    for line in lines:
        done = environment.run(line, folder)
        assert done.returncode == 0, f"$ {line}\n{done.stdout}"
    assert list(folder.glob("runs/mf-soft/*/report.md"))
    installed = {distribution.name for distribution in importlib.metadata.distributions()}
    assert "mf-soft" not in installed


def test_the_six_lines_of_retrieval_work_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand, on a smaller tree and for one epoch."""
    monkeypatch.chdir(tmp_path)
    task_b_tree.make_tree(tmp_path / "data" / "task_b", train=4, val=6, photos=4)
    lines = commands(DOCS / "retrieval.md", "From a recipe to a search")
    assert len(lines) == 6
    shorter = {
        "run": [
            "--set",
            "train.epochs=1",
            "--set",
            "train.batch_size=16",
            "--set",
            "data.image_size=32",
            "--set",
            "embedding.dim=32",
        ],
        "bench": ["--index", "exact", "--index", "hnsw", "--seconds", "0.05"],
    }
    for line in lines:
        words = shlex.split(line.replace("experiments/", f"{support.ROOT}/experiments/"))[1:]
        more = next((more for word, more in shorter.items() if word in words), [])
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == 0, f"$ {line}\n{done.output}"
    assert "person_4\t" in done.stdout
