"""What surrounds the character and is no part of it: bars, the desk, frames, circles, underlines.

Bars and the desk are cropped before the ink is measured, because they decide what counts as dark. Frames, circles and
underlines are ink like any other; they are recognised by how they lie round or below the rest.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.locale import _
from tenarai.prepare.character import Parts, choose_character, edge_sharpness, find_parts, threshold_ink
from tenarai.prepare.ink import MIN_CONTRAST, Float, Mask, square
from tenarai.prepare.order import median, median_colour, median_level

MIN_SIDE = 64  # a paint program's 28 pixels have no surroundings, and a broad stroke along their rim is like a bar
UNIFORM = 14  # levels by which the pixels of a bar differ at most
STEP = 40  # levels by which a bar differs from the image beside it at least
DESK = 0.45  # a desk reflects at most this share of the sheet's light; a shadow leaves more
SURROUNDED, DESK_AROUND = 0.95, 0.65  # but no shadow covers this share of the rim; a desk all round may be lighter
GREY = 12  # levels by which the desk differs from a dark sheet at least
SHEET_SIDE = 128  # side at which a sheet is looked for
HOLLOW = 0.68  # share of its box that the hull of a frame or circle covers at least; two sides of a frame hold nothing


def crop_page(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The page alone: without the bars that a gallery or scanner adds, and without the dark desk round a sheet.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
    """
    return picture if min(picture.shape[:2]) < MIN_SIDE else _crop_sheet(_crop_bars(picture))


