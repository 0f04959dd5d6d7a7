"""Google Drive as the source.

short cut   the changes feed says whether anything in the tree changed: one call, else
walk        every folder is listed, once a week in any case; the feed's new token is taken before
vanished    what is listed no more is looked at, file by file; too much of it stops the night
download    contents that are not held, each once, checked by size and digest; a batch at a time is kept
the end     one transaction for the remaining rows, the events and the token, so that it never runs ahead of them
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tenarai.catalogue import Catalogue
from tenarai.drive import Drive, open_drive, parse_address
from tenarai.errors import SourceError
from tenarai.records import Image, State, SyncResult
from tenarai.settings import Settings
from tenarai.store import Store
from tenarai.sync.drive_source.download import Downloads, fetch
from tenarai.sync.drive_source.feed import touches_tree
from tenarai.sync.drive_source.memory import Memory, recall, remember
from tenarai.sync.drive_source.vanished import Fate, describe_fates, find_fates
from tenarai.sync.drive_source.walk import Walk, find_root, walk
from tenarai.sync.plan import SyncPlan, check_mass_deletion, plan_sync

NUM_LOOKED_AT = 20
ACCESS = "if the folder is no longer shared with {account}, share it again; else "

Say = Callable[[str], None]


def sync_drive(
    source: str,
    store: Store,
    catalogue: Catalogue,
    run: str,
    settings: Settings,
    *,
    allow_mass_deletion: bool = False,
    say: Say = lambda words: None,
) -> SyncResult:
    """Bring originals and catalogue up to date with a folder on Google Drive.

    Args:
        source: `drive:<folder id>`.
        store: Where originals are kept.
        catalogue: What is known of the source's files.
        run: Name of the night.
        settings: Credentials, pace, limits.
        allow_mass_deletion: Believe it when many files vanished. Default: False.
        say: Takes words of progress. Default: nobody listens.

    Raises:
        SettingsError: The address names no folder.
        SourceError: Drive cannot be read, or the folder holds nothing.
        CredentialsError: Google refuses the account.
        MassDeletionError: Too many files vanished; nothing was changed.
        StoreError: Originals or catalogue cannot be written; the catalogue is as the last batch left it.
    """
    folder_id, resource_key = parse_address(source)
    night = _Night(source, store, catalogue, run, settings, open_drive(settings), say)
    memory = recall(catalogue.source_state(source))
    if memory is not None and night.is_quiet(memory):
        return SyncResult(num_seen=memory.num_seen, shortcut=True)
    root = find_root(night.drive, folder_id, resource_key)
    token = night.drive.start_token(root.drive_id)  # before the listing: what changes meanwhile is told tomorrow
    pool = ThreadPoolExecutor(settings.drive_threads, thread_name_prefix="drive")
    try:
        found = walk(night.drive, root, pool, settings.max_image_bytes, say)
        if not found.files:
            raise SourceError(
                f"the folder {root.name} ({source}) holds no files to work on",
                expected="images in digits/<label>/, misread/<label>/ or inbox/, or in folders named after labels",
                fix=f"{ACCESS.format(account=night.drive.account.name)}put images into it; nothing was changed",
            )
        return night.take_in(found, token, root.drive_id, pool, allow_mass_deletion=allow_mass_deletion)
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class _Night:
    """One sync: what all its steps need."""

    source: str
    store: Store
    catalogue: Catalogue
    run: str
    settings: Settings
    drive: Drive
    say: Say

    def is_quiet(self, memory: Memory) -> bool:
        """Whether the feed speaks of nothing in the tree; then its place is kept."""
        settings = self.settings
        same = (memory.account, memory.max_image_bytes) == (self.drive.account.identity, settings.max_image_bytes)
        if not memory.token or not same or memory.is_older_than(settings.drive_full_walk_days):
            return False
        changes = self.drive.changes(memory.token, memory.drive_id)
        if changes is None:
            self.say("Google Drive no longer knows where its changes feed was left; everything is listed")
            return False
        if changes.changes:
            known = {image.file_id: image for image in self._known()}
            if any(touches_tree(file_id, file, memory, known) for file_id, file in changes.changes):
                return False
        if changes.token != memory.token:
            self.catalogue.apply_sync(self.source, (), (), memory.with_token(changes.token).to_state())
        return True

    def take_in(
        self, found: Walk, token: str, drive_id: str, pool: ThreadPoolExecutor, *, allow_mass_deletion: bool
    ) -> SyncResult:
        """Fetch what is new, and tell the catalogue: each batch of downloads, and in the end the rest and the token."""
        known = self._known()
        there = self._look_for_vanished(found, known, pool, allowed=allow_mass_deletion)
        downloads = Downloads(untouched=set(there))
        by_id = {image.file_id: image for image in known}
        kept: set[str] = set()
        limit = self.settings.max_image_bytes
        for batch in fetch(self.drive, found.files, by_id, self.store, pool, limit, self.say, downloads):
            ids = {file.file_id for file in batch}
            plan = self._plan(batch, [image for image in known if image.file_id in ids])
            self.catalogue.apply_sync(self.source, plan.rows, plan.events)
            kept |= ids
        plan = self._plan(downloads.files, known, downloads.untouched)
        rows = [row for row in plan.rows if row.file_id not in kept]
        events = [event for event in plan.events if event.file_id not in kept]
        self.catalogue.apply_sync(
            self.source, rows, events, self._state(found, "" if downloads.untouched else token, drive_id)
        )
        return plan.result(num_downloaded=downloads.num_downloaded, num_bytes=downloads.num_bytes)

    def _look_for_vanished(
        self, found: Walk, known: list[Image], pool: ThreadPoolExecutor, *, allowed: bool
    ) -> set[str]:
        """Ids of files that are there though Drive's listing left them out.

        Raises:
            MassDeletionError: Too many files vanished.
        """
        seen = {item.file.file_id for item in found.files} | found.passed_over
        vanished = [image.file_id for image in known if image.state is not State.GONE and image.file_id not in seen]
        plan = self._plan([item.file for item in found.files], known)
        if plan.is_mass_deletion and not allowed:
            sample = find_fates(self.drive, pool, islice(vanished, NUM_LOOKED_AT), found.folders)
            check_mass_deletion(
                plan,
                self.source,
                allowed=False,
                advice=ACCESS.format(account=self.drive.account.name),
                received=f"of the first {len(sample)} looked at: {describe_fates(sample.values())}" if sample else "",
            )
        fates = find_fates(self.drive, pool, vanished, found.folders)
        there = {file_id for file_id, fate in fates.items() if fate is Fate.THERE}
        if there:
            self.say(f"Google Drive's list left out {len(there)} files that are there; they stay as they were")
        return there

    def _known(self) -> list[Image]:
        """Rows of files; those of a sheet's cells belong to their photo."""
        return [image for image in self.catalogue.images(self.source, states=tuple(State)) if not image.photo_id]

    def _plan(self, files: Any, known: list[Image], untouched: Collection[str] = ()) -> SyncPlan:
        return plan_sync(files, known, source=self.source, run=self.run, untouched=untouched)

    def _state(self, found: Walk, token: str, drive_id: str) -> dict[str, Any]:
        return remember(token, drive_id, self.drive.account.identity, self.settings.max_image_bytes, found).to_state()
