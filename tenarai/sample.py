"""The sample folder: real people's digits, saved the way people's files look.

scikit-learn ships the test half of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998): 1,797
digits of 13 people, counted down to 8 × 8. Here each is drawn again as pen on paper with smooth strokes and saved as
PNG, JPEG or HEIC; dark on light or light on dark; unevenly lit, off centre, of different sizes, one turned by its EXIF
tag.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import StoreError
from tenarai.locale import _

NUM_LABELLED = 20  # for each of the ten digits
NUM_INBOX = 6


def make_sample(folder: Path, *, seed: int = 0) -> None:
    """Make the sample folder; the same seed gives the same pictures.

    Everything is written beside it first and renamed at the end, so a folder that exists is whole.

    Args:
        folder: Where; must not exist.
        seed: Decides pens, papers and light.

    Raises:
        StoreError: It exists, or cannot be written.
    """
    if folder.exists():
        raise StoreError(_("{folder} exists already", folder=folder), fix=_("delete it, and it is made again"))
    draft = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}")
    try:
        _fill(draft, np.random.default_rng(seed))
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(folder)
    except OSError as error:
        raise StoreError(_("{path} cannot be written", path=folder), received=str(error)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(folder: Path, rng: np.random.Generator) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    by_label = [rng.permutation(np.flatnonzero(bunch.target == label)) for label in range(10)]
    hard = _find_hard(bunch.images, bunch.target)
    for label, shuffled in enumerate(by_label):
        numbers = [number for number in shuffled if number not in hard]
        for count, number in enumerate(numbers[:NUM_LABELLED]):
            _save(folder / "digits" / str(label), f"{_name(count)}-{number}", bunch.images[number], count, rng)
        _save(folder / "misread" / str(label), f"unclear-{label}", bunch.images[hard[label]], label, rng)
        if label < NUM_INBOX:
            _save(folder / "inbox", f"scan-{label + 1}", bunch.images[numbers[NUM_LABELLED]], label, rng)
    _add_unusable(folder / "digits", rng)


def _find_hard(images: NDArray[np.float64], targets: NDArray[np.int64]) -> list[int]:
    """One hard digit a label: the one whose nearest neighbours among all others agree least with its label."""
    flat = images.reshape(len(images), -1)
    squares = (flat**2).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * flat @ flat.T
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :7]
    agreement = (targets[nearest] == targets[:, None]).mean(axis=1)
    return [int(min(np.flatnonzero(targets == label), key=lambda n: (agreement[n], n))) for label in range(10)]


def _name(count: int) -> str:
    return ("IMG", "scan", "Photo", "pen")[count % 4]


def _save(folder: Path, name: str, digit: NDArray[np.float64], count: int, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    picture = draw(digit, count, rng)
    if folder.name == "5" and count == 3:
        (folder / f"{name}.heic").write_bytes(_encode(picture, "HEIF"))
    elif folder.name == "7" and count == 4:
        turned = np.ascontiguousarray(np.rot90(picture))  # held sideways; the tag says how to turn it back
        (folder / f"{name}.jpg").write_bytes(_encode(turned, "JPEG", orientation=6))
    elif count % 3 == 1:
        (folder / f"{name}.png").write_bytes(_encode(picture, "PNG"))
    else:
        (folder / f"{name}.jpg").write_bytes(_encode(picture, "JPEG"))


def draw(digit: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw an 8 × 8 count of ink as pen on paper; pen, paper, light, size and place vary.

    Args:
        digit: (8, 8) float64, 0 to 16.
        count: Number of the picture; every sixth is light on dark, as in dark mode.
        rng: Source of all else.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    dark_mode = count % 6 == 5
    paper = rng.uniform(18, 45) if dark_mode else rng.uniform(205, 250)
    tint = rng.uniform(-9, 9, 3)
    blue_pen = rng.random() < 0.4
    pen = rng.uniform(205, 250, 3) if dark_mode else np.array([35, 45, 135]) if blue_pen else rng.uniform(15, 70, 3)
    high = int(rng.choice([96, 140, 220, 360, 520]))
    wide = round(high * rng.uniform(0.8, 1.35))
    middle = rng.uniform(0.4, 0.6) * high, rng.uniform(0.38, 0.62) * wide
    size = rng.uniform(0.4, 0.66) * high
    shade, angle = 0.0 if dark_mode else rng.uniform(0, 0.45), rng.uniform(0, 2 * np.pi)
    grain = rng.uniform(0.5, 3.5)  # of the paper, standard deviation in grey levels
    ink = cv2.resize(_smooth(digit), (round(size * 0.86), round(size)), interpolation=cv2.INTER_AREA)
    top = int(np.clip(middle[0] - ink.shape[0] / 2, 2, high - ink.shape[0] - 2))
    left = int(np.clip(middle[1] - ink.shape[1] / 2, 2, max(2, wide - ink.shape[1] - 2)))
    cover = np.zeros((high, max(wide, left + ink.shape[1] + 2)), dtype=np.float32)
    cover[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    y, x = np.mgrid[0 : cover.shape[0], 0 : cover.shape[1]].astype(np.float32)
    slope = np.cos(angle) * x / cover.shape[1] + np.sin(angle) * y / cover.shape[0]
    slope = (slope - slope.min()) / max(float(np.ptp(slope)), 1e-6)
    light = 1 - shade * np.expand_dims(slope, -1)
    picture = (np.clip(paper + tint, 0, 255) * (1 - cover[..., None]) + pen * cover[..., None]) * light
    picture = picture + np.expand_dims(rng.normal(0, grain, cover.shape), -1)
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def _smooth(digit: NDArray[np.float64]) -> NDArray[np.float32]:
    """A smooth stroke from the counts: enlarge, soften, and cut where the pen's edge would be; (192, 192) float32."""
    large = cv2.resize(np.pad(digit / 16, 1).astype(np.float32), (192, 192), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(large, (0, 0), 5)
    edge = np.clip((soft - 0.42) / 0.14, 0, 1)
    return np.asarray(cv2.GaussianBlur(edge, (0, 0), 1.2) * 0.96, dtype=np.float32)


def _encode(picture: NDArray[np.uint8], kind: str, *, orientation: int = 1) -> bytes:
    import pillow_heif
    from PIL import ExifTags, Image

    pillow_heif.register_heif_opener()
    image, buffer = Image.fromarray(picture), io.BytesIO()
    options: dict[str, object] = {"quality": 88}
    if orientation != 1:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        options["exif"] = exif
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _add_unusable(folder: Path, rng: np.random.Generator) -> None:
    """The four kinds of file that every real folder has sooner or later."""
    (folder / "1" / "empty.png").write_bytes(b"")
    (folder / "2" / "notes.png").write_text("Shopping: rice, tea, a better pen.\n", encoding="utf-8")
    blank = draw(np.zeros((8, 8)), 0, rng)
    whole = _encode(rng.integers(0, 255, (240, 240, 3), dtype=np.uint8), "JPEG")
    (folder / "3" / "broken-upload.jpg").write_bytes(whole[: len(whole) // 3])
    (folder / "8" / "blank-page.jpg").write_bytes(_encode(blank, "JPEG"))
