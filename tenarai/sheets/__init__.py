"""Practice sheets: a PDF to write on, and photos of it cut into labelled images.

layout   where everything lies on the paper            codes    what its markers say
plan     what to write next                             pdf      the sheet as it is printed
find     the sheet in a photo, laid flat                cut      its filled boxes
collect  from the catalogue's photos to labelled rows of the catalogue
"""

from __future__ import annotations

from tenarai.sheets.codes import make_sheet
from tenarai.sheets.collect import MAX_SIDE, collect_cells
from tenarai.sheets.layout import find_layout
from tenarai.sheets.pdf import draw_pdf
from tenarai.sheets.plan import Row, plan_rows

__all__ = ["MAX_SIDE", "Row", "collect_cells", "draw_pdf", "find_layout", "make_sheet", "plan_rows"]
