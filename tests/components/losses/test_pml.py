from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_metric_learning.losses as theirs
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, reducers, regularizers
from pytorch_metric_learning.miners import MultiSimilarityMiner
from support.fakes import TinyBackbone, same_tensors

from metricface.components import _pml as pml
from metricface.components.losses import _pml_trial
from metricface.components.losses.pml import PmlLoss
from metricface.contracts import Batch, HasCautions, LossInput
from metricface.errors import RecipeError, TrainingError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.training.checkpoint import read_checkpoint, save_checkpoint
from metricface.training.parameters import parameter_groups
from metricface.training.state import LossTerm, TrainingState
from metricface.training.step import train_step

B, C, D = 8, 4, 6
LABELS = torch.tensor([0, 1, 0, 1, 2, 3, 2, 3])
NAMES = list(pml.LOSSES.signatures())
REQUIRED: dict[str, dict[str, Any]] = {"RankedListLoss": {"margin": 0.4, "Tn": 5.0}}
OWN_CLASSES = {
    *("ArcFaceLoss", "CosFaceLoss", "LargeMarginSoftmaxLoss", "NormalizedSoftmaxLoss", "P2SGradLoss"),
    *("ProxyAnchorLoss", "ProxyNCALoss", "SoftTripleLoss", "SphereFaceLoss", "SubCenterArcFaceLoss"),
}
NONE = torch.empty(0, dtype=torch.int64)


def make(name: str, *, memory_size: int = 0, memory_miner: dict[str, Any] | None = None, **arguments: Any) -> PmlLoss:
    torch.manual_seed(0)
    arguments = {**REQUIRED.get(name, {}), **arguments}
    return PmlLoss(
        embedding_dim=D,
        num_classes=C,
        loss=name,
        arguments=arguments,
        memory_size=memory_size,
        memory_miner=memory_miner,
    )


def direct(name: str, **arguments: Any) -> Any:
    """The library's own object."""
    torch.manual_seed(0)
    sizes = {"num_classes": C, "embedding_size": D} if name in OWN_CLASSES else {}
    sizes = {"num_classes": C, "descriptors_dim": D} if name == "P2SGradLoss" else sizes
    return getattr(theirs, name)(**sizes, **{**REQUIRED.get(name, {}), **arguments})


def batch(seed: int = 1, photos: int = B) -> torch.Tensor:
    torch.manual_seed(seed)
    return (3 * torch.randn(photos, D)).requires_grad_()


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_has_the_librarys_value_and_gradient(name: str) -> None:
    ours, other = make(name), direct(name)
    one, two = batch(), batch()
    order = LABELS.argsort(stable=True) if name == "SmoothAPLoss" else torch.arange(B)
    value, expected = ours(LossInput(one, LABELS)), other(two[order], LABELS[order])
    value.backward()
    expected.backward()
    assert (value.shape, value.dtype) == ((), torch.float32)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(one.grad, two.grad)
    assert torch.equal(one, batch())  # nothing is changed in place
    parameters = list(ours.parameters())
    assert bool(parameters) == (name in OWN_CLASSES)
    for parameter, peer in zip(parameters, other.parameters(), strict=True):
        assert parameter.dtype == torch.float32
        torch.testing.assert_close(parameter.grad, peer.grad)


def training(name: str, **arguments: Any) -> TrainingState:
    loss = make(name, **arguments)
    model = FaceModel(TinyBackbone(), EmbeddingLayer(dim=D))
    optimizer = torch.optim.Adam(parameter_groups(model.backbone, model.embedding, loss), lr=0.01)
    return TrainingState(model, (LossTerm("pml", loss),), optimizer)


