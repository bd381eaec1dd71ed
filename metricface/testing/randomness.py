"""The global random number generators: seeding them for one piece of work, and seeing that nothing drew from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from metricface.testing.engine import Violation


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Seed every global generator, and put each back as it was; torch's is that of the CPU, where the kit runs."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _states() -> Mapping[str, Any]:
    numpy: Any = np.random.get_state(legacy=False)
    return {
        "random": random.getstate(),
        "numpy.random": (numpy["state"]["key"].tolist(), numpy["state"]["pos"], numpy["has_gauss"], numpy["gauss"]),
        "torch": torch.get_rng_state().tolist(),
    }


def draws_nothing(call: Callable[[], object], case: str) -> None:
    """Refuse a call that draws from a global generator, or seeds one."""
    with seeded():
        before = _states()
        call()
        after = _states()
    for name, state in before.items():
        if after[name] != state:
            raise Violation(f"{case}: the global generator of {name} is in another state afterwards")
