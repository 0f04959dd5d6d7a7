"""The pictures of the README, made from the sample folder: `make pictures`.

Every picture comes in a light and a dark version, so that it follows the reader's colours; the photo of a practice
sheet is the same in both. Needs Chromium and pdftoppm.
"""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Error, Page
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.states import Cancelling
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI, TerminalTheme
from rich.text import Text

from benchmarks.sheets import load_inks, print_pdf
from tenarai.prepare import decode
from tenarai.settings import DEFAULT_SOURCE, SAMPLE_STORE
from tenarai.sheets.layout import find_layout
from tests.browser import chromium
from tests.photographs import Camera, fill_in, photograph
from tests.serving import finish, free_port, serve, start, wait

HERE = Path(__file__).parent
TENARAI = (sys.executable, "-m", "tenarai.cli.main")
SAMPLE = DEFAULT_SOURCE.removeprefix("folder:")
COLOURS = 128  # of a picture's palette
SCHEMES = ("light", "dark")
WHITE = TerminalTheme((250, 248, 243), (34, 38, 43), [(34, 38, 43), (176, 53, 24), (29, 107, 64)] + [(43, 89, 148)] * 5)
THEMES = {"light": WHITE, "dark": DIMMED_MONOKAI}
MORNING = """<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 0; padding: 20px; width: 840px; display: flex; gap: 28px; align-items: center; box-sizing: border-box;
  color: light-dark(#22262b, #e9e6df); background: light-dark(#f1ede3, #0d0f11); }
section { flex: 1; padding: 12px 20px; border-radius: 12px; background: light-dark(#fff, #202327);
  border: 1px solid light-dark(#d9d3c5, #3b4148); }
h2 { font: 600 15px ui-monospace, monospace; margin: 14px 0 6px; } small { color: light-dark(#5a626c, #a9b0b8); }
img { width: 46px; height: 46px; margin: 0 4px 4px 0; object-fit: cover; border: 1px solid #8b8577; border-radius: 5px }
iframe { width: 390px; height: 790px; border: 9px solid light-dark(#22262b, #3b4148); border-radius: 34px; }
</style><body><section>%s</section><iframe src="report.html"></iframe>"""


def main() -> None:
    """Make all pictures, or those whose names are given."""
    makers = {"morning": show_morning, "label": show_label, "run": show_run}
    wanted = sys.argv[1:] or ["terminal", *makers, "sheet"]
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        home = Path(name)
        lines = subprocess.run([*TENARAI, "nightly"], cwd=home, text=True, check=True, stdout=subprocess.PIPE).stdout
        if "terminal" in wanted:
            show_terminal(lines.replace(str(home), "/home/me/tenarai"))
        for picture in makers.keys() & set(wanted):
            makers[picture](browser, home)
        if "sheet" in wanted:
            show_sheet(home / SAMPLE)


def show_terminal(lines: str) -> None:
    """A first night in a terminal, as SVG."""
    for scheme, theme in THEMES.items():
        console = Console(record=True, width=96, file=io.StringIO())
        console.print(Text("$ make nightly", "bold"))
        for line in lines.splitlines():
            text = Text(line)
            text.highlight_regex("^✓", "green")
            console.print(text)
        picture = console.export_svg(title="make nightly", theme=theme)
        (HERE / f"terminal-{scheme}.svg").write_text(re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL))


def show_morning(browser: Browser, home: Path) -> None:
    """The report on a phone beside the folder, and its hard cases."""
    reports = home / SAMPLE_STORE / "reports"
    report = reports / (reports / "latest").read_text().strip() / "report.html"
    (report.parent / "morning.html").write_text(MORNING % list_folder(home / SAMPLE))
    for scheme in SCHEMES:
        with open_page(browser, scheme, 840, 850) as page:
            page.goto((report.parent / "morning.html").as_uri())
            save("morning", scheme, page.screenshot())
            page.set_viewport_size({"width": 640, "height": 900})
            page.goto(report.as_uri())
            save("hard-cases", scheme, page.locator("#hard-cases").screenshot())


