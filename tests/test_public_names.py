from __future__ import annotations

import subprocess
import sys

import pytest

import metricface


def test_every_public_name_is_there() -> None:
    for name in metricface.__all__:
        assert getattr(metricface, name) is not None
    assert dir(metricface) == sorted(metricface.__all__)
    with pytest.raises(AttributeError, match="module 'metricface' has no attribute 'nothing'"):
        _ = metricface.nothing


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, metricface; print({'torch', 'numpy', 'cv2'} & set(sys.modules), len(metricface.__version__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set() 5\n"
