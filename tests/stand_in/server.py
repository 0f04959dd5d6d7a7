"""The HTTP side: connections, tokens, and the breaking of answers."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from tests.stand_in.api import DriveApi, Refused, Request, bad_page_token
from tests.stand_in.faults import Faults
from tests.stand_in.people import People
from tests.stand_in.tree import Tree


class StandInDrive:
    """A Drive at `root`, until the end of the `with` block.

    Attributes:
        tree, people, faults: What it holds, who may ask, what goes wrong.
        calls: Method and path of every request to the Drive API, in order of arrival.
        latency: Seconds that each answer takes.
        before_answer: Called with method, path and query of each request, such as to change something meanwhile.
    """

    def __init__(self, tree: Tree | None = None, faults: Faults | None = None) -> None:
        self.tree = tree or Tree()
        self.faults = faults or Faults()
        self.calls: list[str] = []
        self.latency = 0.0
        self.before_answer: Callable[[str], None] = lambda request: None
        self.api = DriveApi(self.tree)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(self))
        self._server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self.people = People(self.root)

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, text: str = "") -> int:
        """How many requests had this text in their method and path."""
        return sum(text in call for call in self.calls)


def _make_handler(drive: StandInDrive) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do(self) -> None:
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if address.path == "/auth":
                self._ask_person(dict(parse_qsl(address.query)))
                return
            if address.path == "/token":
                status, told = drive.people.exchange(body.decode(), self.headers.get("Authorization", ""))
                self._send(status, json.dumps(told).encode(), {"Content-Type": "application/json"})
                return
            request = Request(self.command, address.path, dict(parse_qsl(address.query)), self.headers, body)
            if self.headers.get("x-http-method-override") == "GET":
                request.method, request.query = "GET", dict(parse_qsl(body.decode()))
            drive.calls.append(f"{request.method} {request.path}")
            time.sleep(drive.latency)
            asked = f"{request.method} {request.path}?{urlencode(request.query)}"
            drive.before_answer(asked)
            self._answer(request, drive.faults.choose(asked))

        do_GET = do_POST = do_PATCH = do

        def _ask_person(self, query: dict[str, str]) -> None:
            """The page with the button Allow, already clicked: back to the application with a code."""
            answer = {"state": query["state"], "error": "access_denied"}
            if drive.people.says_yes:
                answer = {"state": query["state"], "code": drive.people.allow(query["scope"]), "scope": query["scope"]}
            self._send(302, b"", {"Location": f"{query['redirect_uri']}?{urlencode(answer, quote_via=quote)}"})

        def _answer(self, request: Request, fault: str) -> None:
            if fault in {"reset", "closed"}:
                self._hang_up(reset=fault == "reset")
                return
            try:
                if refused := _refusal_of(fault):
                    raise refused
                who = drive.people.who(self.headers.get("Authorization", ""))
                if who is None:
                    raise Refused(401, "authError", "Invalid Credentials", "Authorization")
                request.email, request.scopes = who
                body = drive.api.answer(request)
            except Refused as error:
                self._send(error.status, error.body, {"Content-Type": "application/json", **error.headers})
                return
            if fault == "lost":
                self._hang_up(reset=False)
            else:
                status = 206 if "Range" in self.headers else 200
                self._send(status, body, request.answer, fault)

        def _send(self, status: int, body: bytes, headers: dict[str, str], fault: str = "") -> None:
            told = {"Date": formatdate(time.time() + drive.people.clock_is_off_by, usegmt=True), **headers}
            told["Content-Length"] = str(len(body))
            lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            if fault == "corrupted" and body:
                body = _corrupt(body, is_json="json" in headers["Content-Type"])
            elif fault == "truncated":
                body = body[: len(body) // 2]
            self.wfile.write(f"HTTP/1.1 {status} {self.responses.get(status, ('',))[0]}\r\n{lines}\r\n".encode() + body)
            if fault == "truncated":
                self._hang_up(reset=False)

        def _hang_up(self, *, reset: bool) -> None:
            self.close_connection = True
            self.wfile.flush()
            if reset:  # closing with linger 0 sends RST
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self.connection.shutdown(socket.SHUT_RDWR)

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client is gone
                self.close_connection = True

        def finish(self) -> None:
            try:
                super().finish()
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Silence: tests look at `calls`."""

    return Handler


def _refusal_of(fault: str) -> Refused | None:
    """Drive's own words for a fault that is an answer."""
    kinds = {
        "403 rate": [(403, "userRateLimitExceeded"), (403, "rateLimitExceeded")],
        "403 backend": [(403, "backendError"), (403, "internalError")],
        "429": [(429, "rateLimitExceeded")],
        "5xx": [(500, "internalError"), (502, "badGateway"), (503, "backendError"), (504, "gatewayTimeout")],
    }
    if fault == "expired":
        return Refused(401, "authError", "Invalid Credentials", "Authorization")
    if fault == "page token":
        return bad_page_token()
    if fault not in kinds:
        return None
    status, reason = random.choice(kinds[fault])
    return Refused(status, reason, reason, **({"Retry-After": "0.02"} if status == 429 else {}))


def _corrupt(body: bytes, *, is_json: bool) -> bytes:
    """A bit of a file's bytes flipped; JSON bears no digest, so there a piece is made unreadable."""
    middle = len(body) // 2
    piece = b"\xff\xfe{" if is_json else bytes([body[middle] ^ 1])
    return body[:middle] + piece + body[middle + len(piece) :][: max(0, len(body) - middle - len(piece))]
