"""Bytes of any common picture format → (H, W, 3) uint8, upright, without transparency, 512 pixels a side or as asked.

What a file is, is decided by its content: names and MIME types are strangers' words. Sizes are checked from the header,
so a decompression bomb is refused before a pixel of it is decoded.
"""

from __future__ import annotations

import io
import warnings
from contextlib import nullcontext
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tenarai.errors import ImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "HEIF")
MAX_SIDE = 512
MAX_BYTES = 40_000_000
MAX_PIXELS = 120_000_000
GIANT = 25_000_000
"""More decoded pixels than this are held by one thread at a time, and averaged down before anything copies them."""

_one_giant = Lock()


def decode(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE
) -> NDArray[np.uint8]:
    """Decode a picture.

    Args:
        data: The file's bytes: PNG, JPEG, WebP, BMP, TIFF, GIF (first frame) or HEIC.
        max_bytes: Larger files are refused. Default: 40 MB.
        max_pixels: Pictures of more pixels are refused before decoding. Default: 120 million.
        max_side: Larger pictures are scaled down to this. Default: 512.

    Returns:
        (H, W, 3) uint8 RGB, turned as its EXIF says, longest side at most `max_side`.

    Raises:
        ImageError: It is empty, too large, truncated, or no picture in a known format.
    """
    if not data:
        raise ImageError("the file is empty")
    if len(data) > max_bytes:
        raise ImageError("the file is too large", expected=f"at most {max_bytes:,} bytes", received=f"{len(data):,}")
    _register_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of bombs at a size of its own; ours is checked below
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image, max_pixels)
                image.draft("RGB", (max_side, max_side))  # a phone's JPEG is decoded at a half, a quarter or an eighth
                with _one_giant if image.width * image.height > GIANT else nullcontext():
                    return _to_array(image, max_side)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            "it is not a picture that can be read", expected="PNG, JPEG, WebP, BMP, TIFF, GIF or HEIC"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError("the picture has too many pixels", expected=f"at most {max_pixels:,}") from error
    except Exception as error:
        raise ImageError(_say_why(error)) from error


def _register_heif() -> None:
    if "HEIF" not in Image.OPEN:
        import pillow_heif

        pillow_heif.register_heif_opener()


def _check_size(image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise ImageError(
            "the picture has too many pixels",
            expected=f"at most {max_pixels:,}",
            received=f"{image.width} × {image.height}",
        )
    if pixels == 0:
        raise ImageError("the picture has no pixels")


def _to_array(image: Image.Image, max_side: int) -> NDArray[np.uint8]:
    image.load()
    picture: Any = _shrink_giant(image)
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I;16") or picture.mode in {"I", "F"}:
        picture = _stretch_deep(picture)
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = _lay_on_paper(picture.convert("RGBA"))
    picture = picture.convert("RGB")
    if max(picture.size) > max_side:
        picture.thumbnail((max_side, max_side), Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(picture, dtype=np.uint8)


def _shrink_giant(image: Image.Image) -> Image.Image:
    """Average a giant down to some 2,000 pixels a side: hostile files of a few hundred kilobytes hold 120 million."""
    factor = max(image.size) // (4 * MAX_SIDE)
    if image.width * image.height <= GIANT or factor < 2:
        return image
    picture: Image.Image = image
    if image.mode.startswith("I;16"):
        picture = image.convert("I")
    elif image.mode in {"1", "P"}:
        picture = image.convert("RGBA" if "transparency" in image.info else "RGB")
    small = picture.reduce(factor)
    small.info = {name: value for name, value in image.info.items() if name == "exif"}
    return small


def _stretch_deep(picture: Image.Image) -> Image.Image:
    """16-bit and float pictures to 8 bits by their own range; Pillow's own conversion clips them."""
    values = np.asarray(picture, dtype=np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if not np.isfinite(low) or high <= low:
        return Image.new("L", picture.size, 255)
    return Image.fromarray(np.uint8(np.nan_to_num((values - low) / (high - low)) * 255))


def _lay_on_paper(picture: Image.Image) -> Image.Image:
    """Lay transparency on the paper that the opaque ink calls for: white under dark ink, black under light ink."""
    pixels = np.asarray(picture)
    opaque = pixels[..., 3] > 127
    luma = pixels[..., :3].mean(axis=2)
    is_light_ink = bool(opaque.any() and not opaque.all() and np.median(luma[opaque]) > 200)
    paper = Image.new("RGBA", picture.size, (0, 0, 0, 255) if is_light_ink else (255, 255, 255, 255))
    return Image.alpha_composite(paper, picture)


def _say_why(error: Exception) -> str:
    text = str(error).lower()
    if "truncated" in text or "unexpected end" in text or "broken" in text or "premature" in text:
        return "the picture is truncated: the upload may have broken off"
    if isinstance(error, MemoryError):
        return "the picture needs more memory than there is"
    return f"the picture is damaged ({type(error).__name__})"
