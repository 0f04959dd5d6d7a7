"""Stop a sync whose changes look like an accident: an unmounted disk, a renamed folder, overwritten files."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tenarai.errors import UnusualChangesError
from tenarai.locale import Message, _, join, plural
from tenarai.records import EventKind, Role, State
from tenarai.sync.plan import SyncPlan

if TYPE_CHECKING:
    from tenarai.sync.source import Source

FEW = 5  # fewer images are a day's tidying, whatever they are part of
MANY, LARGE_SHARE = 20, 0.2


def find_accident(plan: SyncPlan) -> list[Message]:
    """What looks like an accident in a plan, for people; empty if nothing does.

    More than half of the labelled files, or more than 20 files and 20 % of all, vanished or became unusable, changed
    their label, or were overwritten; or no image is left of a label that had five.
    """
    before = {image.file_id: image for image in plan.before}
    labelled = [image for image in plan.before if image.role is not Role.INBOX]
    unusable = {event.file_id for event in plan.events if event.kind is EventKind.REJECTED} & before.keys()
    lost = {image.file_id for image in plan.vanished if image.state is State.OK} | unusable
    lost_labelled = {image.file_id for image in labelled} & lost
    relabelled = [
        event
        for event in plan.events
        if event.kind is EventKind.RELABELLED and event.old_label not in (None, event.label)
    ]
    changed = {event.file_id for event in plan.events if event.kind is EventKind.CHANGED} & before.keys() - unusable
    found: list[Message] = []
    if _is_most(len(lost_labelled), len(labelled)) or _is_many(len(lost), len(before)):
        found.append(_("{num} of {total} files vanished or became unusable", num=len(lost), total=len(before)))
    if _is_most(len(relabelled), len(labelled)):
        found.append(_("{num} of {total} files changed their label", num=len(relabelled), total=len(labelled)))
    if _is_most(len(changed), len(before)):
        found.append(_("{num} of {total} files were overwritten", num=len(changed), total=len(before)))
    if labels := _find_lost_labels(plan):
        found.append(
            plural(
                "no image is left of the label {labels}",
                "no image is left of the labels {labels}",
                len(labels),
                labels=", ".join(labels),
            )
        )
    return found


def check_changes(plan: SyncPlan, source: Source) -> None:
    """Stop if a plan looks like an accident.

    Raises:
        UnusualChangesError: It does; the message names the setting that lets it through once.
    """
    if not (found := find_accident(plan)):
        return
    raise UnusualChangesError(
        _(
            "{changes} in {source} since the last run; this run stopped and changed nothing",
            changes=join(found),
            source=source.name,
        ),
        expected=_("changes to at most half of a small collection and a fifth of a large one"),
        received=_describe_unread(plan) or source.describe_vanished([image.file_id for image in plan.vanished]),
        fix=_(
            "{advice}. If the change is meant, run once with --accept-changes (in the run form: accept_changes)",
            advice=source.advice() if plan.vanished else _("undo the change in the folder"),
        ),
    )


def _describe_unread(plan: SyncPlan) -> str:
    """Top folders that are not read and may be what was renamed."""
    unread = [row.path for row in plan.rows if row.path.endswith("/") and row.state is State.REJECTED]
    return _("folders that are not read: {paths}", paths=", ".join(unread)) if unread else ""


def _is_many(num: int, total: int) -> bool:
    return num > max(MANY, LARGE_SHARE * total)


def _is_most(num: int, total: int) -> bool:
    return _is_many(num, total) or (num >= FEW and num > total / 2)


def _find_lost_labels(plan: SyncPlan) -> list[str]:
    """Labels that had images, and have none after the plan."""
    before = {image.file_id: image.label for image in plan.before if image.label is not None}
    had = Counter(before.values())
    left = Counter(had)
    for row in plan.rows:
        if row.file_id in before:
            left[before[row.file_id]] -= 1
        if row.state is State.OK and row.label is not None:
            left[row.label] += 1
    return sorted(label for label, num in had.items() if num >= FEW and left[label] <= 0)
