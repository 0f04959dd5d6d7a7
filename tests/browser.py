"""Debian's chromium, driven by Playwright: nothing is fetched, and every word to the console is kept."""

import shutil
from contextlib import contextmanager

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium():
    """A browser; `make test-ui` sees to it that there is one."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.fail("there is no chromium on this machine: run `make test-ui`, or `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def listen(page):
    """Lists that fill as the page lives: errors and warnings on its console, and addresses it asks for."""
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else 0)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    return complaints, requests
