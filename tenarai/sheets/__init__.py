"""Practice sheets: a PDF to write on, and photos of it cut into labelled images.

layout   where everything lies on the paper            codes    what its markers encode
plan     what to write next                             pdf      the sheet as it is printed
find     the sheet in a photo, rectified                cut      its filled boxes
collect  from the source's photos to labelled rows of the catalogue
"""

from __future__ import annotations

from tenarai.sheets.collect import collect_cells
from tenarai.sheets.plan import SHEET, draw_next_sheet, draw_sheet_now

__all__ = ["SHEET", "collect_cells", "draw_next_sheet", "draw_sheet_now"]
