from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from support.fakes import PREPROCESSING, InOrder, MemoryDataset, StagedBackbone, TinyBackbone, same_tensors
from torch import Tensor, nn

from metricface.contracts import HeadOutput, LossInput, View
from metricface.contracts.results import Reading, Result, Value
from metricface.data.loader import TrainLoader
from metricface.data.photos import Photos
from metricface.errors import Interrupted, TrainingError
from metricface.model.embedding_layer import EmbeddingLayer
from metricface.model.face_model import FaceModel
from metricface.training.checkpoint import read_checkpoint
from metricface.training.interruption import Interruption
from metricface.training.journal import Journal, read_journal
from metricface.training.parameters import backbone_groups, parameter_groups
from metricface.training.precision import Precision
from metricface.training.state import Best, LossTerm, StepDone, TrainingState
from metricface.training.step import train_step
from metricface.training.trainer import Plan, fit


class LinearHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, embeddings: Tensor, labels: Tensor | None = None) -> HeadOutput:
        return HeadOutput(self.layer(embeddings), labels)


def cross_entropy(given: LossInput) -> Tensor:
    return F.cross_entropy(given.logits, given.targets)


def brighten(view: View, rng) -> View:
    return View(((view.image // 2) + rng.integers(0, 100)).astype("uint8"), view.condition)


def make_state() -> TrainingState:
    torch.manual_seed(3)
    model, head = FaceModel(TinyBackbone(), EmbeddingLayer(dim=6)), LinearHead()
    optimizer = torch.optim.AdamW(parameter_groups(model.backbone, model.embedding, head), lr=0.05)
    return TrainingState(
        model,
        (LossTerm("cross-entropy", cross_entropy),),
        optimizer,
        schedule=lambda step: 0.9**step,
        head=head,
        ema=0.9,
        gradient_clip=1.0,
    )


def make_loader(workers: int = 0) -> TrainLoader:
    photos = Photos(MemoryDataset(), PREPROCESSING, 1 << 30)
    return TrainLoader(photos, InOrder(24, 5), [brighten], PREPROCESSING, batch_size=5, seed=7, workers=workers)


def norm_result(state: TrainingState) -> Mapping[str, Result]:
    value = float(sum(parameter.detach().abs().sum() for parameter in state.evaluated_model.parameters()))
    return {"size": Result((Reading("", {"norm": Value(value, 1)}),))}


def checkpoints(folder: Path) -> tuple[Path, Path]:
    return folder / "last.pt", folder / "best.pt"


def journal_in(folder: Path, state: TrainingState) -> Journal:
    return Journal(folder / "metrics.jsonl", folder / "times.jsonl", state)


def run(folder: Path, state: TrainingState, *observers, epochs: int = 3, **plan) -> None:
    folder.mkdir(exist_ok=True)
    with Interruption() as interruption:
        fit(
            state,
            make_loader(),
            norm_result,
            Plan(epochs, *checkpoints(folder), "digest", **plan),
            interruption,
            (journal_in(folder, state), *observers),
        )


@pytest.mark.parametrize("stop_at", [1, 4, 5, 7, 14])
def test_an_interrupted_run_goes_on_to_the_same_weights_and_the_same_journal(tmp_path: Path, stop_at: int) -> None:
    whole = make_state()
    run(tmp_path / "whole", whole)

    def ctrl_c(event) -> None:
        if isinstance(event, StepDone) and event.step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        run(tmp_path / "cut", make_state(), ctrl_c)
    assert caught.value.exit_code == 130
    resumed = make_state()
    resumed.load_state_dict(read_checkpoint(tmp_path / "cut" / "last.pt", "digest"))
    assert resumed.step == stop_at
    run(tmp_path / "cut", resumed)
    assert same_tensors(resumed.model, whole.model)
    assert same_tensors(resumed.evaluated_model, whole.evaluated_model)
    journals = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert journals[0] == journals[1]
    assert len(journals[0].splitlines()) == 3 * 5 + 3


def test_a_signal_in_an_evaluation_keeps_the_epoch_and_sigterm_ends_with_143(tmp_path: Path) -> None:
    state = make_state()
    tmp_path.joinpath("run").mkdir()

    def stop(_state: TrainingState):
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the signal was not heard")

    with Interruption() as interruption, pytest.raises(Interrupted) as caught:
        fit(state, make_loader(), stop, Plan(3, *checkpoints(tmp_path / "run"), "digest"), interruption)
    assert caught.value.exit_code == 143
    saved = read_checkpoint(tmp_path / "run" / "last.pt", "digest")
    assert saved["counters"] == {"step": 5, "epoch": 0, "position": 5}


def test_lines_of_steps_after_the_checkpoint_are_dropped_and_half_a_line_is_no_obstacle(tmp_path: Path) -> None:
    run(tmp_path / "run", make_state(), epochs=1)
    metrics = tmp_path / "run" / "metrics.jsonl"
    before = metrics.read_text()
    later = {"event": "step", "step": 6, "epoch": 1, "losses": {}, "grad_norm": 1.0, "learning_rate": 0.1}
    metrics.write_text(before + json.dumps(later) + '\n{"event": "st')
    state = make_state()
    state.load_state_dict(read_checkpoint(tmp_path / "run" / "last.pt", "digest"))
    journal_in(tmp_path / "run", state)
    assert metrics.read_text() == before
    assert [event["event"] for event in read_journal(metrics)] == ["step"] * 5 + ["evaluated"]


def test_the_best_epoch_is_kept_and_evaluations_follow_the_plan(tmp_path: Path) -> None:
    values = iter([0.2, 0.9, 0.5])

    def evaluate(_state: TrainingState):
        return {"size": Result((Reading("", {"norm": Value(next(values), 1)}),))}

    state = make_state()
    plan = Plan(
        5, *checkpoints(tmp_path), "digest", evaluate_every=2, select=lambda results: results["size"].metric("norm")
    )
    with Interruption() as interruption:
        fit(state, make_loader(), evaluate, plan, interruption)
    assert state.best == Best(epoch=3, value=0.9)  # epochs 2, 4 and the last one are evaluated
    assert read_checkpoint(plan.best, "digest")["counters"]["epoch"] == 3


def judged(values: list[float]):
    """An evaluation whose figure is that of the epoch, and the selection of it."""

    def evaluate(state: TrainingState) -> Mapping[str, Result]:
        return {"size": Result((Reading("", {"norm": Value(values[state.epoch], 1)}),))}

    return evaluate, lambda results: results["size"].metric("norm")


@pytest.mark.parametrize(
    ("values", "every", "epochs_done"),
    [
        ([0.2, 0.9, 0.5, 0.9, 1.0, 1.0], 1, 4),  # as good is no better
        ([0.2, 0.9, 0.5, 0.95, 0.9, 0.9], 1, 6),  # a better one starts the count anew
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], 2, 6),  # epochs 2, 4 and 6 are evaluated: the last is the second without
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], 1, 3),
    ],
)
def test_training_stops_after_two_evaluations_without_a_better_figure(
    tmp_path: Path, values: list[float], every: int, epochs_done: int
) -> None:
    evaluate, select = judged(values)
    plan = Plan(6, *checkpoints(tmp_path), "digest", evaluate_every=every, select=select, patience=2)
    state = make_state()
    with Interruption() as interruption:
        fit(state, make_loader(), evaluate, plan, interruption)
        assert (state.epoch, state.step) == (epochs_done, 5 * epochs_done)
        again = make_state()
        again.load_state_dict(read_checkpoint(plan.last, "digest"))
        fit(again, make_loader(), lambda state: pytest.fail("it was at its end"), plan, interruption)
    assert again.step == state.step


