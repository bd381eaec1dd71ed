"""What a run is made of, written into its record when it begins or goes on."""

from __future__ import annotations

import torch

from metricface import __version__
from metricface.build.experiment import Experiment
from metricface.machine import device_name, versions
from metricface.runs.folder import RunFolder, now


def record_parts(folder: RunFolder, experiment: Experiment, *, fresh: bool) -> None:
    """Write down what the run is made of; `fresh`: it does not go on from a checkpoint."""
    folder.write_record(
        **({"started": now()} if fresh else {}),
        metricface=__version__,
        components=[
            {"kind": part.kind, "name": part.name, "distribution": part.distribution, "version": part.version}
            for part in experiment.recipe.components()
        ],
        versions=versions(),
        device=device_name(experiment.state.device),
        threads=torch.get_num_threads(),
        steps_per_epoch=len(experiment.loader),
        precision=experiment.state.precision.to_dict(),
        notices=list(experiment.notices),
    )


def other_threads(folder: RunFolder) -> str:
    """Return what to tell where a run goes on with another number of threads than it is recorded to have; "" if not."""
    before, threads = folder.record().get("threads"), torch.get_num_threads()
    if before is None or before == threads:  # older runs have no record of it
        return ""
    return (
        f"train.threads: this run computed with {before} before and goes on with {threads}, so the last digits of its "
        f"figures may differ. To go on as before, stop it and set OMP_NUM_THREADS={before}."
    )
