"""What stands before the verb, mistakes in it, pipes and completion."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from support.task_b_tree import make_tree, write_recipe
from typer.testing import CliRunner, Result

from metricface import __version__
from metricface.cli import doctor_checks
from metricface.cli.app import app, main
from metricface.cli.doctor_checks import Finding
from metricface.cli.exits import guarded
from metricface.machine import WAIT_VARIABLES

USAGE = {
    "an unknown verb": (
        ["runn"],
        "metricface: no such command 'runn'. Did you mean 'run', 'runs'? See metricface --help.",
    ),
    "an unknown option": (["check", "a.toml", "--sett", "x"], "metricface check: no such option: --sett"),
    "a missing argument": (["run"], "metricface run: missing argument 'recipe'. See metricface run --help."),
    "a surplus argument": (["check", "a.toml", "b.toml"], "metricface check: got unexpected extra argument"),
    "a number that is none": (["data", "distort", "a", "b", "--seed", "x"], "metricface data distort: invalid value"),
    "an option behind the verb": (["list", "--quiet"], "metricface list: no such option: --quiet"),
}


def metricface(*arguments: object, **more: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="metricface", **more)


@pytest.mark.parametrize("name", USAGE)
def test_a_mistake_on_the_command_line_is_one_line_and_exit_2(name: str) -> None:
    arguments, message = USAGE[name]
    done = metricface(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("--help.\n")


VERBS = {
    "train": "'run'",
    "predict": "'classify'",
    "evaluate": "'eval'",
    "test": "'eval'",
    "list-components": "'list'",
    "recipe": "'init'",
    "distort": "'data distort'",
    "wach": "'runs watch'",
}


@pytest.mark.parametrize("word", VERBS)
def test_the_verb_of_another_tool_gets_a_hint(word: str) -> None:
    done = metricface(word, "x")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: metricface: no such command '{word}'. Did you mean {VERBS[word]}? See metricface --help.\n"
    )


OPTIONS = {
    "of the engine": (["run", "RECIPE", "--epochs", "3"], "--set train.epochs=3."),
    "with an equals sign": (["run", "RECIPE", "--epoch=3"], "--set train.epochs=3."),
    "with dashes": (["check", "RECIPE", "--batch-size", "64"], "--set train.batch_size=64."),
    "the seed": (["run", "RECIPE", "--seed", "7"], "--set run.seed=7."),
    "of the recipe": (["run", "RECIPE", "--lr", "1e-3"], "--set optimizer.lr=1e-3."),
    "of an array of the recipe": (["run", "RECIPE", "--weight", "2"], "--set loss.contrastive.weight=2."),
    "without a value": (["run", "RECIPE", "--epochs"], "--set train.epochs=VALUE."),
    "with a value for the shell": (["run", "RECIPE", "--epochs", "a b"], "--set 'train.epochs=a b'."),
    "without a recipe that can be read": (["run", "none.toml", "--epochs", "3"], "--set train.epochs=3."),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_is_a_key_of_the_recipe_gets_the_line_that_sets_it(name: str, tmp_path: Path) -> None:
    recipe = tmp_path / "my.toml"
    recipe.write_text(
        '[optimizer]\nname = "sgd"\nlr = 0.1\n[[loss]]\nname = "contrastive"\nweight = 1\n[head]\nname = "x"\n'
    )
    arguments, line = OPTIONS[name]
    done = metricface(*(str(recipe) if word == "RECIPE" else word for word in arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    verb, option = arguments[0], arguments[2].partition("=")[0]
    assert done.stderr == (
        f"error: metricface {verb}: no such option: {option}. Keys of the recipe are set so: {line} "
        f"See metricface {verb} --help.\n"
    )


def test_a_usual_key_is_known_where_the_recipe_has_none_and_however_the_command_is_called(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('[run]\nname = "x"\n')
    command = [sys.executable, "-m", "metricface", "run", str(tmp_path / "my.toml"), "--lr", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(
        "run: no such option: --lr. Keys of the recipe are set so: --set optimizer.lr=0.1. "
        "See python -m metricface run --help.\n"
    )


def test_an_option_that_is_a_key_of_the_base_gets_its_line_too(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('[head]\nname = "arcface"\nmargin = 0.3\n')
    (tmp_path / "my.toml").write_text('base = "base.toml"\n')
    assert "--set head.margin=0.2." in metricface("run", str(tmp_path / "my.toml"), "--margin", "0.2").stderr


def test_an_option_that_stands_before_the_verb_says_so() -> None:
    assert "It stands before the verb: metricface --quiet runs list." in metricface("runs", "list", "--quiet").stderr
    assert "--set" not in metricface("list", "--epochs", "3").stderr  # a verb without --set


def _paths(command: object, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = getattr(command, "commands", {})
    return [before, *(path for name, part in below.items() for path in _paths(part, (*before, name)))]


@pytest.mark.parametrize("verb", _paths(typer.main.get_command(app)), ids=" ".join)
def test_h_is_help_everywhere(verb: tuple[str, ...]) -> None:
    short, long = metricface(*verb, "-h"), metricface(*verb, "--help")
    assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert " ".join(("Usage: metricface", *verb)) in short.stdout


@pytest.mark.parametrize("arguments", [[], ["runs"], ["data"], ["plugin"]])
def test_without_a_verb_the_help_is_shown(arguments: list[str]) -> None:
    done = metricface(*arguments)
    assert (done.exit_code, "Usage: metricface" in done.stdout, done.stderr) == (2, True, "")


def test_version() -> None:
    done = metricface("--version")
    assert (done.exit_code, done.stdout) == (0, f"metricface {__version__}\n")


def test_debug_shows_the_traceback_of_an_error_and_nothing_else_does(tmp_path: Path) -> None:
    plain, debug = (metricface(*more, "check", tmp_path / "none.toml") for more in ((), ("--debug",)))
    assert plain.exit_code == debug.exit_code == 2
    assert plain.stderr.startswith("error: ")
    assert debug.stderr.startswith("Traceback (most recent call last):\n")
    assert debug.stderr.endswith(plain.stderr)
    assert metricface("check", tmp_path / "none.toml").stderr == plain.stderr


def test_quiet_leaves_the_result_and_the_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = write_recipe(tmp_path, make_tree(tmp_path / "tree"))
    done = metricface("--quiet", "run", recipe, "--set", "train.epochs=1", "--out", "run")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "cross-source" in done.stdout
    done = metricface("--quiet", "run", recipe, "--out", "run")
    assert (done.exit_code, done.stderr.startswith("error: run: there is something there already.")) == (2, True)


def test_no_color_is_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the pipe for a terminal
    findings = [Finding("network", "the hub", "cannot be reached", "note")]
    monkeypatch.setattr(doctor_checks, "examine", lambda: findings)  # which takes seconds
    for arguments in (["list", "head"], ["show", "--help"], ["data", "--help"], ["--help"], [], ["doctor"]):
        assert "\x1b[1" in metricface(*arguments).stdout, arguments
        if arguments:
            assert "\x1b" not in metricface("--no-color", *arguments).stdout, arguments
        with monkeypatch.context() as patch:
            patch.setenv("NO_COLOR", "1")
            assert "\x1b" not in metricface(*arguments).stdout, arguments
        assert "\x1b[1" in metricface(*arguments).stdout, arguments
    assert "NO_COLOR" not in os.environ


def test_a_run_folder_that_cannot_be_made_is_refused_before_any_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = write_recipe(tmp_path, tmp_path / "no_tree")
    (tmp_path / "file").touch()
    for seeds in ((), ("--seeds", "0")):
        done = metricface("run", recipe, "--out", "file/run", *seeds)
        assert done.exit_code == 2
        folder = "file/run/seed-0" if seeds else "file/run"
        assert done.stderr.splitlines()[-1] == (
            f"error: {folder}: cannot be written to (Not a directory). Name another folder with --out."
        )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. Make room, or write elsewhere."),
        (OSError(errno.ENOSPC, "Full", "a.csv"), "a.csv: Full. Make room, or write elsewhere."),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), "a.csv: Permission denied."),
        (OSError(errno.EIO, "Input/output error"), "Input/output error."),
    ],
)
def test_what_the_system_refuses_is_one_line(error: OSError, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        guarded(command)()
    assert (ended.value.exit_code, capsys.readouterr().err) == (1, f"error: {said}\n")


OUT_OF_MEMORY = {
    "torch": (lambda: torch.empty(2**50), "can't allocate memory: you tried to allocate 4503599627370496 bytes. "),
    "numpy": (lambda: np.ones(2**50), "Unable to allocate 8.00 PiB for an array with shape (1125899906842624,) "),
}


@pytest.mark.parametrize("name", OUT_OF_MEMORY)
def test_memory_that_is_used_up_is_one_line_with_what_takes_less(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, said = OUT_OF_MEMORY[name]
    with pytest.raises(typer.Exit) as ended:
        guarded(command)()
    line = capsys.readouterr().err
    assert ended.value.exit_code == 1
    assert line.startswith(f"error: out of memory ({said}")
    assert line.endswith(
        "). Training takes less with train.recompute = true, data.cache_gib = 0 or a smaller train.batch_size; "
        "metricface run --dry-run says how much.\n"
    )


def test_an_error_that_is_not_the_systems_is_not_passed_off_as_the_users() -> None:
    def command() -> None:
        raise OSError("our own")

    with pytest.raises(OSError, match="our own"):
        guarded(command)()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("unbuffered", "where"), [("1", ""), ("", "stdout: ")]
)  # told by a print, or by the last flush
def test_an_output_that_is_full_is_one_line(unbuffered: str, where: str) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "metricface", "list", "head", "--json"]
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert done.stderr == f"error: {where}No space left on device. Make room, or write elsewhere.\n"
    assert done.returncode == 1


@pytest.mark.parametrize("verb", ["eval MODEL", "classify MODEL . --json", "compare MODEL MODEL", "runs show MODEL"])
def test_a_model_or_run_that_is_not_there_is_a_mistake_of_usage(verb: str, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    done = metricface(*(str(tmp_path / "godo") if word == "MODEL" else word for word in verb.split()))
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: {tmp_path}/godo: no ")
    assert 'Did you mean "good"?' in done.stderr or verb.startswith("runs")


@pytest.mark.parametrize(
    "arguments", ["list head", "--help", "list head --json", "show head arcface", "runs list runs"]
)
def test_a_reader_that_has_seen_enough_gets_no_traceback(arguments: str, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    pipe, end = os.pipe()
    os.close(pipe)  # nobody reads
    command = [sys.executable, "-m", "metricface", *arguments.split()]
    done = subprocess.run(command, stdout=end, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    os.close(end)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode == 0 or arguments == "--help"  # which typer ends with 1


HEAVY = "{'torch', 'numpy', 'albumentations', 'cv2', 'timm'}"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("metricface ru", ["run", "runs"]),
        ("metricface list l", ["loss"]),
        ("metricface show los", ["loss"]),
        ("metricface show head ar", ["arcface"]),
        ("metricface show nothing ", []),
        ("metricface plugin check schedu", ["schedule"]),
        ("metricface plugin check schedule co", ["constant", "cosine"]),
        ("metricface plugin check triple", ["triplet"]),
    ],
)
def test_the_shell_completes_verbs_kinds_and_names_and_loads_nothing_heavy(typed: str, offered: list[str]) -> None:
    code = (
        "import atexit, sys; sys.argv[0] = 'metricface'\n"
        f"atexit.register(lambda: print(sorted({HEAVY} & set(sys.modules)), file=sys.stderr))\n"
        "from metricface.cli.app import main; main()\n"
    )
    words = typed.split(" ")
    environment = {
        **os.environ,
        "_METRICFACE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.split() == offered
    assert done.stderr == "[]\n"


def test_the_completion_script_can_be_had_for_a_shell() -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "metricface", "--show-completion", "bash"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr, "METRICFACE_COMPLETE=complete_bash" in done.stdout) == (0, "", True)


def test_the_command_sets_up_its_process_and_the_library_leaves_that_to_its_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []
    monkeypatch.setattr("metricface.cli.app.wait_without_spinning", lambda: called.append("wait"))
    monkeypatch.setattr("metricface.cli.app.reuse_freed_memory", lambda: called.append("reuse"))
    CliRunner().invoke(app, ["--version"])
    assert called == []
    monkeypatch.setattr(sys, "argv", ["metricface", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert called == ["wait", "reuse"]


COMMAND_THEN_TORCH = """
import contextlib, sys
from metricface.cli.app import main
sys.argv = ["metricface", "--version"]
with contextlib.suppress(SystemExit):
    main()
import torch
"""


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings another OpenMP elsewhere")
@pytest.mark.parametrize(("given", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_wait_without_spinning_unless_the_user_chose(given: dict[str, str], policy: str) -> None:
    others = {name: value for name, value in os.environ.items() if name not in WAIT_VARIABLES}
    environment = {**others, **given, "OMP_DISPLAY_ENV": "TRUE"}
    command = [sys.executable, "-c", COMMAND_THEN_TORCH]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert set(re.findall(r"OMP_WAIT_POLICY = '(\w+)'", done.stderr)) == {policy}  # as OpenMP says when it is loaded
