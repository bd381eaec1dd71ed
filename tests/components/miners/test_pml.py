from __future__ import annotations

from typing import Any

import pytest
import pytorch_metric_learning.miners as theirs
import torch
from pytorch_metric_learning.distances import CosineSimilarity

from metricface.components import _pml as pml
from metricface.components.losses.contrastive import Contrastive
from metricface.components.miners.pml import PmlMiner
from metricface.contracts import LossInput
from metricface.errors import RecipeError, TrainingError

LABELS = torch.arange(20) % 5


def vectors(photos: int = 20) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(photos, 6, requires_grad=True)


@pytest.mark.parametrize("name", pml.MINERS.signatures())
def test_every_miner_chooses_what_the_librarys_own_does(name: str) -> None:
    embeddings = vectors()
    torch.manual_seed(0)
    mined = PmlMiner(miner=name)(embeddings, LABELS)
    torch.manual_seed(0)
    expected = getattr(theirs, name)()(embeddings, LABELS)
    assert len(mined) == len(expected)
    assert len(mined) in (3, 4)
    assert all(map(torch.equal, mined, expected))
    assert all(indices.dtype == torch.int64 for indices in mined)
    assert len(mined[0]) > 0
    assert (LABELS[mined[0]] == LABELS[mined[1]]).all()
    assert (LABELS[mined[-2 if len(mined) == 4 else 0]] != LABELS[mined[-1]]).all()
    loss = Contrastive()(LossInput(embeddings, LABELS, pairs=mined))
    loss.backward()
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("name", pml.MINERS.signatures())
@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1, 2]], ids=["one photo", "one person", "no positive"])
def test_nothing_to_mine(name: str, labels: list[int]) -> None:
    mined = PmlMiner(miner=name)(vectors(len(labels)), torch.tensor(labels))
    assert all(indices.dtype == torch.int64 for indices in mined)
    loss = Contrastive()(LossInput(vectors(len(labels)), torch.tensor(labels), pairs=mined))
    assert loss.isfinite()


def test_arguments_and_distances_reach_the_library() -> None:
    arguments: dict[str, Any] = {"epsilon": 0.3, "distance": {"name": "CosineSimilarity", "power": 2.0}}
    mined = PmlMiner(miner="MultiSimilarityMiner", arguments=arguments)(vectors(), LABELS)
    expected = theirs.MultiSimilarityMiner(epsilon=0.3, distance=CosineSimilarity(power=2))(vectors(), LABELS)
    assert all(map(torch.equal, mined, expected))
    assert len(mined[2]) != len(PmlMiner(miner="MultiSimilarityMiner")(vectors(), LABELS)[2])


def test_an_angle_is_in_degrees() -> None:
    counts = [
        len(PmlMiner(miner="AngularMiner", arguments={"angle": angle})(vectors(), LABELS)[0]) for angle in (1.5, 40.0)
    ]
    assert counts[0] > counts[1] > 0


def test_what_the_library_does_not_know_or_refuses_is_said() -> None:
    with pytest.raises(RecipeError, match=r"^miner pml: unknown miner 'BatchHard'\. Did you mean \"BatchHardMiner\""):
        PmlMiner(miner="BatchHard")
    with pytest.raises(RecipeError, match=r"^miner pml: BatchEasyHardMiner of pytorch-metric-learning refuses its arg"):
        PmlMiner(miner="BatchEasyHardMiner", arguments={"pos_strategy": "all", "neg_strategy": "semihard"})
    with pytest.raises(TrainingError, match=r"^miner pml: BatchHardMiner of .* cannot work on this batch of 3 photos "):
        PmlMiner(miner="BatchHardMiner")(torch.randn(3, 2, 2), torch.arange(3))
