"""How a request is sent: a connection per thread, one pace and one retry layer for all.

The library's own retries (`num_retries`) do not notice bodies that are cut short or altered, and ignore `Retry-After`.
A `httplib2.Http` used by two threads gives one file's bytes to the other without an error.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, TypeVar

import google_auth_httplib2
from google.auth.exceptions import GoogleAuthError
from googleapiclient.errors import HttpError
from googleapiclient.http import build_http
from tenacity import RetryCallState, Retrying, retry_if_exception

from tenarai.drive.credentials import Account
from tenarai.drive.faults import BadBody, Fault, asked_wait, explain, judge
from tenarai.errors import TenaraiError

MAX_TRIES = 8
MAX_REFUSED_TOKENS = 4  # in a row: Google now and then refuses one that is good
LONGEST_WAIT_SECONDS = 64.0

T = TypeVar("T")


class Cost(IntEnum):
    """Quota units of a request (Google's table of May 2026: 325,000 a minute for each user)."""

    GET = 5
    WRITE = 50
    LIST = 100
    DOWNLOAD = 200


class Pace:
    """Spaces requests evenly by their cost, all threads together.

    Args:
        per_minute: Quota units a minute.
    """

    def __init__(self, per_minute: float) -> None:
        """See the class."""
        self._seconds_per_unit = 60.0 / per_minute
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, cost: int) -> None:
        """Return when it is the caller's turn; a hold that begins meanwhile counts, too."""
        interval = cost * self._seconds_per_unit
        while True:
            with self._lock:
                now = time.monotonic()
                if now >= self._next:
                    # one interval of credit makes up for sleeping too long, and is no burst
                    self._next = max(self._next, now - interval) + interval
                    return
                left = self._next - now
            time.sleep(left)

    def hold(self, seconds: float) -> None:
        """Let nobody go for so many seconds: Drive asked one thread to slow down."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class Sender:
    """Sends requests for one account, from any number of threads.

    Args:
        account: Who asks.
        quota_per_minute: Quota units a minute, all threads together.
        first_wait: Longest wait before the second try, in seconds; doubles with each try, up to 64.
    """

    def __init__(self, account: Account, *, quota_per_minute: float, first_wait: float) -> None:
        """See the class."""
        self._account = account
        self._first_wait = first_wait
        self._pace = Pace(quota_per_minute)
        self._of_thread = threading.local()
        self._token_lock = threading.Lock()

    def ask(
        self, make_request: Callable[[], Any], what: str, cost: Cost, keys: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object that answers a request.

        Args:
            make_request: Makes the request, once for each try: a body can be read only once.
            what: What cannot be done if it fails, for the message.
            cost: Its quota units.
            keys: Resource keys by file id; empty ones are left out.

        Raises:
            SourceError, CredentialsError: There is no usable answer after all tries, or trying again does not help.
        """

        def ask() -> dict[str, Any]:
            answer = self.send(make_request(), cost, keys or {})
            if not isinstance(answer, dict):
                raise BadBody("an answer that is no JSON object")
            return answer

        return self.persist(ask, what)

    def send(self, request: Any, cost: Cost, keys: Mapping[str, str]) -> Any:
        """Send a request once, when it is its turn."""
        if shown := ",".join(f"{file_id}/{key}" for file_id, key in keys.items() if key):
            request.headers["X-Goog-Drive-Resource-Keys"] = shown
        self._pace.wait(cost)
        try:
            return request.execute(http=self._http(), num_retries=0)
        except UnicodeDecodeError as error:
            raise BadBody("an answer that is no text") from error

    def persist(self, act: Callable[[], T], what: str) -> T:
        """Try something until it succeeds, as long as trying again may help.

        Raises:
            SourceError, CredentialsError: As `ask`.
        """
        retrying = Retrying(
            stop=_Patience(),
            wait=self._wait,
            retry=retry_if_exception(lambda error: judge(error) is not Fault.LASTING),
            before_sleep=self._prepare_next_try,
            reraise=True,
        )
        try:
            return retrying(act)
        except TenaraiError:
            raise
        except Exception as error:
            if judge(error) is Fault.LASTING and not isinstance(error, (HttpError, GoogleAuthError)):
                raise  # a bug of ours is not Drive's fault
            raise explain(error, what, self._account.name) from error

    def _wait(self, state: RetryCallState) -> float:
        """Full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015), and never less than Drive asked for."""
        error = state.outcome.exception() if state.outcome else None
        longest = min(LONGEST_WAIT_SECONDS, self._first_wait * 2 ** (state.attempt_number - 1))
        if isinstance(error, BadBody):
            longest = min(longest, self._first_wait)
        return max(asked_wait(error) if error else 0.0, random.uniform(0, longest))

    def _prepare_next_try(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        fault = judge(error) if error else None
        if fault is Fault.SLOWER:
            self._pace.hold(state.upcoming_sleep)
        elif fault is Fault.TRANSPORT:
            self._of_thread.http = None  # what is left in a broken connection must not answer the next request
        elif fault is Fault.TOKEN:
            with self._token_lock:
                self._of_thread.http.forget_token()

    def _http(self) -> _Connection:
        connection = getattr(self._of_thread, "http", None)
        if connection is None:
            connection = self._of_thread.http = _Connection(self._account)
        with self._token_lock:  # one new token serves all threads
            connection.renew_token()
        return connection


class _Patience:
    """When to give up: after eight tries, or when Google refuses one new token after the other."""

    def __init__(self) -> None:
        self._num_refused = 0

    def __call__(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        is_refused = error is not None and judge(error) is Fault.TOKEN
        self._num_refused = self._num_refused + 1 if is_refused else 0
        return state.attempt_number >= MAX_TRIES or self._num_refused >= MAX_REFUSED_TOKENS


class _Connection:
    """One thread's connection, which writes the account's token into each request.

    google-auth's `AuthorizedHttp` does this, too, but renews tokens without a lock, and asks another host for the
    account's region, over a copy of the connection and in another thread.
    """

    def __init__(self, account: Account) -> None:
        self._credentials = account.credentials
        self._token = ""
        self._http = build_http()

    def renew_token(self) -> None:
        """Take the account's token for the next request; fetch one if there is none, or it expired."""
        if not self._credentials.valid:
            self._credentials.refresh(google_auth_httplib2.Request(self._http))
        self._token = self._credentials.token  # another thread may forget the account's at any time

    def forget_token(self) -> None:
        """The token that was sent last was refused; one that another thread has fetched since is good."""
        if self._credentials.token == self._token:
            self._credentials.token = None

    def request(self, uri: str, method: str, body: Any = None, headers: Any = None, **options: Any) -> Any:
        """As `httplib2.Http.request`."""
        authorised = dict(headers or {})
        self._credentials.apply(authorised, token=self._token)
        return self._http.request(uri, method, body=body, headers=authorised, **options)

    def close(self) -> None:
        """As `httplib2.Http.close`."""
        self._http.close()
