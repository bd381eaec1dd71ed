"""Types of arrays, for annotations alone: there is nothing here at run time, since numpy is not loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Image = npt.NDArray[np.uint8]  # (H, W, 3), RGB
    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]
    TextArray = npt.NDArray[np.str_]
