"""What is round a digit: frames, circles, underlines, bars, desks, shadows; pencil, blank pages, rows and pages.

.venv/bin/python -m benchmarks.situations <folder of <set>/<label>/<file>> [--half a|b] [--seed N] [--only WORD…]

Every situation is drawn round the same 155 digits of half of the sets and read by the base model. Rules were chosen on
half a; figures in the documentation are of half b, with seeds that nothing was chosen on. Prints markdown tables: of
single digits the share read right, and of all pictures those refused, unsure, and sure and wrong.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.model.bundle import LoadedModel, load_base
from tenarai.prepare import NORMALISER_VERSION, decode, read_characters, run_stages

Picture = NDArray[np.uint8]
Float = NDArray[np.float32]
Rng = np.random.Generator
Colour = Sequence[float]

SIDE = 240  # of a cell
DIGIT = 110  # longest side of the digit's image in it
NUM_DIGITS = 155
PAGE = 900  # side of a page in pencil


@dataclass(frozen=True)
class Digit:
    """One person's digit: its label, and a cell of its own paper with the digit in the middle."""

    label: str
    cell: Picture
    paper: Colour

    @property
    def ink(self) -> Colour:
        return (20, 20, 20) if np.mean(self.paper) > 110 else (235, 235, 235)

    def tone(self, on_white: Colour, on_black: Colour) -> Colour:
        return on_white if np.mean(self.paper) > 110 else on_black


@dataclass(frozen=True)
class Stroke:
    """One person's digit without its paper: label and how much ink covers each pixel, (H, W) 0 to 1."""

    label: str
    cover: Float


# ---- the digits


def load_pictures(data: Path, half: str) -> list[tuple[str, str, Picture]]:
    """Set, label and image of every digit in every second set."""
    folders = sorted(path for path in data.iterdir() if path.is_dir())["ab".index(half) :: 2]
    files = [file for folder in folders for file in sorted(folder.glob("*/*"))]
    return [(file.parts[-3], file.parent.name, decode(file.read_bytes())) for file in files]


def pick_digits(pictures: Sequence[tuple[str, str, Picture]], rng: Rng) -> list[Digit]:
    """155 digits, about as many of each set."""
    by_set: dict[str, list[int]] = {}
    for number, (name, _, _) in enumerate(pictures):
        by_set.setdefault(name, []).append(number)
    shuffled = [rng.permutation(numbers) for numbers in by_set.values()]
    turns = [numbers[turn] for turn in range(max(map(len, shuffled))) for numbers in shuffled if turn < len(numbers)]
    return [_put_in_cell(*pictures[number][1:]) for number in turns[:NUM_DIGITS]]


def _put_in_cell(label: str, picture: Picture) -> Digit:
    paper = np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]), axis=0)
    cell = np.full((SIDE, SIDE, 3), paper, dtype=np.uint8)
    digit = _resize(picture, DIGIT)
    top, left = (SIDE - digit.shape[0]) // 2, (SIDE - digit.shape[1]) // 2
    cell[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return Digit(label, cell, tuple(map(float, paper)))


def lift_strokes(pictures: Sequence[tuple[str, str, Picture]], rng: Rng) -> list[list[Stroke]]:
    """The strokes of large images by set, so that a row can be written by one person."""
    by_set: dict[str, list[Stroke]] = {}
    for number in rng.permutation(len(pictures)):
        name, label, picture = pictures[number]
        if min(picture.shape[:2]) < 56 or len(by_set.get(name, ())) >= 60:
            continue
        try:
            stages = run_stages(picture)
        except ImageError:
            continue
        if not stages.doubt:
            by_set.setdefault(name, []).append(Stroke(label, _lift(stages.ink, stages.chosen)))
    return [strokes for strokes in by_set.values() if len(strokes) >= 8]


def _lift(ink: Float, chosen: NDArray[np.bool_]) -> Float:
    grown = cv2.dilate(np.uint8(chosen), np.ones((3, 3), np.uint8))
    cover = np.where(grown > 0, np.clip(ink / np.percentile(ink[chosen], 75), 0, 1), 0)
    left, top, wide, high = cv2.boundingRect(grown)
    return np.ascontiguousarray(cover[top : top + high, left : left + wide], dtype=np.float32)


def _resize(picture: NDArray[np.generic], longest: float) -> NDArray[np.generic]:
    factor = longest / max(picture.shape[:2])
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how))


