"""Practice sheets filled in and photographed by program, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from tenarai.sheets.codes import corner_dictionary, modules, row_dictionary
from tenarai.sheets.layout import Box

DENSITY = 10  # pixels a millimetre of the paper that is photographed
EMPTY, FILLED, STRUCK = "empty", "filled", "struck"


def print_sheet(sheet) -> np.ndarray:
    """The markers and frames of a sheet as printed, (H, W, 3) uint8; without the words, which only the PDF has."""
    layout = sheet.layout
    paper = np.full((round(layout.height * DENSITY), round(layout.width * DENSITY), 3), 255, np.uint8)
    for box, marker in zip(layout.corner_markers(), sheet.corner_ids(), strict=True):
        _stamp(paper, box, modules(corner_dictionary(), marker))
    for row in range(layout.rows):
        for box, marker in zip(layout.row_markers(row), sheet.row_ids(row), strict=True):
            _stamp(paper, box, modules(row_dictionary(), marker))
        for column in range(layout.columns):
            corners = [tuple(round(v * DENSITY) for v in corner) for corner in layout.box(row, column).corners]
            cv2.rectangle(paper, corners[0], corners[2], (204, 230, 245), 3)
    return paper


def _stamp(paper, box, black):
    side = round(box.side * DENSITY)
    left, top = round(box.x * DENSITY), round(box.y * DENSITY)
    large = cv2.resize(np.uint8(black) * 255, (side, side), interpolation=cv2.INTER_NEAREST)
    paper[top : top + side, left : left + side] = 255 - large[..., None]


@dataclass
class Filled:
    """A sheet with writing on it: `truth[row, column]` says empty, filled or struck, `ink` what was written there."""

    paper: np.ndarray
    truth: dict = field(default_factory=dict)
    ink: dict = field(default_factory=dict)


def fill_in(sheet, paper, inks, rng, *, share_empty=0.15, share_struck=0.05) -> Filled:
    """Write real digits into the boxes.

    Args:
        sheet: What the paper says.
        paper: (H, W, 3) uint8 at `DENSITY`.
        inks: By label, pictures (H, W) float of ink, 0 to 1, cropped to the character.
        rng: Decides pens, places and sizes, and what stays empty or is struck out.
        share_empty, share_struck: Of the boxes.
    """
    done = Filled(paper.astype(np.float32))
    pen = np.array([(0.1, 0.1, 0.12), (0.12, 0.16, 0.45), (0.35, 0.35, 0.36), (0.05, 0.05, 0.05)][rng.integers(4)])
    for row in range(sheet.layout.rows):
        for column in range(sheet.layout.columns):
            box, kind = sheet.layout.box(row, column), rng.random()
            state = EMPTY if kind < share_empty else STRUCK if kind < share_empty + share_struck else FILLED
            done.truth[row, column] = state
            if state != EMPTY and (state == FILLED or rng.random() < 0.8):
                pool = inks[sheet.labels[row]]
                done.ink[row, column] = pool[rng.integers(len(pool))]
                _write(done.paper, box, done.ink[row, column], pen, rng)
            if state == STRUCK:
                _strike(done.paper, box, pen, rng)
    done.paper = np.uint8(np.clip(done.paper, 0, 255))
    return done


def _write(paper, box, ink, pen, rng):
    size = rng.uniform(0.5, 0.8) * box.side * DENSITY
    factor = size / max(ink.shape)
    shape = (max(3, round(ink.shape[1] * factor)), max(3, round(ink.shape[0] * factor)))
    small = np.clip(cv2.resize(ink.astype(np.float32), shape, interpolation=cv2.INTER_AREA), 0, 1)
    room = box.side * DENSITY - np.array(small.shape) - 2 * 0.7 * DENSITY
    top, left = (np.array((box.y, box.x)) * DENSITY + 0.7 * DENSITY + rng.uniform(0, 1, 2) * room).astype(int)
    part = paper[top : top + small.shape[0], left : left + small.shape[1]]
    part *= 1 - small[..., None] * (1 - pen)


def _strike(paper, box, pen, rng):
    """From corner to corner over the frame, crossed, or scribbled over it."""
    over = rng.uniform(0.9, 1.6)
    a, b, c, d = Box(box.x - over, box.y - over, box.side + 2 * over).corners
    kind = rng.integers(3)
    lines = [[a, c]] if kind == 0 else [[a, c], [b, d]]
    if kind == 2:
        y = np.linspace(box.y + 1, box.y + box.side - 1, 9)
        x = np.where(np.arange(9) % 2, box.x - over, box.x + box.side + over)
        lines = [list(zip(x, y, strict=True))]
    mask = np.zeros(paper.shape[:2], np.float32)
    for line in lines:
        points = np.array(line) + rng.normal(0, 0.15, (len(line), 2))
        cv2.polylines(
            mask, [np.int32(points * DENSITY)], False, 1.0, round(rng.uniform(0.5, 0.9) * DENSITY), cv2.LINE_AA
        )
    left, top = int((box.x - 3) * DENSITY), int((box.y - 3) * DENSITY)
    right, bottom = int((box.x + box.side + 3) * DENSITY), int((box.y + box.side + 3) * DENSITY)
    paper[top:bottom, left:right] *= 1 - mask[top:bottom, left:right, None] * (1 - pen)


@dataclass(frozen=True)
class Camera:
    """How a sheet is photographed.

    Attributes:
        megapixels: Of the photo, 4 : 3.
        tilt: Angle between the line of sight and the paper's normal, in degrees; `towards` the direction of it.
        turn: Of the sheet in the picture, in degrees.
        fill: Share of the picture's height or width that the sheet fills.
        shadow: How much darker the shadow is, 0 to 1; `penumbra` the width of its edge in millimetres.
        blur: Standard deviation in pixels of a 12-megapixel photo's size, scaled to this photo's.
        noise: Standard deviation in grey levels.
        quality: Of the JPEG.
    """

    megapixels: float
    tilt: float
    towards: float
    turn: float
    fill: float = 0.9
    shadow: float = 0.4
    penumbra: float = 12.0
    blur: float = 1.5
    noise: float = 3.0
    quality: int = 70


def draw_camera(rng) -> Camera:
    """Any camera of the kind that people hold: up to 30° aslant, any quarter turn, 2 to 12 megapixels, JPEG 70."""
    return Camera(
        megapixels=float(rng.uniform(2, 12)),
        tilt=float(rng.uniform(0, 30)),
        towards=float(rng.uniform(0, 360)),
        turn=float(90 * rng.integers(4) + rng.uniform(-10, 10)),
        fill=float(rng.uniform(0.8, 0.96)),
        shadow=float(rng.uniform(0, 0.6)),
        penumbra=float(rng.uniform(3, 40)),
        blur=float(rng.uniform(0.4, 2.4)),
        noise=float(rng.uniform(1, 5)),
    )


def photograph(paper, camera, rng) -> np.ndarray:
    """Photograph a paper lying on a desk, (H, W, 3) uint8 RGB, JPEG artefacts included."""
    wide, high = (round(v) for v in np.sqrt(camera.megapixels * 1e6) * np.array((np.sqrt(4 / 3), np.sqrt(3 / 4))))
    if abs(np.cos(np.radians(camera.turn))) > 0.7:
        wide, high = high, wide  # the phone is held along the sheet
    matrix = _look(paper.shape, (high, wide), camera)
    lit = np.uint8(_light(paper.shape, camera, rng)[..., None] * paper * np.float32(rng.uniform(0.88, 1.0, 3)))
    scale = float(np.sqrt(abs(np.linalg.det(matrix / matrix[2, 2]))))
    if scale < 0.7:
        lit = cv2.GaussianBlur(lit, (0, 0), 0.45 / scale)
    desk = rng.uniform(60, 180) + rng.uniform(-20, 20, 3)
    grain = cv2.resize(rng.normal(0, 8, (high // 40 + 1, wide // 300 + 1)).astype(np.float32), (wide, high))
    picture = np.uint8(np.clip(desk + grain[..., None], 0, 255))
    cv2.warpPerspective(lit, matrix, (wide, high), picture, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT)
    picture = cv2.GaussianBlur(picture, (0, 0), max(0.2, camera.blur * np.sqrt(camera.megapixels / 12)))
    tile = rng.normal(0, camera.noise, (512, 512)).astype(np.float32)
    noise = np.tile(tile, (high // 512 + 1, wide // 512 + 1))[:high, :wide]
    picture = cv2.add(picture, cv2.merge([noise] * 3), dtype=cv2.CV_8U)
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, camera.quality])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _look(shape, frame, camera):
    """The paper's pixels → the photo's, through a pinhole; the whole paper is in it, as large as `fill` says."""
    high, wide = shape[:2]
    corners = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], dtype=np.float64)
    flat = (corners - (wide / 2, high / 2)) / max(wide, high)
    towards, turn, tilt = np.radians((camera.towards, camera.turn, camera.tilt))
    axis = np.array((np.cos(towards), np.sin(towards), 0.0))
    lean, _ = cv2.Rodrigues(axis * tilt)
    spin, _ = cv2.Rodrigues(np.array((0.0, 0.0, turn)))
    space = np.c_[flat, np.zeros(4)] @ (lean @ spin).T + (0, 0, 1.5)
    seen = space[:, :2] / space[:, 2:]
    size = seen.max(axis=0) - seen.min(axis=0)
    factor = camera.fill * min(frame[1] / size[0], frame[0] / size[1])
    middle = (seen.max(axis=0) + seen.min(axis=0)) / 2
    placed = (seen - middle) * factor + (frame[1] / 2, frame[0] / 2)
    return cv2.getPerspectiveTransform(np.float32(corners), np.float32(placed))


def _light(shape, camera, rng):
    """Uneven light and one shadow over the paper, (H, W) float32."""
    small = (shape[0] // 10, shape[1] // 10)  # a millimetre a pixel
    y, x = np.mgrid[: small[0], : small[1]].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * x + np.sin(angle) * y) / max(small)
    light = 1 - 0.35 * rng.random() * (slope - slope.min()) / np.ptp(slope)
    middle, radius = rng.uniform(0, 1, 2) * small, rng.uniform(0.2, 0.6) * max(small)
    bumpy = radius * (1 + 0.2 * np.sin(3 * np.arctan2(y - middle[0], x - middle[1]) + angle))
    away = (bumpy - np.hypot(y - middle[0], x - middle[1])) / camera.penumbra
    shade = 1 - camera.shadow * np.clip(away + 0.5, 0, 1)
    return cv2.resize(np.float32(light * shade), shape[1::-1], interpolation=cv2.INTER_LINEAR)


def spoil(paper, sheet, rng) -> np.ndarray:
    """The same paper with one of its markers covered, damaged, or exchanged for one of another sheet."""
    layout, spoilt = sheet.layout, paper.copy()
    marks = [
        (box, corner_dictionary(), marker)
        for box, marker in zip(layout.corner_markers(), sheet.corner_ids(), strict=True)
    ]
    for row in range(layout.rows):
        ends = zip(layout.row_markers(row), sheet.row_ids(row), strict=True)
        marks += [(box, row_dictionary(), marker) for box, marker in ends]
    box, dictionary, marker = marks[rng.integers(4) if rng.random() < 0.4 else rng.integers(4, len(marks))]
    kind = rng.integers(3)
    if kind == 0:  # a thumb or a coffee stain
        left, top, side = (round(v * DENSITY) for v in (box.x - 2, box.y - 2, box.side + 4))
        spoilt[max(top, 0) : top + side, max(left, 0) : left + side] = rng.integers(60, 255, 3)
    elif kind == 1:  # the marker of another sheet
        _stamp(spoilt, box, modules(dictionary, int((marker + rng.integers(1, 1000)) % 1000)))
    else:  # half of it torn off
        left, top, side = (round(v * DENSITY) for v in (box.x - 2, box.y - 2, box.side + 4))
        spoilt[max(top, 0) : top + side, max(left, 0) : left + side // 2] = 250
    return spoilt


def bend(photo, *, lens=0.0, wave=0.0) -> np.ndarray:
    """The same photo through a lens that is not straight, or of paper that is not flat.

    Args:
        photo: (H, W, 3) uint8.
        lens: Barrel (positive) or cushion, by the square of the distance from the middle.
        wave: Height of a wave across the paper, as a share of the photo's height.
    """
    high, wide = photo.shape[:2]
    y, x = np.mgrid[:high, :wide].astype(np.float32)
    across, down = (x - wide / 2) / wide, (y - high / 2) / wide
    grown = 1 + lens * (across**2 + down**2)
    bulge = wave * high * np.sin(1.5 * np.pi * x / wide)
    maps = wide / 2 + wide * across * grown, high / 2 + wide * down * grown + bulge
    return cv2.remap(photo, *(np.float32(m) for m in maps), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
