"""What a sheet should hold: every label evenly, the rarest first, and some rows in the style of what was misread.

Measured before it was built: more of the digits that are misread helps no more than writing evenly; more in the style
of the misread image does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

HINT_SHARE = 4  # of the rows, one in four at most shows a misread shape


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a sheet.

    Attributes:
        label: What to write.
        shape: 784 bytes, (28, 28) uint8: a misread image to write alike; empty for the character itself.
    """

    label: str
    shape: bytes = b""


def plan_rows(counts: Mapping[str, int], num_rows: int, shapes: Sequence[Row] = ()) -> tuple[Row, ...]:
    """Rows of a sheet, sorted by label.

    Args:
        counts: Labelled images that there are already, by label; at least one label.
        num_rows: Rows to fill. Labels that find no row are the commonest.
        shapes: Misread shapes, the most wanted first; those of other labels are passed over.
    """
    styled = [row for row in shapes if row.label in counts][: num_rows // HINT_SHARE]
    planned = Counter(dict.fromkeys(counts, 0))
    for _ in range(num_rows - len(styled)):
        planned[min(counts, key=lambda label: (planned[label], counts[label], _rank(label)))] += 1
    rows = [Row(label) for label, number in planned.items() for _ in range(number)]
    return tuple(sorted([*rows, *styled], key=lambda row: (_rank(row.label), bool(row.shape))))


def _rank(label: str) -> tuple[int, str]:
    """Digits by value, before everything else."""
    return (int(label), label) if label.isascii() and label.isdecimal() else (10**9, label)
