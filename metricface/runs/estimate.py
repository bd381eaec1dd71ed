"""How long a training will take and how much memory, before it begins: `metricface run --dry-run`."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

import torch

from metricface.build.experiment import Experiment
from metricface.machine import memory_taken, peak_memory
from metricface.runs.blame import named
from metricface.runs.run import course_of
from metricface.training.pace import Pace, about
from metricface.training.step import train_step

_STEPS = 4  # the first one warms up
_ENOUGH = 4.0  # seconds after which no further step is begun


def estimate(experiment: Experiment) -> dict[str, Any]:
    """Return what training with its evaluations will take, in numbers and in words with what they are based on.

    That is `training_seconds`, `training_takes`, `memory_bytes` (None where the system does not say) and `memory`. It
    trains a few steps, so the experiment is not fit for a run any more.

    Raises:
        TrainingError: a loss is not finite in these steps.
    """
    state, course = experiment.state, course_of(experiment)
    pace, started = Pace(course), time.monotonic()
    state.model.train()
    batch = None
    with named(experiment):
        for batch in islice(experiment.loader.epoch(0), _STEPS):
            train_step(state, batch)
            pace.add(state.step, time.monotonic() - started)
            if time.monotonic() - started > _ENOUGH:
                break
    if batch is None or pace.seconds_per_step is None:
        return {"training_seconds": 0.0, "training_takes": "nothing to train"}
    evaluated = len(experiment.calibration or experiment.val) * course.evaluations_from(1)
    evaluating = evaluated * _seconds_per_photo(experiment, batch.images) if experiment.evaluators else 0.0
    seconds = course.total * pace.seconds_per_step + evaluating
    steps = f"{max(pace.timed, 1)} timed step{'s' * (pace.timed > 1)}"
    based = f"(by {steps} and a timed forward pass for the evaluations)"
    decoded = sum(photos.nbytes for photos in (experiment.train, experiment.val, experiment.calibration) if photos)
    return {
        "training_seconds": round(seconds, 1),
        "training_takes": f"{about(seconds)} on {course.device} {based}",
        "memory_bytes": peak_memory(),
        "memory": f"{memory_taken() or 'unknown'} (by these steps), {decoded / 2**30:.1f} GiB of it decoded photos",
    }


def _seconds_per_photo(experiment: Experiment, images: torch.Tensor) -> float:
    """Return the seconds that the model takes for a photo, from a batch of images (B, 3, S, S)."""
    model, started = experiment.state.evaluated_model.eval(), time.monotonic()
    with torch.inference_mode():
        model(images.to(experiment.state.device)).cpu()
    return (time.monotonic() - started) / len(images)