# ---- drawn round one digit


def border(digit: Digit, rng: Rng, sides: str, thick: int, gap: int, slope: float) -> Picture:
    """The rest of a table cell: bars along some of its sides (t, l, b, r)."""
    cell, fall = digit.cell.copy(), int(SIDE * slope)
    near, far = gap + thick // 2, SIDE - gap - thick // 2
    ends = {
        "t": ((0, near), (SIDE, near + fall)),
        "l": ((near, 0), (near - fall, SIDE)),
        "b": ((0, far), (SIDE, far - fall)),
        "r": ((far, 0), (far + fall, SIDE)),
    }
    for side in sides:
        cv2.line(cell, *ends[side], digit.ink, thick)
    return _blur(cell, 2)


def frame(digit: Digit, rng: Rng, half: int, thick: int, *, shake: float = 0, ink: Colour | None = None) -> Picture:
    """A square round the digit."""
    a, b = SIDE // 2 - half, SIDE // 2 + half
    corners = np.float32([[a, a], [b, a], [b, b], [a, b]])
    path = np.concatenate([np.linspace(corners[k], corners[(k + 1) % 4], 60, endpoint=False) for k in range(4)])
    return _draw(digit, rng, path, thick, shake, closed=True, ink=ink)


def circle(
    digit: Digit, rng: Rng, radius: int, thick: int, *, shake: float = 0, ink: Colour | None = None, opening: float = 0
) -> Picture:
    """A circle round the digit, an oval where it is drawn by hand; `opening` is the share of it that is missing."""
    angle = np.linspace(0, 2 * np.pi * (1 - opening), 160) + rng.uniform(0, 6)
    oval = rng.uniform(0.9, 1.1) if shake else 1.0
    path = SIDE / 2 + radius * np.stack([oval * np.cos(angle), np.sin(angle) / oval], axis=1)
    return _draw(digit, rng, path.astype(np.float32), thick, shake, closed=not opening, ink=ink)


def underline(digit: Digit, rng: Rng, *heights: int, thick: int = 4, inset: int = 50) -> Picture:
    """Lines below the digit."""
    cell = digit
    for height in heights:
        x = np.linspace(inset, SIDE - inset, 80)
        path = np.stack([x, np.linspace(height, height + rng.uniform(-6, 6), 80)], axis=1).astype(np.float32)
        cell = Digit(digit.label, _draw(cell, rng, path, thick, 1.5, closed=False), digit.paper)
    return cell.cell


def bars(digit: Digit, rng: Rng, level: int, high: float, wide: float, *, at_top: bool = False) -> Picture:
    """Bars of one colour round the image, as a gallery's screenshot has them."""
    shape = (round(SIDE * high), round(SIDE * wide), 3)
    page = np.full(shape, level, np.uint8)
    top, left = (0 if at_top else (shape[0] - SIDE) // 2), (shape[1] - SIDE) // 2
    page[top : top + SIDE, left : left + SIDE] = digit.cell
    return page


def desk(digit: Digit, rng: Rng, level: float, share: float, turn: float) -> Picture:
    """The sheet lies on a darker desk and covers a share of the image; turned a little."""
    side = round(SIDE / share)
    page = np.clip(rng.normal(level, 4, (side, side, 3)), 0, 255).astype(np.float32)
    page = cv2.GaussianBlur(page, (0, 0), 1)
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), rng.uniform(-turn, turn), 1.0)
    matrix[:, 2] += (side - SIDE) * rng.uniform(0.3, 0.7, 2)
    place = {"dsize": (side, side), "borderMode": cv2.BORDER_CONSTANT}
    sheet = cv2.warpAffine(digit.cell.astype(np.float32), matrix, **place)
    cover = cv2.warpAffine(np.ones((SIDE, SIDE), np.float32), matrix, **place)[..., None]
    return _bytes(_blur(page * (1 - cover) + sheet, 1))


