"""The label page over HTTP: plain forms, which work without script; a few lines of script add keys.

Safe against other pages: every form carries a token that only this page knows, requests from other origins and under
foreign host names are refused, and nothing may be framed. Opened to a network, the page also asks for a password.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tenarai.errors import StoreError, TenaraiError
from tenarai.label.desk import Desk, Item
from tenarai.locale import _
from tenarai.prepare import decode
from tenarai.report.html import page_template
from tenarai.report.pictures import data_uri, to_png
from tenarai.settings import Settings

COOKIE = "tenarai"
MAX_FORM = 10_000  # bytes
MAX_AGE = 90 * 24 * 3600
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
KINDS = {"report.html": "text/html", "summary.png": "image/png", "sheet.pdf": "application/pdf"}
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
RUN = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")


def make_app(settings: Settings, *, login: str = "") -> Starlette:
    """The page as an ASGI app; it can be mounted below any path.

    Args:
        settings: Source, store and language.
        login: `<user>:<password>`; asked for once per browser. Default: nobody is asked.
    """
    page = Page(Desk(settings), settings.language, login)
    routes = [
        Route("/", page.show, methods=["GET", "POST"]),
        Route("/answer", page.answer, methods=["POST"]),
        Route("/login", page.log_in, methods=["GET", "POST"]),
        Route("/reports/{run}/{name}", page.show_report, methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=guard)])


def login_key(login: str) -> str:
    """What a browser keeps in place of the password, and what the QR code carries."""
    return sha256(login.encode()).hexdigest()


async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Refuse requests that another site or a rebound host name sends, and pass on the others."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin", "")
    if not _is_own_name(urlsplit(f"//{host}").hostname or ""):
        return _forbid("This host name is not known here. Open the page by the address that the command printed.")
    is_foreign = origin and urlsplit(origin).netloc != host
    if request.method != "GET" and (is_foreign or request.headers.get("sec-fetch-site") == "cross-site"):
        return _forbid("This request came from another site.")
    return await call_next(request)


def _forbid(reason: str) -> Response:
    return PlainTextResponse(reason, status_code=403)


class Page:
    """The routes.

    Args:
        desk: The open images.
        language: en or ja.
        login: `<user>:<password>`, or empty.
    """

    def __init__(self, desk: Desk, language: str, login: str) -> None:
        """Prepare the template."""
        self._desk, self._language, self._login = desk, language, login
        self._token = secrets.token_urlsafe(24)
        self._notice: tuple[str, bool] = ("", False)  # of the last answer, and whether it is an error
        self._template = page_template("tenarai.label", "label.html.jinja", language)

    async def show(self, request: Request) -> Response:
        """The next image, or the login form."""
        if door := await self._ask(request):
            return door
        return await run_in_threadpool(self._show)

    def _show(self) -> Response:
        (notice, is_error), self._notice = self._notice, ("", False)
        try:
            item, left = self._desk.current()
        except TenaraiError as error:
            return self._render(view="problem", notice=error.describe(self._language), is_error=True, status=500)
        can_undo = bool(self._desk.steps)
        if item is None:
            return self._render(view="done", notice=notice, is_error=is_error, can_undo=can_undo)
        return self._render(
            view="item",
            notice=notice,
            is_error=is_error,
            can_undo=can_undo,
            item=item,
            left=left,
            labels=self._desk.labels,
            link=self._desk.place.link(item.image),
            picture=self._draw(item),
        )

    async def answer(self, request: Request) -> Response:
        """Do what a button says."""
        form = await _read_form(request)
        if not self._is_known(request) or not secrets.compare_digest(form.get("token", ""), self._token):
            return _forbid("Reload the page and try again.")
        self._notice = await run_in_threadpool(self._answer, form)
        return RedirectResponse("./", status_code=303)

    def _answer(self, form: dict[str, str]) -> tuple[str, bool]:
        desk, action = self._desk, form.get("do", "")
        try:
            if action == "undo":
                return desk.undo(), False
            item = desk.find(form.get("file", ""))
            if item is None:
                return _("this image was answered already"), False
            if action == "file" and form.get("label", "") in desk.labels:
                desk.file(item, form["label"])
            elif do := {"confirm": desk.confirm, "aside": desk.set_aside, "later": desk.put_off}.get(action):
                do(item)
            return (desk.steps[-1].sentence if desk.steps else ""), False
        except TenaraiError as error:
            return error.describe(self._language), True

    async def show_report(self, request: Request) -> Response:
        """A file of a night's report, or of the latest, as it lies in the store."""
        if door := await self._ask(request):
            return door
        run, name = request.path_params["run"], request.path_params["name"]
        try:
            data = await run_in_threadpool(self._read_report, run, name)
        except TenaraiError as error:
            return PlainTextResponse(error.describe(self._language), status_code=404)
        return Response(data, media_type=KINDS[name], headers={**HEADERS, "Content-Security-Policy": REPORT_POLICY})

    def _read_report(self, run: str, name: str) -> bytes:
        store = self._desk.store
        if run == "latest":
            run = store.read("reports", "latest").decode().strip()
        if name not in KINDS or not RUN.fullmatch(run):
            raise StoreError(_("there is no such report"), fix=_("open reports/latest/report.html"))
        return store.read("reports", run, name)

    async def _ask(self, request: Request) -> Response | None:
        """The login form, or the answer to it; None for a browser that is known. The form posts to its own address."""
        if self._is_known(request):
            return None
        return await self.log_in(request) if request.method == "POST" else self._render(view="login", status=401)

    async def log_in(self, request: Request) -> Response:
        """Keep the password's key as a cookie; by the form, or by the address in the QR code."""
        form = await _read_form(request)
        given = form.get("password", "").strip()
        keys = {
            login_key(given),
            login_key(f"{self._login.partition(':')[0]}:{given}"),
            request.query_params.get("key", ""),
        }
        if login_key(self._login) not in keys:
            return self._render(view="login", notice=_("this is not the password"), is_error=True, status=401)
        response = RedirectResponse("./" + request.path_params.get("name", ""), status_code=303)
        response.set_cookie(COOKIE, login_key(self._login), max_age=MAX_AGE, httponly=True, samesite="strict")
        return response

    def _is_known(self, request: Request) -> bool:
        given = request.cookies.get(COOKIE, "")
        return not self._login or secrets.compare_digest(given.encode(), login_key(self._login).encode())

    def _draw(self, item: Item) -> str:
        """The image as a data URI, decoded and encoded again; empty if it cannot be shown."""
        try:
            picture = decode(self._desk.store.original(item.image.sha256))
        except TenaraiError:
            return ""
        return data_uri(to_png(np.ascontiguousarray(picture[..., ::-1])))

    def _render(self, *, view: str, status: int = 200, **given: Any) -> Response:
        nonce = secrets.token_urlsafe(12)
        page = self._template.render(
            {"item": None, "notice": "", "is_error": False, "can_undo": False, **given},
            view=view,
            token=self._token,
            nonce=nonce,
        )
        policy = (
            f"default-src 'none'; img-src data:; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(page, status_code=status, headers={**HEADERS, "Content-Security-Policy": policy})


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of a small form; empty for anything else."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return {}
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace"), max_num_fields=10).items()}


def _is_own_name(host: str) -> bool:
    """An address, or a name of this machine: the names that a rebinding attack cannot use."""
    name = socket.gethostname().lower()
    if host.lower() in {"localhost", name, f"{name}.local", socket.getfqdn().lower()}:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