def steps(state: TrainingState, first: int, last: int) -> list[float]:
    losses = []
    for number in range(first, last):
        torch.manual_seed(100 + number)
        images = torch.randn(B, 3, 8, 8)
        done = train_step(state, Batch(images, LABELS, torch.zeros_like(LABELS), torch.arange(B)))
        losses.append(done.losses["pml"])
        for parameter in state.trained_parameters:
            assert parameter.grad.isfinite().all()
    return losses


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *((name, {}) for name in NAMES),
        ("MarginLoss", {"learn_beta": True, "nu": 0.1}),
        ("ContrastiveLoss", {"memory_size": 20}),
        ("MultiSimilarityLoss", {"memory_size": 20, "memory_miner": {"name": "MultiSimilarityMiner"}}),
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one(name: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    whole = training(name, **arguments)
    before = [parameter.detach().clone() for parameter in whole.losses[0].loss.parameters()]
    expected = steps(whole, 0, 6)
    assert all(math.isfinite(value) for value in expected)
    assert all(not torch.equal(now, then) for now, then in zip(whole.losses[0].loss.parameters(), before, strict=True))
    cut = training(name, **arguments)
    steps(cut, 0, 4)
    save_checkpoint(tmp_path / "last.pt", cut, "digest")
    resumed = training(name, **arguments)
    resumed.load_state_dict(read_checkpoint(tmp_path / "last.pt", "digest"))
    assert steps(resumed, 4, 6) == expected[4:]
    assert same_tensors(resumed.model, whole.model)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1, 2]], ids=["one photo", "one person", "no positive"])
def test_a_batch_without_pairs_is_finite_and_keeps_the_gradient(name: str, labels: list[int]) -> None:
    embeddings = batch(photos=len(labels))
    loss = make(name)(LossInput(embeddings, torch.tensor(labels)))
    loss.backward()
    assert loss.isfinite()
    assert embeddings.grad.isfinite().all()
    if name not in OWN_CLASSES and len(labels) == 1:
        assert loss.item() == 0


def test_nca_hides_no_nan_of_the_embeddings() -> None:
    loss = make("NCALoss")(LossInput(torch.full((3, D), torch.nan), torch.arange(3)))
    assert loss.isnan()


@pytest.mark.parametrize("name", NAMES)
def test_a_miners_pairs_change_the_loss_where_it_says_so(name: str) -> None:
    pairs = (torch.tensor([0, 1, 0]), torch.tensor([2, 3, 2]), torch.tensor([1, 4, 5]))
    mined, whole = (make(name)(LossInput(batch(), LABELS, pairs=found)) for found in (pairs, None))
    uses = PmlLoss.uses_pairs({"loss": name, "memory_size": 0})
    assert uses == (name not in pml.WITHOUT_PAIRS)
    assert (mined != whole) == uses
    if uses and name != "SmoothAPLoss":
        assert mined == direct(name)(batch(), LABELS, pairs)
    nothing = make(name)(LossInput(batch(), LABELS, pairs=(NONE,) * 4))
    assert nothing.isfinite()


def test_smooth_ap_knows_whose_photos_they_are_in_any_order() -> None:
    pairs = (torch.tensor([0, 1]), torch.tensor([2, 3]), torch.tensor([1, 4]))
    order = torch.tensor([3, 7, 0, 5, 1, 6, 4, 2])
    place = order.argsort()
    plain = make("SmoothAPLoss")(LossInput(batch(), LABELS, pairs=pairs))
    turned = LossInput(batch()[order], LABELS[order], pairs=tuple(place[indices] for indices in pairs))
    torch.testing.assert_close(make("SmoothAPLoss")(turned), plain)
    with pytest.raises(TrainingError) as caught:
        make("SmoothAPLoss")(LossInput(batch(photos=3), torch.tensor([0, 0, 1])))
    assert str(caught.value).startswith(
        "loss pml: SmoothAPLoss of pytorch-metric-learning cannot work on this batch of 3 photos (ValueError: All "
        "classes must have the same number of elements in the labels."
    )
    assert str(caught.value).endswith("Change its arguments, train.batch_size or the sampler.")


@pytest.mark.parametrize("name", ["ArcFaceLoss", "MultiSimilarityLoss"])
def test_float32_under_autocast_and_on_rounded_embeddings(name: str) -> None:
    loss, rounded = make(name), batch().detach().bfloat16()
    expected = loss(LossInput(rounded.float(), LABELS))
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(LossInput(rounded, LABELS)) == expected
    assert all(parameter.dtype == torch.float32 for parameter in loss.parameters())


PARTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "CosineSimilarity": ("TripletMarginLoss", {"distance": {}}, {"distance": distances.CosineSimilarity()}),
    "DotProductSimilarity": (
        "ContrastiveLoss",
        {"pos_margin": 1.0, "neg_margin": 0.0, "distance": {"normalize_embeddings": False}},
        {
            "pos_margin": 1.0,
            "neg_margin": 0.0,
            "distance": distances.DotProductSimilarity(normalize_embeddings=False),
        },
    ),
    "LpDistance": ("TripletMarginLoss", {"distance": {"p": 1.0}}, {"distance": distances.LpDistance(p=1)}),
    "SNRDistance": ("TripletMarginLoss", {"distance": {}}, {"distance": distances.SNRDistance()}),
    "AvgNonZeroReducer": (
        "TripletMarginLoss",
        {"reducer": {"high": 0.3}},
        {"reducer": reducers.AvgNonZeroReducer(high=0.3)},
    ),
    "ClassWeightedReducer": (
        "ArcFaceLoss",
        {"reducer": {"weights": [1.0, 2.0, 0.5, 0.0]}},
        {"reducer": reducers.ClassWeightedReducer(torch.tensor([1.0, 2.0, 0.5, 0.0]))},
    ),
    "DivisorReducer": ("MarginLoss", {"reducer": {}}, {"reducer": reducers.DivisorReducer()}),
    "MeanReducer": ("ContrastiveLoss", {"reducer": {}}, {"reducer": reducers.MeanReducer()}),
    "PerAnchorReducer": (
        "ContrastiveLoss",
        {"reducer": {"reducer": {"name": "SumReducer"}}},
        {"reducer": reducers.PerAnchorReducer(reducers.SumReducer())},
    ),
    "SumReducer": ("NCALoss", {"reducer": {}}, {"reducer": reducers.SumReducer()}),
    "ThresholdReducer": ("NCALoss", {"reducer": {"low": 1.5}}, {"reducer": reducers.ThresholdReducer(low=1.5)}),
    "CenterInvariantRegularizer": (
        "ArcFaceLoss",
        {"weight_regularizer": {}},
        {"weight_regularizer": regularizers.CenterInvariantRegularizer()},
    ),
    "LpRegularizer": (
        "ContrastiveLoss",
        {"embedding_regularizer": {"p": 1.0}, "embedding_reg_weight": 0.3},
        {"embedding_regularizer": regularizers.LpRegularizer(p=1), "embedding_reg_weight": 0.3},
    ),
    "RegularFaceRegularizer": (
        "CosFaceLoss",
        {"weight_regularizer": {}},
        {"weight_regularizer": regularizers.RegularFaceRegularizer()},
    ),
    "SparseCentersRegularizer": (
        "SoftTripleLoss",
        {"centers_per_class": 2, "weight_regularizer": {"centers_per_class": 2}},
        {"centers_per_class": 2, "weight_regularizer": regularizers.SparseCentersRegularizer(C, 2)},
    ),
    "ZeroMeanRegularizer": (
        "ContrastiveLoss",
        {"embedding_regularizer": {}},
        {"embedding_regularizer": regularizers.ZeroMeanRegularizer()},
    ),
}
EVERY_PART = [name for choice in pml.TABLES.values() for name in choice.signatures()]


@pytest.mark.parametrize("part", dict.fromkeys(EVERY_PART))
def test_every_distance_reducer_and_regularizer_does_what_the_librarys_own_does(part: str) -> None:
    name, arguments, objects = PARTS[part]
    arguments = {key: {"name": part, **value} if isinstance(value, dict) else value for key, value in arguments.items()}
    ours, one, two = make(name, **arguments), batch(), batch()
    value, expected = ours(LossInput(one, LABELS)), direct(name, **objects)(two, LABELS)
    value.backward()
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(one.grad, two.grad)
    if part != "DivisorReducer":  # MarginLoss has it anyway, and no other loss can
        assert value != make(name)(LossInput(one, LABELS))
    assert all(parameter.grad.isfinite().all() for parameter in ours.parameters())


@pytest.mark.parametrize("miner", [None, "MultiSimilarityMiner"])
def test_the_memory_is_the_librarys_also_where_the_queue_begins_anew(miner: str | None) -> None:
    named = None if miner is None else {"name": miner, "epsilon": 0.2}
    ours = make("ContrastiveLoss", memory_size=20, memory_miner=named)
    chooses = None if miner is None else MultiSimilarityMiner(epsilon=0.2)
    other = theirs.CrossBatchMemory(direct("ContrastiveLoss"), D, memory_size=20, miner=chooses)
    alone = make("ContrastiveLoss")
    for step in range(6):
        found, expected = ours(LossInput(batch(step), LABELS)), other(batch(step), LABELS)
        torch.testing.assert_close(found, expected)
        assert step == 0 or found != alone(LossInput(batch(step), LABELS))


