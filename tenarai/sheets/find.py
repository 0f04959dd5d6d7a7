"""Find a sheet in a photo by its markers, read what it says of itself, and lay it flat.

The corners are looked for in the photo. With their help the paper is drawn as if scanned, upright and at a fixed scale,
and there the row markers must lie where the layout has them; how far each is off tells how the paper bends.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.sheets.codes import (
    NUM_MARKERS,
    VALUES,
    Recall,
    Sheet,
    check_digits,
    corner_dictionary,
    layout_of,
    row_dictionary,
)
from tenarai.sheets.layout import CORNER, Box, Layout

SCALE = 8  # pixels a millimetre of the flat page
MIN_SCALE = 2.5  # of the photo: below this the markers' squares, and thin strokes, are lost
LOOK_AT = 1800  # longest side at which corners are looked for first
REACH = 4.0  # millimetres that a row marker may lie off its place
CORNERS = ("top left", "top right", "bottom right", "bottom left")
WHOLE = "photograph the whole sheet, flat, sharp and from above, with all its black squares in the picture"

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FoundSheet:
    """A sheet found in a photo.

    Attributes:
        sheet: What it says of itself.
        page: (H, W, 3) uint8 RGB, the paper laid flat, upright, 8 pixels a millimetre.
        shifts: (rows, 2, 2) float64: how far each row's left and right end lie off their place, x and y in millimetres.
    """

    sheet: Sheet
    page: Picture
    shifts: Points


def find_sheet(photo: Picture, recall: Recall) -> FoundSheet:
    """Find the sheet in a photo.

    Args:
        photo: (H, W, 3) uint8 RGB, turned any way.
        recall: Tells which label a number on the sheet stands for.

    Raises:
        ImageError: Markers are missing, or do not belong together; the message says which.
    """
    corners, values = _find_corners(photo)
    layout = layout_of(values[0])
    if layout is None:
        raise ImageError(f"the sheet is laid out in a way (number {values[0]}) that this version does not know")
    page = _lay_flat(photo, corners, layout)
    ids, shifts = _read_rows(page, layout)
    codes = tuple(left * NUM_MARKERS + right for left, right in ids)
    if check_digits(layout, codes) != values[1:]:
        raise ImageError("the markers at the corners and at the rows are not those of one sheet: " + WHOLE)
    labels = tuple(recall(code) for code in codes)
    known = tuple(label for label in labels if label is not None)
    if len(known) < len(labels):
        row = labels.index(None) + 1
        raise ImageError(
            f"the label of row {row} is one that only the store remembers with which the sheet was printed: "
            "print the sheet anew with this store"
        )
    return FoundSheet(Sheet(layout, known, codes), page, shifts)


def _find_corners(photo: Picture) -> tuple[Points, tuple[int, ...]]:
    """(4, 4, 2) corners of the four corner markers in the photo, and what each holds."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    longest = max(grey.shape)
    best: dict[int, list[tuple[int, Points]]] = {}
    for factor in sorted({min(1.0, LOOK_AT / longest), min(1.0, 2 * LOOK_AT / longest), 1.0}):
        small = grey if factor == 1 else cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        found = _sort_corners(small, factor)
        if len(found) >= len(best):
            best = found
        if len(best) == 4:
            break
    missing = [name for corner, name in enumerate(CORNERS) if corner not in best]
    if len(missing) == 4:
        raise ImageError("no practice sheet is to be seen: " + WHOLE)
    if missing:
        raise ImageError(f"the marker at the {' and the '.join(missing)} corner cannot be seen: {WHOLE}")
    if any(len(marks) > 1 for marks in best.values()):
        raise ImageError("markers of more than one sheet are in the picture: photograph one sheet at a time")
    corners = np.stack([best[corner][0][1] for corner in range(4)])
    _check_shape(corners)
    return corners, tuple(best[corner][0][0] for corner in range(4))


