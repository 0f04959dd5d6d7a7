"""Whoever owns the folder: puts digits into it as the days go by, looks at the report in the morning, and files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from tenarai.sample import draw
from tests.stand_in.tree import Item, Tree

NUM_HELD_OUT = 200  # of each writer; never put into the folder
SHARE_OF_DAYS = 0.25
MAX_MISREAD = 14
HOSTILE = (
    "<img src=x onerror=alert(1)>.png",
    "../../../../etc/passwd.png",
    "a|b](javascript:alert(1)) **bold**.png",
    "\u202egnp.exe.png",
    "x" * 300 + ".png",
    "{{ 7*7 }} ${jndi} '; DROP TABLE images;--.png",
)


@dataclass
class Supply:
    """Real digits that nobody has seen yet: (N, 8, 8) counts of ink, by writer.

    UCI's optdigits come in the order of the forms they were written on, so its halves are different people.
    """

    seed: int
    images: NDArray[np.float64] = field(init=False)
    labels: list[str] = field(init=False)
    held_out: list[list[int]] = field(init=False)
    unseen: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        bunch = load_digits()
        self.images, self.labels = bunch.images, [str(target) for target in bunch.target]
        rng = np.random.default_rng([self.seed, 2])
        half = len(self.labels) // 2
        orders = [rng.permutation(half), half + rng.permutation(len(self.labels) - half)]
        self.held_out = [order[:NUM_HELD_OUT].tolist() for order in orders]
        self.unseen = [order[NUM_HELD_OUT:].tolist() for order in orders]

    def picture(self, number: int, *, dark_paper: bool | None = None) -> NDArray[np.uint8]:
        """The digit as pen on paper, (H, W, 3) uint8; the same number gives the same picture."""
        rng = np.random.default_rng([self.seed, 3, number])
        count = number if dark_paper is None else 5 if dark_paper else 0
        return draw(self.images[number], count, rng)


def encode(picture: NDArray[np.uint8], kind: str = "PNG", **options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


class Person:
    """One person with a phone and a Drive folder.

    Attributes:
        truth: Id of each labelled or waiting file → what is really written there.
        flipped: Ids of files under a wrong label that nobody has noticed yet.
        named_in_vain: Ids of files that a report named as wrongly labelled, and that were not.
    """

    def __init__(self, tree: Tree, supply: Supply, seed: int) -> None:
        self.tree, self.supply = tree, supply
        self.rng = np.random.default_rng([seed, 4])
        self.writer = 0
        self.truth: dict[str, str] = {}
        self.flipped: set[str] = set()
        self.named_in_vain: set[str] = set()
        self.num_files = 0

    # ---- by day

    def spend_day(self, *, many: bool = False) -> None:
        """On some days a few new digits: two thirds filed at once, the others left in the inbox."""
        if not many and self.rng.random() > SHARE_OF_DAYS:
            return
        for _ in range(60 if many else int(self.rng.integers(1, 7))):
            number = self.take()
            if many or self.rng.random() < 0.67:
                self.file(number)
            else:
                self.put(f"inbox/{self.name('jpg')}", encode(self.supply.picture(number), "JPEG"), number)

    def take(self) -> int:
        """A digit that nobody has seen, of today's writer; of the other one where theirs are used up."""
        return (self.supply.unseen[self.writer] or self.supply.unseen[1 - self.writer]).pop(0)

    def file(self, number: int, *, under: str = "", kind: str = "PNG", name: str = "", **how: Any) -> Item:
        """Put a digit under its label, or under another."""
        label = under or self.supply.labels[number]
        data = encode(self.supply.picture(number, **how), kind)
        return self.put(f"digits/{label}/{name or self.name(kind.lower())}", data, number)

    def put(self, path: str, data: bytes, number: int | None = None) -> Item:
        *folders, name = path.split("/", 2 if path.startswith("digits/") else 1)
        item = self.tree.add_file(name, self.tree.folder("/".join(folders)), data)
        if number is not None:
            self.truth[item.id] = self.supply.labels[number]
        return item

    def name(self, kind: str) -> str:
        self.num_files += 1
        return f"IMG_{self.num_files:04}.{kind}"

    # ---- in the morning

    def look_at(self, report: Mapping[str, Any]) -> None:
        """Read the report: file the inbox by its readings, and put right what is named as wrongly labelled and is."""
        by_path = {self.path(item): item for item in self.files()}
        for reading in report["inbox"]:
            item = by_path.get(reading["path"])
            if item and item.id in self.truth:
                self.file_by_reading(item, str(reading["champion"]["label"]))
        named = [suspect["path"] for suspect in report["evaluation"]["suspects"] if suspect["kind"] == "label"]
        for item in (by_path[path] for path in named if path in by_path):
            if item.id in self.flipped:
                self.flipped.remove(item.id)
                self.tree.move(item, self.tree.folder(f"digits/{self.truth[item.id]}"))
            elif item.id in self.truth:
                self.named_in_vain.add(item.id)

    def file_by_reading(self, item: Item, read: str) -> None:
        """What was read right goes to digits, what was misread to misread, as long as that is not too much."""
        label = self.truth[item.id]
        num_misread = sum(1 for other in self.files() if self.path(other).startswith("misread/"))
        role = "misread" if read != label and num_misread < MAX_MISREAD else "digits"
        self.tree.move(item, self.tree.folder(f"{role}/{label}"))

    # ---- the folder as it is

    def files(self) -> Iterator[Item]:
        """Files that are neither in the trash nor outside of the folder."""
        yield from (item for item in list(self.tree.items.values()) if item.data is not None and self._is_here(item))

    def path(self, item: Item) -> str:
        """Path below the folder."""
        names = [item.name]
        place = self.tree.items[item.parents[0]]
        while place.id != self.tree.root.id:
            names.append(place.name)
            place = self.tree.items[place.parents[0]]
        return "/".join(reversed(names))

    def labelled(self, role: str = "digits") -> list[Item]:
        """Files under their true label in `digits/` or `misread/`, oldest first."""
        return [
            item
            for item in self.files()
            if item.id in self.truth and self.path(item).startswith(f"{role}/{self.truth[item.id]}/")
        ]

    def _is_here(self, item: Item) -> bool:
        place: Item | None = item
        while place is not None and place.id != self.tree.root.id:
            place = self.tree.items.get(place.parents[0]) if place.parents else None
        return place is not None and not self.tree.is_trashed(item)
