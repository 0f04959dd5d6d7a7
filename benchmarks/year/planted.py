"""What goes wrong in the year, decided and written down before the first night."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

YEAR = 365
SETTLED = 25  # faults come once there is something to lose
SECOND_WRITER = 180
TO_LOOK = 2  # nights at the end without a fault, so that the last one can still be noticed


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        times: How often in a year of 365 nights.
        expected: What a good night does about it.
        alone: Whether it ends or spoils its night; then it has that to itself, and the next one is left whole.
    """

    times: int
    expected: str
    alone: bool = False


KINDS = {
    "flipped label": Kind(10, "named among the suspects within 21 nights"),
    "copy of a regression image": Kind(6, "named and kept out of training"),
    "same picture under two labels": Kind(4, "refused with that reason"),
    "unusable file": Kind(12, "refused with its reason"),
    "HEIC file": Kind(4, "the same digit as from a PNG"),
    "light ink on dark paper": Kind(8, "the same digit as from light paper"),
    "hostile file name": Kind(6, "read; no markup of it in the page"),
    "file moved to another label": Kind(6, "relabelled without a download"),
    "file trashed": Kind(6, "gone from the next snapshot"),
    "file restored from the trash": Kind(4, "back without a download"),
    "label folder renamed and named back": Kind(1, "waits under its new name, is back without a download", alone=True),
    "second writer arrives": Kind(1, "read no worse at the end of the year than when they came"),
    "Drive answers with faults": Kind(12, "the catalogue is the folder all the same"),
    "token revoked": Kind(2, "one clear message, nothing changed, the next night completes", alone=True),
    "folder no longer shared": Kind(1, "one clear message, nothing changed, the next night completes", alone=True),
    "half of the files deleted at once": Kind(1, "the night stops, nothing changed, the next completes", alone=True),
    "disk full": Kind(3, "one clear message, the same champion, the next night completes", alone=True),
    "kill -9": Kind(12, "the next night completes, with the champion of before or of that night", alone=True),
    "recipe that makes models worse": Kind(8, "kept", alone=True),
    "rolled back by hand": Kind(2, "nobody is promoted again by the same evidence", alone=True),
}


@dataclass(frozen=True)
class Planted:
    """One fault: in which night, of which kind, and the how-many-th of its kind, from 0."""

    night: int
    kind: str
    number: int


def plan_faults(num_nights: int, seed: int, kinds: Collection[str] = KINDS.keys()) -> tuple[Planted, ...]:
    """Spread the faults over the nights; fewer nights have fewer of each, but one of each at least.

    Args:
        num_nights: Nights of the year.
        seed: Decides the nights.
        kinds: Kinds to plant. Default: all.

    Raises:
        ValueError: The nights are too few for so many faults.
    """
    rng = np.random.default_rng([seed, 1])
    first = min(SETTLED, num_nights // 4)
    free = [int(night) for night in rng.permutation(np.arange(first, num_nights - TO_LOOK))]
    planted: list[Planted] = []
    taken: set[int] = set()
    for name, kind in sorted(KINDS.items(), key=lambda item: not item[1].alone):
        for number in range(max(1, round(kind.times * num_nights / YEAR)) if name in kinds else 0):
            if name == "second writer arrives":
                planted.append(Planted(round(SECOND_WRITER * num_nights / YEAR), name, number))
                continue
            night = _take_night(free, taken)
            planted.append(Planted(night, name, number))
            taken |= {night, night + 1} if kind.alone else {night}
    return tuple(sorted(planted, key=lambda fault: (fault.night, fault.kind)))


def _take_night(free: list[int], taken: set[int]) -> int:
    for position, night in enumerate(free):
        if not {night, night + 1} & taken:
            return free.pop(position)
    raise ValueError("too few nights for the faults planned: with all kinds give 80 or more")


def as_table(planted: Iterable[Planted]) -> str:
    """The plan in markdown: kind, nights, what is expected."""
    nights: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for fault in planted:
        nights[fault.kind].append(str(fault.night))
    lines = ["| planted | in nights | expected |", "| --- | --- | --- |"]
    lines += [f"| {kind} | {', '.join(found)} | {KINDS[kind].expected} |" for kind, found in nights.items() if found]
    return "\n".join(lines)
