"""Pages of PDFs, each rendered in a process of its own, with limits on memory and time."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tenarai.errors import ImageError
from tenarai.locale import _

CHILD = Path(__file__).with_name("pdf_child.py")
MAX_PAGES = 100
MEMORY = 500 * 2**20  # bytes of address space
SECONDS = 20  # of CPU time


def is_pdf(data: bytes) -> bool:
    """Whether the content is that of a PDF, as readers of PDFs see it."""
    return b"%PDF-" in data[:1024]


def count_pages(data: bytes) -> int:
    """Number of pages of a PDF.

    Raises:
        ImageError: It cannot be opened, or has more than 100.
    """
    num = int(_run(data, -1, 0))
    if num > MAX_PAGES:
        raise ImageError(_("the PDF has {n} pages, more than {limit}: split it", n=num, limit=MAX_PAGES))
    return num


def render_page(data: bytes, number: int, side: int) -> NDArray[np.uint8]:
    """Render a page of a PDF.

    Args:
        data: The PDF.
        number: Which page, counted from 0.
        side: Pixels of the longest side, about.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: There is no such page, or it takes too much memory or time.
    """
    size, _newline, pixels = _run(data, number, side).partition(b"\n")
    height, width = map(int, size.split())
    return np.frombuffer(pixels, dtype=np.uint8).reshape(height, width, 4)[..., :3]


def _run(data: bytes, number: int, side: int) -> bytes:
    command = [sys.executable, "-I", str(CHILD), *map(str, (number, side, MEMORY, SECONDS))]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=3 * SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ImageError(_("the PDF takes too long to show: save its pages as pictures")) from error
    if done.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise ImageError(_("the PDF takes too long to show: save its pages as pictures"))
    if done.returncode < 0 or b"MemoryError" in done.stderr:
        raise ImageError(_("the PDF needs too much memory to show: save its pages as pictures"))
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ImageError(_("the PDF has no page that can be shown"), received=reason)
    return done.stdout