def _sort_corners(grey: Picture, factor: float) -> dict[int, list[tuple[int, Points]]]:
    """By corner, what the markers found for it hold, and where they lie in the photo."""
    found: dict[int, list[tuple[int, Points]]] = {}
    places, ids, _ = _detector(corner_dictionary()).detectMarkers(grey)
    for place, marker in zip(places, [] if ids is None else ids.ravel().tolist(), strict=True):
        middle = place.reshape(4, 2).astype(np.float64)
        found.setdefault(marker // VALUES, []).append((marker % VALUES, (middle + 0.5) / factor - 0.5))
    return found


def _detector(dictionary: Any) -> Any:
    """OpenCV's detector of the markers of a dictionary; a cell of the flat page's size and larger is looked for."""
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    settings.adaptiveThreshWinSizeMin, settings.adaptiveThreshWinSizeMax = 5, 45
    settings.adaptiveThreshWinSizeStep = 10
    settings.minMarkerPerimeterRate = 0.02
    return cv2.aruco.ArucoDetector(dictionary, settings)


def _check_shape(corners: Points) -> None:
    """The four markers go round clockwise, and are large enough."""
    middles = corners.mean(axis=1)
    sides = np.roll(middles, -1, axis=0) - middles
    turns = [a[0] * b[1] - a[1] * b[0] for a, b in pairwise([*sides, sides[0]])]
    if min(turns) <= 0:
        raise ImageError(
            "the corner markers do not lie as on one sheet: photograph one sheet at a time, whole and flat"
        )
    scale = float(np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2).mean(axis=1).min()) / CORNER
    if scale < MIN_SCALE:
        raise ImageError(
            f"the sheet is too small in the picture ({scale:.1f} pixels a millimetre, {MIN_SCALE} are needed): "
            "go nearer, or take a larger picture"
        )


def _lay_flat(photo: Picture, corners: Points, layout: Layout) -> Picture:
    """(H, W, 3) uint8, the paper as if scanned."""
    places = np.array([box.corners for box in layout.corner_markers()])
    matrix, _ = cv2.findHomography(corners.reshape(-1, 2), places.reshape(-1, 2))
    if matrix is None:
        raise ImageError(
            "the corner markers do not lie as on one sheet: photograph one sheet at a time, whole and flat"
        )
    mapped = cv2.perspectiveTransform(corners.reshape(1, -1, 2), matrix).reshape(-1, 4, 2)
    if float(np.linalg.norm(mapped - places, axis=2).max()) > REACH:
        raise ImageError("the sheet is bent too much, or its markers are not those of one sheet: " + WHOLE)
    across = float(np.linalg.norm(corners[1] - corners[0], axis=1).mean()) / (places[1] - places[0])[0, 0]
    shrink = min(1.0, SCALE / across)
    if shrink < 0.75:  # else a phone's 12 megapixels would be sampled so thinly that strokes fray
        photo = np.asarray(cv2.resize(photo, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        matrix = matrix @ _about_middles(1 / shrink)
    size = (round(layout.width * SCALE), round(layout.height * SCALE))
    flat = _about_middles(SCALE) @ matrix
    page = cv2.warpPerspective(photo, flat, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(page, dtype=np.uint8)


def _about_middles(factor: float) -> Points:
    """Scales places whose whole numbers are the middles of pixels, or, on paper, are millimetres."""
    return np.diag([factor, factor, 1.0])


def _read_rows(page: Picture, layout: Layout) -> tuple[list[tuple[int, int]], Points]:
    """What the markers of each row say, and how far they lie off their place."""
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    ids: list[tuple[int, int]] = []
    shifts = np.zeros((layout.rows, 2, 2))
    for row in range(layout.rows):
        read = []
        for end, box in enumerate(layout.row_markers(row)):
            marker = _read_mark(grey, box)
            if marker is None:
                raise ImageError(
                    f"the marker at the {'left' if end == 0 else 'right'} of row {row + 1} cannot be read: {WHOLE}"
                )
            read.append(marker[0])
            shifts[row, end] = marker[1]
        ids.append((read[0], read[1]))
    return ids, shifts


def _read_mark(grey: Picture, box: Box) -> tuple[int, Points] | None:
    """The one row marker near a place: its id and how far it is off, in millimetres; None where there is none."""
    left, top = round((box.x - REACH) * SCALE), round((box.y - REACH) * SCALE)
    side = round((box.side + 2 * REACH) * SCALE)
    left, top = max(left, 0), max(top, 0)
    part = np.ascontiguousarray(grey[top : top + side, left : left + side])
    for sharpen in (0.0, 1.5):
        seen = part
        if sharpen:
            soft = cv2.GaussianBlur(part, (0, 0), 0.6 * SCALE)
            seen = np.asarray(cv2.addWeighted(part, 1 + sharpen, soft, -sharpen, 0), dtype=np.uint8)
        places, ids, _ = _detector(row_dictionary()).detectMarkers(seen)
        for place, marker in zip(places, [] if ids is None else ids.ravel().tolist(), strict=True):
            middle = (place.reshape(4, 2).mean(axis=0) + np.array((left, top))) / SCALE
            shift = middle - np.array(box.centre)
            # upright, and of the right size: what the hand wrote now and then looks like some marker
            upright = place.reshape(4, 2)[1] - place.reshape(4, 2)[0]
            if np.abs(shift).max() <= REACH and upright[0] > 0.7 * box.side * SCALE:
                return marker, shift
    return None
