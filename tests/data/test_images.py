"""Reading is compared with PIL, which shares no decoder settings with OpenCV."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from metricface.data.headers import photo_size
from metricface.data.images import is_image, limit_threads, read_image, write_image
from metricface.errors import DataError

limit_threads()


def photo(height: int = 60, width: int = 80) -> np.ndarray:
    """Smooth and without any symmetry: flips, turns and swapped channels all show."""
    seeds = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(seeds, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def far_apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    assert ours.dtype == np.uint8
    assert ours.flags.c_contiguous
    return float(np.abs(ours.astype(int) - theirs).mean())


RGB = Image.fromarray(photo())
RGBA = Image.fromarray(np.dstack([photo(), np.arange(4800, dtype=np.uint8).reshape(60, 80)]))
EXACT = {
    "rgb.png": encoded(RGB, "PNG"),
    "RGB.PNG": encoded(RGB, "PNG"),
    "rgb.bmp": encoded(RGB, "BMP"),
    "rgb.webp": encoded(RGB, "WEBP", lossless=True),
    "rgb.tiff": encoded(RGB, "TIFF"),
    "rgb.ppm": encoded(RGB, "PPM"),
    "grey.pgm": encoded(RGB.convert("L"), "PPM"),
    "grey.png": encoded(RGB.convert("L"), "PNG"),
    "grey_alpha.png": encoded(RGBA.convert("LA"), "PNG"),
    "rgba.png": encoded(RGBA, "PNG"),
    "palette.png": encoded(RGB.quantize(16), "PNG"),
    "one_bit.png": encoded(RGB.convert("1"), "PNG"),
}
LOSSY = {
    "rgb.jpg": encoded(RGB, "JPEG", quality=95),
    "grey.JPG": encoded(RGB.convert("L"), "JPEG", quality=95),
    "progressive.jpeg": encoded(RGB, "JPEG", quality=95, progressive=True),
    "cmyk.jpg": encoded(RGB.convert("CMYK"), "JPEG", quality=95),  # PIL writes Adobe's inverted CMYK
    "rgb.webp": encoded(RGB, "WEBP", quality=95),
}


@pytest.mark.parametrize("name", EXACT)
def test_lossless_formats_read_as_pil_reads_them(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(EXACT[name])
    assert far_apart(read_image(tmp_path / name), np.asarray(Image.open(tmp_path / name).convert("RGB"))) == 0


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_read_as_pil_reads_them(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(LOSSY[name])
    assert far_apart(read_image(tmp_path / name), np.asarray(Image.open(tmp_path / name).convert("RGB"))) < 2


def png(depth: int, colour: int, rows: np.ndarray) -> bytes:
    """A PNG written by hand: PIL has no 16-bit colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = rows.shape[:2]
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_16_bits_are_scaled_to_8(tmp_path: Path) -> None:
    grey = np.asarray(RGB.convert("L"))
    deep = grey.astype(np.uint16) * 257
    files = {
        "grey.png": (encoded(Image.fromarray(deep), "PNG"), grey),
        "colour.png": (png(16, 2, (photo().astype(np.uint16) * 257).astype(">u2")), photo()),
        "grey.pgm": (b"P5 80 60 65535\n" + deep.astype(">u2").tobytes(), grey),
        "twelve_bits.pgm": (b"P5\n# a comment\n80 60\n4095\n" + (deep // 16).astype(">u2").tobytes(), grey),
        "hundred.pgm": (b"P5\n80 60\n100\n" + (grey * (100 / 255)).round().astype(np.uint8).tobytes(), grey),
    }
    for name, (content, expected) in files.items():
        (tmp_path / name).write_bytes(content)
        wanted = expected if expected.ndim == 3 else np.dstack([expected] * 3)
        assert far_apart(read_image(tmp_path / name), wanted) < 1, name


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright(orientation: int, tmp_path: Path) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    for name, kind in (("a.jpg", "JPEG"), ("a.png", "PNG")):
        (tmp_path / name).write_bytes(encoded(RGB, kind, exif=exif, quality=95))
        upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / name)))
        assert far_apart(read_image(tmp_path / name), upright) < 2


def test_any_path_will_do(tmp_path: Path) -> None:
    path = tmp_path / "Жан Ñandú #1.png"
    write_image(path, photo())
    assert far_apart(read_image(path), photo()) == 0
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_jpegs_are_written_in_quality_95(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", photo())
    assert Image.open(tmp_path / "a.jpg").quantization == Image.open(io.BytesIO(LOSSY["rgb.jpg"])).quantization
    assert far_apart(read_image(tmp_path / "a.jpg"), photo()) < 2


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.995])
@pytest.mark.parametrize("name", [*EXACT, *LOSSY])
def test_a_file_that_breaks_off_is_refused(name: str, kept: float, tmp_path: Path) -> None:
    content = {**EXACT, **LOSSY}[name]
    (tmp_path / name).write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_a_thumbnail_does_not_hide_that_a_jpeg_breaks_off(tmp_path: Path) -> None:
    small = encoded(RGB.resize((16, 12)), "JPEG")
    whole = LOSSY["rgb.jpg"]
    exif = b"Exif\0\0" + small
    content = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + whole[2:]
    (tmp_path / "whole.jpg").write_bytes(content)
    assert far_apart(read_image(tmp_path / "whole.jpg"), photo()) < 2
    (tmp_path / "cut.jpg").write_bytes(content[:-300])
    with pytest.raises(DataError, match=r"cut\.jpg: the photo is cut off\. Copy or download it again\."):
        read_image(tmp_path / "cut.jpg")


def test_what_follows_a_jpeg_does_not_matter(tmp_path: Path) -> None:
    """Motion photos carry a film after their end."""
    (tmp_path / "motion.jpg").write_bytes(LOSSY["rgb.jpg"] + b"film\xff\xda" + bytes(500))
    assert far_apart(read_image(tmp_path / "motion.jpg"), photo()) < 2