@pytest.mark.parametrize("stop_at", [7, 10, 14, 15, "evaluation"])
def test_a_run_that_stops_early_stops_at_the_same_epoch_when_it_was_interrupted(tmp_path: Path, stop_at) -> None:
    def train(folder: Path, state: TrainingState, *observers, evaluating=None) -> None:
        folder.mkdir(exist_ok=True)
        evaluate, select = judged([0.2, 0.9, 0.5, 0.6, 0.99])
        plan = Plan(5, *checkpoints(folder), "digest", select=select, patience=2)
        with Interruption() as interruption:
            fit(
                state,
                make_loader(),
                evaluating or evaluate,
                plan,
                interruption,
                (journal_in(folder, state), *observers),
            )

    def ctrl_c(event) -> None:
        if isinstance(event, StepDone) and event.step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    def stop_in_the_last_evaluation(state: TrainingState) -> Mapping[str, Result]:
        if state.epoch == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return judged([0.2, 0.9, 0.5, 0.6, 0.99])[0](state)

    whole, resumed = make_state(), make_state()
    train(tmp_path / "whole", whole)
    in_evaluation = stop_in_the_last_evaluation if stop_at == "evaluation" else None
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", make_state(), ctrl_c, evaluating=in_evaluation)
    resumed.load_state_dict(read_checkpoint(tmp_path / "cut" / "last.pt", "digest"))
    train(tmp_path / "cut", resumed)
    assert (whole.epoch, whole.best) == (resumed.epoch, resumed.best) == (4, Best(1, 0.9))
    assert same_tensors(resumed.model, whole.model)
    journals = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert journals[0] == journals[1]