def list_folder(folder: Path) -> str:
    """Some files of every folder, as HTML."""
    parts = []
    for place, words in (
        ("inbox", "to be read"),
        ("digits/4", "labelled 4"),
        ("digits/7", "labelled 7"),
        ("misread", "hard cases"),
    ):
        files = sorted(file for file in (folder / place).rglob("*") if file.is_file())
        shown = "".join(f'<img src="data:image/jpeg;base64,{shrink(file)}">' for file in files[:12])
        parts.append(f"<h2>{escape(place)}/</h2>{shown}<br><small>{len(files)} files, {escape(words)}</small>")
    return "".join(parts)


def shrink(file: Path) -> str:
    """A small JPEG of an image, HEIC included, in base64."""
    picture = Image.fromarray(decode(file.read_bytes()))
    picture.thumbnail((120, 120))
    with io.BytesIO() as buffer:
        picture.save(buffer, "JPEG")
        return base64.b64encode(buffer.getvalue()).decode()


def show_label(browser: Browser, home: Path) -> None:
    """The label page on a phone."""
    port = free_port()
    server = subprocess.Popen([*TENARAI, "label", "--port", str(port)], cwd=home, stdout=subprocess.DEVNULL)
    try:
        for scheme in SCHEMES:
            with open_page(browser, scheme, 390, 650, is_mobile=True, has_touch=True) as page:
                wait(lambda page=page: can_open(page, f"http://127.0.0.1:{port}/"), 60)
                save("label", scheme, page.screenshot())
    finally:
        server.terminate()
        server.wait()


def can_open(page: Page, address: str) -> bool:
    """Whether a server answers, and the page is shown."""
    try:
        return bool(page.goto(address))
    except Error:
        return False


def show_run(browser: Browser, home: Path) -> None:
    """The page of a run in the Prefect UI while it trains."""
    (home / "up").mkdir()
    with serve(home / "up", home / SAMPLE) as (client, port):
        root, login = f"http://127.0.0.1:{port}", (home / "up/prefect/login").read_text().strip()
        begun = start(client, training={"recipe": "cnn", "folds": 5})
        wait(lambda: is_training(client, begun), 300)
        with open_page(browser, "light", 1180, 515, dense=1.0) as page:
            page.goto(root)
            page.locator("input[type=password]").fill(login)
            page.keyboard.press("Enter")
            page.wait_for_url("**/dashboard**")
            page.goto(f"{root}/v2/runs/flow-run/{begun.id}")
            page.locator("canvas").first.wait_for(timeout=120_000)
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                time.sleep(8)  # until the graph of the tasks is drawn
                save("run", scheme, page.screenshot())
        client.set_flow_run_state(begun.id, Cancelling(), force=True)
        finish(client, begun)


def is_training(client, begun) -> bool:
    """Whether the train task of a run has begun."""
    tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[begun.id])))
    return any(task.name.startswith("train") and task.state.is_running() for task in tasks)


def show_sheet(folder: Path) -> None:
    """A practice sheet, filled in with digits of the sample, as it is photographed."""
    rng = np.random.default_rng(4)
    sheet, paper = print_pdf(find_layout("a4"))
    filled = fill_in(sheet, paper, load_inks(folder / "digits"), rng, share_empty=0.08, share_struck=0.03)
    camera = Camera(megapixels=2.0, tilt=14, towards=200, turn=3, fill=0.95, shadow=0.1)
    picture = Image.fromarray(photograph(filled.paper, camera, rng))
    picture.thumbnail((900, 900))
    picture.save(HERE / "sheet.jpg", quality=80, optimize=True)


@contextmanager
def open_page(browser: Browser, scheme: str, width: int, height: int, *, dense: float = 1.5, **given) -> Iterator[Page]:
    """A page in the colours of a scheme, `dense` pixels per CSS pixel."""
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=dense, **given)
    yield context.new_page()
    context.close()


def save(name: str, scheme: str, data: bytes) -> None:
    """Save a screenshot with as many colours as it needs."""
    picture = Image.open(io.BytesIO(data)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(HERE / f"{name}-{scheme}.png", optimize=True)


if __name__ == "__main__":
    main()
