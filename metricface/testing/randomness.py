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
    """Seed every global generator, and put each back as it was."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _states() -> Mapping[str, Any]:
    return {
        "random": random.getstate(),
        "numpy.random": [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
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
