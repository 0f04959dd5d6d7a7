"""Names of files are text wherever they are shown: nothing of them is markup, and nobody is asked for anything."""

import email
import http.server
import re
import smtplib
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from apprise import Apprise

from tenarai.errors import SourceError
from tenarai.orchestration import KINDS, notices
from tenarai.records import Case, Decision, Prediction, Rejection, Suspect
from tenarai.report import build_report
from tests.browser import chromium
from tests.nights import NoPictures, night
from tests.serving import PROJECT, free_port

NAMES = (
    "<img src={url}/img>",
    "<svg/onload=fetch('{url}/svg')>",
    "<script src={url}/script></script>",
    "<iframe src={url}/iframe></iframe>",
    "<style>@import url({url}/style)</style>",
    "<link rel=stylesheet href={url}/link>",
    "<video poster={url}/poster>",
    "<details open ontoggle=fetch('{url}/toggle')>",
    '"><img src={url}/quote>',
    "'onerror='fetch(\"{url}/attribute\")",
    "</td></tr></table><img src={url}/table>",
    "</script><img src={url}/script-end>",
    "&lt;img src={url}/entity&gt;",
    "&#60;img src={url}/number&#62;",
    "![x]({url}/markdown)",
    "![x][r]\n\n[r]: {url}/reference",
    "[x](javascript:fetch('{url}/javascript'))",
    "<{url}/autolink>",
    "{url}/bare",
    "a | ![x]({url}/cell) | b",
    "`code` ``` ![x]({url}/fence)",
    "\n\n# ![x]({url}/heading)\n\n",
    "{{{{ '<img src={url}/jinja>' }}}} ${{fetch('{url}/template')}}",
    "$$\\href{{{url}/katex}}{{x}}$$ $\\includegraphics{{{url}/tex}}$",
    "<{url}/slack|click> *b* _i_ ~s~ <!channel>",
    "\u202egnp.<img src={url}/bidi>",
    "\0\x1b]8;;{url}/terminal\x07click\x1b]8;;\x07<img src={url}/control>",
)


class Listener:
    """A server that nobody must ask for anything."""

    def __init__(self):
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.names = [name.format(url=self.url) for name in NAMES]


@pytest.fixture(scope="module")
def listener():
    found = Listener()
    assert httpx.get(f"{found.url}/itself").status_code == 204
    assert found.asked.pop() == "/itself"
    yield found
    found.server.shutdown()


def hostile_night(listener):
    """A night in which every file has a hostile name, and some labels, too."""
    read = Prediction("5", 0.51, True)
    shas = {name: f"{number:064}" for number, name in enumerate(listener.names)}
    return night(
        decision=Decision("kept", "loses", {"path": listener.names[0], "num_more": 1, "read_as": listener.names[14]}),
        regression=tuple(
            Case(f"misread/4/{name}", sha, "4", read, read, "newly misread") for name, sha in shas.items()
        ),
        disputed=tuple(Case(f"digits/4/{name}", sha, name, read, read, "lost") for name, sha in shas.items()),
        inbox=tuple(Case(f"inbox/{name}", sha, "", Prediction(name, 0.5, True)) for name, sha in shas.items()),
        suspects=tuple(Suspect(f"digits/4/{name}", sha, "4", "label", name, 0.99) for name, sha in shas.items()),
        rejections=tuple(Rejection(f"digits/{name}", name) for name in listener.names),
        notes=tuple(listener.names),
        source=f"folder:/{listener.names[0]}",
    )


@pytest.fixture(scope="module")
def report(listener):
    return build_report(hostile_night(listener), NoPictures())


def assert_harmless(page, listener, dialogs):
    """Give what was smuggled in its time, then look at what the page holds."""
    page.wait_for_timeout(300)
    place = re.escape(listener.url)
    for tag, attribute in (("img", "src"), ("a", "href"), ("script", "src"), ("iframe", "src"), ("link", "href")):
        values = page.evaluate(f"[...document.querySelectorAll('{tag}')].map(e => e.getAttribute('{attribute}') || '')")
        assert [value for value in values if re.search(place, value) or value.startswith("javascript")] == []
    assert listener.asked == []
    assert dialogs == []


