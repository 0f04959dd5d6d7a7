"""Files of the source, and what the sync and the preparation made of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

_AS = re.compile(r"(?P<before>.*?)[_ -]as[_ -](?P<read>[^_ .()-]+)", re.DOTALL)


def told_by_name(name: str) -> tuple[str, str]:
    """What the name of a misread image tells: what was written, where the name is that alone, and what was read.

    >>> told_by_name("4_as_5.png"), told_by_name("from the diary_as_5 (2).png"), told_by_name("a.png")
    (('4', '5'), ('', '5'), ('', ''))
    """
    found = _AS.match(unicodedata.normalize("NFC", name))
    if not found:
        return "", ""
    before = found["before"]
    return before if len(before) == 1 else "", found["read"]


class Role(StrEnum):
    """What a file is for; the value is the folder's name in the source."""

    DIGITS = "digits"
    MISREAD = "misread"
    INBOX = "inbox"
    SHEETS = "sheets"


CELL = "//"
"""Stands between a file's id and the place of what was cut out of it: `r3c7` on a practice sheet, `p002` for a page,
`c004@` and a box in thousandths for a character. No source has such an id: a path has no empty part, Drive no slash."""
CHARACTER, PAGE, BOX = f"{CELL}c", f"{CELL}p", f"{CELL}r"


class State(StrEnum):
    """Where a catalogue row stands. Only `tenarai forget` deletes rows."""

    OK = "ok"
    REJECTED = "rejected"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Image:
    """One file of the source, as the catalogue knows it.

    Attributes:
        source: Address of the source, `folder:<path>` or `drive:<id>`.
        file_id: The source's own id of the file: Drive's id, or the path inside a local folder.
        path: Path inside the source, `/`-separated; for people only, it never touches the disk.
        role: What the folder says the file is for.
        label: True label for `digits` and `misread`, else None.
        sha256: Hex digest of the bytes; names the original in the store. Empty if they were never had.
        size: Bytes.
        state: ok, rejected or gone.
        reason: Why it was rejected, for people; else empty.
        first_run, last_run: Runs that saw it first and last changed it.
        stamp: What the source says that changes whenever the bytes may have changed; opaque, only ever compared.
    """

    source: str
    file_id: str
    path: str
    role: Role
    label: str | None
    sha256: str
    size: int
    state: State = State.OK
    reason: str = ""
    first_run: str = ""
    last_run: str = ""
    stamp: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def was_read_as(self) -> str:
        """What a misread image was read as when it was filed, as its name tells (`…_as_5.png`); else empty."""
        return told_by_name(self.name)[1] if self.role is Role.MISREAD else ""

    @property
    def photo_id(self) -> str:
        """Of what was cut out of a file, the id of that file; empty for a file of the source itself."""
        return self.file_id.partition(CELL)[0] if CELL in self.file_id else ""


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """What a sync compares with the files of a source, without a record of each; files that are gone are left out.

    Attributes:
        stamps: The stamp of each file by its id; where the id is not the path, with the path. Empty for rejected files.
        ids: Ids by role and label.
    """

    SEPARATOR: ClassVar[str] = " in "

    stamps: dict[str, str]
    ids: Mapping[tuple[str, str | None], set[str]]


class EventKind(StrEnum):
    """What happened to a file, or what a person answered; one file may have two events a night (changed and moved).

    `confirmed`: its label is right as it is. `set aside`: it is not a character. `reopened`: the answer was taken back.
    `forgotten`: a person had the file at this path forgotten; the event holds nothing else of it.
    """

    ADDED = "added"
    CHANGED = "changed"
    MOVED = "moved"
    RELABELLED = "relabelled"
    GONE = "gone"
    BACK = "back"
    REJECTED = "rejected"
    FORGOTTEN = "forgotten"
    CONFIRMED = "confirmed"
    SET_ASIDE = "set aside"
    REOPENED = "reopened"


ANSWERS = (EventKind.CONFIRMED, EventKind.SET_ASIDE, EventKind.REOPENED)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the catalogue's append-only list of what happened.

    Attributes:
        run: The night it was noticed in.
        kind: What happened.
        file_id, path, label, sha256: The file as it is now; for gone files, as it was last.
        old_path, old_label: As it was before; None where there was nothing before, or no label.
    """

    run: str
    kind: EventKind
    file_id: str
    path: str
    label: str | None
    old_path: str | None
    old_label: str | None
    sha256: str

    @classmethod
    def of(cls, run: str, kind: EventKind, now: Image, before: Image | None) -> Event:
        """What happened to a file, told by its row now and before."""
        old_path, old_label = (before.path, before.label) if before else (None, None)
        return cls(run, kind, now.file_id, now.path, now.label, old_path, old_label, now.sha256)


@dataclass(frozen=True, slots=True)
class Digit:
    """A prepared image, kept in the catalogue under (sha256, normaliser).

    Attributes:
        sha256: Digest of the original's bytes.
        normaliser: Version of the normaliser that made it.
        pixels: 784 bytes, row by row: (28, 28) uint8, ink 255 on paper 0. Empty when rejected.
        phash: 32 bytes: 16 × 16 perceptual hash. Empty when rejected.
        group: sha256 that names the near-duplicate group; decided once, so a split never changes.
        reason: Why the image cannot be used, for people; empty when it can.
        doubt: Why its prediction must not count as sure, for people; empty when it may.
        characters: How many characters it was to show; 0 where all that is written belongs together.
        parts: Pages or characters that it must be cut into; 0 if it is one image.
    """

    sha256: str
    normaliser: int
    pixels: bytes
    phash: bytes
    group: str
    reason: str = ""
    doubt: str = ""
    characters: int = 1
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Unprepared:
    """An original without a digit.

    Attributes:
        sha256: Its digest.
        characters: How many characters it is to show, see `Digit`.
        phash, group: Of the photo that it was cut out of; empty for what is a file of its own.
    """

    sha256: str
    characters: int = 1
    phash: bytes = b""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What near-duplicates of a usable digit are found by; a twentieth of the digit's size.

    Attributes:
        sha256: Digest of the original's bytes.
        phash: 32 bytes: 16 × 16 perceptual hash.
        group: sha256 that names the near-duplicate group.
    """

    sha256: str
    phash: bytes
    group: str


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What one sync did, as numbers of files; `shortcut`: Drive said that nothing changed, and nothing was listed."""

    num_seen: int = 0
    num_added: int = 0
    num_changed: int = 0
    num_moved: int = 0
    num_relabelled: int = 0
    num_gone: int = 0
    num_back: int = 0
    num_rejected: int = 0
    num_downloaded: int = 0
    num_bytes: int = 0
    shortcut: bool = False

    @property
    def num_differences(self) -> int:
        """How many files differ from what was known; 0 on a quiet night."""
        return self.num_added + self.num_changed + self.num_moved + self.num_relabelled + self.num_gone + self.num_back


@dataclass(frozen=True, slots=True)
class CutResult:
    """What was cut out of files, as numbers of files, and of parts that are new and that are gone."""

    num_files: int = 0
    num_cut: int = 0
    num_refused: int = 0
    num_new: int = 0
    num_gone: int = 0


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """What one preparation did, as numbers of distinct originals."""

    num_prepared: int = 0
    num_rejected: int = 0


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that could not be used, and why, for people."""

    path: str
    reason: str