def desk_corner(digit: Digit, rng: Rng, level: float) -> Picture:
    """The desk shows beyond one corner of the sheet."""
    cell = digit.cell.copy()
    reach = rng.integers(30, 75, 2)
    corner = np.array([[0, 0], [reach[0], 0], [0, reach[1]]])
    flips = rng.integers(0, 2, 2) * SIDE
    cv2.fillPoly(cell, [np.abs(corner - flips).astype(np.int32)], (level, level * 0.9, level * 0.8))
    return _blur(cell, 1.5)


def crop_tightly(digit: Digit, rng: Rng, inside: int) -> Picture:
    """The image ends at the ink, or `inside` pixels within it on one side."""
    difference = np.abs(digit.cell.astype(np.float32) - np.float32(digit.paper)).max(axis=2)
    left, top, wide, high = cv2.boundingRect(np.uint8(difference > 0.4 * difference.max()))
    cut = [0, 0, 0, 0]
    cut[rng.integers(4)] = inside
    return np.ascontiguousarray(
        digit.cell[top + cut[0] : top + high - cut[1] or None, left + cut[2] : left + wide - cut[3] or None]
    )


def finger(digit: Digit, rng: Rng) -> Picture:
    """A finger holds the page at its rim."""
    cell = digit.cell.copy()
    skin = (0.9 * 235, 0.7 * 235, 0.6 * 235)
    along = int(rng.integers(40, 200))
    at = [(0, along), (SIDE, along), (along, 0), (along, SIDE)][rng.integers(4)]
    cv2.ellipse(
        cell, at, (int(rng.integers(25, 45)), int(rng.integers(25, 60))), int(rng.integers(180)), 0, 360, skin, -1
    )
    return _blur(cell, 1.5)


def _draw(
    digit: Digit, rng: Rng, path: Float, thick: int, shake: float, *, closed: bool, ink: Colour | None = None
) -> Picture:
    """A line along a path, drawn by hand where it shakes."""
    cell = digit.cell.copy()
    if shake:
        moved = cv2.GaussianBlur(
            rng.normal(0, 1, (len(path), 2)).astype(np.float32), (0, 0), sigmaX=0.001, sigmaY=len(path) / 18
        )
        path = path + moved / (moved.std() + 1e-6) * shake
    cv2.polylines(cell, [np.int32(np.rint(path))], closed, ink or digit.ink, thick, cv2.LINE_AA)
    return _blur(cell, 1)


def _blur(picture: NDArray[np.generic], sigma: float) -> NDArray[np.generic]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma))


