"""Mutated inputs of every kind: each must give a result or one of Tenarai's errors, soon, and nothing else.

.venv/bin/python -m benchmarks.fuzz [--seconds N] [--seed N] [TARGET…]

Targets: `pictures` (decode and normalise, in ten formats), `sheets` (photos of a practice sheet), `pdf`, `labels`
(paths in a folder) and `store` (files that a night reads back). Flips bits, cuts, repeats, swaps and splices real
inputs. Prints how they ended; exits with 1 if one ended in anything but a result or a `TenaraiError`.
"""

from __future__ import annotations

import argparse
import io
import logging
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image
from sklearn.datasets import load_digits

from tenarai.dataset import load_manifest, load_snapshot
from tenarai.errors import TenaraiError
from tenarai.evaluate.promotions import history, read_looks
from tenarai.model.bundle import load_info
from tenarai.prepare import count_pages, decode, normalise
from tenarai.prepare.pdf import render_page
from tenarai.sample import draw
from tenarai.settings import Settings
from tenarai.sheets.cut import cut_cells
from tenarai.sheets.find import find_sheet
from tenarai.sheets.plan import draw_sheet_now
from tenarai.sync.layout import Layout
from tenarai.sync.names import BASE_LABELS, to_text
from tests.whole_store import Collection

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "HEIF", "AVIF", "JPEG2000", "PPM")
PATHS = ("digits/4/a.png", "misread/４/4_as_5.png", "inbox/b/c.heic", "train/7/IMG_1 (2).JPG", "digits/か゛/x/y.pdf")

Run = Callable[[bytes], object]


def mutate(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes, half of them in the first 200 bytes, where formats keep their sizes."""
    mutated = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        size = len(mutated)
        if size < 8:
            return bytes(mutated)
        end = min(200, size) if rng.random() < 0.5 else size
        at = int(rng.integers(0, end))
        match int(rng.integers(0, 6)):
            case 0:
                mutated[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                mutated[at] = int(rng.choice([0, 1, 127, 128, 255]))
            case 2:
                del mutated[at : at + int(rng.integers(1, 64))]
            case 3:
                mutated[at:at] = mutated[at : at + int(rng.integers(1, 64))]
            case 4:
                mutated = mutated[: max(8, at)]
            case _:
                cut = int(rng.integers(0, len(other)))
                mutated[at:] = other[cut:]
    return bytes(mutated)


def save(picture: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    return buffer.getvalue()


@contextmanager
def pictures(rng: np.random.Generator) -> Iterator[tuple[list[bytes], Run]]:
    pillow_heif.register_heif_opener()
    digits = load_digits().images
    seeds = [save(draw(digits[n], n, rng), kind) for n, kind in enumerate(FORMATS * 3)]
    yield seeds, lambda data: normalise(decode(data, max_pixels=4_000_000))


@contextmanager
def sheets(rng: np.random.Generator) -> Iterator[tuple[list[bytes], Run]]:
    pages = [render_page(draw_sheet_now(Settings(), labels=labels), 0, 1400) for labels in (["4", "7"], ["か"])]
    for page in (pages := [page.copy() for page in pages]):
        for _ in range(60):  # strokes anywhere
            at = rng.integers(0, 1000, 2)
            page[at[0] : at[0] + 30, at[1] : at[1] + 4] = 40
    seeds = [save(page, kind) for page in pages for kind in ("JPEG", "PNG")]
    yield seeds, lambda data: list(cut_cells(find_sheet(decode(data, max_pixels=4_000_000, max_side=1400), chr)))


@contextmanager
def pdf(rng: np.random.Generator) -> Iterator[tuple[list[bytes], Run]]:
    page = draw(load_digits().images[4], 1, rng)
    seeds = [draw_sheet_now(Settings(), labels=["4"]), save(page, "PDF")]
    yield seeds, lambda data: (count_pages(data), decode(data))


@contextmanager
def labels(_rng: np.random.Generator) -> Iterator[tuple[list[bytes], Run]]:
    def place(data: bytes) -> object:
        parts = [tuple(to_text(part) for part in path.split("/")) for path in to_paths(data)]
        layout = Layout(parts, BASE_LABELS)
        return [layout.find_place(path) for path in parts if len(path) > 0]

    yield ["\n".join(PATHS).encode(), PATHS[1].encode(), PATHS[4].encode()], place


def to_paths(data: bytes) -> list[str]:
    return [path for path in data.decode("utf-8", "surrogateescape").split("\n") if path]


@contextmanager
def store(rng: np.random.Generator) -> Iterator[tuple[list[bytes], Run]]:
    with tempfile.TemporaryDirectory(prefix="tenarai-fuzz-") as folder:
        whole = Collection(Path(folder))
        readers = {
            ("champion.json",): lambda: history(whole.store),
            ("looks.json",): lambda: read_looks(whole.store),
            ("models", "m-1", "model.json"): lambda: load_info(whole.store, "m-1"),
            ("snapshots", f"{whole.snapshot}.npz"): lambda: (
                load_snapshot(whole.store, whole.snapshot),
                load_manifest(whole.store, whole.snapshot),
            ),
        }
        places = list(readers)
        seeds = [whole.store.read(*place) for place in places]

        def read(data: bytes) -> object:
            place = places[int(rng.integers(len(places)))]
            whole.store.path(*place).write_bytes(data)
            return readers[place]()

        yield seeds, read


TARGETS = {target.__name__: target for target in (pictures, sheets, pdf, labels, store)}


def fuzz(run: Run, seeds: list[bytes], rng: np.random.Generator, seconds: float) -> tuple[Counter[str], float]:
    """How the runs ended, and how long the longest took."""
    ends: Counter[str] = Counter()
    longest, number, end = 0.0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutate(seeds[number % len(seeds)], seeds[int(rng.integers(len(seeds)))], rng)
        number, start = number + 1, time.process_time()
        try:
            run(data)
            ends["a result"] += 1
        except TenaraiError as error:
            ends[f"{type(error).__name__}: {error.what:.60}"] += 1
        except Exception:  # noqa: BLE001 - what a crash is, is the question
            ends["CRASHED"] += 1
            traceback.print_exc()
        longest = max(longest, time.process_time() - start)
    return ends, longest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.disable()
    chosen = given.targets or list(TARGETS)
    num_crashed = 0
    for name in chosen:
        rng = np.random.default_rng(given.seed)
        with TARGETS[name](rng) as (seeds, run):
            ends, longest = fuzz(run, seeds, rng, given.seconds / len(chosen))
        print(f"{name}: {sum(ends.values()):,} inputs; the longest took {longest:.2f} CPU seconds")
        for end, count in ends.most_common(12):
            print(f"{count:9,}  {end}")
        num_crashed += ends["CRASHED"]
    return int(num_crashed > 0)


if __name__ == "__main__":
    sys.exit(main())
