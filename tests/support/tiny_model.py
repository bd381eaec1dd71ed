"""A model folder as a run writes it, of a tiny network, made without a run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save

from metricface.build.model_folder import load_model
from metricface.components.backbones.timm import TimmBackbone
from metricface.components.heads.subcenter_arcface import SubCenterArcFace
from metricface.components.registry import installed_registries
from metricface.errors import ModelError
from metricface.model.description import own_digest
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel

KNOWN = installed_registries()
LABELS = ["Ann", "Bob", "Cem"]


def description(model: str, head: str, **backbone: Any) -> dict[str, Any]:
    """Return a model.json for files of these sha256."""
    arguments = {"model": "test_resnet", "weights": "imagenet", "arguments": {"drop_path_rate": 0.1}, **backbone}
    return {
        "format": 3,
        "backbone": {"name": "timm", "distribution": "metricface", "version": "1", "arguments": arguments},
        "embedding": {"dim": 8, "mirror": True, "zoom": 0.5, "whitening": 0.0},
        "transform": {"image_size": 32, "crop": 0.9, "mean": [0.5] * 3, "std": [0.5] * 3},
        "labels": LABELS,
        "evaluate": [{"name": "identification", "arguments": {"ranks": [1, 5]}}],
        "head": {
            "name": "subcenter-arcface",
            "arguments": {"sub_centers": 2, "scale": 64.0},
            "class_counts": [3, 3, 2],
            "sha256": head,
        },
        "operating_points": {"identification": [{"threshold": 0.3, "rule": "r", "fitted_on": "f", "far": 0.01}]},
        "data": {"name": "identity-folder", "arguments": {}, "root": "photos"},
        "sha256": model,
    }


def write(folder: Path, **backbone: Any) -> Path:
    """Write a model folder as a run does, of a tiny network with a layer and a head."""
    folder.mkdir(parents=True)
    model = FaceModel(TimmBackbone(model="test_resnet", weights="random"), EmbeddingLayer(dim=8))
    head = SubCenterArcFace(embedding_dim=8, num_classes=3, sub_centers=2)
    digests = {}
    for name, module in (("model", model), ("head", head)):
        weights = save(module.state_dict())
        (folder / f"{name}.safetensors").write_bytes(weights)
        digests[name] = hashlib.sha256(weights).hexdigest()
    put(folder, description(digests["model"], digests["head"], **backbone))
    return folder


def put(folder: Path, described: dict[str, Any], *, sealed: bool = False) -> None:
    seal = {"description_sha256": own_digest(described)} if sealed else {}
    (folder / "model.json").write_text(json.dumps({**seal, **described}, indent=2))


def described(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "model.json").read_text())
    return document


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(folder, KNOWN)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parent(document: Any, place: tuple[Any, ...]) -> Any:
    """Return what holds the last key of a place in a document."""
    for key in place[:-1]:
        document = document[key]
    return document
