"""Photos between disk and memory: reading and writing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from metricface.errors import DataError
from metricface.files import write_atomically

if TYPE_CHECKING:
    from metricface.contracts import Image

# Lower case; a file's own suffix may be in any case.
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".ppm", ".tif", ".tiff"})
JPEG_QUALITY = 95

_NETPBM_HEADER = re.compile(rb"P[2356](?:\s+|#[^\n]*\n)+(?:\d+(?:\s+|#[^\n]*\n)+){2}(\d+)")


def limit_threads() -> None:
    """Keep OpenCV to the calling thread and off stderr; whoever starts reading photos calls this once per process.

    Its thread pool deadlocks in forked workers, and its warnings repeat what `read_image` says in the error.
    """
    cv2.setNumThreads(0)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def is_image(path: Path) -> bool:
    """Whether the file's suffix, in any case, is one of IMAGE_SUFFIXES."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def read_image(path: Path) -> Image:
    """Read a photo as uint8 (H, W, 3) RGB, upright as its EXIF orientation says.

    Grey becomes three equal channels, 16 bits are scaled to 8, transparency is dropped.

    Raises:
        DataError: the file is missing, empty, cut off, too large or no photo; names it and the reason.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not data.size:
        raise DataError(f"{path}: the file is empty")
    if _is_cut_jpeg(data.tobytes()):
        raise DataError(f"{path}: the photo is cut off. Copy or download it again.")
    largest = _netpbm_maximum(data)
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if largest else 0)
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        reason = "it has more pixels than OpenCV reads" if "MAX_IMAGE" in str(error) else str(error.err)
        raise DataError(f"{path}: the photo cannot be decoded: {reason}") from error
    if image is None:
        raise DataError(f"{path}: not a photo, or a damaged one (its suffix says {path.suffix or 'nothing'})")
    if largest:
        image = np.rint(image * (255.0 / largest)).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def write_image(path: Path, image: Image) -> None:
    """Write uint8 (H, W, 3) RGB atomically in the format of the suffix; JPEG with quality 95.

    Raises:
        OSError: the folder is missing, not writable or full.
    """
    done, data = cv2.imencode(path.suffix, image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, f"OpenCV cannot write {path.suffix}"
    write_atomically(path, lambda file: file.write(data.tobytes()))


def _is_cut_jpeg(content: bytes) -> bool:
    """Whether a JPEG has no end-of-image marker after its first scan starts: OpenCV 4 returns such photos half grey.

    The segments before it are stepped over, for an EXIF thumbnail in them has markers of its own; what follows the
    end (the film of a motion photo) does not matter.
    """
    if not content.startswith(b"\xff\xd8"):
        return False
    place = 2
    while content[place : place + 1] == b"\xff" and content[place + 1 : place + 2] != b"\xda":
        place += 2 + int.from_bytes(content[place + 2 : place + 4])  # marker, then a length that counts itself
    return content.find(b"\xff\xd9", place) < 0


def _netpbm_maximum(data: npt.NDArray[np.uint8]) -> int:
    """Return the value of white in a PGM or PPM, 0 for other formats: OpenCV takes 255 or 65535 for granted."""
    header = _NETPBM_HEADER.match(data[:512].tobytes())
    return int(header[1]) if header else 0
