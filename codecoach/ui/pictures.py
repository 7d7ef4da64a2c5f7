"""Pictures that a program left behind, shown only where that is safe: a few bytes can unpack to gigabytes."""

import io
import warnings
from typing import Final

from PIL import Image

MAX_BYTES: Final = 5 * 1024 * 1024
MAX_PIXELS: Final = 12_000_000
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP")


def is_picture(name: str) -> bool:
    """Whether a file is a picture by its name."""
    return name.lower().endswith(SUFFIXES)


def showable(content: bytes) -> bool:
    """Whether the content is a sound picture of bearable size; nothing is unpacked to find out."""
    if len(content) > MAX_BYTES:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return False
                picture.verify()
    except Exception:  # decoders raise whatever they like over malformed input
        return False
    return True
