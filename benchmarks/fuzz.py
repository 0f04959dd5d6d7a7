"""Mutated pictures into decode and normalise: each must give a digit or a reason, soon, and nothing else.

.venv/bin/python benchmarks/fuzz.py [--rounds N] [--seed N]

Takes real digits drawn as pen on paper in every format Tenarai reads, and flips bits, cuts, repeats, swaps and splices
their bytes. Prints how they ended; exits with 1 if one ended in anything but a digit or an `ImageError`.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
import traceback
from collections import Counter

import numpy as np
import pillow_heif
from PIL import Image
from sklearn.datasets import load_digits

from tenarai.errors import ImageError
from tenarai.prepare import decode, normalise
from tenarai.sample import draw, draw_page

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "HEIF")


def make_seeds(rng: np.random.Generator) -> list[bytes]:
    pillow_heif.register_heif_opener()
    digits = load_digits().images
    seeds = []
    for number, kind in enumerate(FORMATS * 3):
        buffer = io.BytesIO()
        Image.fromarray(draw(digits[number], draw_page(number, rng), rng)).save(buffer, kind)
        seeds.append(buffer.getvalue())
    return seeds


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    seeds = make_seeds(rng)
    ends: Counter[str] = Counter()
    longest = 0.0
    for number in range(given.rounds):
        data = mutate(seeds[number % len(seeds)], seeds[int(rng.integers(len(seeds)))], rng)
        start = time.perf_counter()
        try:
            digit = normalise(decode(data, max_pixels=4_000_000))
            ends["a digit" if digit.shape == (28, 28) and digit.dtype == np.uint8 else "no digit"] += 1
        except ImageError as error:
            ends[f"refused: {error.what}"] += 1
        except Exception:  # noqa: BLE001 - what a crash is, is the question
            ends["CRASHED"] += 1
            traceback.print_exc()
        longest = max(longest, time.perf_counter() - start)
    for end, count in ends.most_common():
        print(f"{count:7,}  {end}")
    print(f"{given.rounds:7,}  in all; the longest took {longest:.2f} s")
    return int(ends["CRASHED"] + ends["no digit"] > 0)


if __name__ == "__main__":
    sys.exit(main())
