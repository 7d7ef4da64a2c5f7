"""Pictures of programs are shown only where unpacking them is safe."""

import io
import struct
import zlib

import pytest
from PIL import Image

from codecoach.ui import pictures


def png(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("1", (width, height)).save(content, "PNG")
    return content.getvalue()


def bomb(side: int) -> bytes:
    """A small PNG that says it is `side` pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_an_ordinary_picture_is_shown():
    assert pictures.showable(png(640, 480))


@pytest.mark.parametrize("side", [5_000, 30_000, 65_000])
def test_a_picture_that_unpacks_to_gigabytes_is_not(side):
    assert not pictures.showable(bomb(side))


@pytest.mark.parametrize("content", [b"", b"not a picture", png(10, 10)[:-20], b"<svg onload='x()'/>", b"GIF89a"])
def test_what_is_no_sound_picture_is_not(content):
    assert not pictures.showable(content)


def test_formats_with_a_history_of_trouble_are_not_even_tried():
    content = io.BytesIO()
    Image.new("RGB", (10, 10)).save(content, "TIFF")
    assert not pictures.showable(content.getvalue())


def test_a_large_file_is_not_opened():
    assert not pictures.showable(png(10, 10) + b"\0" * pictures.MAX_BYTES)


def test_a_picture_is_known_by_its_name():
    assert pictures.is_picture("out/Plot.PNG")
    assert not pictures.is_picture("plot.svg")
