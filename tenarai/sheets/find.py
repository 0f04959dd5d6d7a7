"""Find a sheet in a photo by its markers, read what they encode, and rectify it.

The corner markers are detected in the photo. With their help the page is drawn as if scanned, upright and at a fixed
scale. There the row markers must lie where the layout has them; their offsets show how the paper bends.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.locale import _
from tenarai.sheets.codes import (
    NUM_MARKERS,
    VALUES,
    Recall,
    Sheet,
    check_digits,
    corner_dictionary,
    row_dictionary,
)
from tenarai.sheets.layout import CORNER, LAYOUTS, Box, Layout

SCALE = 8  # pixels per millimetre of the rectified page
MIN_SCALE = 2.5  # of the photo: below this, thin strokes and the squares of markers are lost
LOOK_AT = 1800  # longest side at which corner markers are first looked for
REACH = 4.0  # largest offset of a row marker, in millimetres
CORNERS = (_("top left"), _("top right"), _("bottom right"), _("bottom left"))
ADVICE = _("photograph the whole sheet, flat, sharp and from above, with all its black squares in the picture")
ONE_SHEET = _("the corner markers do not lie as on one sheet: photograph one sheet at a time, whole and flat")

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FoundSheet:
    """A sheet found in a photo.

    Attributes:
        sheet: What it encodes.
        page: (H, W, 3) uint8 RGB, the page as if scanned, upright, 8 pixels per millimetre.
        shifts: (rows, 2, 2) float64: offsets of each row's left and right marker, x and y in millimetres.
    """

    sheet: Sheet
    page: Picture
    shifts: Points


def find_sheet(photo: Picture, recall: Recall) -> FoundSheet:
    """Find the sheet in a photo.

    Args:
        photo: (H, W, 3) uint8 RGB, in any orientation.
        recall: Gives the label of a number on the sheet.

    Raises:
        ImageError: Markers are missing, or do not belong together.
    """
    corners, values = _find_corners(photo)
    layout = next((layout for layout in LAYOUTS if layout.number == values[0]), None)
    if layout is None:
        raise ImageError(_("this version does not know the layout of the sheet (number {number})", number=values[0]))
    page = _rectify(photo, corners, layout)
    ids, shifts = _read_rows(page, layout)
    codes = tuple(left * NUM_MARKERS + right for left, right in ids)
    if check_digits(layout, codes) != values[1:]:
        raise ImageError(
            _("the markers at the corners and at the rows belong to different sheets: {advice}", advice=ADVICE)
        )
    labels = tuple(recall(code) for code in codes)
    known = tuple(label for label in labels if label is not None)
    if len(known) < len(labels):
        raise ImageError(
            _(
                "only the store that printed the sheet knows the label of row {row}: print a new sheet with this store",
                row=labels.index(None) + 1,
            )
        )
    return FoundSheet(Sheet(layout, known, codes), page, shifts)


def _find_corners(photo: Picture) -> tuple[Points, tuple[int, ...]]:
    """(4, 4, 2) corners of the four corner markers in the photo, and the value of each."""
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
        raise ImageError(_("there is no practice sheet in the picture: {advice}", advice=ADVICE))
    if missing:
        raise ImageError(_("the {corner} corner marker cannot be seen: {advice}", corner=missing[0], advice=ADVICE))
    if any(len(marks) > 1 for marks in best.values()):
        raise ImageError(_("there are markers of several sheets in the picture: photograph one sheet at a time"))
    corners = np.stack([best[corner][0][1] for corner in range(4)])
    _check_shape(corners)
    return corners, tuple(best[corner][0][0] for corner in range(4))


def _sort_corners(grey: Picture, factor: float) -> dict[int, list[tuple[int, Points]]]:
    """By corner, the values and places of the markers found for it."""
    found: dict[int, list[tuple[int, Points]]] = {}
    places, ids, _ = _detector(corner_dictionary()).detectMarkers(grey)
    for place, marker in zip(places, [] if ids is None else ids.ravel().tolist(), strict=True):
        middle = place.reshape(4, 2).astype(np.float64)
        found.setdefault(marker // VALUES, []).append((marker % VALUES, (middle + 0.5) / factor - 0.5))
    return found


def _detector(dictionary: Any) -> Any:
    """OpenCV's detector of the markers of a dictionary."""
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    settings.adaptiveThreshWinSizeMin, settings.adaptiveThreshWinSizeMax = 5, 45
    settings.adaptiveThreshWinSizeStep = 10
    settings.minMarkerPerimeterRate = 0.02
    return cv2.aruco.ArucoDetector(dictionary, settings)


def _check_shape(corners: Points) -> None:
    """Check that the four markers are in clockwise order, and large enough."""
    middles = corners.mean(axis=1)
    sides = np.roll(middles, -1, axis=0) - middles
    turns = [a[0] * b[1] - a[1] * b[0] for a, b in pairwise([*sides, sides[0]])]
    if min(turns) <= 0:
        raise ImageError(ONE_SHEET)
    scale = float(np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2).mean(axis=1).min()) / CORNER
    if scale < MIN_SCALE:
        raise ImageError(_("the sheet is too small in the picture: go nearer, or take a larger picture"))


def _rectify(photo: Picture, corners: Points, layout: Layout) -> Picture:
    """(H, W, 3) uint8, the page as if scanned."""
    places = np.array([box.corners for box in layout.corner_markers()])
    matrix, _ = cv2.findHomography(corners.reshape(-1, 2), places.reshape(-1, 2))
    if matrix is None:
        raise ImageError(ONE_SHEET)
    mapped = cv2.perspectiveTransform(corners.reshape(1, -1, 2), matrix).reshape(-1, 4, 2)
    if float(np.linalg.norm(mapped - places, axis=2).max()) > REACH:
        raise ImageError(
            _("the sheet is bent too much, or its markers belong to different sheets: {advice}", advice=ADVICE)
        )
    across = float(np.linalg.norm(corners[1] - corners[0], axis=1).mean()) / (places[1] - places[0])[0, 0]
    shrink = min(1.0, SCALE / across)
    if shrink < 0.75:  # or a phone's 12 megapixels would be sampled so sparsely that strokes fray
        photo = np.asarray(cv2.resize(photo, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        matrix = matrix @ np.diag([1 / shrink, 1 / shrink, 1.0])
    size = (round(layout.width * SCALE), round(layout.height * SCALE))
    flat = np.diag([SCALE, SCALE, 1.0]) @ matrix
    page = cv2.warpPerspective(photo, flat, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(page, dtype=np.uint8)


def _read_rows(page: Picture, layout: Layout) -> tuple[list[tuple[int, int]], Points]:
    """The markers of each row, and their offsets."""
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    ids: list[tuple[int, int]] = []
    shifts = np.zeros((layout.rows, 2, 2))
    for row in range(layout.rows):
        read = []
        for end, box in enumerate(layout.row_markers(row)):
            marker = _read_mark(grey, box)
            if marker is None:
                raise ImageError(_("a marker of row {row} cannot be read: {advice}", row=row + 1, advice=ADVICE))
            read.append(marker[0])
            shifts[row, end] = marker[1]
        ids.append((read[0], read[1]))
    return ids, shifts


def _read_mark(grey: Picture, box: Box) -> tuple[int, Points] | None:
    """The row marker near a place: its id and its offset in millimetres; None if there is none."""
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
            # upright and of the right size: handwriting sometimes looks like a marker
            upright = place.reshape(4, 2)[1] - place.reshape(4, 2)[0]
            if np.abs(shift).max() <= REACH and upright[0] > 0.7 * box.side * SCALE:
                return marker, shift
    return None
