"""Files that were listed once and are not now: look at each before it counts as gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import Executor
from enum import StrEnum
from functools import partial

from tenarai.drive import Drive


class Fate(StrEnum):
    """What became of a file, in words for people."""

    UNSEEN = "can no longer be seen (deleted, or no longer shared)"
    TRASHED = "in the trash"
    ELSEWHERE = "moved elsewhere"
    THERE = "still there"  # Drive's listing left it out


def find_fates(drive: Drive, pool: Executor, file_ids: Iterable[str], folders: Collection[str]) -> dict[str, Fate]:
    """What became of each file.

    Args:
        drive: The client.
        pool: Threads to ask in.
        file_ids: The files.
        folders: Ids of the folders that were listed.
    """
    ids = list(file_ids)
    return dict(zip(ids, pool.map(partial(_find_fate, drive, folders), ids), strict=True))


def describe_fates(fates: Collection[Fate]) -> str:
    """How many of what."""
    counts = Counter(fates)
    return ", ".join(f"{counts[fate]} {fate.value}" for fate in Fate if counts[fate])


def _find_fate(drive: Drive, folders: Collection[str], file_id: str) -> Fate:
    file = drive.find(file_id)
    if file is None:
        return Fate.UNSEEN
    if file.trashed:
        return Fate.TRASHED
    return Fate.THERE if any(parent in folders for parent in file.parents) else Fate.ELSEWHERE