def test_a_memory_looks_at_no_pairs_of_the_batch_and_at_no_photo_as_its_own_positive() -> None:
    assert not PmlLoss.uses_pairs({"loss": "ContrastiveLoss", "memory_size": 20})
    pairs = (torch.tensor([0]), torch.tensor([2]), torch.tensor([1]))
    mined, whole = (
        make("ContrastiveLoss", memory_size=8)(LossInput(batch(), LABELS, pairs=found)) for found in (pairs, None)
    )
    assert mined == whole
    lonely = make("NTXentLoss", memory_size=8, temperature=1.0)
    lonely(LossInput(batch(photos=2), torch.tensor([1, 2])))
    value = lonely(LossInput(batch(2, photos=1), torch.tensor([0])))  # a batch of one, and nobody else is on it
    assert value.item() == 0


@pytest.mark.parametrize("size", [1, 4])
def test_a_memory_that_cannot_work_is_refused(size: int) -> None:
    with pytest.raises(RecipeError, match=r"^loss pml: ArcFaceLoss has no use for a memory \(got memory_size 4\)\. "):
        make("ArcFaceLoss", memory_size=4)
    with pytest.raises(RecipeError) as caught:
        make("ContrastiveLoss", memory_size=size)(LossInput(batch(), LABELS))
    assert str(caught.value) == (
        f"loss pml: a batch of 8 photos does not fit into the memory (got memory_size {size}). "
        "Raise memory_size to several batches."
    )


def test_a_label_out_of_range_is_named() -> None:
    with pytest.raises(TrainingError, match=r"^loss pml: label 4 is none of the 4 classes"):
        make("ArcFaceLoss")(LossInput(torch.randn(1, D), torch.tensor([4])))


def defaults(name: str, **arguments: Any) -> dict[str, Any]:
    """What a recipe that names a loss holds after its check."""
    parameters = pml.LOSSES.signatures()[name].parameters.values()
    known = {it.name: it.default for it in parameters if it.default is not it.empty}
    return {"loss": name, "memory_size": 0, "arguments": {**known, **REQUIRED.get(name, {}), **arguments}}


def ordinary_batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings as ReLU leaves them, of five people whose photos lie among each other."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(5), 4)
    values = np.abs(rng.normal(size=(20, 48)) + 0.4 * rng.normal(size=(5, 48))[labels])
    return torch.tensor(values, dtype=torch.float32, requires_grad=True), torch.tensor(labels)


def says(name: str, distance: str | None) -> str:
    """What three other batches than the one of the trial say of a loss of the library itself: "", "zero" or "fails"."""
    sizes = {"num_classes": 5, "embedding_size": 48, "descriptors_dim": 48}
    own = {key: value for key, value in sizes.items() if key in pml._parameters(getattr(theirs, name))}
    chosen = {} if distance is None else {"distance": getattr(distances, distance)()}
    found = set()
    for seed in range(3):
        embeddings, labels = ordinary_batch(seed)
        try:
            torch.manual_seed(seed)
            loss = getattr(theirs, name)(**own, **REQUIRED.get(name, {}), **chosen)
        except Exception:
            return ""  # it does not take the distance, and is refused where it is made
        order = labels.argsort(stable=True)
        try:
            value = loss(embeddings[order], labels[order])
        except Exception:
            found.add("fails")
            continue
        (gradient,) = torch.autograd.grad(value, embeddings)
        found.add("" if gradient.any() else "zero")
    (same,) = found
    return str(same)


PAIRS = [
    (name, distance)
    for name in NAMES
    for distance in (None, *pml.TABLES["distance"].signatures())
    if distance is None or "distance" in pml.LOSSES.signatures()[name].parameters
]


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_all_pairs_of_loss_and_distance_that_train_nothing_are_known_by_trying() -> None:
    ours, other = {}, {}
    for name, distance in PAIRS:
        given = defaults(name, **({} if distance is None else {"distance": {"name": distance}}))
        said = " ".join(PmlLoss.cautions(given))
        ours[name, distance] = (
            "zero" if "without any gradient" in said else "fails" if "fails on a trial" in said else ""
        )
        assert bool(said) == bool(ours[name, distance])
        other[name, distance] = says(name, distance)
    assert ours == other
    assert {pair: said for pair, said in ours.items() if said} == {
        ("ContrastiveLoss", "CosineSimilarity"): "zero",
        ("ContrastiveLoss", "DotProductSimilarity"): "zero",
        ("HistogramLoss", "LpDistance"): "fails",
        ("HistogramLoss", "SNRDistance"): "fails",
    }
    assert len(PAIRS) > 130


