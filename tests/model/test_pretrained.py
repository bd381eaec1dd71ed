from __future__ import annotations

import pickle
import socket
import threading
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError
from safetensors.torch import save_file

from metricface.errors import ModelError
from metricface.model import hub
from metricface.model.hub import OutOfReach, download_address, in_torch_cache, nothing_fetched
from metricface.model.pretrained import find_pretrained, read_weights

CONFIG = {
    "architecture": "resnet18",
    "tag": "a1_in1k",
    "hf_hub_id": "timm/resnet18.a1_in1k",
    "url": "https://example.org/weights/resnet18-d63eafa0.pth",
}
MISSING = "ImageNet weights of resnet18.a1_in1k are not in the cache and "


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of the hub and of torch."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def put_on_hub_cache(caches: Path, name: str) -> Path:
    repository = caches / "hub" / "models--timm--resnet18.a1_in1k"
    commit = "0123456789abcdef0123"
    path = repository / "snapshots" / commit / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return path


def no_network(*_: object, **__: object) -> None:
    raise AssertionError("the network was asked")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_hub_cache_comes_first_and_is_named_exactly(caches, monkeypatch, name):
    monkeypatch.setattr(hub, "hub_answers", no_network)
    path = put_on_hub_cache(caches, name)
    found = find_pretrained(CONFIG)
    assert found.path == path
    assert found.source == f"timm/resnet18.a1_in1k@0123456789ab/{name}"


def test_the_torch_cache_is_looked_at_too(caches, monkeypatch):
    monkeypatch.setattr(hub, "hub_answers", no_network)
    path = caches / "torch" / "hub" / "checkpoints" / "resnet18-d63eafa0.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    found = find_pretrained(CONFIG)
    assert (found.path, found.source) == (path, CONFIG["url"])


class Session:
    """A client of the hub that answers, fails, or hangs until it is let go; it notes how long it was told to try."""

    def __init__(self, error: Exception | None = None, *, hangs: bool = False) -> None:
        self.error, self.hangs, self.let_go, self.timeouts = error, hangs, threading.Event(), []

    def head(self, url: str, timeout: float) -> None:
        self.timeouts.append(timeout)
        if self.error is not None:
            raise self.error
        if self.hangs:
            self.let_go.wait(60)


@pytest.mark.parametrize("session", [Session(hangs=True), Session(socket.gaierror("no such host"))])
@pytest.mark.usefixtures("caches")
def test_without_a_network_it_is_decided_by_one_probe_that_nobody_waits_for(monkeypatch, session):
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: session)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", no_network)
    with pytest.raises(OutOfReach) as caught:
        find_pretrained(CONFIG)
    assert str(caught.value) == MISSING + "the hub cannot be reached"
    assert session.timeouts == [hub._PROBE_SECONDS]
    assert not session.hangs or any(thread.name == "probe of the hub" for thread in threading.enumerate())
    session.let_go.set()


@pytest.mark.usefixtures("caches")
def test_offline_mode_asks_nobody(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "hub_answers", no_network)
    with pytest.raises(OutOfReach) as caught:
        find_pretrained(CONFIG)
    assert str(caught.value) == MISSING + "HF_HUB_OFFLINE is set"


@pytest.mark.usefixtures("caches")
def test_a_hub_that_answers_is_downloaded_from(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Session())

    def download(repository: str, name: str, revision: str | None) -> str:
        assert (repository, revision) == ("timm/resnet18.a1_in1k", "v2")
        if name == "model.safetensors":
            raise EntryNotFoundError("404")
        return f"/cache/snapshots/fedcba9876543210/{name}"

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    found = find_pretrained({**CONFIG, "hf_hub_id": "timm/resnet18.a1_in1k@v2"})
    assert found.source == "timm/resnet18.a1_in1k@fedcba987654/pytorch_model.bin"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionError("reset by peer"), "could not be fetched: reset by peer"),
        (EntryNotFoundError("404"), "timm/resnet18.a1_in1k on the hub has no model.safetensors or pytorch_model.bin"),
    ],
)
@pytest.mark.usefixtures("caches")
def test_a_download_that_fails_says_why(monkeypatch, error, reason):
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Session())

    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(OutOfReach) as caught:
        find_pretrained(CONFIG)
    assert str(caught.value) == MISSING + reason