def open_page(browser, roots):
    """A page that reaches only these addresses, the listener's among them."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, http_credentials=None)
    allowed = "|".join(map(re.escape, roots))
    context.route(re.compile(f"^(?!{allowed}|file:|data:|blob:)"), lambda route: route.abort())
    page, dialogs = context.new_page(), []
    page.set_default_timeout(120_000)
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    return page, dialogs


@pytest.mark.ui
def test_in_the_report_names_are_text(listener, report, tmp_path):
    (tmp_path / "report.html").write_bytes(report.files["report.html"])
    with chromium() as browser:
        page, dialogs = open_page(browser, [listener.url])
        page.goto(f"file://{tmp_path}/report.html")
        assert f"<img src={listener.url}/img>" in page.locator("body").inner_text()
        assert_harmless(page, listener, dialogs)


@contextmanager
def prefect_server(home):
    """A Prefect server alone, without its background services."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    env = {"PREFECT_HOME": str(home), "PATH": "/usr/bin:/bin", "DO_NOT_TRACK": "1", "PREFECT_API_URL": f"{root}/api"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--no-services"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=env, cwd=PROJECT, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 400
        while True:
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < end, "it took too long"
            try:
                if httpx.get(f"{root}/api/health", timeout=20).json():
                    break
            except (httpx.HTTPError, ValueError):
                time.sleep(1)
        yield root
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.ui
def test_in_both_prefect_uis_names_are_text(listener, report, tmp_path):
    from prefect import flow, get_run_logger
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tenarai.orchestration.artifacts import publish_artifacts
    from tenarai.orchestration.runs import explain_failure, fail_run

    names = listener.names

    @flow(name="hostile", on_failure=[explain_failure])
    def hostile():
        publish_artifacts(report.artifacts, " ".join(names))
        for name in names:
            get_run_logger().info("%s", name)
        return fail_run(SourceError(" ".join(names), received=names[0], fix=names[14]))

    with prefect_server(tmp_path) as root, temporary_settings({PREFECT_API_URL: f"{root}/api"}):
        hostile(return_state=True)
        with get_client(sync_client=True) as client:
            (run,) = client.read_flow_runs()
            client.update_flow_run(run.id, name=names[0] + names[14])
            artifacts = client.read_artifacts()
        assert len(artifacts) >= 6
        assert "what-to-do" in {artifact.key for artifact in artifacts}
        places = [f"artifacts/artifact/{artifact.id}" for artifact in artifacts]
        places += [f"runs/flow-run/{run.id}", f"runs/flow-run/{run.id}?tab=Artifacts", "runs", "dashboard"]
        with chromium() as browser:
            page, dialogs = open_page(browser, [root, listener.url])
            for place in [f"{ui}{place}" for ui in ("v2/", "") for place in places]:
                page.goto(f"{root}/{place}")
                page.wait_for_load_state("networkidle")
                assert_harmless(page, listener, dialogs)


@pytest.fixture
def mails(monkeypatch):
    """What is handed to a mail server."""
    sent = []

    class Server:
        def __init__(self, *_, **__):
            pass

        def sendmail(self, _sender, _to, message):
            sent.append(email.message_from_string(message))

        def __getattr__(self, _name):
            return lambda *_, **__: (250, b"")

    monkeypatch.setattr(smtplib, "SMTP", Server)
    monkeypatch.setattr(smtplib, "SMTP_SSL", Server)
    return sent


def markup_in(mail, name):
    """Parts of a mail that are HTML and hold the name as it is."""
    parts = [part for part in mail.walk() if part.get_content_type() == "text/html"]
    return [part for part in parts if name in part.get_payload(decode=True).decode()]


@pytest.mark.parametrize("address", ["mailto://me:secret@example.org", "mailto://me:secret@example.org?format=html"])
def test_in_a_mail_names_are_text(listener, mails, monkeypatch, address):
    sender = Apprise()
    sender.add(notices.as_text(address))
    monkeypatch.setattr(notices, "_apprise", lambda: sender)
    monkeypatch.setattr(notices, "flow_run", SimpleNamespace(id="a run"))
    monkeypatch.setattr(notices, "emit_event", lambda *_, **__: None)
    monkeypatch.setattr(notices.Variable, "get", lambda *_: list(KINDS))
    notices.announce_night(hostile_night(listener), (), "/reports/r/report.html", "en")
    (mail,) = mails
    assert markup_in(mail, listener.names[0]) == []
    assert any("/img" in part.get_payload(decode=True).decode() for part in mail.walk() if not part.is_multipart())


def test_in_a_mail_that_prefect_sends_names_are_text(listener, mails):
    """Prefect's own block names no format; without one, a mail would be HTML."""
    for address, is_safe in (
        ("mailto://me:secret@example.org", False),
        (notices.as_text("mailto://a:b@example.org"), True),
    ):
        sender = Apprise()
        sender.add(address)
        assert sender.notify(listener.names[0], "Tenarai")
        assert (markup_in(mails.pop(), listener.names[0]) == []) is is_safe