def _bytes(picture: NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


Draw = Callable[[Digit, Rng], Picture]


def list_situations() -> dict[str, Draw]:
    red = {"ink": (220, 110, 110)}
    found: dict[str, Draw] = {"as it is": lambda digit, rng: _blur(digit.cell, 1)}
    for thick in (8, 10, 12, 16):
        for gap, slope, sides in ((0, 0.0, "tl"), (4, 0.0, "br"), (8, 0.0, "tl"), (8, 0.03, "br"), (0, 0.03, "tr")):
            name = f"L of {thick} px, {gap} px from the rim, slope {slope}"
            found[name] = partial(border, sides=sides, thick=thick, gap=gap, slope=slope)
    found |= {
        "U of 12 px": partial(border, sides="tlb", thick=12, gap=4, slope=0.01),
        "border of 12 px on four sides": partial(border, sides="tlbr", thick=12, gap=2, slope=0.0),
        "one bar of 16 px": partial(border, sides="t", thick=16, gap=8, slope=0.0),
        "frame, thin": partial(frame, half=95, thick=2),
        "frame, thick": partial(frame, half=95, thick=8),
        "frame, near": partial(frame, half=64, thick=4),
        "frame, near and thick": partial(frame, half=66, thick=8),
        "frame, by hand": partial(frame, half=88, thick=4, shake=3),
        "frame, by hand and near": partial(frame, half=70, thick=4, shake=2.5),
        "frame, printed red": partial(frame, half=90, thick=3, **red),
        "circle, thin": partial(circle, radius=95, thick=3),
        "circle, thick": partial(circle, radius=95, thick=8),
        "circle, by hand": partial(circle, radius=86, thick=4, shake=3),
        "circle, red": partial(circle, radius=92, thick=4, shake=2, **red),
        "circle, left open": partial(circle, radius=90, thick=4, shake=3, opening=0.06),
        "underline": lambda digit, rng: underline(digit, rng, 198),
        "underline, near": lambda digit, rng: underline(digit, rng, 182, thick=5, inset=60),
        "underline, double": lambda digit, rng: underline(digit, rng, 198, 212),
    }
    for level, colour in ((0, "black"), (255, "white")):
        found |= {
            f"bars, {colour}, above and below": partial(bars, level=level, high=2.17, wide=1.0),
            f"bars, {colour}, left and right": partial(bars, level=level, high=1.0, wide=1.78),
            f"bars, {colour}, narrow": partial(bars, level=level, high=1.11, wide=1.0),
            f"bar, {colour}, below": partial(bars, level=level, high=1.3, wide=1.0, at_top=True),
            f"bars, {colour}, on four sides": partial(bars, level=level, high=1.2, wide=1.2),
        }
    return found | {
        "sheet on a black desk": partial(desk, level=25, share=0.72, turn=4),
        "sheet on a grey desk": partial(desk, level=90, share=0.72, turn=8),
        "sticky note on a dark desk": partial(desk, level=45, share=0.45, turn=15),
        "desk beyond a corner": partial(desk_corner, level=60),
        "finger at the rim": finger,
        "cropped to the ink": partial(crop_tightly, inside=0),
        "cropped into the ink": partial(crop_tightly, inside=3),
    }


# ---- pages photographed in simulation


def paper(rng: Rng, high: int, wide: int, level: float, fall: float, uneven: float) -> Float:
    """A sheet in uneven light: (H, W, 3) float32, 0 to 255."""
    y, x = np.mgrid[0 : 1 : high * 1j, 0 : 1 : wide * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 - fall * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) + 0.5)
    for cells, share in ((7, 1.0), (40, 0.4)):
        clouds = rng.normal(0, share * uneven, (cells, cells)).astype(np.float32)
        light = light * (1 + cv2.resize(clouds, (wide, high), interpolation=cv2.INTER_CUBIC))
    return np.asarray(level * (1 + rng.normal(0, 0.012, 3)) * light[..., None], dtype=np.float32)


def write(page: Float, stroke: Float, top: float, left: float, darkness: float) -> None:
    """Write on the page, in place."""
    high, wide = stroke.shape
    page[int(top) : int(top) + high, int(left) : int(left) + wide] *= 1 - darkness * stroke[..., None]


def photograph(page: Float, rng: Rng) -> bytes:
    """The page as a phone's JPEG, with grain."""
    grain = cv2.GaussianBlur(rng.normal(0, rng.uniform(1, 3), page.shape[:2]).astype(np.float32), (0, 0), 0.7)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 90))]
    return cv2.imencode(".jpg", _bytes(page + 1.8 * grain[..., None])[..., ::-1], quality)[1].tobytes()


def cast_shadow(page: Float, rng: Rng, width: float) -> Float:
    """A shadow over part of the page; `width` is that of its edge as a share of the page."""
    high, wide = page.shape[:2]
    y, x = np.mgrid[0 : 1 : high * 1j, 0 : 1 : wide * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    beyond = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) - rng.uniform(-0.2, 0.35)
    dark = rng.uniform(0.2, 0.5) / (1 + np.exp(-np.clip(beyond / width, -40, 40)))
    return np.asarray(page * (1 - dark)[..., None], dtype=np.float32)


def greyish(rng: Rng) -> Float:
    return paper(rng, PAGE, PAGE, rng.uniform(140, 215), rng.uniform(0.1, 0.4), rng.uniform(0.005, 0.02))


