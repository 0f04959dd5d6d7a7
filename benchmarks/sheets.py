"""Practice sheets, printed, filled in by real people and photographed by program: is everything cut, and nothing else?

.venv/bin/python -m benchmarks.sheets <folder of <set>/<label>/<file>> [--photos 200] [--save FOLDER]

Each sheet is the real PDF, printed to pixels by pdftoppm, with digits of one writer in most of its boxes; some boxes
stay empty, some are struck out. The camera looks from up to 30° aslant, in any quarter turn, with shadow, blur, noise
and JPEG 70, at 2 to 12 megapixels. As many photos again have a marker covered, or one of another sheet in its place.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from tenarai.errors import ImageError
from tenarai.prepare import decode, normalise
from tenarai.prepare.normalise import run_stages
from tenarai.sheets.codes import make_sheet
from tenarai.sheets.cut import cut_cells
from tenarai.sheets.find import find_sheet
from tenarai.sheets.layout import LAYOUTS
from tenarai.sheets.pdf import draw_pdf
from tenarai.sheets.plan import plan_labels
from tests.photographs import DENSITY, EMPTY, FILLED, STRUCK, draw_camera, fill_in, photograph, spoil

EVERY = 10  # one cut digit in ten is read by the base model, too
MIN_LIKENESS = 0.8  # correlation of the digit that was cut with the one that was written


@dataclass
class Counts:
    """What came of one photo."""

    numbers: Counter
    seconds: float = 0.0
    refused: str = ""
    digits: list | None = None


def load_inks(folder: Path) -> dict[str, list[np.ndarray]]:
    """Real people's digits as ink, (H, W) float32 0 to 1, cropped, by label."""
    inks: dict[str, list[np.ndarray]] = {}
    for file in sorted(folder.glob("*/*")):
        try:
            stages = run_stages(decode(file.read_bytes()))
        except ImageError:
            continue
        rows, columns = (np.flatnonzero(stages.chosen.any(axis=axis)) for axis in (1, 0))
        grown = cv2.dilate(np.uint8(stages.chosen), np.ones((3, 3)))
        full = max(float(np.percentile(stages.ink[stages.chosen], 75)), 1e-3)
        ink = np.clip(stages.ink / full, 0, 1) * grown
        inks.setdefault(file.parent.name, []).append(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return inks


def print_pdf(layout) -> tuple[object, np.ndarray]:
    """A sheet of all digits, from its PDF, and what it says."""
    sheet = make_sheet(layout, plan_labels(dict.fromkeys("0123456789", 0), layout.rows), None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sheet.pdf"
        file.write_bytes(draw_pdf([sheet]))
        subprocess.run(["pdftoppm", "-r", str(25.4 * DENSITY), "-png", file, file], check=True)
        paper = cv2.imread(str(next(Path(folder).glob("*.png"))))[..., ::-1]
    size = (round(layout.width * DENSITY), round(layout.height * DENSITY))
    return sheet, cv2.resize(paper, size, interpolation=cv2.INTER_AREA)


def try_photo(seed: int) -> tuple[Counts, str]:
    """One whole photo counted, and why its spoilt twin was refused (empty if it was taken)."""
    papers, writers, save = _stock
    rng = np.random.default_rng(seed)
    sheet, paper = papers[seed % len(papers)]
    filled = fill_in(sheet, paper, writers[rng.integers(len(writers))], rng)
    camera = draw_camera(rng)
    photo = photograph(filled.paper, camera, rng)
    counts = count(photo, sheet, filled)
    if save and (seed < 8 or counts.refused or counts.numbers["missing"] or counts.numbers["empty taken"]):
        cv2.imwrite(str(save / f"{seed:03}.jpg"), photo[..., ::-1])
    small = replace(camera, megapixels=min(camera.megapixels, 4.0))
    twin = photograph(spoil(filled.paper, sheet, rng), small, rng)
    try:
        find_sheet(twin, chr)
    except ImageError as error:
        return counts, error.what
    return counts, ""


_stock: tuple = ()


def _take_stock(papers, writers, save: Path | None) -> None:
    """Once a process, since papers are large."""
    global _stock
    cv2.setNumThreads(1)
    _stock = papers, writers, save


def count(photo, sheet, filled) -> Counts:
    """Compare what was cut with what was written."""
    numbers = Counter(filled.truth.values())
    start = cv2.getTickCount()
    try:
        cells = {(cell.row - 1, cell.column - 1): cell for cell in cut_cells(find_sheet(photo, chr))}
    except ImageError as error:
        return Counts(numbers + Counter(missing=numbers[FILLED]), refused=error.what)
    seconds = (cv2.getTickCount() - start) / cv2.getTickFrequency()
    digits = []
    for place, state in filled.truth.items():
        if state == EMPTY:
            numbers["empty taken"] += place in cells
        elif state == STRUCK:
            numbers["struck taken"] += place in cells
        elif place not in cells:
            numbers["missing"] += 1
        else:
            right = cells[place].label == sheet.labels[place[0]] and is_alike(filled.ink[place], cells[place].picture)
            numbers["right" if right else "unlike"] += 1
            if len(digits) * EVERY < numbers["right"]:
                written = 255 - 255 * np.pad(filled.ink[place], 12)
                digits.append((cells[place].label, _digit(written), _digit(cells[place].picture)))
    return Counts(numbers, seconds, digits=digits)


def is_alike(written, picture) -> bool:
    """Whether a picture shows the ink that was written, whole: both cropped to their ink and laid on each other."""
    ink = 1 - cv2.GaussianBlur(picture, (0, 0), 2.0).min(axis=2) / 255
    ink = np.maximum(ink - np.median(ink), 0)
    mask = ink > 0.45 * ink.max()
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    mine, theirs = (_square(np.float32(p)) for p in (written, cut))
    return float(np.corrcoef(mine.ravel(), theirs.ravel())[0, 1]) >= MIN_LIKENESS


def _square(ink) -> np.ndarray:
    """(24, 24) float32: the ink in the middle of a square."""
    side = max(ink.shape)
    pads = [((side - length) // 2, side - length - (side - length) // 2) for length in ink.shape]
    small = cv2.resize(np.pad(ink, pads), (24, 24), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 1.5)


def _digit(picture) -> np.ndarray:
    try:
        return normalise(np.uint8(picture))
    except ImageError:
        return np.zeros((28, 28), np.uint8)


def read_right(digits) -> tuple[float, float]:
    """Share that the base model reads right of the digits as they were written, and as they were cut."""
    from tenarai.model.bundle import load_base
    from tenarai.prepare import NORMALISER_VERSION

    model = load_base(normaliser=NORMALISER_VERSION)
    labels = np.array([label for label, _, _ in digits])
    names = np.array(model.info.labels)
    shares = [(names[model.predict(np.stack([d[k] for d in digits])).argmax(axis=1)] == labels).mean() for k in (1, 2)]
    return float(shares[0]), float(shares[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--save", type=Path, help="keep some photos here, and all that went wrong")
    given = parser.parse_args()
    if given.save:
        given.save.mkdir(parents=True, exist_ok=True)
    loaded = [load_inks(folder) for folder in sorted(given.data.iterdir()) if folder.is_dir()]
    writers = [inks for inks in loaded if set("0123456789") <= set(inks)]
    stock = ([print_pdf(layout) for layout in LAYOUTS], writers, given.save)
    with ProcessPoolExecutor(2, get_context("spawn"), _take_stock, stock) as pool:
        tried = []
        for result in pool.map(try_photo, range(given.photos)):
            tried.append(result)
            so_far: Counter = sum((counts.numbers for counts, _ in tried), Counter())
            refused = sum(bool(twin) for _, twin in tried)
            print(f"{len(tried)} photos, {dict(so_far)}, spoilt ones refused: {refused}", file=sys.stderr)
    total: Counter = sum((counts.numbers for counts, _ in tried), Counter())
    for seed, (counts, twin) in enumerate(tried):
        if counts.refused:
            print(f"photo {seed} was refused: {counts.refused}")
        if not twin:
            print(f"the spoilt twin of photo {seed} was taken")
    read = read_right([digit for counts, _ in tried for digit in counts.digits or []])
    seconds = sorted(counts.seconds for counts, _ in tried)
    print(f"| {given.photos} photos of {len(writers)} writers' digits | |\n| --- | ---: |")
    print(
        f"| filled boxes cut, with the right label and the digit whole | {total['right']:,} of {total[FILLED]:,} ",
        end="",
    )
    print(f"({total['right'] / total[FILLED]:.2%}) |")
    print(f"| missed · cut but unlike what was written | {total['missing']} · {total['unlike']} |")
    print(f"| empty boxes taken | {total['empty taken']} of {total[EMPTY]:,} |")
    print(f"| struck-out boxes taken | {total['struck taken']} of {total[STRUCK]:,} |")
    print(f"| refused with a marker covered or exchanged | {sum(bool(twin) for _, twin in tried)} of {len(tried)} |")
    print(f"| read right by the base model, as written · as cut | {read[0]:.1%} · {read[1]:.1%} |")
    print(f"| seconds a photo, median · longest, one thread | {seconds[len(seconds) // 2]:.2f} · {seconds[-1]:.2f} |")


if __name__ == "__main__":
    main()
