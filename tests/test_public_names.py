from __future__ import annotations

import subprocess
import sys

import pytest

import metricface


def test_every_public_name_is_there() -> None:
    names = dir(metricface)
    assert {"load_recipe", "load_model", "LossInput", "__version__"} <= set(names)
    for name in names:
        assert getattr(metricface, name) is not None
    with pytest.raises(AttributeError, match="module 'metricface' has no attribute 'nothing'"):
        _ = metricface.nothing


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, metricface; print({'torch', 'numpy', 'cv2'} & set(sys.modules), len(metricface.__version__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set() 5\n"
