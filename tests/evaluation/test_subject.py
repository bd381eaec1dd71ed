from __future__ import annotations

import numpy as np
import pytest
import torch
from support.fakes import PREPROCESSING, MemoryDataset, StagedBackbone, TinyBackbone
from torch import Tensor, nn

from metricface.contracts import HeadOutput, OperatingPoint
from metricface.errors import DataError, EvaluationError
from metricface.evaluation.subject import ModelSubject, embed_photos, logits_of
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel, laid_out

CPU = torch.device("cpu")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]


class Head(nn.Module):
    """Logits that dropout would change in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3))

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        return HeadOutput(self.layer(embeddings), labels, None)


def model() -> FaceModel:
    torch.manual_seed(0)
    return FaceModel(StagedBackbone(), EmbeddingLayer(dim=4, mirror=True, zoom=0.75))


def expected(network: nn.Module, dataset: MemoryDataset, numbers: list[int]) -> Tensor:
    """Embeddings of some photos in one go, by the formula of normalisation."""
    images = torch.tensor(dataset.images[numbers]).permute(0, 3, 1, 2).double().div(255).sub(0.5).div(0.25)
    with torch.no_grad():
        found: Tensor = network.eval()(images.float())
    return found


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("workers", [0, 2])
def test_embeddings_are_the_models_in_the_order_of_the_photos(workers: int, device: str) -> None:
    dataset, network = MemoryDataset(broken=(0, 10, 11, 12, 13, 14)), model()
    readable = [number for number in range(24) if number not in dataset.broken]
    wanted = expected(network, dataset, readable)
    on = torch.device(device)
    laid_out(network, on)
    batches = list(embed_photos(network, dataset, PREPROCESSING, device=on, batch_size=5, workers=workers))
    assert [number for batch in batches for number in batch.numbers] == readable
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 4]
    assert [list(batch.unreadable) for batch in batches] == [[0], [], [10, 11, 12, 13, 14], [], []]
    parts = [batch.embeddings for batch in batches if batch.numbers]
    assert {(part.dtype, part.device.type) for part in parts} == {(torch.float32, device)}
    assert batches[2].embeddings.shape == (0, 0)
    torch.testing.assert_close(torch.cat(parts).cpu(), wanted, atol=1e-5, rtol=1e-4)


def test_only_the_photos_of_a_batch_are_in_memory_and_a_second_one_is_not_read_ahead() -> None:
    dataset = MemoryDataset()
    batches = embed_photos(model(), dataset, PREPROCESSING, device=CPU, batch_size=4)
    next(batches)
    assert dataset.reads == 4


@pytest.mark.parametrize("training", [True, False])
def test_the_model_keeps_its_mode_whenever_the_embedding_ends(training: bool) -> None:
    network = model().train(training)
    network.freeze(1)
    before = [module.training for module in network.modules()]
    modes: list[bool] = []
    network.backbone.register_forward_hook(lambda *_: modes.append(network.training))
    list(embed_photos(network, MemoryDataset(), PREPROCESSING, device=CPU))
    assert [module.training for module in network.modules()] == before

    half = embed_photos(network, MemoryDataset(), PREPROCESSING, device=CPU, batch_size=4)
    next(half)
    assert not torch.is_inference_mode_enabled()
    half.close()
    assert [module.training for module in network.modules()] == before

    broken = embed_photos(network, MemoryDataset(), PREPROCESSING, device=CPU)
    network.backbone.top[0].weight.data = torch.zeros(6, 99, 3, 3)
    with pytest.raises(RuntimeError):
        next(broken)
    assert [module.training for module in network.modules()] == before
    assert not any(modes)


def test_a_subject_embeds_a_dataset_once_and_tells_how_far_it_is() -> None:
    dataset, told = MemoryDataset(), []
    subject = ModelSubject(
        model(), dataset, PREPROCESSING, batch_size=10, progress=lambda done, total: told.append((done, total))
    )
    found = subject.embed(dataset)
    wanted = expected(model(), dataset, list(range(24))).numpy()
    np.testing.assert_allclose(found.vectors * found.norms[:, None], wanted, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)
    assert subject.embed(dataset).labels.tolist() == found.labels.tolist()
    assert dataset.reads == 24
    assert told == [(10, 24), (20, 24), (24, 24)]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_that_a_subject_cannot_read_is_refused_in_one_line(workers: int) -> None:
    dataset = MemoryDataset(broken=(3,))
    with pytest.raises(DataError) as caught:
        ModelSubject(model(), dataset, PREPROCESSING, workers=workers).embed(dataset)
    assert str(caught.value) == "p0/3.png: not a photo"


def test_logits_are_the_heads_without_its_dropout() -> None:
    head, embeddings = Head().train(), torch.randn(6, 4)
    found = logits_of(head, embeddings)
    weight, bias = head.layer[1].weight.detach().numpy(), head.layer[1].bias.detach().numpy()
    np.testing.assert_allclose(found, embeddings.numpy() @ weight.T + bias, atol=1e-6)
    assert (found.dtype, head.training, head.layer[0].training) == (np.float32, True, True)
    dataset = MemoryDataset()
    subject = ModelSubject(model(), dataset, PREPROCESSING, head=head)
    wanted = logits_of(head, expected(model(), dataset, list(range(24))))
    np.testing.assert_allclose(subject.predict(dataset).logits, wanted, atol=1e-5)


def test_without_a_head_there_are_no_logits() -> None:
    dataset = MemoryDataset()
    with pytest.raises(
        EvaluationError, match=r"^evaluation: class logits are asked for, but the recipe has no \[head\]"
    ):
        ModelSubject(TinyBackbone(), dataset, PREPROCESSING).predict(dataset)


def test_every_evaluator_gets_its_own_operating_points_and_the_same_embeddings() -> None:
    dataset = MemoryDataset()
    subject = ModelSubject(model(), dataset, PREPROCESSING)
    points = [OperatingPoint(0.9, "rule", "val")]
    offered = subject.offering(points)
    assert (subject.operating_points, offered.operating_points) == ((), points)
    vectors = [one.embed(dataset).vectors for one in (offered, subject, subject.offering([]))]
    assert dataset.reads == 24
    assert all(np.array_equal(vectors[0], other) for other in vectors)
