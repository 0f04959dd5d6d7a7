"""Decide what changed: two lists in, a plan out. Nothing is read or written here.

Files that are as they were need not be in the lists; the guards only need their number by role and label.

Changes that look like an accident stop the sync: an unmounted disk, a renamed folder, files that a script overwrote.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tenarai.errors import UnusualChangesError
from tenarai.locale import Message, _, join, plural
from tenarai.records import Event, EventKind, Image, Role, State, SyncResult

if TYPE_CHECKING:
    from tenarai.sync.source import Source

FEW = 5  # fewer images are a day's tidying, whatever they are part of
MANY, LARGE_SHARE = 20, 0.2
KINDS = [EventKind(kind) for kind in ("added", "changed", "moved", "relabelled", "gone", "back", "rejected")]
SHARED = ("file_id", "path", "role", "label", "sha256", "size", "reason", "stamp")


@dataclass(slots=True)
class RemoteFile:
    """A file as the source has it now.

    Attributes:
        file_id: The source's id: Drive's id, or the path inside a local folder.
        path: Path inside the source, `/`-separated, for people.
        role, label: What its place says.
        size: Bytes.
        stamp: Changes whenever the bytes may have changed; only ever compared.
        sha256: Digest of the bytes, as listed or as read; empty if unknown.
        reason: Why it is refused, for people; empty if it is not.
        is_stored: Whether the bytes are known to be those that were stored before.
        origin: What the source reads it from.
    """

    file_id: str
    path: str
    role: Role
    label: str | None
    size: int
    stamp: str
    sha256: str = ""
    reason: str = ""
    is_stored: bool = False
    origin: Any = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What is to be recorded in the catalogue.

    Attributes:
        rows: Rows to insert, or to replace by file id.
        events: What happened, in the order of the source's list, vanished files last.
        vanished: Files that were there the last time and are not now; moved ones are not among them.
        before: Usable files as they were the last time, without the unchanged ones.
        unchanged: Number of unchanged files by role and label; they are usable.
        num_seen: Files that the source has.
    """

    rows: tuple[Image, ...]
    events: tuple[Event, ...]
    vanished: tuple[Image, ...]
    before: tuple[Image, ...]
    unchanged: Counter[tuple[Role, str | None]]
    num_seen: int

    def count_before(self) -> Counter[tuple[Role, str | None]]:
        """Number of files that were usable the last time, by role and label."""
        return self.unchanged + Counter((image.role, image.label) for image in self.before)

    def result(self, **read: Any) -> SyncResult:
        """The plan in numbers, with those of what was read."""
        num = Counter(event.kind for event in self.events)
        numbers: dict[str, Any] = {f"num_{kind}": num[kind] for kind in KINDS}
        return SyncResult(self.num_seen, **numbers, **read)


def plan_sync(
    remote: Iterable[RemoteFile],
    known: Iterable[Image],
    *,
    source: str,
    run: str,
    ids_are_paths: bool = False,
    waiting: Collection[str] = (),
    unchanged: Mapping[tuple[Role, str | None], int] | None = None,
) -> SyncPlan:
    """Compare what the source has with what the catalogue knows.

    Args:
        remote: Every file of the source that may have changed.
        known: Their rows, and those of vanished files. Cells of practice sheets are ignored: their photos decide.
        source: Address of the source.
        run: The run that notices.
        ids_are_paths: The source names files by their path, so a moved file is a vanished one and a new one with the
            same bytes. Default: False, ids stay when files move.
        waiting: Ids of files that cannot be read now; they stay as they were known. Default: none.
        unchanged: Number of all other files, by role and label. Default: there are none.
    """
    rows_by_id = {image.file_id: image for image in known if not image.photo_id}
    files = [file for file in remote if file.file_id not in waiting]
    present = {file.file_id for file in files}.union(waiting)
    live = [image for image in rows_by_id.values() if image.state is not State.GONE]
    vanished = {image.file_id: image for image in live if image.file_id not in present}
    moved_from = _pair_moves(files, rows_by_id, vanished) if ids_are_paths else {}

    rows: list[Image] = []
    events: list[Event] = []
    for file in files:
        before = moved_from.get(file.file_id) or rows_by_id.get(file.file_id)
        row = _make_row(file, before, source, run)
        if row == before:
            continue
        kinds = find_kinds(before, row)
        rows.append(replace(row, last_run=run) if kinds else row)
        events.extend(Event.of(run, kind, row, before) for kind in kinds)
    for image in moved_from.values():
        rows.append(replace(image, state=State.GONE, reason="", last_run=run))
        del vanished[image.file_id]
    for image in vanished.values():
        rows.append(replace(image, state=State.GONE, reason="", last_run=run))
        events.append(Event.of(run, EventKind.GONE, image, image))
    usable = tuple(image for image in live if image.state is State.OK)
    others = Counter(unchanged)
    return SyncPlan(tuple(rows), tuple(events), tuple(vanished.values()), usable, others, len(files) + others.total())


