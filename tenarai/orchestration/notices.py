"""Notices: what a night tells whoever asked to be told, through Prefect's automations and one notification block.

A night sends an event for what is worth a notice; `tenarai notify` makes the block and an automation a kind of notice,
found again by their names, so doing it again changes nothing. That a night failed is told by Prefect itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tenarai.records import NightReport

KINDS = ("promoted", "kept", "failed", "quiet", "token")
BLOCK = "tenarai-notices"
_EVENTS = {kind: f"tenarai.{kind}" for kind in KINDS}
_FAILED = ("prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut")
_BY_AUTOMATION = "Cancelled by Automation*"  # what Prefect says of a run that an automation ends
_DAYS = 7


def announce_night(night: NightReport, nights: Sequence[Mapping[str, object]], report: str, language: str) -> None:
    """Send the event of a finished night, if there is something to tell.

    Args:
        night: The night.
        nights: Records of the nights before it, oldest first.
        report: Where the report can be opened.
        language: Of the words: en or ja.
    """
    from tenarai.report.view import make_view

    view = make_view(night, language)
    if night.decision.verdict in {"promoted", "kept"}:
        announce(night.decision.verdict, view.texts[night.decision.verdict], f"{view.because()}\n{report}")
    elif is_another_quiet_week(night.created, nights):
        announce("quiet", view.texts["quiet_week"], view.texts["quiet_week_note"])


def announce(kind: str, subject: str, body: str) -> None:
    """Send an event that an automation may turn into a notice; outside of a run there is nobody to send it to.

    Args:
        kind: One of `KINDS`.
        subject, body: What the notice says.
    """
    from prefect.events import emit_event
    from prefect.runtime import flow_run

    if flow_run.id:
        emit_event(
            event=_EVENTS[kind],
            resource={"prefect.resource.id": "tenarai.nightly", "prefect.resource.name": "Tenarai"},
            payload={"subject": f"Tenarai: {subject}", "body": body},
        )


def announce_expiry(credentials: str, now: datetime, language: str) -> None:
    """Send an event when the permission to read Drive may run out within two days; each night until it is renewed.

    Args:
        credentials: The setting `drive_credentials`; only a file can be looked into without asking Google.
        now: The moment it is asked, with its offset.
        language: Of the words: en or ja.
    """
    from tenarai.report.texts import TEXTS

    runs_out = find_expiry(credentials)
    if runs_out and timedelta(0) < runs_out - now < timedelta(days=2):
        told = TEXTS[language]
        announce("token", told["token_expires"], told["token_expires_note"].format(day=f"{runs_out:%Y-%m-%d %H:%M}"))


def find_expiry(credentials: str) -> datetime | None:
    """When a person's permission runs out if their app is in testing: a week after `tenarai connect`; None if never.

    Whether it is in testing, Google does not say; a permission that outlived the week lasts.
    """
    path = Path(credentials).expanduser()
    if not credentials or credentials.startswith("block:") or not path.is_file():
        return None
    try:
        connected = datetime.fromisoformat(str(json.loads(path.read_text(encoding="utf-8"))["connected"]))
    except (OSError, ValueError, KeyError, TypeError):  # what is damaged or silent is told of when it is used
        return None
    return connected + timedelta(days=_DAYS)


def is_another_quiet_week(created: str, nights: Sequence[Mapping[str, object]]) -> bool:
    """Whether with tonight another whole week has gone by in which nothing new came; told once a week, not each night.

    Args:
        created: When tonight began, ISO 8601.
        nights: Records of the nights before it, oldest first.
    """
    begun = [datetime.fromisoformat(str(past["created"])) for past in nights]
    with_news = [at for at, past in zip(begun, nights, strict=True) if past.get("verdict") != "nothing new"]
    if not begun:
        return False
    since = with_news[-1] if with_news else begun[0]
    weeks_before = (begun[-1] - since).days // _DAYS
    return (datetime.fromisoformat(created) - since).days // _DAYS > weeks_before


def set_up_notices(block: Any, kinds: Collection[str]) -> None:
    """Keep the block and make the automations; those of kinds no longer wished for are removed.

    Args:
        block: A notification block of Prefect's.
        kinds: Of `KINDS`, what to be told of.

    Raises:
        TenaraiError: The Prefect server cannot be reached or refuses.
    """
    from tenarai.orchestration.deploy import apply_automations

    remove_notices(keep=kinds)
    block_id = block.save(BLOCK, overwrite=True)
    apply_automations([_automation(kind, block_id) for kind in KINDS if kind in kinds])


def remove_notices(*, keep: Collection[str] = ()) -> None:
    """Remove the automations of all kinds but some."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for kind in set(KINDS) - set(keep):
            for known in client.read_automations_by_name(name_automation(kind)):
                client.delete_automation(known.id)


def name_automation(kind: str) -> str:
    """What the automation of a kind is called."""
    return f"tenarai notice: {kind}"


def _automation(kind: str, block_id: Any) -> Any:
    from prefect.events.actions import SendNotification
    from prefect.events.schemas.automations import AutomationCore

    subject, body = "{{ event.payload.subject }}", "{{ event.payload.body }}"
    if kind == "failed":
        subject = "Tenarai: {{ flow_run.state.name }}"
        body = "{{ flow_run.name }}: {{ flow_run.state.message }}\n{{ flow_run|ui_url }}"
    action = SendNotification(block_document_id=block_id, subject=subject, body=body)
    return AutomationCore(
        name=name_automation(kind),
        description="Made by `tenarai notify`.",
        trigger=_failure() if kind == "failed" else _trigger(_EVENTS[kind]),
        actions=[action],
    )


def _failure() -> Any:
    """A night that failed, or that an automation ended since it hung; one that a person cancels is known to them."""
    from prefect.events.schemas.automations import CompoundTrigger

    mine = {"prefect.resource.role": "flow", "prefect.resource.name": "nightly"}
    ended = _trigger("prefect.flow-run.Cancelling", related=mine, match={"prefect.state-message": _BY_AUTOMATION})
    return CompoundTrigger(require="any", triggers=[_trigger(*_FAILED, related=mine), ended], within=None)


def _trigger(*events: str, related: Any = None, match: Any = None) -> Any:
    from prefect.events.schemas.automations import EventTrigger, Posture

    return EventTrigger.model_validate(
        {
            "expect": events,
            "match": match or {},
            "match_related": related or {},
            "posture": Posture.Reactive,
            "threshold": 1,
            "within": 0,
        }
    )
