"""A source of images, and the one way in which each is brought into the store and the catalogue."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

from tenarai.catalogue import Catalogue
from tenarai.errors import SourceError
from tenarai.locale import _
from tenarai.records import Event, EventKind, Image, KnownFiles, Role, State, SyncResult
from tenarai.settings import Settings
from tenarai.store import Store
from tenarai.sync.download import Downloads
from tenarai.sync.names import BASE_LABELS, Labels, clean
from tenarai.sync.plan import RemoteFile, check_changes, find_accident, plan_sync

log = logging.getLogger("tenarai.sync")


NOTHING = KnownFiles({}, {})


class Listing(NamedTuple):
    """What is in a source.

    Attributes:
        files: Files that are new, changed or refused, by path.
        unchanged: Ids of usable files that are exactly as they are known, by role and label; no record is made of them.
    """

    files: list[RemoteFile]
    unchanged: dict[tuple[Role, str | None], list[str]]


class Source(ABC):
    """A folder of images. Open it with `open_source`; it serves one sync.

    Attributes:
        address: `folder:<path>` or `drive:<folder id>`.
        settings: Limits, and how to reach Drive.
        name: What people call it.
        num_threads: How many files are read at once.
        ids_are_paths: Whether a moved file gets another id.
    """

    ids_are_paths: ClassVar[bool]
    num_threads = 1

    def __init__(self, settings: Settings) -> None:
        """Check the address; nothing is read yet."""
        self.address, self.settings = settings.source, settings
        self.name: str = settings.source

    def sync(
        self,
        store: Store,
        catalogue: Catalogue,
        run: str,
        *,
        labels: Labels = BASE_LABELS,
        accept_changes: bool = False,
    ) -> SyncResult:
        """Bring originals and catalogue up to date with the source.

        Originals are stored first, then one transaction updates the catalogue, so a sync that is killed is completed by
        the next one. Where ids stay when files move, each batch of downloads is recorded as soon as it is stored. If
        nothing changed, nothing is written.

        Args:
            store: Where originals are kept.
            catalogue: What is known of the source's files.
            run: Name of the run.
            labels: What the models know of labels. Default: as the base model.
            accept_changes: Accept changes that look like an accident.

        Raises:
            SourceError: The source cannot be read, or contains nothing.
            CredentialsError: Google refuses the account.
            UnusualChangesError: The changes look like an accident; nothing was changed.
            StoreError: Originals or catalogue cannot be written; the catalogue is as the last batch left it.
        """
        labels = self._add_own(labels, catalogue)
        if (num_seen := self.count_if_unchanged(catalogue, labels)) is not None:
            return SyncResult(num_seen=num_seen, shortcut=True)
        known = catalogue.known_files(self.address)
        files, unchanged = self.list_files(labels, known)
        if not files and not unchanged:
            raise SourceError(
                _("{source} contains no files that can be used", source=self.name),
                expected=_("images in digits/<label>/, misread/<label>/ or inbox/"),
                fix=_("{advice}, or put images into it; nothing was changed", advice=self.advice()),
            )
        ids = set(known.stamps).difference(*unchanged.values()).union(file.file_id for file in files)
        rows = {row.file_id: row for row in catalogue.images(self.address, states=tuple(State), file_ids=ids)}
        for file in files:
            _recognise(file, rows.get(file.file_id))
        counts = {place: len(ids) for place, ids in unchanged.items()}
        decide = partial(plan_sync, source=self.address, run=run, ids_are_paths=self.ids_are_paths, unchanged=counts)
        vanished = self._check(decide, files, rows, accept_changes=accept_changes)

        downloads = Downloads(store, files, rows, waiting=self.find_unlisted(vanished))
        recorded: set[str] = set()
        with ThreadPoolExecutor(self.num_threads, thread_name_prefix="sync") as pool:
            for batch in downloads.fetch(self.read, pool):
                if not self.ids_are_paths:
                    done = {file.file_id for file in batch}
                    part = decide(batch, [rows[one] for one in done if one in rows])
                    catalogue.apply_sync(self.address, part.rows, part.events)
                    recorded |= done
        plan = decide(downloads.files, rows.values(), waiting=downloads.waiting)
        catalogue.apply_sync(
            self.address,
            [row for row in plan.rows if row.file_id not in recorded],
            [event for event in plan.events if event.file_id not in recorded],
            self.state(is_complete=downloads.is_complete),
        )
        return plan.result(num_downloaded=downloads.num_downloaded, num_bytes=downloads.num_bytes)

    def _add_own(self, labels: Labels, catalogue: Catalogue) -> Labels:
        """Add the labels that the collection has, and those that a person confirmed."""
        answers = catalogue.answers(self.address).items()
        return replace(
            labels,
            held=frozenset(label for _role, label in catalogue.count_labels(self.address)),
            confirmed=frozenset(label for (sha256, label), answer in answers if label and is_confirmed(sha256, answer)),
            min_new=self.settings.new_label_images,
        )

    def _check(
        self, decide: Any, files: list[RemoteFile], rows: Mapping[str, Image], *, accept_changes: bool
    ) -> list[str]:
        """Ids of the files that vanished.

        Raises:
            UnusualChangesError: The changes look like an accident.
        """
        plan = decide(files, rows.values())
        if not accept_changes and find_accident(plan):
            plan = decide(self.identify(files), rows.values())
            check_changes(plan, self)
        return [image.file_id for image in plan.vanished]

    # ---- what the implementations differ in

    @abstractmethod
    def list_files(self, labels: Labels = BASE_LABELS, known: KnownFiles = NOTHING) -> Listing:
        """Every file that can be used, or that people should hear of; none is opened.

        Args:
            labels: What is known of labels. Default: as the base model.
            known: What is known of files. Default: nothing, so that all are listed.

        Raises:
            SourceError: The source cannot be listed.
        """

    @abstractmethod
    def read(self, file: RemoteFile) -> bytes:
        """A file's bytes; called from several threads.

        Raises:
            FileRefusedError: It cannot be used.
            FilePostponedError: It cannot be read now.
            SourceError: Nothing can be read any more.
        """

    @abstractmethod
    def advice(self) -> str:
        """What to check when files are missing."""

    def identify(self, files: list[RemoteFile]) -> list[RemoteFile]:
        """The files with the digests of their contents, as far as they can be had without storing anything."""
        return files

    def count_if_unchanged(self, catalogue: Catalogue, labels: Labels) -> int | None:
        """Number of files if the source is known to be as it was; None if it must be listed."""
        return None

    def find_unlisted(self, file_ids: Sequence[str]) -> set[str]:
        """Those of the vanished files that are still there, though the list left them out."""
        return set()

    def describe_vanished(self, file_ids: Sequence[str]) -> str:
        """What became of vanished files, for people."""
        return ""

    def state(self, *, is_complete: bool) -> Mapping[str, Any] | None:
        """What the next sync continues from; None if it needs nothing."""
        return None


def confirm_label(catalogue: Catalogue, address: str, label: str, run: str) -> None:
    """Record that a person wants a label as it is, whatever it looks like."""
    event = Event(run, EventKind.CONFIRMED, "", "", clean(label), None, None, "")
    catalogue.apply_sync(address, (), [event])


def is_confirmed(sha256: str, answer: EventKind) -> bool:
    """Whether an answer confirms a label as such, not the label of one image."""
    return not sha256 and answer is EventKind.CONFIRMED


def name_folder(file_id: str, top: str, reason: str) -> RemoteFile:
    """A top folder that is not read, as one file that cannot be used."""
    return RemoteFile(file_id, f"{top}/", Role.INBOX, None, size=0, stamp="", reason=reason)


def _recognise(file: RemoteFile, before: Image | None) -> None:
    """Note the digest that is known of a file, if its bytes are those that were read before."""
    if before and before.sha256 and before.stamp == file.stamp and not file.reason:
        file.sha256, file.is_stored = before.sha256, True
