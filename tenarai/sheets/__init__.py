"""Practice sheets: a PDF to write on, and the filled boxes in photos of it.

layout   where everything lies on the paper            codes    what its markers encode
plan     what to write next                             pdf      the sheet as it is printed
find     the sheet in a photo, rectified                cut      its filled boxes
"""

from __future__ import annotations

from tenarai.sheets.plan import SHEET, draw_next_sheet, draw_sheet_now

__all__ = ["SHEET", "draw_next_sheet", "draw_sheet_now"]