@pytest.mark.usefixtures("caches")
def test_models_that_were_never_published_say_so():
    with pytest.raises(OutOfReach) as caught:
        find_pretrained({"architecture": "botnet50ts_256", "tag": "", "hf_hub_id": None, "url": ""})
    assert str(caught.value) == "timm has no ImageNet weights for botnet50ts_256"
    with pytest.raises(OutOfReach, match=r"not on the hub \(they come from https://example.org/weights/"):
        find_pretrained({**CONFIG, "hf_hub_id": None})


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("the file was executed",))


def test_a_file_is_never_executed(tmp_path):
    path = tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps({"weight": Bomb()}, protocol=2))
    with pytest.raises(ModelError, match=r"bomb\.pth cannot be read as weights"):
        read_weights(path)
    torch.save({"weight": Bomb()}, path)
    with pytest.raises(ModelError, match=r"bomb\.pth cannot be read as weights .* save the state_dict"):
        read_weights(path)


def test_a_cut_file_is_refused(tmp_path):
    path = tmp_path / "cut.safetensors"
    save_file({"weight": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(
        ModelError, match=r"^backbone\.weights: .*cut\.safetensors cannot be read as weights \(Safetensor"
    ) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)


def with_nan(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    weights = torch.ones(shape, dtype=dtype)
    weights.view(-1)[1] = torch.nan
    return weights


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_with_nan_are_refused_when_they_are_read(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    path = tmp_path / name
    whole = {"mask": torch.tensor([0.0, -torch.inf]), "count": torch.tensor(3), "first": torch.ones(2)}
    save = save_file if path.suffix == ".safetensors" else torch.save
    save(whole, path)
    assert read_weights(path).keys() == whole.keys()
    save({**whole, "second": with_nan((20, 60), dtype), "third": with_nan((3,), dtype)}, path)
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert str(caught.value) == (
        f"backbone.weights: {path} has NaN in 'second' (1 of 1,200 numbers), from training that went wrong. Take other "
        "weights, or those of an earlier checkpoint."
    )


URL = "https://example.org/weights/resnet18-d63eafa0.pth"


def test_an_address_is_fetched_into_torchs_cache_and_its_digest_is_looked_at(caches, monkeypatch):
    asked = []

    def download(url: str, path: str, digest: str | None, *, progress: bool) -> None:
        asked.append((url, digest, progress))
        Path(path).write_bytes(b"weights")

    session = Session()
    session.head = lambda address, timeout: asked.append(address)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: session)
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert list(in_torch_cache(URL)) == []
    found = download_address(URL, "it is not in the cache")
    assert asked == ["https://example.org", (URL, "d63eafa0", False)]
    assert found.path == caches / "torch" / "hub" / "checkpoints" / "resnet18-d63eafa0.pth"
    assert found.source == URL
    assert list(in_torch_cache(URL)) == [found]
    download_address("https://example.org/model.pth", "it is not in the cache")
    assert asked[-1] == ("https://example.org/model.pth", None, False)


@pytest.mark.usefixtures("caches")
def test_an_address_out_of_reach_says_why(monkeypatch):
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Session(socket.gaierror("no such host")))
    with pytest.raises(OutOfReach, match=r"^gone and https://example\.org cannot be reached$"):
        download_address(URL, "gone")
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: Session())
    with pytest.raises(OutOfReach, match=r"^gone and could not be fetched: the network was asked$"):
        download_address(URL, "gone")
    monkeypatch.setattr(huggingface_hub, "get_session", no_network)
    with nothing_fetched(), pytest.raises(OutOfReach, match=r"^gone and a model folder is read without the hub$"):
        download_address(URL, "gone")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OutOfReach, match=r"^gone and HF_HUB_OFFLINE is set$"):
        download_address(URL, "gone")
