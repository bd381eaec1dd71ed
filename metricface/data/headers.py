"""What a photo's first bytes say of it, without decoding: its size, white of a PGM, where a TIFF keeps its alpha."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Size = tuple[int, int]

MOST_PIXELS = 100_000_000
"""A photo of more is refused unread: decoded it takes three bytes for each, and a file of kilobytes can claim any."""

# One alternative at a time: nested repetition would take exponential time on a long row of spaces.
_GAP = rb"(?:\s|#[^\n]*\n)+"
_NETPBM = re.compile(rb"P([1-6])" + _GAP + rb"(\d+)" + _GAP + rb"(\d+)(?:" + _GAP + rb"(\d+))?(?:\s|$)")

_NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})  # Huffman tables, reserved, arithmetic tables: among the frame markers
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_SCAN, _END = 0xDA, 0xD9
_WIDTH, _HEIGHT, _EXTRA_SAMPLES = 256, 257, 338  # tags of a TIFF
_PREMULTIPLIED, _STRAIGHT = 1, 2  # what its extra sample is: alpha that the colours were multiplied with, or not


@dataclass(frozen=True, slots=True)
class Netpbm:
    """The header of a PBM, PGM or PPM.

    Args:
        kind: 1 to 6, the digit after P.
        size: (height, width).
        white: the largest value, 1 for a PBM.
        start: where the pixels begin.
    """

    kind: int
    size: Size
    white: int
    start: int


def photo_size(content: bytes) -> Size | None:
    """Return (height, width) as the header of a JPEG, PNG, BMP, WebP, GIF, TIFF, PBM, PGM or PPM claims.

    None for other formats and for headers that break off: a decoder refuses those.
    """
    reader = next((read for start, read in _READERS if content.startswith(start)), netpbm_size)
    try:
        return reader(content)
    except (struct.error, IndexError):
        return None


def netpbm(content: bytes) -> Netpbm | None:
    """Return the header of a PBM, PGM or PPM, None for other formats."""
    found = _NETPBM.match(content)
    if found is None:
        return None
    kind = int(found[1])
    bitmap = kind in (1, 4)
    if not bitmap and found[4] is None:
        return None
    white = 1 if bitmap else int(found[4][:9])
    # More digits than nine are no size that anybody has: the same refusal, and no slow conversion.
    return Netpbm(kind, (int(found[3][:9]), int(found[2][:9])), white, found.end(3) if bitmap else found.end(4))


def netpbm_size(content: bytes) -> Size | None:
    """Return (height, width) of a PBM, PGM or PPM, None for other formats."""
    header = netpbm(content)
    return None if header is None else header.size


def jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, place of its length) of a JPEG up to its first scan or its end, as libjpeg finds them.

    Segments are stepped over, for an EXIF thumbnail in them has markers of its own; bytes between them are skipped.
    """
    place = 2
    while 0 <= (place := content.find(b"\xff", place)) < len(content) - 1:
        marker = content[place + 1]
        if marker in (0x00, 0xFF):  # no marker, or filling before one
            place += 1 if marker else 2
            continue
        yield marker, place + 2
        if marker in (_SCAN, _END):
            return
        place += 2 if marker in _ALONE else 2 + max(2, int.from_bytes(content[place + 2 : place + 4]))


def with_colours_as_stored(content: bytes) -> bytes:
    """Return a TIFF that says its colours were multiplied with its alpha, where it said they were not.

    OpenCV's library multiplies them when they were not, while for a PNG it leaves them: a transparent photo would
    differ between the two. Other content is returned as it is.
    """
    if content[:4] not in (b"II*\0", b"MM\0*"):
        return content
    try:
        places = [place for tag, place, value in _tiff_tags(content) if (tag, value) == (_EXTRA_SAMPLES, _STRAIGHT)]
    except struct.error:
        return content
    changed = bytearray(content)
    for place in places:
        struct.pack_into(f"{_order(content)}H", changed, place, _PREMULTIPLIED)
    return bytes(changed) if places else content


def _jpeg(content: bytes) -> Size | None:
    for marker, place in jpeg_segments(content):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack_from(">HH", content, place + 3)
            return height, width
    return None


def _png(content: bytes) -> Size:
    width, height = struct.unpack_from(">II", content, 16)
    return height, width


def _gif(content: bytes) -> Size:
    width, height = struct.unpack_from("<HH", content, 6)
    return height, width


def _bmp(content: bytes) -> Size:
    (length,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if length == 12 else "<ii", content, 18)
    return abs(height), abs(width)  # rows from the top have a negative height


def _webp(content: bytes) -> Size | None:
    kind = content[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(content[27:30], "little"), 1 + int.from_bytes(content[24:27], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    width, height = struct.unpack_from("<HH", content, 26)
    return height & 0x3FFF, width & 0x3FFF


def _tiff(content: bytes) -> Size | None:
    sides = {tag: value for tag, _, value in _tiff_tags(content) if tag in (_WIDTH, _HEIGHT)}
    return (sides[_HEIGHT], sides[_WIDTH]) if len(sides) == 2 else None


def _tiff_tags(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (tag, place of its value, value) of the first picture of a TIFF or BigTIFF, for tags of one number."""
    order = _order(content)
    big = struct.unpack_from(f"{order}H", content, 2)[0] == 43
    start = struct.unpack_from(f"{order}{'Q' if big else 'I'}", content, 8 if big else 4)[0]
    (entries,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", content, start)
    step, at = (20, start + 8) if big else (12, start + 2)
    for place in range(at, min(at + entries * step, len(content) - step + 1), step):
        tag, kind = struct.unpack_from(f"{order}HH", content, place)
        letter = {3: "H", 4: "I", 16: "Q"}.get(kind)
        if letter:
            value = place + (12 if big else 8)
            yield tag, value, struct.unpack_from(order + letter, content, value)[0]


def _order(content: bytes) -> str:
    return "<" if content.startswith(b"II") else ">"


_READERS: tuple[tuple[bytes, Callable[[bytes], Size | None]], ...] = (
    (b"\xff\xd8", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"GIF8", _gif),
    (b"BM", _bmp),
    (b"RIFF", _webp),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
)
