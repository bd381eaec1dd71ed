"""metricface plugin check: installed packages with real metadata, and folders that are not installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installed import install, installing
from support.task_b_tree import make_tree
from typer.testing import CliRunner, Result

from metricface.cli.app import app

GOOD = '''
from typing import Annotated, ClassVar

from annotated_types import Gt
from torch.nn.functional import normalize


class Spread:
    """Squared cosine between photos of two people.

    Args:
        strength: factor on the loss.
    """

    consumes: ClassVar[str] = "embeddings"
    uses_pairs: ClassVar[bool] = False

    def __init__(self, *, strength: Annotated[float, Gt(0)] = 1.0) -> None:
        self.strength = strength

    def __call__(self, given):
        unit = normalize(given.embeddings.float())
        others = given.labels[:, None] != given.labels[None, :]
        return self.strength * ((unit @ unit.T).square() * others).sum() / others.sum().clamp(min=1)
'''
NAN = GOOD.replace("return self", 'return float("nan") * self')
KWARGS = GOOD.replace("*, strength: Annotated[float, Gt(0)] = 1.0", "**kwargs: float").replace("= strength", "= 1.0")
LOSSES = "metricface.losses"


def metricface(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="metricface")


def check(*arguments: object) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit code, and check -> its outcome of the one component."""
    done = metricface("plugin", "check", *arguments, "--json")
    (component,) = json.loads(done.stdout)["components"]
    assert component["passed"] == (done.exit_code == 0)
    return done.exit_code, {it["name"]: it for it in component["checks"]}