def test_the_trial_says_what_is_wrong_and_what_to_do() -> None:
    cosine = {"name": "CosineSimilarity"}
    (said,) = PmlLoss.cautions(defaults("ContrastiveLoss", distance=cosine))
    assert said == (
        "ContrastiveLoss with the distance CosineSimilarity gives 0 without any gradient on a trial batch of photos "
        "that it should tell apart (cosines 0.11 to 0.70): it would train nothing. With a similarity pos_margin lies "
        "above neg_margin, with a distance below it (got pos_margin 0.0, neg_margin 1.0)."
    )
    swapped = defaults("ContrastiveLoss", distance=cosine, pos_margin=1.0, neg_margin=0.2)
    assert PmlLoss.cautions(swapped) == []
    assert PmlLoss.cautions(defaults("ContrastiveLoss", pos_margin=2.0, neg_margin=0.0)) != []  # no distance is larger
    regularized = defaults("ContrastiveLoss", distance=cosine, embedding_regularizer={"name": "LpRegularizer"})
    assert PmlLoss.cautions(regularized) == [said]
    nothing_left = defaults("TripletMarginLoss", reducer={"name": "ThresholdReducer", "low": 1e6})
    (other,) = PmlLoss.cautions(nothing_left)
    assert other.endswith("Change its arguments; metricface show loss pml lists what there is.")


def test_the_trial_draws_from_no_generator_and_needs_no_data() -> None:
    assert isinstance(PmlLoss, HasCautions)
    before = torch.get_rng_state()
    PmlLoss.cautions(defaults("ProxyAnchorLoss"))
    assert torch.equal(before, torch.get_rng_state())
    weighted = {"name": "ClassWeightedReducer", "weights": [1.0, 2.0]}
    assert PmlLoss.cautions(defaults("NCALoss", reducer=weighted)) == []  # weights of people whom nobody knows yet
    assert PmlLoss.cautions({"loss": "NCALoss", "memory_size": 0, "arguments": None}) == []


def test_the_photos_of_the_trial_overlap() -> None:
    features, labels = _pml_trial.trial_batch()
    cosines = F.normalize(features) @ F.normalize(features).T
    same, lone = labels[:, None] == labels[None], torch.eye(len(labels), dtype=torch.bool)
    assert cosines[~same].max() > cosines[same & ~lone].min() > 0


def betas(loss: PmlLoss) -> torch.Tensor:
    (parameter,) = loss.parameters()
    return parameter


def test_margin_loss_learns_one_beta_unless_the_recipe_asks_for_more() -> None:
    ours, one, two = make("MarginLoss", learn_beta=True, nu=0.1), batch(), batch()
    own = theirs.MarginLoss(learn_beta=True, nu=0.1)
    assert betas(ours).shape == own.beta.shape == (1,)
    for loss, value in ((ours, ours(LossInput(one, LABELS))), (own, own(two, LABELS))):
        value.backward()
        assert next(loss.parameters()).grad.any()
    torch.testing.assert_close(betas(ours).grad, own.beta.grad)
    torch.testing.assert_close(one.grad, two.grad)
    assert not list(make("MarginLoss").parameters())
    each = make("MarginLoss", learn_beta=True, beta_per_class=True)
    assert betas(each).shape == theirs.MarginLoss(learn_beta=True, num_classes=C).beta.shape == (C,)
    assert make("MarginLoss", beta_per_class=True)(LossInput(batch(), LABELS)).isfinite()


@pytest.mark.parametrize("memory_size", [0, 20])
def test_a_run_with_a_beta_for_each_class_goes_on_with_them(memory_size: int, tmp_path: Path) -> None:
    arguments = {"learn_beta": True, "nu": 0.1, "memory_size": memory_size}
    whole = training("MarginLoss", beta_per_class=True, **arguments)
    steps(whole, 0, 3)
    save_checkpoint(tmp_path / "last.pt", whole, "digest")
    expected = steps(whole, 3, 5)
    resumed = training("MarginLoss", **arguments)  # its recipe is from before there was a key for it
    resumed.load_state_dict(read_checkpoint(tmp_path / "last.pt", "digest"))
    assert betas(resumed.losses[0].loss).shape == (C,)
    assert steps(resumed, 3, 5) == expected
