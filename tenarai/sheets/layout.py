"""Where everything lies on a practice sheet, in millimetres from the top left corner of the paper.

▣  title and how to write                       ▣     corner markers: which corner, which layout, check digits
▪ 手 □ □ □ □ □ □ □ □ □ □ ▪                            row markers: left and right together encode the row's label
▪ 本 □ □ □ □ □ □ □ □ □ □ ▪                            the first box shows the character and is not written in
▣                                               ▣
"""

from __future__ import annotations

from dataclasses import dataclass

MARGIN = 8.0  # printers leave a border
CORNER = 15.0  # side of a corner marker
MARK = 11.0  # side of a row marker
QUIET = 2.5  # white around a row marker
TOP = MARGIN + CORNER + 4.0
STRIP = 3.6  # above each box, for its label
SPACE = 1.7  # between boxes


@dataclass(frozen=True, slots=True)
class Box:
    """A square: its left and top edge, and its side."""

    x: float
    y: float
    side: float

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle."""
        return self.x + self.side / 2, self.y + self.side / 2

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Top left, top right, bottom right, bottom left."""
        right, bottom = self.x + self.side, self.y + self.side
        return (self.x, self.y), (right, self.y), (right, bottom), (self.x, bottom)


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to lay out a sheet. Printed sheets name it by number, so a number never changes its meaning.

    Attributes:
        number: What the sheet's first corner marker says, 0 to 249.
        paper: a4 or letter.
        width, height: Of the paper.
        rows, columns: Of boxes to write in.
    """

    number: int
    paper: str
    width: float
    height: float
    rows: int
    columns: int

    @property
    def pitch(self) -> tuple[float, float]:
        """From box to box: across, and down."""
        across = self.width - 2 * (MARGIN + MARK + QUIET)
        return across / (self.columns + 1), (self.height - 2 * TOP) / self.rows

    @property
    def side(self) -> float:
        """Of a box."""
        across, down = self.pitch
        return min(across - SPACE, down - STRIP - 1.0)

    def corner_markers(self) -> tuple[Box, ...]:
        """Top left, top right, bottom right, bottom left."""
        right, bottom = self.width - MARGIN - CORNER, self.height - MARGIN - CORNER
        return tuple(
            Box(x, y, CORNER) for x, y in ((MARGIN, MARGIN), (right, MARGIN), (right, bottom), (MARGIN, bottom))
        )

    def row_markers(self, row: int) -> tuple[Box, Box]:
        """The markers at the left and right of a row, counted from 0."""
        y = self.box(row, 0).y + (self.side - MARK) / 2
        return Box(MARGIN, y, MARK), Box(self.width - MARGIN - MARK, y, MARK)

    def box(self, row: int, column: int) -> Box:
        """A box to write in, row and column counted from 0; column -1 is the one that shows the character."""
        across, down = self.pitch
        x = MARGIN + MARK + QUIET + (column + 1) * across + SPACE / 2
        return Box(x, TOP + row * down + STRIP, self.side)


LAYOUTS = (
    Layout(0, "a4", 210.0, 297.0, rows=13, columns=10),
    Layout(1, "letter", 215.9, 279.4, rows=12, columns=10),
)


def find_layout(paper: str) -> Layout:
    """The layout for a paper, a4 or letter."""
    return next(layout for layout in LAYOUTS if layout.paper == paper)