@pytest.fixture(autouse=True)
def _forget_the_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for module in set(sys.modules) - before:
        if module.startswith("mf_"):
            del sys.modules[module]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, to install packages into."""
    installing(monkeypatch, tmp_path / "site")
    monkeypatch.delitem(sys.modules, "mf_broken", raising=False)  # of another test
    return tmp_path / "site"


def test_a_good_loss_of_an_installed_package_passes(site: Path) -> None:
    install(site, "mf-spread", {"mf_spread": GOOD}, {LOSSES: {"spread": "mf_spread:Spread"}}, version="2.1")
    done = metricface("plugin", "check", "spread")
    assert (done.exit_code, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    assert first == "component\tcheck\tresult\twhat was found"
    assert "loss spread\tfinite\tpassed\t" in lines
    assert "loss spread\tno mined pair\tskipped\tit looks at no miner's pairs" in lines
    assert lines[-1] == "loss spread (mf-spread 2.1): 19 passed, 2 skipped"
    for name in (["loss", "spread"], ["mf-spread:spread"], ["loss", "mf-spread:spread"]):
        assert metricface("plugin", "check", *name).stdout == done.stdout
    assert check("spread", "--set", "strength=2")[0] == 0


def test_a_loss_of_nan_fails_with_reason_and_smallest_case(site: Path) -> None:
    install(site, "mf-nan", {"mf_nan": NAN}, {LOSSES: {"nan": "mf_nan:Spread"}})
    done = metricface("plugin", "check", "nan")
    assert done.exit_code == 4
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("loss nan\tfinite")]
    assert line == (
        "loss nan\tfinite\tfailed\tlabels [0, 0, 1, 1], embeddings (4, 8): gives nan. Wanted: The loss is a finite "
        "scalar, and so are its gradients at embeddings and parameters. A loss or gradient that is not finite ends "
        "the run at that step."
    )
    code, outcomes = check("nan")
    assert code == 4
    assert {name for name, it in outcomes.items() if it["status"] == "failed"} >= {"finite", "bfloat16", "one sample"}
    assert outcomes["finite"]["why"] == "A loss or gradient that is not finite ends the run at that step."


def test_one_fault_in_the_plugins_code_is_one_line_with_its_place(site: Path) -> None:
    source = GOOD.replace("        unit = ", "        given.no_such_thing\n        unit = ")
    install(site, "mf-typo", {"mf_typo": source}, {LOSSES: {"typo": "mf_typo:Spread"}})
    done = metricface("plugin", "check", "typo")
    assert done.exit_code == 4
    failed = [line for line in done.stdout.splitlines() if "\tfailed\t" in line]
    line = source.splitlines().index("        given.no_such_thing") + 1
    place = f"{site / 'mf_typo.py'}:{line}"
    assert len(failed) == 1
    assert failed[0].startswith(
        f"loss typo\tfinite\tfailed\tAttributeError: 'LossInput' object has no attribute 'no_such_thing', at {place}. "
    )
    outcomes = check("typo")[1].values()  # JSON holds each check
    names = [it["name"] for it in outcomes if it["status"] == "failed"]
    assert len({it["fault"] for it in outcomes if it["status"] == "failed"}) == 1
    assert failed[0].endswith(f". {len(names)} checks fail by it: {', '.join(names)}.")
    assert f", {len(names)} failed" in done.stdout.splitlines()[-1]


BROKEN = {
    "a syntax error": ("class (", "cannot be imported (SyntaxError: "),
    "an exception on import": ("raise ValueError('no\\nlicence')", "cannot be imported (ValueError: no licence)"),
    "an exit on import": ("raise SystemExit(3)", "cannot be imported (SystemExit: 3)"),
    "**kwargs": (KWARGS, "it takes **kwargs: float, which would swallow misspelt keys; name every parameter"),
    "another name": (GOOD.replace("Spread", "Sprad"), "cannot be imported (AttributeError: "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_fails_the_first_check_with_its_reason(name: str, site: Path) -> None:
    source, said = BROKEN[name]
    install(site, "mf-broken", {"mf_broken": source}, {LOSSES: {"broken": "mf_broken:Spread"}})
    code, outcomes = check("broken")
    assert (code, list(outcomes)) == (4, ["contract"])
    assert outcomes["contract"]["status"] == "failed"
    assert outcomes["contract"]["said"].startswith("loss 'broken' (mf_broken:Spread of mf-broken 1.0): ")
    assert said in outcomes["contract"]["said"]
    done = metricface("plugin", "check", "broken")
    assert (done.exit_code, done.stderr) == (4, "")
    assert done.stdout.splitlines()[-1] == "loss broken (mf-broken 1.0): 1 failed"
    assert metricface("plugin", "check", "loss", "supcon").exit_code == 0  # it breaks nothing else


def test_of_two_packages_with_one_name_either_can_be_picked(site: Path) -> None:
    install(site, "mf-one", {"mf_one": GOOD}, {LOSSES: {"twin": "mf_one:Spread"}})
    install(site, "mf-two", {"mf_two": NAN}, {LOSSES: {"twin": "mf_two:Spread"}})
    done = metricface("plugin", "check", "twin")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "error: plugin check: loss 'twin': brought by both mf-one 1.0 and mf-two 1.0. "
        'Write "mf-one:twin" or "mf-two:twin".\n'
    )
    assert check("mf-one:twin")[0] == 0
    assert check("mf-two:twin")[0] == 4


@pytest.mark.usefixtures("site")
def test_a_name_of_two_kinds_is_checked_as_both() -> None:
    done = metricface("plugin", "check", "arcface")
    assert done.exit_code == 0
    assert [line.partition(" (")[0] for line in done.stdout.splitlines()[-2:]] == ["head arcface", "loss arcface"]
    assert metricface("plugin", "check", "head", "arcface").stdout.splitlines()[-1].startswith("head arcface (")


def test_a_kind_without_checks_of_its_own_says_so() -> None:
    done = metricface("plugin", "check", "schedule", "step")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == (
        "schedule step (metricface 0.1.0): 6 passed; these are all checks that there are of the kind schedule"
    )
    for kind, name, count in (("miner", "semi-hard", 9), ("transform", "grey", 11)):
        done = metricface("plugin", "check", kind, name)
        assert done.stdout.splitlines()[-1] == f"{kind} {name} (metricface 0.1.0): {count} passed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("sprad", "plugin check: no component and no folder 'sprad'. See metricface list, or name the folder"),
        ("triplett", "plugin check: no component and no folder 'triplett'. Did you mean \"triplet\"? See"),
        ("head arcfac", "plugin check: unknown head 'arcfac'. Did you mean \"arcface\"? There are: "),
        ("hed arcface", "plugin check: no kind 'hed'. Did you mean \"head\"? Kinds: backbone, head, loss,"),
        ("loss supcon triplet", "plugin check: one component or folder at a time (got loss supcon triplet)."),
        ("supcon --set temperatur=1", 'loss SupCon  temperatur  unknown key. Did you mean "temperature"?'),
        ("supcon --set temperature=0", "loss SupCon  temperature  must be greater than 0 (got 0) (--set KEY=VALUE)"),
        ("supcon --set temperature", "--set temperature: is not KEY=VALUE, for instance margin=0.4"),
        ("supcon --set temperature=[1", "--set temperature=[1: '[1' is not a TOML value."),
        ("supcon --set a=1 --set a.b=1", "--set a.b=1: a is no table, so nothing in it can be set."),
        (
            "dataset class-folder",
            "dataset ClassFolder  classes  is missing. Parameters: classes, person_pattern (--set KEY=VALUE)",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_exit_2(arguments: str, said: str) -> None:
    done = metricface("plugin", "check", *arguments.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.count("\n") == 1


def test_a_dataset_is_checked_with_photos_where_there_are_some(tmp_path: Path) -> None:
    code, outcomes = check("dataset", "identity-folder")
    assert (code, outcomes["photos"]["status"]) == (0, "skipped")
    assert outcomes["photos"]["said"].endswith("give root (on the command line --root)")
    code, outcomes = check("dataset", "identity-folder", "--root", make_tree(tmp_path / "tree"))
    assert (code, outcomes["photos"]["status"]) == (0, "passed")
    code, outcomes = check("dataset", "identity-folder", "--root", tmp_path / "none")
    assert (code, outcomes["made"]["status"]) == (4, "failed")


PROJECT = """
[project]
name = "mf-folder"
version = "3.0"

