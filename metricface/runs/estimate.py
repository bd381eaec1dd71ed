"""How long a training will take, before it begins: `metricface run --dry-run`."""

from __future__ import annotations

import time
from itertools import islice

import torch

from metricface.build.experiment import Experiment
from metricface.runs.blame import named
from metricface.runs.run import course_of
from metricface.training.pace import Pace, about
from metricface.training.step import train_step

_STEPS = 4  # the first one warms up
_ENOUGH = 4.0  # seconds after which no further step is begun


def estimate(experiment: Experiment) -> tuple[float, str]:
    """Return the seconds of training with its evaluations, and the same in words with what it is based on.

    It trains a few steps, so the experiment is not fit for a run any more.

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
        return 0.0, "nothing to train"
    evaluated = len(experiment.calibration or experiment.val) * course.evaluations_from(1)
    evaluating = evaluated * _seconds_per_photo(experiment, batch.images) if experiment.evaluators else 0.0
    seconds = course.total * pace.seconds_per_step + evaluating
    steps = f"{max(pace.timed, 1)} timed step{'s' * (pace.timed > 1)}"
    return seconds, f"{about(seconds)} on {course.device} (by {steps} and a timed forward pass for the evaluations)"


def _seconds_per_photo(experiment: Experiment, images: torch.Tensor) -> float:
    """Return the seconds that the model takes for a photo, from a batch of images (B, 3, S, S)."""
    model, started = experiment.state.evaluated_model.eval(), time.monotonic()
    with torch.inference_mode():
        model(images.to(experiment.state.device)).cpu()
    return (time.monotonic() - started) / len(images)