def find_accident(plan: SyncPlan) -> list[Message]:
    """What looks like an accident in a plan, for people; empty if nothing does.

    More than half of the labelled files, or more than 20 files and 20 % of all, vanished or became unusable, changed
    their label, or were overwritten; or no image is left of a label that had five.
    """
    before = {image.file_id: image.role for image in plan.before}
    counts = plan.count_before()
    total, num_labelled = counts.total(), sum(num for (role, _label), num in counts.items() if role is not Role.INBOX)
    unusable = {event.file_id for event in plan.events if event.kind is EventKind.REJECTED} & before.keys()
    lost = {image.file_id for image in plan.vanished if image.state is State.OK} | unusable
    num_lost_labelled = sum(before[file_id] is not Role.INBOX for file_id in lost)
    relabelled = [
        event
        for event in plan.events
        if event.kind is EventKind.RELABELLED and event.old_label not in (None, event.label)
    ]
    changed = {event.file_id for event in plan.events if event.kind is EventKind.CHANGED} & before.keys() - unusable
    found: list[Message] = []
    if _is_most(num_lost_labelled, num_labelled) or _is_many(len(lost), total):
        found.append(_("{num} of {total} files vanished or became unusable", num=len(lost), total=total))
    if _is_most(len(relabelled), num_labelled):
        found.append(_("{num} of {total} files changed their label", num=len(relabelled), total=num_labelled))
    if _is_most(len(changed), total):
        found.append(_("{num} of {total} files were overwritten", num=len(changed), total=total))
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
    unread = _describe_unread(plan)
    advice = source.advice() if plan.vanished else _("undo the change in the folder")
    if unread:
        advice = _("if a folder was renamed, give it its old name back")
    raise UnusualChangesError(
        _(
            "{changes} in {source} since the last run; this run stopped and changed nothing",
            changes=join(found),
            source=source.name,
        ),
        expected=_("changes to at most half of a small collection and a fifth of a large one"),
        received=unread or source.describe_vanished([image.file_id for image in plan.vanished]),
        fix=_(
            "{advice}. If the change is meant, run once with --accept-changes (in the run form: accept_changes)",
            advice=advice,
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
    had = Counter[str]()
    for (_role, label), num in plan.count_before().items():
        if label is not None:
            had[label] += num
    left = Counter(had)
    for row in plan.rows:
        if row.file_id in before:
            left[before[row.file_id]] -= 1
        if row.state is State.OK and row.label is not None:
            left[row.label] += 1
    return sorted(label for label, num in had.items() if num >= FEW and left[label] <= 0)


def _pair_moves(files: list[RemoteFile], rows_by_id: dict[str, Image], vanished: dict[str, Image]) -> dict[str, Image]:
    """New file id → vanished row with the same bytes; of equal bytes, those with the same file name go first."""
    new = [file for file in files if file.sha256 and _is_new(rows_by_id.get(file.file_id))]
    by_name = _match(new, vanished.values(), with_name=True)
    taken = {image.file_id for image in by_name.values()}
    rest = [image for image in vanished.values() if image.file_id not in taken]
    return by_name | _match([file for file in new if file.file_id not in by_name], rest, with_name=False)


def _is_new(before: Image | None) -> bool:
    return before is None or before.state is State.GONE


def _match(files: Iterable[RemoteFile], images: Iterable[Image], *, with_name: bool) -> dict[str, Image]:
    waiting: dict[tuple[str, str], list[Image]] = defaultdict(list)
    for image in images:
        waiting[image.sha256, image.name if with_name else ""].append(image)
    pairs = {}
    for file in files:
        name = file.path.rsplit("/", 1)[-1] if with_name else ""
        if candidates := waiting.get((file.sha256, name)):
            pairs[file.file_id] = candidates.pop(0)
    return pairs


def _make_row(file: RemoteFile, before: Image | None, source: str, run: str) -> Image:
    return Image(
        source=source,
        state=State.REJECTED if file.reason else State.OK,
        first_run=before.first_run if before else run,
        last_run=before.last_run if before else run,
        **{name: getattr(file, name) for name in SHARED},
    )


def find_kinds(before: Image | None, row: Image) -> list[EventKind]:
    """What happened between two states of a file, nothing included."""
    refused = row.state is State.REJECTED
    if before is None:
        return [EventKind.REJECTED if refused else EventKind.ADDED]
    kinds = []
    if before.state is State.GONE:
        kinds.append(EventKind.BACK)
    elif before.sha256 != row.sha256 or (before.state is State.REJECTED) != refused:
        kinds.append(EventKind.CHANGED)
    if (before.role, before.label) != (row.role, row.label):
        kinds.append(EventKind.RELABELLED)
    elif before.path != row.path:
        kinds.append(EventKind.MOVED)
    if refused and (before.state is not State.REJECTED or before.reason != row.reason):
        kinds.append(EventKind.REJECTED)
    return kinds