[project.entry-points."metricface.losses"]
folder-loss = "mf_folder:Spread"
"""


def package(folder: Path, source: str = GOOD, project: str = PROJECT, *, inside: str = "") -> Path:
    (folder / inside).mkdir(parents=True)
    (folder / "pyproject.toml").write_text(project)
    (folder / inside / "mf_folder.py").write_text(source)
    (folder / "setup.py").write_text("raise SystemExit('nothing but the module is run')")
    return folder


@pytest.mark.parametrize("inside", ["", "src"])
def test_a_folder_is_checked_without_being_installed(inside: str, tmp_path: Path) -> None:
    folder, before = package(tmp_path / "it", inside=inside), list(sys.path)
    done = metricface("plugin", "check", folder)
    assert done.exit_code == 0
    assert done.stderr == (
        f"mf-folder is not installed: it is imported from {folder}. Recipes find it after: pip install -e {folder}\n"
    )
    assert done.stdout.splitlines()[-1] == "loss folder-loss (mf-folder 3.0): 19 passed, 2 skipped"
    assert sys.path == before
    document = json.loads(metricface("plugin", "check", folder / "pyproject.toml", "--json").stdout)
    assert document["notices"][0].startswith("mf-folder is not installed")
    assert [it["name"] for it in document["components"]] == ["folder-loss"]


def test_every_component_of_a_folder_is_checked_and_a_broken_one_stops_none(tmp_path: Path) -> None:
    project = PROJECT + 'nan = "mf_other:Spread"\nlost = "mf_lost:Spread"\n'
    folder = package(tmp_path / "it", project=project)
    (folder / "mf_other.py").write_text(NAN)
    done = metricface("plugin", "check", folder)
    assert done.exit_code == 4
    assert [line.partition(" (")[0] for line in done.stdout.splitlines()[-3:]] == [
        "loss folder-loss",
        "loss lost",
        "loss nan",
    ]
    assert (
        "loss lost\tcontract\tfailed\tloss 'lost' (mf_lost:Spread of mf-folder 3.0): cannot be imported" in done.stdout
    )


def test_the_code_of_the_folder_is_checked_and_not_an_installed_one(site: Path, tmp_path: Path) -> None:
    points = {LOSSES: {"folder-loss": "mf_folder:Spread"}}
    install(site, "mf-folder", {"mf_folder": GOOD}, points, version="2.0")
    folder = package(tmp_path / "it", NAN)
    done = metricface("plugin", "check", folder)
    assert (done.exit_code, done.stderr) == (4, "")
    assert "(mf-folder 3.0)" in done.stdout.splitlines()[-1]


def test_entry_points_that_were_changed_since_the_installation_are_told(site: Path, tmp_path: Path) -> None:
    install(site, "mf-folder", {"mf_folder": GOOD}, {LOSSES: {"older": "mf_folder:Spread"}}, version="2.0")
    done = metricface("plugin", "check", package(tmp_path / "it"))
    assert done.exit_code == 0
    assert done.stderr == (
        f"mf-folder 2.0 is installed with other entry points. Run: pip install -e {tmp_path / 'it'}\n"
    )


def test_a_module_that_is_not_in_the_folder_is_no_part_of_it(site: Path, tmp_path: Path) -> None:
    install(site, "mf-elsewhere", {"mf_elsewhere": GOOD}, {})
    folder = package(tmp_path / "it", project=PROJECT.replace("mf_folder:", "mf_elsewhere:"))
    code, outcomes = check(folder)
    assert code == 4
    assert outcomes["contract"]["said"].startswith(
        f"loss 'folder-loss': mf_elsewhere is not in {folder} (imported from"
    )


WRONG_PROJECTS = {
    "no TOML": ("[project", 4, "cannot be read ("),
    "no name": ("[project]\nversion = '1'", 4, "[project] needs a name, and entry points as tables (KeyError: 'name')"),
    "no components": ("[project]\nname = 'mf-none'", 4, "announces no component. Add one, for instance [project.entry"),
    "no such group": (
        PROJECT.replace("metricface.losses", "metricface.loss"),
        4,
        "no kind has the entry-point group 'metricface.loss'. Did you mean \"metricface.losses\"? Groups: metricface",
    ),
    "entry points that are no table": ("[project]\nname = 'a'\nentry-points = 3", 4, "[project] needs a name, and"),
}


@pytest.mark.parametrize("name", WRONG_PROJECTS)
def test_a_folder_whose_pyproject_announces_nothing_is_a_broken_plugin(name: str, tmp_path: Path) -> None:
    project, code, said = WRONG_PROJECTS[name]
    folder = package(tmp_path / "it", project=project)
    done = metricface("plugin", "check", folder)
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"error: {folder / 'pyproject.toml'}: {said}")


def test_a_folder_that_is_no_package_is_a_mistake_of_usage(tmp_path: Path) -> None:
    done = metricface("plugin", "check", tmp_path)
    assert (done.exit_code, done.stderr) == (
        2,
        f"error: {tmp_path}: no pyproject.toml in it. Name the folder of a plugin's package, or a component.\n",
    )


def test_what_a_plugin_prints_is_no_part_of_the_json(site: Path) -> None:
    install(site, "mf-loud", {"mf_loud": "print('hello')\n" + GOOD}, {LOSSES: {"loud": "mf_loud:Spread"}})
    done = metricface("plugin", "check", "loud", "--json")
    assert json.loads(done.stdout)["components"][0]["passed"]
    assert done.stderr == "hello\n"