def test_model_and_head_are_averaged_alike() -> None:
    state = make_state()
    averages = {}
    for number, batch in enumerate(make_loader().epoch(0), 1):
        train_step(state, batch)
        parts = {"model": state.model.state_dict(), "head": state.head.state_dict()}
        for part, tensors in parts.items():
            for name, value in tensors.items():
                if value.is_floating_point():
                    decay = min(0.9, 1 - number ** (-2 / 3))  # of timm's ModelEmaV3: its warm-up begins at 0
                    before = averages.get((part, name), torch.zeros(()))
                    averages[part, name] = decay * before + (1 - decay) * value.double()
    found = {"model": state.evaluated_model.state_dict(), "head": state.evaluated_head.state_dict()}
    for (part, name), expected in averages.items():
        torch.testing.assert_close(found[part][name].double(), expected, atol=1e-6, rtol=1e-5)
    assert not torch.equal(found["head"]["layer.weight"], state.head.layer.weight)


def staged_state(precision: str) -> TrainingState:
    torch.manual_seed(3)
    model, head = FaceModel(StagedBackbone(), EmbeddingLayer(dim=6)), LinearHead()
    model.freeze(1)
    groups = [*backbone_groups(model.backbone, scale=0.5, layer_decay=0.1), *parameter_groups(model.embedding, head)]
    return TrainingState(
        model,
        (LossTerm("cross-entropy", cross_entropy),),
        torch.optim.AdamW(groups, lr=0.05),
        schedule=lambda step: 0.9**step,
        head=head,
        ema=0.9,
        precision=Precision(precision),
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_frozen_stages_stay_to_the_bit_through_training_evaluation_and_resuming(tmp_path: Path, precision: str) -> None:
    before = staged_state(precision).model.backbone.stem
    whole, resumed = staged_state(precision), staged_state(precision)
    run(tmp_path / "whole", whole)

    def ctrl_c(event) -> None:
        if isinstance(event, StepDone) and event.step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        run(tmp_path / "cut", staged_state(precision), ctrl_c)
    resumed.load_state_dict(read_checkpoint(tmp_path / "cut" / "last.pt", "digest"))
    run(tmp_path / "cut", resumed)
    assert same_tensors(resumed.model, whole.model)
    assert same_tensors(resumed.evaluated_model, whole.evaluated_model)
    assert (tmp_path / "whole" / "metrics.jsonl").read_text() == (tmp_path / "cut" / "metrics.jsonl").read_text()
    for model in (whole.model, whole.evaluated_model):
        assert same_tensors(model.backbone.stem, before)
        assert not torch.equal(model.backbone.middle[1].running_mean, torch.zeros(5))
    frozen = set(map(id, whole.model.backbone.stem.parameters()))
    assert not frozen & set(map(id, whole.trained_parameters))


def test_workers_change_nothing() -> None:
    alone, helped = list(make_loader(0).epoch(1)), list(make_loader(2).epoch(1, start=0))
    assert len(alone) == len(helped) == 5
    for ours, theirs in zip(alone, helped, strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.indices, theirs.indices)
    assert torch.equal(next(make_loader().epoch(1, start=3)).images, alone[3].images)


def test_a_loss_that_is_not_finite_is_refused_before_the_update() -> None:
    state = make_state()
    state.losses = (LossTerm("cross-entropy", lambda given: given.embeddings.sum() * float("nan")),)
    before = [parameter.detach().clone() for parameter in state.trained_parameters]
    batch = next(iter(make_loader().epoch(0)))
    with pytest.raises(TrainingError) as caught:
        train_step(state, batch)
    numbers = [f"number {index}" for index in batch.indices.tolist()]
    listed = ", ".join(numbers[:8]) + (f" and {len(numbers) - 8} more" if len(numbers) > 8 else "")
    assert str(caught.value) == (  # in fp32 already, so that there is nothing to be gained by it
        "step 0: loss 'cross-entropy' is nan, nothing was updated. Lower optimizer.lr, or look at the photos of the "
        f"batch: {listed}."
    )
    assert all(torch.equal(a, b) for a, b in zip(before, state.trained_parameters, strict=True))


def test_a_gradient_that_is_not_finite_is_refused_before_the_update() -> None:
    state = make_state()
    state.losses = (LossTerm("root", lambda given: (given.embeddings.sum() * 0).sqrt()),)
    batch = next(iter(make_loader().epoch(0)))
    state.set_precision(Precision("bf16"))
    with pytest.raises(TrainingError) as caught:
        train_step(state, batch)
    assert str(caught.value).startswith(
        "step 0: the gradient is not finite. Lower optimizer.lr, use train.precision fp32 (it is bf16), or look at the "
        "photos of the batch: number "
    )


def test_the_gradient_is_clipped_and_its_norm_before_that_is_told() -> None:
    state = make_state()
    state.gradient_clip = 1e-3
    state.losses = (LossTerm("big", lambda given: 1e3 * given.embeddings.square().sum()),)
    done = train_step(state, next(iter(make_loader().epoch(0))))
    total = torch.stack([p.grad.norm() for p in state.trained_parameters if p.grad is not None]).norm()
    assert done.grad_norm > 1
    assert float(total) == pytest.approx(1e-3, rel=1e-3)


def test_decay_is_for_weights_alone_and_a_part_may_bring_its_own_groups() -> None:
    class Own(LinearHead):
        def parameter_groups(self):
            return [{"params": list(self.parameters()), "lr": 7.0}]

    model = FaceModel(TinyBackbone(), EmbeddingLayer(dim=6))
    groups = parameter_groups(model.backbone, model.embedding, Own(), object(), None)
    assert [group.get("weight_decay") for group in groups] == [None, 0.0, None, 0.0, None]
    assert [parameter.ndim for group in groups[:2] for parameter in group["params"]] == [2, 1]
    assert groups[-1]["lr"] == 7.0


@pytest.mark.parametrize("damage", [b"\xff\xfe\n", b"{]\n", b"[]\n"], ids=["bytes", "no JSON", "no table"])
def test_a_damaged_journal_is_told_of_in_one_line_with_the_way_out(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(damage)
    with pytest.raises(TrainingError) as caught:
        journal_in(tmp_path, make_state())
    assert str(caught.value).startswith(f"{path}: is damaged (")
    assert "Move it away and go on with --resume" in str(caught.value)
    assert path.read_bytes() == damage
