"""Whether a component refuses what it cannot use, in words for its user."""

from __future__ import annotations

from collections.abc import Callable

from metricface.errors import MetricFaceError
from metricface.testing.engine import Violation


def must_refuse(call: Callable[[], object], case: str, *, naming: str = "") -> None:
    """Refuse a call that gives a result, or ends in anything but a MetricFaceError whose text has `naming`."""
    try:
        call()
    except MetricFaceError as error:
        if naming not in str(error):
            raise Violation(f"{case}: the error does not name {naming} ({error})") from None
        return
    except Exception as error:
        text = " ".join(str(error).split())
        raise Violation(f"{case}: raises {type(error).__name__} ({text}), no MetricFaceError") from error
    raise Violation(f"{case}: is not refused")
