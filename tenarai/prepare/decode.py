"""Bytes of any common image format → (H, W, 3) uint8: upright, opaque, at most 512 pixels a side or as requested.

The content decides what a file is, not its name or MIME type. Sizes are checked in the header, so a decompression bomb
is refused before any of its pixels are decoded.
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
from tenarai.locale import _

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "HEIF")
MAX_SIDE = 512
MAX_BYTES = 40_000_000
MAX_PIXELS = 120_000_000
GIANT = 25_000_000
"""Images with more decoded pixels are decoded one at a time, and averaged down before anything copies them."""

_one_giant = Lock()


def decode(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE
) -> NDArray[np.uint8]:
    """Decode an image.

    Args:
        data: Content of a PNG, JPEG, WebP, BMP, TIFF, GIF (first frame) or HEIC file.
        max_bytes: Larger files are refused. Default: 40 MB.
        max_pixels: Images with more pixels are refused before decoding. Default: 120 million.
        max_side: Larger images are scaled down to this. Default: 512.

    Returns:
        (H, W, 3) uint8 RGB, turned as its EXIF tag says, longest side at most `max_side`.

    Raises:
        ImageError: The file is empty, too large, truncated, or no image in a known format.
    """
    if not data:
        raise ImageError(_("the file is empty"))
    if len(data) > max_bytes:
        raise ImageError(
            _("the file is too large"), expected=_("at most {n:,} bytes", n=max_bytes), received=f"{len(data):,}"
        )
    _register_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns at its own size limit; ours is checked below
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image, max_pixels)
                image.draft("RGB", (max_side, max_side))  # decodes a phone's JPEG at a half, a quarter or an eighth
                with _one_giant if image.width * image.height > GIANT else nullcontext():
                    return _to_array(image, max_side)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            _("the file is not an image that can be read"), expected=_("PNG, JPEG, WebP, BMP, TIFF, GIF or HEIC")
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(max_pixels) from error
    except Exception as error:
        raise ImageError(_explain(error)) from error


def _register_heif() -> None:
    if "HEIF" not in Image.OPEN:
        import pillow_heif

        pillow_heif.register_heif_opener()


def _check_size(image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise _too_many_pixels(max_pixels, f"{image.width} × {image.height}")
    if pixels == 0:
        raise ImageError(_("the image has no pixels"))


def _too_many_pixels(limit: int, received: str = "") -> ImageError:
    return ImageError(_("the image has too many pixels"), expected=_("at most {n:,}", n=limit), received=received)


def _to_array(image: Image.Image, max_side: int) -> NDArray[np.uint8]:
    image.load()
    picture: Any = _shrink_giant(image)
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I;16") or picture.mode in {"I", "F"}:
        picture = _stretch_deep(picture)
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = _flatten(picture.convert("RGBA"))
    picture = picture.convert("RGB")
    if max(picture.size) > max_side:
        picture.thumbnail((max_side, max_side), Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(picture, dtype=np.uint8)


def _shrink_giant(image: Image.Image) -> Image.Image:
    """Average a giant down to about 2,000 pixels a side; 120 million pixels fit into a hostile file of some 100 kB."""
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
    """Scale 16-bit and float images to 8 bits by their own range; Pillow's conversion clips them."""
    values = np.asarray(picture, dtype=np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if not np.isfinite(low) or high <= low:
        return Image.new("L", picture.size, 255)
    return Image.fromarray(np.uint8(np.nan_to_num((values - low) / (high - low)) * 255))


def _flatten(picture: Image.Image) -> Image.Image:
    """Put a transparent image on the paper that its opaque ink needs: white under dark ink, black under light ink."""
    if picture.getextrema()[-1] == (255, 255):
        return picture
    pixels = np.asarray(picture)
    opaque = pixels[pixels[..., 3] > 127, :3]
    is_light_ink = 0 < len(opaque) < pixels[..., 3].size and np.median(opaque.sum(axis=1, dtype=np.uint16)) > 600
    paper = Image.new("RGBA", picture.size, (0, 0, 0, 255) if is_light_ink else (255, 255, 255, 255))
    return Image.alpha_composite(paper, picture)


def _explain(error: Exception) -> str:
    text = str(error).lower()
    if any(word in text for word in ("truncated", "unexpected end", "broken", "premature")):
        return _("the image is truncated: the upload may have been interrupted")
    if isinstance(error, MemoryError):
        return _("there is not enough memory to decode the image")
    return _("the image is damaged ({kind})", kind=type(error).__name__)
