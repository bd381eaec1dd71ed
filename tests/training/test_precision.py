from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from metricface.training.precision import Precision, decide_precision

CPU = torch.device("cpu")
IMAGES = torch.randn(4, 3, 8, 8)


class Pretend(nn.Module):
    """Sleeps, and answers, depending on whether autocast is on."""

    def __init__(self, seconds_fp32: float, seconds_bf16: float, factor_bf16: float = 1.0) -> None:
        super().__init__()
        self.seconds = {False: seconds_fp32, True: seconds_bf16}
        self.weight = nn.Parameter(torch.ones(3, 2))
        self.factor = factor_bf16
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        reduced = torch.is_autocast_enabled("cpu")
        time.sleep(self.seconds[reduced])
        self.calls += 1
        embeddings = images.mean((2, 3)).float() @ self.weight.float()
        return embeddings * (self.factor if reduced else 1.0)


def test_bf16_is_kept_where_it_is_faster_and_right_and_the_model_is_left_alone() -> None:
    model = Pretend(0.02, 0.002)
    decided = decide_precision("bf16", model, CPU, IMAGES)
    assert decided.name == "bf16"
    assert decided.reason.startswith("bf16: ")
    assert "times the speed of fp32, mean cosine to its embeddings 1.0000" in decided.reason
    assert model.calls == 0
    assert model.weight.grad is None


def test_bf16_is_dropped_where_it_is_slower_or_wrong_and_the_reason_is_told() -> None:
    slower = decide_precision("bf16", Pretend(0.002, 0.02), CPU, IMAGES)
    assert (slower.name, "bf16 does not pay on this machine (0." in slower.reason) == ("fp32", True)
    wrong = decide_precision("bf16", Pretend(0.02, 0.002, factor_bf16=-1.0), CPU, IMAGES)
    assert (wrong.name, "bf16 is wrong on this machine" in wrong.reason) == ("fp32", True)
    broken = decide_precision("bf16", Pretend(0.02, 0.002, factor_bf16=float("nan")), CPU, IMAGES)
    assert broken.name == "fp32"


def test_chance_in_training_mode_is_not_taken_for_a_wrong_result() -> None:
    model = nn.Sequential(nn.Dropout(0.9), Pretend(0.02, 0.002), nn.BatchNorm1d(2)).train()
    torch.manual_seed(0)
    assert decide_precision("bf16", model, CPU, IMAGES).name == "bf16"
    assert model[0].training


def test_a_model_that_is_frozen_whole_is_measured_too() -> None:
    assert decide_precision("bf16", Pretend(0.02, 0.002).requires_grad_(False), CPU, IMAGES).name == "bf16"


def test_fp16_without_cuda_falls_back_aloud() -> None:
    assert decide_precision("fp16", Pretend(0, 0), CPU, IMAGES).reason == (
        "fp32: fp16 needs CUDA and this run is on cpu"
    )
    assert decide_precision("fp32", Pretend(0, 0), CPU, IMAGES) == Precision()


class Counted(Pretend):
    """Counts the photos of each pass in a list that copies share."""

    def __init__(self, seconds_fp32: float, seconds_bf16: float) -> None:
        super().__init__(seconds_fp32, seconds_bf16)
        self.photos = Shared()

    def forward(self, images: Tensor) -> Tensor:
        self.photos.append((torch.is_autocast_enabled("cpu"), len(images)))
        return super().forward(images)


class Shared(list[tuple[bool, int]]):
    def __deepcopy__(self, memo: object) -> Shared:
        return self


def test_a_hopeless_precision_is_given_up_after_two_photos() -> None:
    model = Counted(0.002, 0.1)
    decided = decide_precision("bf16", model, CPU, IMAGES)
    assert (decided.name, {photos for _, photos in model.photos}) == ("fp32", {2})
    assert sum(reduced for reduced, _ in model.photos) == 2
    assert decided.reason.endswith(" times the speed of fp32 on two photos, more were not tried)")


def test_a_first_pass_that_is_slow_to_begin_is_not_taken_for_hopeless() -> None:
    class SlowToBegin(Counted):
        def forward(self, images: Tensor) -> Tensor:
            if torch.is_autocast_enabled("cpu") and not any(reduced for reduced, _ in self.photos):
                time.sleep(0.3)
            return super().forward(images)

    assert decide_precision("bf16", SlowToBegin(0.02, 0.002), CPU, IMAGES).name == "bf16"


@pytest.mark.parametrize(("seconds", "name"), [((0.02, 0.002), "bf16"), ((0.002, 0.02), "fp32")])
def test_what_was_measured_on_this_machine_is_not_measured_again(seconds: tuple[float, float], name: str) -> None:
    first = decide_precision("bf16", Counted(*seconds), CPU, IMAGES, conditions={"backbone": "a"})
    model = Counted(*seconds)
    again = decide_precision("bf16", model, CPU, IMAGES, conditions={"backbone": "a"})
    assert (again.name, model.photos) == (first.name, []) == (name, [])
    assert again.reason == f"{name}: measured before on this machine: {first.reason.removeprefix(f'{name}: ')}"
    for changed in ({"backbone": "b"}, None):
        model = Counted(*seconds)
        decide_precision("bf16", model, CPU, IMAGES, conditions=changed)
        assert model.photos
    model = Counted(*seconds)
    decide_precision("bf16", model, CPU, IMAGES[:3], conditions={"backbone": "a"})
    assert model.photos


@pytest.mark.parametrize("found", [{"name": "fp16", "reason": "x"}, {"name": "bf16"}, {"name": [], "reason": "x"}])
def test_a_stored_decision_that_is_none_is_measured_again(found: object, nothing_measured_before: Path) -> None:
    decide_precision("bf16", Counted(0.02, 0.002), CPU, IMAGES, conditions={})
    (path,) = nothing_measured_before.rglob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "found": found}))
    decided = decide_precision("bf16", Counted(0.02, 0.002), CPU, IMAGES, conditions={})
    assert decided.name == "bf16"
    assert "before" not in decided.reason


def test_a_run_draws_the_same_numbers_whether_it_was_measured_or_known() -> None:
    class Drops(Pretend):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(nn.functional.dropout(images, 0.5))

    torch.manual_seed(0)
    before = torch.get_rng_state()
    decide_precision("bf16", Drops(0.02, 0.002), CPU, IMAGES, conditions={})
    assert torch.equal(before, torch.get_rng_state())
