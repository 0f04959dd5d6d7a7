"""Bytes of any common image format → (H, W, 3) uint8: upright, opaque, at most 512 pixels a side or as requested.

The content decides what a file is, not its name or MIME type. Sizes are checked in the header, so a decompression bomb
is refused before any of its pixels are decoded, and threads together hold no more pixels than `MEMORY`.
"""

from __future__ import annotations

import ctypes
import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from threading import Condition
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tenarai.errors import ImageError
from tenarai.locale import _
from tenarai.prepare import pdf

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "HEIF", "AVIF", "JPEG2000", "PPM", "TGA")
MAX_SIDE = 512
MAX_BYTES = 40_000_000
MAX_PIXELS = 120_000_000
MAX_REDUCED = 200_000_000
"""Pixels of a baseline JPEG at most: it is decoded at a half, a quarter or an eighth."""
MAX_FRAMES = 60
MAX_SCANNED = 1_000_000_000
"""Pixels times scans of a progressive JPEG at most; a camera's has 10 scans."""
GIANT = 25_000_000
"""Images with more decoded pixels are averaged down before anything copies them."""
MEMORY = 900_000_000
"""Bytes that all threads together may decode into, as estimated from the headers."""
COST = {"WEBP": 16, "HEIF": 12, "AVIF": 12, "JPEG2000": 20}
"""Bytes a pixel that decoders with buffers of their own hold at their peak."""
PDF_SIDE = 2048  # pixels at which a page is rendered at most
PDF_MEMORY = MEMORY * 3 // 4  # held while a PDF is open: one at a time, no large image beside it
THREADS = min(8, os.cpu_count() or 1)  # that decode at once: each also holds a file of up to 40 MB

LARGE = 20_000_000
"""Bytes from which on what was decoded into is given back to the system at once: glibc keeps it, thread by thread."""
_trim = getattr(ctypes.CDLL(None), "malloc_trim", int)


class _Memory:
    """Admits decoding by its estimated bytes, so that many large images at once wait for each other."""

    def __init__(self, total: int) -> None:
        """Begin with all of it free."""
        self.total = self._free = total
        self._changed = Condition()

    @contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Wait until so many bytes are free, and hold them."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount
        try:
            yield
        finally:
            if amount > LARGE:
                _trim(0)
            with self._changed:
                self._free += amount
                self._changed.notify_all()


_memory = _Memory(MEMORY)


def decode(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE, page: int = 0
) -> NDArray[np.uint8]:
    """Decode an image.

    Args:
        data: Content of a PNG, JPEG, WebP, BMP, TIFF, GIF, HEIC, AVIF, JPEG 2000, PNM, TGA or PDF file. Of an animation
            the fullest frame is decoded.
        max_bytes: Larger files are refused. Default: 40 MB.
        max_pixels: Images with more pixels are refused before decoding. Default: 120 million.
        max_side: Larger images are scaled down to this, JPEGs to at most a sixth less. Default: 512.
        page: Which page of a PDF, counted from 0. Default: the first.

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
    if pdf.is_pdf(data):
        return _decode_page(data, max_side, page)
    _register_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns at its own size limit; ours is checked below
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.format == "JPEG" and _has_many_scans(data, image.width * image.height):
                    raise ImageError(_("the image is stored in too many scans"))
                amount = _admit(image, max_pixels, max_side)
                with _memory.hold(amount), closing(image):
                    _seek_fullest_frame(image, max_pixels)
                    return _to_array(image, max_side)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            _("the file is not an image that can be read"),
            expected=_("PNG, JPEG, WebP, BMP, TIFF, GIF, HEIC, AVIF, JPEG 2000, PNM, TGA or PDF"),
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(max_pixels) from error
    except Exception as error:
        raise ImageError(_explain(error)) from error


def _has_many_scans(data: bytes, pixels: int) -> bool:
    """Whether a JPEG has more markers of a scan than its pixels allow."""
    scans = re.finditer(rb"\xff\xda", data)  # in a third of the time of `bytes.count`
    return next(islice(scans, MAX_SCANNED // max(1, pixels), None), None) is not None


def count_pages(data: bytes) -> int:
    """Number of pages of a PDF; 1 for all else.

    Raises:
        ImageError: It cannot be opened, or has more than 100.
    """
    if not pdf.is_pdf(data):
        return 1
    with _memory.hold(PDF_MEMORY):
        return pdf.count_pages(data)


def _decode_page(data: bytes, max_side: int, page: int) -> NDArray[np.uint8]:
    """A page of a PDF, counted from 0."""
    with _memory.hold(PDF_MEMORY):
        rendered = pdf.render_page(data, page, min(PDF_SIDE, max(2 * max_side, 1)))
    factor = max_side / max(rendered.shape[:2])
    size = (max(1, round(rendered.shape[1] * factor)), max(1, round(rendered.shape[0] * factor)))
    return np.asarray(cv2.resize(rendered, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _register_heif() -> None:
    if "HEIF" not in Image.OPEN:
        import pillow_heif

        pillow_heif.register_heif_opener()


def _admit(image: Image.Image, max_pixels: int, max_side: int) -> int:
    """Check an image's size, prepare it to be decoded at a smaller one where its format allows, and estimate its bytes.

    Raises:
        ImageError: It has no pixels, or too many.
    """
    pixels = image.width * image.height
    is_progressive = bool(image.info.get("progressive") or image.info.get("progression"))
    is_reducible = image.format == "JPEG" and not is_progressive
    if pixels > (max(max_pixels, MAX_REDUCED) if is_reducible and max_pixels >= MAX_PIXELS else max_pixels):
        raise _too_many_pixels(max_pixels, f"{image.width} × {image.height}")
    if pixels == 0:
        raise ImageError(_("the image has no pixels"))
    enough = 0.85 * max_side / max(image.size)
    wanted = (max(1, round(enough * image.width)), max(1, round(enough * image.height)))
    image.draft("RGB", wanted)  # decodes a phone's JPEG at a half, a quarter or an eighth
    decoded = image.width * image.height
    amount = decoded * COST.get(image.format or "", 8 if decoded > GIANT else 20) + (
        6 * pixels if is_progressive else 0
    )
    if amount > MEMORY:
        raise _too_many_pixels(max_pixels, f"{image.width} × {image.height}")
    return amount


def _seek_fullest_frame(image: Image.Image, max_pixels: int) -> None:
    """Go to the frame of an animation that shows most: a drawing that appears stroke by stroke begins blank."""
    if not getattr(image, "is_animated", False) or image.format not in {"GIF", "PNG", "WEBP", "AVIF"}:
        return
    contrasts = []
    with suppress(EOFError):  # that an animation has as many frames as it says is known at its end
        for frame in range(min(MAX_FRAMES, max(1, max_pixels // (image.width * image.height)))):
            image.seek(frame)
            small = image.convert("RGB").convert("L").resize((64, 64), Image.Resampling.BOX)
            contrasts.append(float(np.std(np.asarray(small))))
    image.seek(int(np.argmax(contrasts)))


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
    if picture.mode != "RGB":
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