def in_pencil(stroke: Stroke, rng: Rng) -> bytes:
    """Strokes 10 to 16 % darker than uneven greyish paper."""
    page, cover = greyish(rng), np.clip(_resize(stroke.cover, rng.uniform(250, 520)), 0, 1)
    texture = cv2.GaussianBlur(rng.normal(0, 1, cover.shape).astype(np.float32), (0, 0), 1.5)
    cover = cover * np.clip(1 + 0.9 * texture, 0.35, 1.25)
    top, left = (rng.uniform(60, PAGE - 60 - side) for side in cover.shape)
    write(page, cover, top, left, rng.uniform(0.10, 0.16))
    return photograph(page, rng)


def in_hard_shadow(stroke: Stroke, rng: Rng) -> bytes:
    """A digit on a page of phone size, the hard edge of a shadow across it."""
    page = paper(rng, 1200, PAGE, rng.uniform(190, 245), rng.uniform(0.05, 0.3), 0.004)
    cover = np.clip(_resize(stroke.cover, rng.uniform(300, 600)), 0, 1)
    write(
        page,
        cover,
        *(rng.uniform(100, full - 100 - side) for full, side in zip(page.shape, cover.shape, strict=False)),
        0.75,
    )
    return photograph(cast_shadow(page, rng, 0.004), rng)


def blank_page(kind: str, strokes: Sequence[Stroke], rng: Rng) -> bytes:
    """A page that holds no character."""
    page = greyish(rng)
    if kind == "specks":
        for _ in range(rng.integers(3, 40)):
            tone = page.mean(axis=(0, 1)) * rng.uniform(0.5, 0.9)
            at = tuple(map(int, rng.integers(0, PAGE, 2)))
            cv2.circle(page, at, int(rng.integers(1, 5)), tone.tolist(), -1, cv2.LINE_AA)
    elif kind == "smudges":
        for _ in range(rng.integers(1, 4)):
            smudge = np.zeros((PAGE, PAGE), np.float32)
            at, axes = (
                tuple(map(int, rng.integers(100, 800, 2))),
                (int(rng.integers(20, 150)), int(rng.integers(10, 80))),
            )
            cv2.ellipse(smudge, at, axes, int(rng.integers(180)), 0, 360, 1, -1)
            page *= 1 - cv2.GaussianBlur(smudge, (0, 0), rng.uniform(10, 40))[..., None] * rng.uniform(0.03, 0.12)
    elif kind in {"hard shadow", "soft shadow"}:
        page = cast_shadow(page, rng, 0.004 if kind == "hard shadow" else 0.08)
    elif kind == "crease":
        (left, right), (y, x) = rng.uniform(0, PAGE, 2), np.mgrid[0:PAGE, 0:PAGE]
        away = y - (left + (right - left) * x / PAGE)
        page *= (1 - 0.05 * np.exp(-((away / 6) ** 2)) + 0.03 * np.exp(-(((away - 14) / 8) ** 2)))[..., None]
    elif kind == "writing shows through":
        for row, column in np.ndindex(int(rng.integers(4, 9)), int(rng.integers(4, 9))):
            back = _resize(strokes[rng.integers(len(strokes))].cover, 60)[:, ::-1]
            write(page, cv2.GaussianBlur(np.clip(back, 0, 1), (0, 0), 6), 60 + 90 * row, 60 + 90 * column, 0.05)
    elif kind == "finger":
        skin = page.mean(axis=(0, 1)) * np.array([0.9, 0.7, 0.6]) * rng.uniform(0.5, 0.9)
        at = (int(rng.choice([0, PAGE])), int(rng.integers(PAGE)))
        axes = (int(rng.integers(80, 200)), int(rng.integers(80, 250)))
        cv2.ellipse(page, at, axes, int(rng.integers(180)), 0, 360, skin.tolist(), -1)
        page = np.asarray(_blur(page, 3), dtype=np.float32)
    return photograph(page, rng)


BLANK = ("empty", "specks", "smudges", "hard shadow", "soft shadow", "crease", "writing shows through", "finger")


@dataclass(frozen=True)
class Page:
    """A photo of several characters, in lines."""

    lines: tuple[str, ...]
    photo: bytes


