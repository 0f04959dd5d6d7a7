"""Notices: `tenarai notify URL…` keeps the addresses, and nights send word to them.

A night sends its own notices, with the summary picture; the worker or the watchdog sends that of a night that died.
Every address that Apprise knows will do: ntfy, Telegram, mail, Slack, ….
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from apprise import Apprise
from httpx import HTTPError
from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event
from prefect.exceptions import PrefectHTTPStatusError
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for
from prefect.variables import Variable

from tenarai.errors import SettingsError
from tenarai.locale import _, translate
from tenarai.orchestration import KINDS
from tenarai.records import NightReport

log = logging.getLogger("tenarai.night")
BLOCK = "tenarai-notices"
VARIABLE = "tenarai_notices"
WEEK = timedelta(days=7)


def announce_night(
    night: NightReport, nights: Sequence[Mapping[str, object]], report: str, language: str, picture: bytes = b""
) -> None:
    """Send the notice of a finished night, if there is something to say.

    Args:
        night: The night.
        nights: Records of the nights before it, oldest first.
        report: Where the report can be opened.
        language: en or ja.
        picture: `summary.png`. Default: none.
    """
    body = f"{translate(night.decision.reason, language)}\n{report}"
    if night.decision.verdict == "promoted":
        announce("promoted", translate(_("a new model reads from now on"), language), body, picture)
    elif night.decision.verdict == "kept":
        announce("kept", translate(_("the model stays as it is"), language), body, picture)
    elif is_another_quiet_week(night.created, nights):
        advice = _("A few more images of the characters that are misread would help it most.")
        announce("quiet", translate(_("nothing new for a week"), language), translate(advice, language))


def announce_expiry(credentials: str, now: datetime, language: str) -> None:
    """Send a notice when the permission to read Drive may run out within two days; each night until it is renewed.

    Args:
        credentials: The setting `drive_credentials`; a file's path, or its content.
        now: The current time, with its offset.
        language: en or ja.
    """
    runs_out = find_expiry(credentials)
    if runs_out and timedelta(0) < runs_out - now < timedelta(days=2):
        advice = _(
            "If your app is in testing with Google, it ends on {day}. Run `tenarai connect` before that, or publish "
            "the app; otherwise the nights after it fail.",
            day=f"{runs_out:%Y-%m-%d %H:%M}",
        )
        subject = _("the permission to read your Drive may run out")
        announce("token", translate(subject, language), translate(advice, language))


def announce_failure(run: FlowRun, text: str, language: str) -> None:
    """Send the notice of a night that failed or crashed. A person starts the other flows, and sees how they end.

    Args:
        run: The run of any flow.
        text: What happened, and what to do.
        language: en or ja.
    """
    with get_client(sync_client=True) as client:
        flow = client.read_flow(run.flow_id)
    if flow.name == "nightly":
        _send("failed", translate(_("the night failed"), language), f"{text}\n{url_for(run)}")


def announce(kind: str, subject: str, body: str, picture: bytes = b"") -> None:
    """Send a notice of the current run; outside a run there is no server that knows where to send it."""
    if flow_run.id:
        _send(kind, subject, body, picture)


def _send(kind: str, subject: str, body: str, picture: bytes = b"") -> None:
    """Send the event `tenarai.<kind>`, for automations of your own, and a notice if it was asked for.

    A notice that does not arrive never fails a night.
    """
    subject = f"Tenarai: {subject}"
    resource = {"prefect.resource.id": "tenarai.nightly", "prefect.resource.name": "Tenarai"}
    emit_event(f"tenarai.{kind}", resource=resource, payload={"subject": subject, "body": body})
    if kind in Variable.get(VARIABLE, []):
        with TemporaryDirectory() as folder:
            file = Path(folder) / "summary.png"
            file.write_bytes(picture)
            if not _apprise().notify(body, subject, body_format="text", attach=str(file) if picture else None):
                log.warning("%s", _("a notice could not be sent"))


def find_expiry(credentials: str) -> datetime | None:
    """When the permission runs out if the person's app is in testing: a week after `tenarai connect`; None if never.

    Google does not say whether it is in testing; a permission that outlived the week lasts.
    """
    if not credentials or credentials.startswith("block:"):
        return None
    try:
        is_content = credentials.lstrip().startswith("{")
        text = credentials if is_content else Path(credentials).expanduser().read_text(encoding="utf-8-sig")
        connected = datetime.fromisoformat(str(json.loads(text)["connected"]))
    except (OSError, ValueError, KeyError, TypeError):  # reported when it is used
        return None
    return connected + WEEK


def is_another_quiet_week(created: str, nights: Sequence[Mapping[str, object]]) -> bool:
    """Whether tonight completes another week without anything new; true once a week, not each night.

    Args:
        created: When tonight began, ISO 8601.
        nights: Records of the nights before it, oldest first.
    """
    begun = [datetime.fromisoformat(str(past["created"])) for past in nights]
    with_news = [at for at, past in zip(begun, nights, strict=True) if past.get("verdict") != "nothing new"]
    if not begun:
        return False
    since = with_news[-1] if with_news else begun[0]
    return (datetime.fromisoformat(created) - since) // WEEK > (begun[-1] - since) // WEEK


def set_up_notices(addresses: Sequence[str], kinds: Collection[str]) -> None:
    """Keep the addresses, and what is sent to them; what was set up before is replaced.

    Args:
        addresses: Of Apprise, such as ntfy://topic. The server keeps them as a secret.
        kinds: Of `KINDS`.

    Raises:
        SettingsError: Apprise does not know an address.
        TenaraiError: The Prefect server does not answer, or refuses.
    """
    for address in addresses:
        if not Apprise().add(address):
            raise SettingsError(
                _("{address} is not an address for notices", address=address.partition(":")[0] + "://…"),
                expected=_("an address of Apprise, such as ntfy://my-topic or mailto://user:password@example.org"),
                fix=_("look it up at https://appriseit.com/services"),
            )
    # Prefect's server has no block for Apprise in general, but its Slack block passes any address on to Apprise
    SlackWebhook(url=" ".join(map(as_text, addresses))).save(BLOCK, overwrite=True)
    Variable.set(VARIABLE, [kind for kind in KINDS if kind in kinds], overwrite=True)


def as_text(address: str) -> str:
    """An address that gets plain text, so that a file's name in a notice is never markup; mail would be HTML."""
    return address if "format=" in address else f"{address}{'&' if '?' in address else '?'}format=text"


def remove_notices() -> None:
    """Send no notices any more."""
    Variable.unset(VARIABLE)


def try_notices(language: str) -> bool:
    """Send a test notice; whether it was accepted everywhere."""
    text = translate(_("This is how Tenarai sends you a notice."), language)
    return bool(_apprise().notify(text, "Tenarai"))


def _apprise() -> Apprise:
    """The addresses that are kept; none where they cannot be read."""
    sender = Apprise()
    try:
        block: Any = SlackWebhook.load(BLOCK)
        sender.add(block.url.get_secret_value())
    except (ValueError, HTTPError, PrefectHTTPStatusError) as error:
        log.warning("%s", error)
    return sender
