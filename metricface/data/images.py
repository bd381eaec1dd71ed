"""Photos between disk and memory: reading and writing."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from metricface.data.headers import MOST_PIXELS, Netpbm, jpeg_segments, netpbm, photo_size, with_colours_as_stored
from metricface.errors import DataError
from metricface.files import write_atomically

if TYPE_CHECKING:
    from metricface.contracts import Image

# Lower case; a file's own suffix may be in any case.
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".ppm", ".tif", ".tiff"})
JPEG_QUALITY = 95


def limit_threads() -> None:
    """Keep OpenCV to the calling thread and off stderr; whoever starts reading photos calls this once per process.

    Its thread pool deadlocks in forked workers, and its warnings repeat what `read_image` says in the error.
    """
    cv2.setNumThreads(0)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def is_image(path: Path) -> bool:
    """Whether the file's suffix, in any case, is one of IMAGE_SUFFIXES."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def read_image(path: Path, max_pixels: int | None = None) -> Image:
    """Read a photo as uint8 (H, W, 3) RGB, upright as its EXIF orientation says.

    Grey becomes three equal channels, 16 bits are scaled to 8, transparency is dropped and the colours below it kept.

    Raises:
        DataError: the file is missing, empty, cut off, of more than `max_pixels` (MOST_PIXELS for None), of a kind that
            is not read, or no photo; names it and the reason.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not content:
        raise DataError(f"{path}: the file is empty")
    _check_size(path, content, max_pixels)
    if _is_cut_jpeg(content):
        raise DataError(f"{path}: the photo is cut off. Copy or download it again.")
    header = netpbm(content)
    if header is not None and header.kind in (2, 3):
        return _plain_netpbm(path, content, header)
    image = _decoded(path, content, cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if header else 0))
    if header is not None and header.kind in (5, 6):
        image = _scaled(image, header.white)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _check_size(path: Path, content: bytes, max_pixels: int | None) -> None:
    """Refuse, before anything is decoded, a photo of too many pixels, and one that does not say how many it has."""
    if content[4:8] in (b"ftyp", b"jP  "):  # OpenCV reads some of them
        raise DataError(f"{path}: an AVIF, HEIC or JPEG 2000 photo, which is not read. Convert it to JPEG.")
    size = photo_size(content)
    if size is None:
        raise DataError(f"{path}: not a photo, or a damaged one (its suffix says {path.suffix or 'nothing'})")
    most = max_pixels or MOST_PIXELS
    if size[0] * size[1] > most:
        way_out = "take it out, or raise data.max_pixels" if max_pixels else "or take it out"
        raise DataError(
            f"{path}: its header says {size[1]} x {size[0]} pixels, more than the {most:,} that are read. Make it "
            f"smaller, {way_out}."
        )


def write_image(path: Path, image: Image) -> None:
    """Write uint8 (H, W, 3) RGB atomically in the format of the suffix; JPEG with quality 95.

    Raises:
        OSError: the folder is missing, not writable or full.
    """
    done, data = cv2.imencode(path.suffix, image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, f"OpenCV cannot write {path.suffix}"
    write_atomically(path, lambda file: file.write(data.tobytes()))


def _decoded(path: Path, content: bytes, flags: int) -> Image:
    """Return what OpenCV reads, (H, W, 3) BGR, of 8 or 16 bits."""
    try:
        image = cv2.imdecode(np.frombuffer(with_colours_as_stored(content), np.uint8), flags)
    except cv2.error as error:
        reason = "it has more pixels than OpenCV reads" if "MAX_IMAGE" in str(error) else str(error.err)
        raise DataError(f"{path}: the photo cannot be decoded: {reason}") from error
    if image is None:
        raise DataError(f"{path}: not a photo, or a damaged one (its suffix says {path.suffix or 'nothing'})")
    return np.asarray(image)


def _is_cut_jpeg(content: bytes) -> bool:
    """Whether a JPEG has no end-of-image marker after its first scan starts: OpenCV 4 returns such photos half grey.

    What follows the end (the film of a motion photo) does not matter.
    """
    if not content.startswith(b"\xff\xd8"):
        return False
    last = max((place for _, place in jpeg_segments(content)), default=2)
    return content.find(b"\xff\xd9", last - 2) < 0


def _plain_netpbm(path: Path, content: bytes, header: Netpbm) -> Image:
    """Read a PGM or PPM written in decimal numbers: OpenCV scales some of them and cuts others, by version."""
    height, width = header.size
    channels = 1 if header.kind == 2 else 3
    wanted = height * width * channels
    words = re.sub(rb"#[^\n]*", b"", content[header.start :]).split()
    if len(words) < wanted:
        raise DataError(f"{path}: the photo is cut off. Copy or download it again.")
    try:
        values = np.fromiter((int(word) for word in islice(words, wanted)), np.int64, wanted)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: not a photo, or a damaged one (its suffix says {path.suffix or 'nothing'})"
        ) from error
    image = _scaled(values.reshape(height, width, channels), header.white)
    return np.ascontiguousarray(np.broadcast_to(image, (height, width, 3)))


def _scaled(image: np.ndarray, white: int) -> Image:
    """Return uint8 of values up to `white`; OpenCV takes 255 or 65535 for granted."""
    scaled: Image = np.rint(image * 255.0 / max(white, 1)).clip(0, 255).astype(np.uint8)
    return scaled
