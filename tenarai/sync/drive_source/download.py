"""Fetch what is not held yet: each content once, whatever number of files has it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from threading import Lock
from typing import TypeVar

from tenarai.drive import Drive, DriveFile, refuse_file, status_of
from tenarai.errors import CredentialsError, SourceError
from tenarai.records import Image
from tenarai.store import Store
from tenarai.sync.drive_source.walk import FoundFile
from tenarai.sync.layout import refuse_size
from tenarai.sync.plan import RemoteFile

BATCH = 200
SECONDS_BETWEEN_WORDS = 2.0
MAX_FAILURES = 10

Say = Callable[[str], None]
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass
class Downloads:
    """What was fetched, and what could not be.

    Attributes:
        files: Files with their digest, or with the reason they are refused.
        untouched: Ids of files that wait for the next night.
        num_downloaded, num_bytes: Contents fetched, and their bytes.
    """

    files: list[RemoteFile] = field(default_factory=list)
    untouched: set[str] = field(default_factory=set)
    num_downloaded: int = 0
    num_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A content to fetch, and all files that have it."""

    content: DriveFile
    files: list[RemoteFile]


def fetch(
    drive: Drive,
    found: tuple[FoundFile, ...],
    known: Mapping[str, Image],
    store: Store,
    pool: Executor,
    max_image_bytes: int,
    say: Say,
    downloads: Downloads,
) -> Iterator[list[RemoteFile]]:
    """Fetch what is not held, in the order of the list; yields every batch that was downloaded, to be kept.

    Args:
        drive: The client.
        found: Every file of the source.
        known: Rows of the catalogue by file id.
        store: Where originals are kept.
        pool: Threads to download in.
        max_image_bytes: Larger files are refused, in bytes.
        say: Takes words of progress.
        downloads: Filled in as it goes on.

    Raises:
        SourceError: Drive refuses, or more than ten files in one night cannot be had.
        StoreError: Originals cannot be written.
    """
    wanted = _sort_out(found, known, store, downloads)
    work = _Work(drive, store, max_image_bytes, say, wanted)
    with closing(_run_ahead(pool, work.fetch, wanted)) as fetched:
        for start in range(0, len(wanted), BATCH):
            done: list[RemoteFile] = []
            for item, results in zip(wanted[start : start + BATCH], fetched, strict=False):
                if results is None:
                    downloads.untouched.update(file.file_id for file in item.files)
                else:
                    done += results
            downloads.num_downloaded, downloads.num_bytes = work.num_done, work.num_bytes
            downloads.files += done
            yield done


def _run_ahead(pool: Executor, work: Callable[[_T], _R], items: Iterable[_T]) -> Generator[_R]:
    """Results in the order of the items; while they are looked at, less than a batch of the next is worked on.

    When nobody asks any more, what has not begun is let go, and what runs is waited for: nothing is written afterwards.
    """
    waiting: deque[Future[_R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= BATCH:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        wait([future for future in waiting if not future.cancel()])


def _sort_out(
    found: tuple[FoundFile, ...], known: Mapping[str, Image], store: Store, downloads: Downloads
) -> list[_Wanted]:
    """Put aside what is refused or held already; the rest by content."""
    wanted: dict[str, _Wanted] = {}
    held: dict[str, bool] = {}
    for item in found:
        file, content, before = item.file, item.content, known.get(item.file.file_id)
        listed = content.sha256
        if listed and listed not in held and not (before and before.stamp == file.stamp):
            held[listed] = store.has_original(listed)
        if file.reason:
            downloads.files.append(file)
        elif before and before.sha256 and before.stamp == file.stamp:
            downloads.files.append(replace(file, sha256=before.sha256))
        elif held.get(listed):
            downloads.files.append(replace(file, sha256=listed))
        else:
            wanted.setdefault(listed or content.id, _Wanted(content, [])).files.append(file)
    return list(wanted.values())


class _Work:
    """Downloads one content after the other, counting, from several threads."""

    def __init__(self, drive: Drive, store: Store, max_image_bytes: int, say: Say, wanted: list[_Wanted]) -> None:
        self._drive, self._store, self._max_image_bytes, self._say = drive, store, max_image_bytes, say
        self._num_wanted = len(wanted)
        self._wanted_bytes = sum(item.content.size or 0 for item in wanted)
        self._lock = Lock()
        self._started = self._spoken = time.monotonic()
        self._num_failed = 0
        self._end: SourceError | None = None
        self.num_done = self.num_bytes = 0

    def fetch(self, item: _Wanted) -> list[RemoteFile] | None:
        """The files with their digest or the reason they are refused; None when they wait for the next night."""
        if self._end:  # what another thread met stops this one, too
            raise self._end
        try:
            data = self._drive.download(item.content)
        except SourceError as error:
            if reason := refuse_file(error):
                return [replace(file, reason=reason) for file in item.files]
            self._count_failure(error, item)
            return None
        if item.content.size is None and (reason := refuse_size(len(data), self._max_image_bytes)):
            return [replace(file, reason=reason, size=len(data)) for file in item.files]
        sha256 = self._store.put_original(data)
        self._count(len(data))
        return [replace(file, sha256=sha256, size=len(data)) for file in item.files]

    def _count_failure(self, error: SourceError, item: _Wanted) -> None:
        """A few files may wait; what stops all of them stops the night."""
        status = status_of(error)
        is_gone = status == HTTPStatus.NOT_FOUND
        if isinstance(error, CredentialsError) or (not is_gone and 0 < status < HTTPStatus.INTERNAL_SERVER_ERROR):
            self._end = error
            raise error
        with self._lock:
            self._num_failed += not is_gone
            if self._num_failed > MAX_FAILURES:
                self._end = error
                raise error
        why = "vanished while it was read" if is_gone else "cannot be downloaded tonight"
        self._say(f"{item.files[0].path} {why}; it waits for the next night")

    def _count(self, num_bytes: int) -> None:
        with self._lock:
            self.num_done += 1
            self.num_bytes += num_bytes
            now = time.monotonic()
            if now - self._spoken < SECONDS_BETWEEN_WORDS:
                return
            self._spoken = now
            left = (now - self._started) * (self._num_wanted - self.num_done) / self.num_done
        megabytes = f"{self.num_bytes / 1e6:.1f} of {self._wanted_bytes / 1e6:.1f} MB"
        self._say(f"{self.num_done} of {self._num_wanted} files, {megabytes}, about {_to_words(left)} left")


def _to_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