def _crop_bars(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without bars of one colour that span the image at its rim."""
    for _round in range(2):  # a bar may be seen only after the one across it is gone
        columns = _crop_ends(cv2.transpose(_crop_ends(picture)))
        if columns.shape[1::-1] == picture.shape[:2]:
            return picture
        picture = cv2.transpose(columns)
    return picture


def _crop_ends(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without bars that come first or last."""
    first, last = _measure_bar(rows), len(rows) - _measure_bar(rows[::-1])
    if last - first < max(8, len(rows) // 10) or last - first == len(rows):
        return rows
    inside = np.median(rows[first:last:7, ::7], axis=(0, 1))
    middle = rows.shape[1] // 2
    first = first if np.abs(rows[0, middle] - inside).max() > STEP else 0
    last = last if np.abs(rows[-1, middle] - inside).max() > STEP else len(rows)
    return np.ascontiguousarray(rows[first:last])


def _measure_bar(rows: NDArray[np.uint8]) -> int:
    """How many rows of one colour come first, if an edge along the whole row ends them."""
    colour = median_colour(rows[0])
    least = int(np.ceil(0.015 * len(rows)))
    if (_share_like(rows[[0, least - 1]], colour, UNIFORM) < 0.98).any() or not _may_end(rows, colour):
        return 0
    differs = _share_like(np.ascontiguousarray(rows[: len(rows) // 2]), colour, UNIFORM) < 0.98
    count = int(np.argmax(differs))
    if not least <= count <= 0.45 * len(rows):
        return 0
    after = min(count + max(4, len(rows) // 60), len(rows) - 1)  # beyond an edge that is out of focus
    middle = np.ascontiguousarray(rows[after : after + 1, round(0.15 * rows.shape[1]) : round(0.85 * rows.shape[1])])
    return after if _share_like(middle, colour, STEP)[0] < 0.05 else 0


def _may_end(rows: NDArray[np.uint8], colour: NDArray[np.float64]) -> bool:
    """Whether some row of the first half and a little has another colour at most of a few places."""
    wide = rows.shape[1]
    few = rows[: len(rows) // 2 + len(rows) // 60, round(0.15 * wide) : round(0.85 * wide) : max(1, wide // 16)]
    return bool((_share_like(np.ascontiguousarray(few), colour, STEP) < 0.5).any())


def _share_like(rows: NDArray[np.uint8], colour: NDArray[np.float64], levels: int) -> NDArray[np.float64]:
    """Of each row, the share of pixels that differ from a colour by at most so many levels in every channel."""
    like = cv2.inRange(rows, *(tuple(np.atleast_1d(colour) + step) for step in (-levels, levels)))
    return np.asarray(cv2.reduce(like, 1, cv2.REDUCE_AVG, dtype=cv2.CV_64F).ravel() / 255)


def _crop_sheet(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The sheet of paper on a desk, what lies beyond it replaced by its colour; without a sheet, the image as it is."""
    factor = SHEET_SIDE / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    sheet = _find_sheet(small, is_light=True)
    if sheet is None:
        sheet = _find_sheet(255 - small, is_light=False)
    if sheet is None:
        return picture
    high, wide = picture.shape[:2]
    inside = cv2.resize(sheet, (wide, high), interpolation=cv2.INTER_LINEAR) > 0.5
    left, top, across, tall = cv2.boundingRect(inside.view(np.uint8))
    here = np.s_[top : top + tall, left : left + across]
    paper = np.median(small[sheet > 0], axis=0)
    mask = inside[here] if picture.ndim == 2 else inside[here][..., None]
    return np.where(mask, picture[here], paper.astype(np.uint8))


def _find_sheet(small: NDArray[np.uint8], *, is_light: bool) -> Float | None:
    """Where a sheet lies that is lighter than its desk: broad, four-cornered, with some ink on it.

    Args:
        small: (H, W) or (H, W, 3) uint8, dark ink on a light sheet, or the negative of light ink on a dark one.
        is_light: Whether it is no negative. A dark sheet's ink must differ from the desk, too: a bold 日 on light paper
            is no sheet.

    Returns:
        (H, W) float32, 1 inside; None if there is no sheet.
    """
    grey = small if small.ndim == 2 else np.maximum.reduce(cv2.split(small))
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    darkest = 0 if is_light else np.uint8(np.median(rim))  # a dark sheet is almost as dark as its desk, the ink is not
    level, light = cv2.threshold(np.maximum(grey, darkest), 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    around = float(np.mean(rim <= level))
    if not light.any() or around < (0.1 if is_light else SURROUNDED):
        return None
    desk, paper = median_level(grey, 1 - light), median_level(grey, light)
    if not is_light and grey.min() >= desk - STEP:
        return None
    if desk > (paper - GREY if not is_light else paper * (DESK_AROUND if around > SURROUNDED else DESK)):
        return None
    outline = max(cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=cv2.contourArea)
    hull = cv2.fillPoly(np.zeros_like(light), [cv2.convexHull(outline)], 1)
    inside = cv2.erode(hull, square(5, 5), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    if not inside.any() or not _has_four_corners(outline, hull) or np.sum(light[hull == 0]) > 0.1 * np.sum(hull == 0):
        return None  # what is light outside, too, is the inside of a loop
    on_sheet = grey[inside > 0]
    is_written = (
        np.mean(on_sheet < 0.85 * paper) > 0.002  # also where thin strokes are lighter than the desk
        and np.mean(on_sheet <= level) < 0.4
        and (is_light or on_sheet.min() < desk - STEP)
    )
    return inside.astype(np.float32) if is_written else None


def _has_four_corners(outline: NDArray[np.int32], hull: NDArray[np.uint8]) -> bool:
    """Whether a part is broad, fills its hull, and the hull its box."""
    area = np.count_nonzero(hull)
    short, long = np.sort(np.array(cv2.minAreaRect(outline)[1], dtype=np.float64))
    filled = np.count_nonzero(cv2.fillPoly(np.zeros_like(hull), [outline], 1))
    is_broad = area > 0.06 * hull.size and long < 2.5 * short
    return bool(is_broad and area > 0.86 * (short + 1) * (long + 1) and filled > 0.93 * area)


# ---- round the character


def drop_enclosures(parts: Parts, ink: Float) -> tuple[Float, Parts, str]:
    """Remove frames and circles round the character.

    Args:
        parts: What is ink.
        ink: (H, W) float32, 0 to 1.

    Returns:
        Both without them, and a doubt if what was removed may be part of the character.
    """
    doubt = ""
    for _attempt in range(2):
        inside, is_certain = find_enclosure(parts, ink)
        doubt = doubt if is_certain else _("something is drawn around the character")
        if inside is None:
            break
        ink = keep_inside(ink, inside)
        parts = threshold_ink(ink)
    return ink, parts, doubt


def drop_underlines(parts: Parts, ink: Float) -> tuple[Float, Parts, str]:
    """Remove lines below the character; arguments and result as `drop_enclosures`."""
    for _attempt in range(3):
        if (found := find_underline(parts, ink)) is None:
            break
        without, is_apart = found
        if not is_apart:
            return ink, parts, _("there is a line under the character")
        ink, parts = without, threshold_ink(without)
    return ink, parts, ""


def find_enclosure(parts: Parts, ink: Float) -> tuple[Mask | None, bool]:
    """The paper inside a hollow part that has another part inside: a frame or a circle round the character.

    A 0 has blank paper inside, and the slash in a narrow 0 is part of it.

    Returns:
        (H, W) bool, or None if there is no such part; and whether that is certain. An open ring is not, unless it is a
        border at the image's rim.
    """
    high, wide = ink.shape
    is_certain = True
    for part in np.argsort(-parts.boxes[:, 2] * parts.boxes[:, 3])[:4]:
        left, top, across, tall = parts.boxes[part].astype(int)
        if min(across, tall) < 0.2 * min(high, wide) or max(across, tall) < 0.3 * max(high, wide):
            break
        here = np.s_[top : top + tall, left : left + across]
        ring = parts.labels[here] == part + 1
        core = _find_hollow(ring)
        if core is None:
            continue
        is_closed = _is_closed(ring)
        at_rim = min(left, top, wide - left - across, high - top - tall) <= 1
        found = _look_inside(ring, core, ink[here], is_closed=is_closed)
        is_certain &= is_closed or at_rim or not found
        if found == "character":
            inside = np.zeros(ink.shape, dtype=bool)
            inside[here] = core
            return inside, is_certain
    return None, is_certain


def keep_inside(ink: Float, inside: Mask) -> Float:
    """The ink inside an enclosure; elsewhere that of its paper."""
    return np.where(inside, ink, np.float32(median(ink[inside])))


def _find_hollow(ring: Mask) -> Mask | None:
    """The inside of a part that runs along its own hull; None where it does not."""
    tall, across = ring.shape
    area = np.count_nonzero(ring)
    if area > 0.5 * ring.size:
        return None
    padded = np.pad(ring.view(np.uint8), 1)
    outline = np.concatenate(cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0])
    hull = cv2.fillPoly(np.zeros_like(padded), [cv2.convexHull(outline)], 1)
    num_hull = np.count_nonzero(hull)
    if num_hull < HOLLOW * across * tall or area > 0.5 * num_hull:
        return None
    depth = cv2.distanceTransform(hull, cv2.DIST_L2, 3)[1:-1, 1:-1]
    if np.count_nonzero(depth[ring] > 0.2 * min(across, tall)) > 0.04 * area:
        return None
    core = (depth > 2) & (cv2.dilate(ring.view(np.uint8), square(7, 7)) == 0)
    return core if np.count_nonzero(core) >= 0.2 * num_hull else None


def _is_closed(ring: Mask) -> bool:
    """Whether paper is completely enclosed."""
    paper = np.pad(~ring, 1, constant_values=True).view(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(paper, connectivity=4)
    stats[labels[0, 0], cv2.CC_STAT_AREA] = 0
    return bool(stats[1:, cv2.CC_STAT_AREA].max(initial=0) > 0.4 * np.count_nonzero(ring))


def _look_inside(ring: Mask, core: Mask, ink: Float, *, is_closed: bool) -> Literal["", "something", "character"]:
    """What the largest part inside is: a character is large, central, apart from the ring, dark and sharp."""
    tall, across = ring.shape
    inner = find_parts(threshold_ink(keep_inside(ink, core)).mask & core)
    if not len(inner.areas):
        return ""
    main = int(np.argmax(np.hypot(*inner.boxes[:, 2:].T)))
    left, top, wide, high = inner.boxes[main]
    here = find_parts(inner.labels == main + 1)
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.8)
    paper = smooth[core & (cv2.dilate(inner.mask.view(np.uint8), square(5, 5)) == 0)]
    if max(wide, high) < max(0.1 * max(across, tall), 8) or paper.size < 30:
        return ""
    level = median(paper)
    contrast = median(smooth[here.mask]) - level
    if contrast < max(8 * 1.48 * median(np.abs(paper - level)), 2 * MIN_CONTRAST):
        return ""
    off_centre = max(abs(left + wide / 2 - across / 2) / across, abs(top + high / 2 - tall / 2) / tall)
    steepness = float(edge_sharpness(find_parts(ring), ink).mean()) / max(1e-3, median(smooth[ring]))
    is_character = (
        max(wide, high) >= (0.15 if is_closed else 0.25) * max(across, tall)
        and off_centre <= (0.3 if is_closed else 0.22)
        # else it is an end of the ring's own stroke
        and not (cv2.dilate(here.mask.view(np.uint8), square(3, 3)).view(bool) & ~core).any()
        and float(edge_sharpness(here, ink)[0]) / contrast >= 0.35 * steepness
        and not (tall > 1.25 * across and _is_straight(here.mask))
    )
    return "character" if is_character else "something"


def _is_straight(part: Mask) -> bool:
    spread = np.linalg.eigvalsh(np.cov(np.argwhere(part).astype(np.float64).T))
    return bool(spread[0] < 0.02 * spread[1])


# ---- below the character


def find_underline(parts: Parts, ink: Float) -> tuple[Float, bool] | None:
    """A straight stroke below everything else and nine tenths as wide.

    Returns:
        The ink without it, and whether it is clearly apart from what stands above: else it may be the foot of a 1. None
        if there is no such stroke.
    """
    for part in np.argsort(-parts.boxes[:, 1]):
        left, top, across, tall = parts.boxes[part]
        if across * across < 5 * parts.areas[part] or tall > 0.25 * across or across < 0.15 * ink.shape[1]:
            continue
        near = cv2.dilate((parts.labels == part + 1).view(np.uint8), square(7, 7)).view(bool)
        rest_ink = np.where(near, 0, ink).astype(np.float32)
        rest = threshold_ink(rest_ink)  # a black underline hides faint pencil above it
        bottom = int(top + tall)
        above = find_parts(rest.mask[:bottom])
        is_tall = above.boxes[:, 3] > 0.3 * across
        if np.count_nonzero(parts.mask[bottom + 3 :]) > 3 * parts.areas[part]:
            continue
        if is_tall.any():
            main_left, main_top, main_across, main_tall = above.boxes[is_tall][np.argmax(above.areas[is_tall])]
        else:  # a character in pieces
            pieces = choose_character(above, rest_ink[:bottom])
            main_left, main_top, main_across, main_tall = cv2.boundingRect(pieces.view(np.uint8))
            if main_tall <= 0.3 * across:
                continue
        distance = top - (main_top + main_tall)
        if (
            main_left < left + across
            and left < main_left + main_across
            and across >= 0.9 * main_across
            and distance > -3
        ):
            return rest_ink, distance > 0.15 * main_tall - 3
    return None
