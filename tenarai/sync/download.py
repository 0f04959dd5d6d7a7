"""Read what is not in the store yet: in threads, each content once, and a batch at a time."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, wait
from contextlib import closing
from dataclasses import replace
from itertools import islice
from threading import Lock

from tenarai.errors import TenaraiError
from tenarai.locale import _
from tenarai.records import Image
from tenarai.store import Store
from tenarai.sync.plan import RemoteFile

BATCH = 200
SECONDS_BETWEEN_MESSAGES = 2.0

log = logging.getLogger("tenarai.sync")


class FileRefusedError(Exception):
    """This file cannot be used; the argument is the reason, for people."""


class FilePostponedError(Exception):
    """This file cannot be read tonight.

    Args:
        message: For the log.
        reason: For the report, if the file is there and new. Default: it is not mentioned.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        """Keep both."""
        super().__init__(message)
        self.message, self.reason = message, reason


class Downloads:
    """Files with the digests of their contents, which are stored.

    Args:
        store: Where originals are kept.
        files: Every file of the source.
        known: Rows of the catalogue by file id.
        waiting: Ids of files that are left as they are.

    Attributes:
        files: Files with their digest, or with the reason why they are refused.
        waiting: Ids of files that wait for the next run.
        is_complete: Whether none waits.
        num_downloaded, num_bytes: Contents that were read, and their bytes.
    """

    def __init__(
        self, store: Store, files: Iterable[RemoteFile], known: Mapping[str, Image], waiting: set[str]
    ) -> None:
        """Sort out what must be read; nothing is read yet."""
        self.files: list[RemoteFile] = []
        self.waiting, self.num_downloaded, self.num_bytes = waiting, 0, 0
        self.is_complete = not waiting
        self._store, self._known, self._lock = store, known, Lock()
        self._failure: TenaraiError | None = None
        wanted: dict[str, list[RemoteFile]] = {}
        held: dict[str, bool] = {}
        for file in files:
            if file.sha256 and not file.is_stored and file.sha256 not in held:
                held[file.sha256] = store.has_original(file.sha256)
            if file.reason and not file.is_stored:
                self.files.append(replace(file, sha256=""))  # Drive lists a digest of what is never read
            elif file.is_stored or held.get(file.sha256):
                self.files.append(file)
            else:
                wanted.setdefault(file.sha256 or file.file_id, []).append(file)
        self._wanted = list(wanted.values())
        self._total_bytes = sum(same[0].size for same in self._wanted)
        self._started = self._spoken = time.monotonic()

    def fetch(self, read: Callable[[RemoteFile], bytes], pool: Executor) -> Iterator[list[RemoteFile]]:
        """Store what is missing, in the order of the list; yields each batch as soon as it is stored.

        Args:
            read: Gives a file's bytes.
            pool: Threads to read in.

        Raises:
            SourceError: Nothing can be read any more.
            StoreError: Originals cannot be written.
        """
        with closing(self._run_ahead(read, pool)) as results:
            while batch := list(islice(results, BATCH)):
                done = [file for files in batch for file in files]
                self.files += done
                yield done

    def _run_ahead(
        self, read: Callable[[RemoteFile], bytes], pool: Executor
    ) -> Generator[list[RemoteFile], None, None]:
        """Results in order; while they are recorded, at most a batch of the next is read.

        When the caller stops, what has not begun is cancelled, and what runs is waited for: nothing is written later.
        """
        running: deque[Future[list[RemoteFile]]] = deque()
        try:
            for same in self._wanted:
                running.append(pool.submit(self._fetch_one, read, same))
                if len(running) >= BATCH:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            wait([future for future in running if not future.cancel()])

    def _fetch_one(self, read: Callable[[RemoteFile], bytes], same: list[RemoteFile]) -> list[RemoteFile]:
        """Files of one content, with their digest or a reason; none if they wait for the next run."""
        if self._failure:  # of another thread
            raise self._failure
        try:
            data = read(same[0])
            sha256 = self._store.put_original(data)
        except FileRefusedError as error:
            return [replace(file, sha256="", reason=error.args[0]) for file in same]
        except FilePostponedError as error:
            log.info(error.message)
            return self._postpone(same, error.reason)
        except TenaraiError as error:
            self._failure = error
            raise
        self._count(len(data))
        return [replace(file, sha256=sha256, size=len(data)) for file in same]

    def _postpone(self, same: list[RemoteFile], reason: str) -> list[RemoteFile]:
        """What is known of the files stays; those that are new are recorded with the reason."""
        new = [file for file in same if reason and file.file_id not in self._known]
        with self._lock:
            self.is_complete = False
            self.waiting.update({file.file_id for file in same} - {file.file_id for file in new})
        return [replace(file, sha256="", stamp="", reason=reason) for file in new]

    def _count(self, num_bytes: int) -> None:
        with self._lock:
            self.num_downloaded += 1
            self.num_bytes += num_bytes
            now = time.monotonic()
            if now - self._spoken < SECONDS_BETWEEN_MESSAGES:
                return
            self._spoken = now
            left = (now - self._started) * (len(self._wanted) - self.num_downloaded) / self.num_downloaded
        log.info(
            _(
                "{done} of {total} files, {megabytes} of {size} MB, about {time} left",
                done=self.num_downloaded,
                total=len(self._wanted),
                megabytes=f"{self.num_bytes / 1e6:.1f}",
                size=f"{self._total_bytes / 1e6:.1f}",
                time=f"{left:.0f} s" if left < 100 else f"{left / 60:.0f} min",
            )
        )
