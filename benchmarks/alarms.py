"""How often one character is taken for several: people's own digits, MNIST's test digits, characters of fonts.

.venv/bin/python -m benchmarks.alarms <folder of <set>/<label>/<file>> [--mnist mnist.npz] [--fonts FOLDER…]

A character of a font is drawn as a photo shows it, and prepared as an image under its label: digits and Latin
letters must be seen as one; of other scripts (い, ハ, ö, 三, 回) all that is written belongs together. Prints a table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tenarai.errors import ImageError
from tenarai.prepare import decode, run_stages
from tenarai.prepare.several import count_characters

SCRIPTS = {
    "digits and Latin letters": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "Latin with accents": "äöüåéèêñçãõâîûÄÖÜÉ",
    "kana": "あいうえおかがきけこさしにはぱふほりれゐアイウカガキシツテニハパホミラリル",
    "kanji": "一二三四五六七八九十百千万川小心以化北回国品明林語",
    "Hangul, Greek, Cyrillic": "가나다라마바사한글ΞΘΠΫίйёыЫЩ",
}

Picture = NDArray[np.uint8]


def count_alarms(pictures: Iterable[tuple[str, Picture]]) -> tuple[int, int, list[str]]:
    """Pictures of one character, how many of them were taken for several, and the labels of these."""
    num, alarms = 0, []
    for label, picture in pictures:
        expected = count_characters(label)
        try:
            found = run_stages(picture, one_piece=expected == 1).num_characters
        except ImageError:
            found = 0
        num += 1
        if expected == 1 and found > 1:  # the rule by which `tenarai.prepare.images` cuts a photo
            alarms.append(label)
    return num, len(alarms), alarms


def own_digits(data: Path, least: int) -> Iterator[tuple[str, Picture]]:
    for file in sorted(data.glob("*/*/*")):
        picture = decode(file.read_bytes())
        if max(picture.shape) > least:
            yield file.parent.name, picture


def mnist(file: Path, num: int) -> Iterator[tuple[str, Picture]]:
    with np.load(file) as arrays:
        for pixels, label in islice(zip(arrays["x_test"], arrays["y_test"], strict=True), num):
            yield str(label), np.repeat(pixels[..., None], 3, axis=2)


def in_fonts(characters: str, fonts: Iterable[Path]) -> Iterator[tuple[str, Picture]]:
    """Each character that a font has, 110 pixels high on a page of 240."""
    for file in fonts:
        font = ImageFont.truetype(file, 110)
        missing = font.getmask("\U0010fffd").getbbox(), bytes(font.getmask("\U0010fffd"))
        for character in characters:
            mask = font.getmask(character)
            if mask.getbbox() is None or (mask.getbbox(), bytes(mask)) == missing:
                continue
            page = Image.new("RGB", (240, 240), (244, 243, 240))
            ImageDraw.Draw(page).text((120, 120), character, (35, 35, 40), font=font, anchor="mm")
            yield character, np.asarray(page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--num", type=int, default=10_000, help="of MNIST's test digits")
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="folders with .ttf, .otf and .ttc files")
    given = parser.parse_args()
    fonts = sorted(
        file for folder in given.fonts for kind in ("ttf", "otf", "ttc") for file in folder.rglob(f"*.{kind}")
    )
    rows = {"own digits": own_digits(given.data, 0), "own digits over 64 pixels": own_digits(given.data, 64)}
    if given.mnist:
        rows["MNIST's test digits"] = mnist(given.mnist, given.num)
    if fonts:
        rows |= {f"{script}, {len(fonts)} fonts": in_fonts(text, fonts) for script, text in SCRIPTS.items()}
    print("| pictures of one character | number | taken for several | |\n| --- | ---: | ---: | --- |")
    for name, pictures in rows.items():
        num, alarms, labels = count_alarms(pictures)
        print(f"| {name} | {num:,} | {alarms} ({alarms / max(num, 1):.2%}) | {' '.join(labels)} |", flush=True)


if __name__ == "__main__":
    main()