def write_page(strokes: Sequence[Stroke], rng: Rng, *, lines: int) -> Page:
    """Digits of one person that do not touch: a row of 2 to 12, or a page of up to 30."""
    most = int(rng.integers(2, 13)) if lines == 1 else int(rng.integers(2, 7))
    height = rng.uniform(90, 200) if most > 6 or lines > 3 else rng.uniform(120, 260)
    counts = [most if line < max(1, lines - 1) else int(rng.integers(1, most + 1)) for line in range(lines)]
    rows = [[strokes[rng.integers(len(strokes))] for _ in range(count)] for count in counts]
    covers = [
        [np.clip(_resize(stroke.cover, height * rng.uniform(0.85, 1.15)), 0, 1) for stroke in row] for row in rows
    ]
    gap, pitch = rng.uniform(0.25, 1.0) * height, height * rng.uniform(1.35, 1.9)
    longest = max(sum(cover.shape[1] for cover in row) + gap * (len(row) - 1) for row in covers)
    wide = int(longest + rng.uniform(0.8, 2.5) * height)
    high = int(pitch * lines + rng.uniform(0.6, 2.5) * height)
    wide, high = max(wide, high // 2), max(high, int(0.35 * wide))
    page = paper(rng, high, wide, rng.uniform(190, 245), rng.uniform(0.05, 0.3), 0.004)
    top, left, darkness = (
        (high - pitch * lines) * rng.uniform(0.3, 0.7),
        (wide - longest) * rng.uniform(0.3, 0.7),
        rng.uniform(0.45, 0.9),
    )
    for number, row in enumerate(covers):
        x = left
        for cover in row:
            y = top + pitch * number + 1.1 * height - cover.shape[0] + rng.normal(0, 0.05 * height)
            tall, across = cover.shape
            write(page, cover, np.clip(y, 2, high - tall - 3), np.clip(x, 2, wide - across - 3), darkness)
            x += across + gap * rng.uniform(0.75, 1.25)
    corners = np.float32([[0, 0], [wide, 0], [wide, high], [0, high]])
    moved = corners + np.float32(rng.uniform(-0.03, 0.03, (4, 2)) * [wide, high])
    matrix = cv2.getPerspectiveTransform(corners, moved)
    page = cv2.warpPerspective(page, matrix, (wide, high), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 1 / 3:
        page = cast_shadow(page, rng, rng.choice([0.004, 0.08]))
    if rng.random() < 1 / 4:
        page = np.asarray(_blur(page, rng.uniform(0.8, 2.2)), dtype=np.float32)
    return Page(tuple("".join(stroke.label for stroke in row) for row in rows), photograph(page, rng))


# ---- read and count


@dataclass(frozen=True)
class Count:
    """How pictures of one kind were read, each as (label or None where it was refused, sure)."""

    num: int
    right: int
    refused: int
    unsure: int
    sure_and_wrong: int

    def as_row(self, name: str) -> str:
        shares = f"{self.right / self.num:.1%} | {self.refused} | {self.unsure} | {self.sure_and_wrong}"
        return f"| {name} | {self.num} | {shares} |"


class Reader:
    """The base model behind the normaliser."""

    def __init__(self, model: LoadedModel) -> None:
        """Keep the model."""
        self.model, self.names = model, np.array(model.info.labels)

    def read(self, pictures: Sequence[Picture]) -> list[tuple[str | None, bool]]:
        """The reading of each, or None where it is refused, and whether it is sure."""
        digits, doubts, refused = np.zeros((len(pictures), 28, 28), np.uint8), [False] * len(pictures), set()
        for number, picture in enumerate(pictures):
            try:
                stages = run_stages(picture)
                digits[number], doubts[number] = stages.digit, bool(stages.doubt)
            except ImageError:
                refused.add(number)
        found = self.model.predict(digits)
        labels, sure = self.names[found.argmax(axis=1)], found.max(axis=1) >= self.model.info.unsure_below
        return [
            (None, False) if number in refused else (str(label), bool(is_sure and not doubt))
            for number, (label, is_sure, doubt) in enumerate(zip(labels, sure, doubts, strict=True))
        ]

    def count(self, labels: Sequence[str], pictures: Sequence[Picture]) -> Count:
        """Compare with what was written."""
        read = self.read(pictures)
        right = [label == written for (label, _), written in zip(read, labels, strict=True)]
        refused = sum(label is None for label, _ in read)
        sure = [is_sure for _, is_sure in read]
        wrong = sum(is_sure and not is_right for is_sure, is_right in zip(sure, right, strict=True))
        return Count(len(read), sum(right), refused, len(read) - refused - sum(sure), wrong)

    def count_pages(self, pages: Sequence[Page]) -> str:
        """Of photos of several characters: how many were a sure single digit, and how many characters were right."""
        single = errors = total = right_count = 0
        for page in pages:
            written = "".join(page.lines)
            total += len(written)
            try:
                characters = read_characters(page.photo)
            except ImageError:
                errors += len(written)
                continue
            found = self.model.predict(np.stack([character.digit for character in characters]))
            is_sure = found.max(axis=1) >= self.model.info.unsure_below
            single += len(characters) == 1 and bool(is_sure[0]) and not characters[0].doubt
            right_count += len(characters) == len(written)
            errors += _distance(written, "".join(self.names[found.argmax(axis=1)]))
        return f"{len(pages)} | {single} | {right_count} | {total} | {1 - errors / total:.1%}"


def _distance(a: str, b: str) -> int:
    """Edits from one string to the other."""
    row = list(range(len(b) + 1))
    for number, letter in enumerate(a, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(b, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (letter != other))
    return row[-1]


def seeded(seed: int, name: str) -> Rng:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def make_pages(strokes: list[list[Stroke]], rng: Rng, num: int, *, many_lines: bool) -> Iterator[Page]:
    for _ in range(num):
        yield write_page(strokes[rng.integers(len(strokes))], rng, lines=int(rng.integers(2, 6)) if many_lines else 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--half", choices=["a", "b"], default="b")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="situations whose name holds one of these words")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    reader = Reader(load_base(normaliser=NORMALISER_VERSION))
    pictures = load_pictures(given.data, given.half)
    wanted = lambda name: not given.only or any(word in name for word in given.only)  # noqa: E731
    digits = pick_digits(pictures, seeded(given.seed, "digits"))
    print("| situation | pictures | read right | refused | unsure | sure and wrong |\n| --- |" + " ---: |" * 5)
    for name, draw in list_situations().items():
        if wanted(name):
            rng = seeded(given.seed, name)
            drawn = [np.asarray(draw(digit, rng), dtype=np.uint8) for digit in digits]
            print(reader.count([digit.label for digit in digits], drawn).as_row(name), flush=True)
    by_person = lift_strokes(pictures, seeded(given.seed, "strokes"))
    strokes = [stroke for person in by_person for stroke in person]
    photographed = {"pencil": in_pencil, "hard shadow across a phone's page": in_hard_shadow}
    for name, make in photographed.items():
        if wanted(name):
            rng = seeded(given.seed, name)
            chosen = [strokes[number] for number in rng.permutation(len(strokes))[:NUM_DIGITS]]
            photos = [decode(make(stroke, rng)) for stroke in chosen]
            print(reader.count([stroke.label for stroke in chosen], photos).as_row(name), flush=True)
    for kind in BLANK:
        if wanted(f"blank {kind}"):
            rng = seeded(given.seed, kind)
            photos = [decode(blank_page(kind, strokes, rng)) for _ in range(50)]
            print(reader.count([""] * 50, photos).as_row(f"blank: {kind}"), flush=True)
    print(
        "\n| several | photos | a sure single digit | counted right | characters | of these right |\n| --- |"
        + " ---: |" * 5
    )
    for name, many_lines in (("rows", False), ("pages", True)):
        if wanted(name):
            pages = list(make_pages(by_person, seeded(given.seed, name), 100, many_lines=many_lines))
            print(f"| {name} | {reader.count_pages(pages)} |", flush=True)


if __name__ == "__main__":
    main()