def test_files_that_are_no_photos_are_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "words.jpg").write_text("not a photo at all")
    (tmp_path / "bomb.pgm").write_bytes(b"P5\n60000 60000\n255\n" + bytes(100))
    (tmp_path / "bomb.png").write_bytes(
        png(8, 0, np.zeros((1, 1), np.uint8)).replace(struct.pack(">II", 1, 1), struct.pack(">II", 60000, 60000))
    )
    reasons = {
        "gone.jpg": "cannot be read (No such file or directory)",
        "empty.jpg": "the file is empty",
        "words.jpg": "not a photo, or a damaged one (its suffix says .jpg)",
        "bomb.pgm": "its header says 60000 x 60000 pixels, more than the 100,000,000 that are read. Make it smaller, "
        "or take it out.",
    }
    for name, reason in reasons.items():
        with pytest.raises(DataError) as caught:
            read_image(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {reason}"
    with pytest.raises(DataError, match="its header says 60000 x 60000 pixels"):
        read_image(tmp_path / "bomb.png")
    with pytest.raises(DataError):
        read_image(tmp_path)


@pytest.mark.parametrize("name", [*EXACT, *LOSSY])
def test_a_header_says_the_size_that_pil_reads(name: str) -> None:
    content = {**EXACT, **LOSSY}[name]
    width, height = Image.open(io.BytesIO(content)).size
    assert photo_size(content) == (height, width)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"big_tiff": True}), ("WEBP", {"lossless": True})],
)
def test_a_header_of_other_kinds_says_the_size_too(kind: str, options: dict[str, object]) -> None:
    for image in (RGB, RGBA.resize((33, 7))):
        content = encoded(image, kind, **options)
        assert photo_size(content) == image.size[::-1]
        for kept in range(0, 60, 7):  # breaks off anywhere
            photo_size(content[:kept])


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000"])
def test_a_kind_whose_header_is_not_read_is_refused_before_decoding(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    (tmp_path / "a.jpg").write_bytes(encoded(RGB, kind))
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "a.jpg")
    assert str(caught.value) == (
        f"{tmp_path}/a.jpg: an AVIF, HEIC or JPEG 2000 photo, which is not read. Convert it to JPEG."
    )


def test_a_header_that_claims_too_many_pixels_is_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = LOSSY["rgb.jpg"].index(b"\xff\xc0") + 5
    large = struct.pack(">HH", 30000, 30000)
    jpeg = LOSSY["rgb.jpg"][:frame] + large + LOSSY["rgb.jpg"][frame + 4 :]
    filled = jpeg.replace(b"\xff\xc0", b"junk\xff\xff\xff\xc0")  # libjpeg steps over both
    bmp = bytearray(EXACT["rgb.bmp"])
    struct.pack_into("<ii", bmp, 18, 30000, -30000)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for name, content in {
        "bomb.jpg": jpeg,
        "filled.jpg": filled,
        "bomb.bmp": bytes(bmp),
        "comment.pgm": b"P5\n#" + b"-" * 1000 + b"\n30000 30000\n255\n",
        "plain.pgm": b"P2\n30000 30000\n255\n1 2",
        "bits.pbm": b"P4 30000 30000\n",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError) as caught:
            read_image(tmp_path / name)
        assert str(caught.value) == (
            f"{tmp_path / name}: its header says 30000 x 30000 pixels, more than the 100,000,000 that are read. "
            "Make it smaller, or take it out."
        )


def test_a_header_of_spaces_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "spaces.pgm").write_bytes(b"P5" + b" " * 100_000 + b"x")
    with pytest.raises(DataError, match="not a photo"):
        read_image(tmp_path / "spaces.pgm")


@pytest.mark.parametrize("white", [1, 15, 100, 255, 256, 1000, 65535])
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_the_largest_value_of_a_netpbm_is_white(kind: str, white: int, tmp_path: Path) -> None:
    """Compared with value * 255 / white, rounded, of every value."""
    channels = 1 if kind in ("P2", "P5") else 3
    values = np.random.default_rng(1).integers(0, white + 1, (5, 7, channels))
    values[0, 0], values[0, 1] = white, 0
    if kind in ("P2", "P3"):
        body = b"# remark\n" + " ".join(str(value) for value in values.ravel()).encode() + b"\n"
    else:
        body = values.astype(">u2" if white > 255 else "u1").tobytes()
    path = tmp_path / "photo.pnm"
    path.write_bytes(f"{kind}\n7 5\n{white}\n".encode() + body)
    wanted = np.broadcast_to(np.rint(values * 255 / white), (5, 7, 3))
    assert np.array_equal(read_image(path), wanted)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError):
        read_image(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
def test_a_transparent_tiff_reads_as_the_same_png(mode: str, options: dict[str, str], tmp_path: Path) -> None:
    image = RGBA.convert(mode)
    (tmp_path / "a.png").write_bytes(encoded(image, "PNG"))
    (tmp_path / "a.tiff").write_bytes(encoded(image, "TIFF", **options))
    assert np.array_equal(read_image(tmp_path / "a.tiff"), read_image(tmp_path / "a.png"))
    stored = np.asarray(image)[..., :-1]
    assert np.array_equal(read_image(tmp_path / "a.tiff"), np.broadcast_to(stored, (60, 80, 3)))


def test_suffixes_in_any_case() -> None:
    assert all(is_image(Path(name)) for name in ("a.jpg", "a.JPEG", "a.Png", "a.webp", "a.pgm", "a.bmp"))
    assert not any(is_image(Path(name)) for name in ("a.txt", "jpg", ".jpg", "a.jpg.part"))
