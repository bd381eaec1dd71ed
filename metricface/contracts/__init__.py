"""The contracts between the engine and its components. Nothing here imports torch or numpy at run time."""

from metricface.contracts.data import *  # noqa: F403
