"""A model folder is itself alone: what was changed in it is told, and nothing outside of it is asked."""

from __future__ import annotations

import copy
import hashlib
import json
import socket
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save
from support.tiny_model import KNOWN, LABELS, described, parent, put, refusal, write
from timm.models._hub import save_for_hf

from metricface.build.model_folder import load_model
from metricface.components.backbones.torchvision import TorchvisionBackbone
from metricface.model.description import own_digest
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model")


def test_a_changed_description_is_refused_until_its_digest_is_taken_out(model: Path) -> None:
    document = described(model)
    put(model, document, sealed=True)
    (model / "model.json").write_text(json.dumps(described(model)))  # another layout is no change
    load_model(model, KNOWN)
    for place, value in (
        (("labels", 0), "Anna"),
        (("operating_points", "identification", 0, "threshold"), 0.31),
        (("evaluate", 0, "arguments", "ranks"), [1]),
        (("data", "root"), "other"),
    ):
        changed = {**copy.deepcopy(document), "description_sha256": own_digest(document)}
        parent(changed, place)[place[-1]] = value
        (model / "model.json").write_text(json.dumps(changed))
        assert refusal(model) == (
            f"{model / 'model.json'}: changed after it was saved (its content does not have its description_sha256). "
            "Copy it again; or, if the change is yours, take the line description_sha256 out of it."
        )
    put(model, {**document, "labels": ["Anna", *LABELS[1:]]})
    assert load_model(model, KNOWN).description.labels == ("Anna", *LABELS[1:])


def test_a_name_that_is_not_utf_8_has_a_digest_too(model: Path) -> None:
    put(model, {**described(model), "labels": ["Jos\udce9", *LABELS[1:]]}, sealed=True)
    assert load_model(model, KNOWN).description.labels[0] == "Jos\udce9"


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches, sockets that cannot be opened, and downloads that fail the test."""

    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for where, name in (
        (huggingface_hub, "hf_hub_download"),
        (huggingface_hub, "get_session"),
        (timm.models._hub, "hf_hub_download"),
        (torch.hub, "load_state_dict_from_url"),
        (torch.hub, "download_url_to_file"),
    ):
        monkeypatch.setattr(where, name, refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    "weights", ["imagenet", "imagenet-if-available", "timm/test_resnet@0123/model.safetensors", None]
)
def test_a_model_made_from_pretrained_weights_is_loaded_without_the_hub(weights: str | None, model: Path) -> None:
    document = described(model)
    document["backbone"]["arguments"]["weights"] = weights
    if weights is None:
        del document["backbone"]["arguments"]["weights"]
    put(model, document)
    assert load_model(model, KNOWN).model.embedding_dim == 8


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "googlenet"])
@pytest.mark.parametrize("weights", ["DEFAULT", "imagenet-if-available", "gone.pth"])
def test_a_model_of_torchvision_is_loaded_without_its_weights(name: str, weights: str, model: Path) -> None:
    saved = FaceModel(TorchvisionBackbone(model=name, weights="random", image_size=32), EmbeddingLayer(dim=8)).eval()
    data = save(saved.state_dict())
    (model / "model.safetensors").write_bytes(data)
    backbone = {"name": "torchvision", "distribution": "metricface", "version": "1"}
    document = {**described(model), "sha256": hashlib.sha256(data).hexdigest()}
    put(model, {**document, "backbone": {**backbone, "arguments": {"model": name, "weights": weights}}})
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(load_model(model, KNOWN).model.backbone(images), saved.backbone(images))


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("prefix", ["hf_hub:", "hf-hub:"])
def test_a_model_that_names_the_hub_is_described_by_the_cache_or_refused(
    prefix: str, model: Path, tmp_path: Path
) -> None:
    document = described(model)
    document["backbone"]["arguments"]["model"] = f"{prefix}mf/face"
    put(model, document)
    assert refusal(model) == (
        f"{model / 'model.json'}: backbone.model: the config.json of {prefix}mf/face is not in the cache and a model "
        "folder is read without the hub. Run it once where the hub can be reached (the cache then keeps it), or take a "
        "model that timm has by name and set backbone.weights to a file."
    )
    repository = tmp_path / "hub" / "models--mf--face"
    save_for_hf(timm.create_model("test_resnet"), repository / "snapshots" / "0123", safe_serialization=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123")
    assert load_model(model, KNOWN).model.embedding_dim == 8
