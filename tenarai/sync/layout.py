"""The folder is the user interface: what a place inside a source says of the file that lies there.

    digits/<label>/…    labelled images            inbox/…      anything unlabelled
    misread/<label>/…   the regression set         sheets/…     photos of practice sheets
    reports/…           written by Tenarai: ignored

A label that is known decides wherever it stands in the path. Where none is, the label is the folder at the level where
known labels stand, or at which all files lie. A source without `digits/` is understood if its folders are labels.
What else lies at the top is named once, with what to do. Local folders and Drive obey the same rules.
"""

from __future__ import annotations

import difflib
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tenarai.errors import SourceError
from tenarai.locale import _
from tenarai.records import Role, told_by_name
from tenarai.sync.names import (
    Labels,
    clean,
    guess_label,
    is_place,
    is_quiet,
    is_text,
    match_label,
    read_label,
    refuse_format,
    strip_copy,
)

REPORTS = "reports"
_ROLES = {role.value: role for role in Role}

Folders = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What a file's place says of it.

    Attributes:
        role: What it is for.
        label: Its true label, or None.
        reason: Why the file is not used, for people; empty if it is.
    """

    role: Role
    label: str | None = None
    reason: str = ""


class Layout:
    """What each place in a source means.

    Args:
        paths: Names from the source's top folder down to each file, its own name last.
        labels: What is known of labels.
        source: What people call the source, for messages.
        others: Number of usable files by the names of the folders above them, in place of their paths. Default: none.

    Raises:
        SourceError: The collection lies further down.
    """

    def __init__(
        self,
        paths: Iterable[Sequence[str]],
        labels: Labels,
        source: str = "",
        others: Mapping[Folders, int] | None = None,
    ) -> None:
        """Find the level of the labels."""
        files = Counter(tuple(path[:-1]) for path in paths if not is_quiet(path[-1]) and not refuse_format(path[-1]))
        files.update(others)
        files = Counter({folders: num for folders, num in files.items() if folders and not is_ignored((*folders, ""))})
        tops = self._tops = {folders[0] for folders in files}
        self._labels, self._known = labels, labels.known
        self._has_digits = has_digits_folder(tops)
        if not any(_find_role(top) for top in tops):
            _refuse_nested(files, source)
        self._nested = {folders[0] for folders in files if any(map(_find_role, folders[1:]))}
        labelled = {folders: below for folders in files if (below := self._below(folders))}
        self._level, self._example = self._find_level(labelled.values())
        self._places: dict[Folders, Place | None] = {}
        self._num_new: Counter[str | None] = Counter()
        for folders in labelled:
            self._num_new[self._place_folder(folders).label] += files[folders]

    def find_place(self, path: Sequence[str]) -> Place | None:
        """What a file's place says of it; None for a file that is ignored without a word."""
        folders, name = tuple(path[:-1]), path[-1]
        if is_quiet(name):
            return None
        if not folders:
            return _find_stray(name)
        place = self.find_folder(folders)
        if place is None or place.reason:
            return place
        reason = refuse_format(name)
        if not reason and place.role is Role.MISREAD and place.label:
            reason = _find_contradiction(name, place.label)
        return Place(place.role, place.label, reason) if reason else place

    def find_folder(self, folders: Folders) -> Place | None:
        """What a folder below the top says of its files; None if they are ignored without a word."""
        if folders not in self._places:
            is_used = self.is_read(folders[0]) and not is_ignored((*folders, ""))
            self._places[folders] = self._place_folder(folders) if is_used else None
        return self._places[folders]

    def is_read(self, top: str) -> bool:
        """Whether a top folder's files are placed one by one; else it is named once."""
        return bool(_find_role(top)) or self._is_label_folder(top)

    def find_unread(self, paths: Iterable[Sequence[str]], tops: Iterable[str] = ()) -> list[str]:
        """Top folders that are not read, though their content or name suggests that they are meant.

        Args:
            paths: Files of the source; those that the layout was made of count in any case.
            tops: Names of its top folders, empty ones included. Default: none.
        """
        below = [path for path in paths if len(path) > 1]
        unread = {top for top in {path[0] for path in below} | {*tops, *self._tops} if not self.is_read(top)}
        found = self._tops & unread
        found |= {path[0] for path in below if path[0] in unread and not is_ignored(path) and not is_text(path[-1])}
        found |= {top for top in unread if _guess_role(top) or match_label(top, self._known, exactly=False)}
        return sorted(found)

    def describe_unread(self, top: str) -> str:
        """Why a top folder is not read, and what to do."""
        if top in self._nested:
            return _("this folder is not read: it contains a collection, which can be a source of its own")
        if meant := _guess_role(top):
            return _("this folder is not read: if it is {role}/, rename it to {role}", role=meant)
        if label := match_label(top, self._known, exactly=False):
            return _("this folder is not read: move it into digits/ as digits/{label}", label=label)
        return _("this folder is not read: move its pictures into digits/<label>/, misread/<label>/ or inbox/")

    # ---- labels

    def _is_label_folder(self, top: str) -> bool:
        return not self._has_digits and not _guess_role(top) and top not in self._nested

    def _below(self, folders: Folders) -> Folders:
        """The folders among which the label is; none if the place has no label."""
        if not folders:
            return ()
        role = _find_role(folders[0])
        if role in {Role.DIGITS, Role.MISREAD}:
            return folders[1:]
        return folders if role is None and self._is_label_folder(folders[0]) else ()

    def _find_level(self, labelled: Iterable[Folders]) -> tuple[int | None, str]:
        """The level of labels that are not known, and an example where there is no single one."""
        known, unknown = set[int](), set[Folders]()
        for below in labelled:
            for labels in (self._known, self._labels.held):
                hits = [n for n, name in enumerate(below) if match_label(name, labels, exactly=False)]
                if hits:
                    known.add(hits[0])
                    break
            else:
                if not any(guess_label(name, self._known) for name in below):
                    unknown.add(below)
        if len(known) == 1:
            return known.pop(), ""
        depths = {len(below): below for below in sorted(unknown)}
        if known or len(depths) != 1:
            return None, " ; ".join("/".join(below) for below in list(depths.values())[:2])
        levels = range(next(iter(depths)))
        named = [level for level in levels if not all(is_place(below[level]) for below in unknown)]
        return (named or list(levels))[-1], ""

    def _place_folder(self, folders: Folders) -> Place:
        role = _find_role(folders[0]) or Role.DIGITS
        if role in {Role.INBOX, Role.SHEETS}:
            return Place(role)
        if not (below := self._below(folders)):
            reason = _("it lies in {role}/ itself: move it into a folder named after its label", role=role.value)
            return Place(role, reason=reason)
        label, refusal = self._find_label(below, role)
        return Place(role, label or None, refusal)

    def _find_label(self, below: Folders, role: Role) -> tuple[str, str]:
        if other := next((one for name in below if (one := _find_role(name)) not in {None, role}), None):
            return "", _("the folder {other}/ is inside {role}/: move it to the top", other=other, role=role)
        for exactly in (True, False):
            found = [match_label(name, self._known, exactly=exactly, is_misread=role is Role.MISREAD) for name in below]
            hits = list(dict.fromkeys(filter(None, found)))
            if len(hits) > 1:
                return "", _("two labels on its path, {one} and {two}: keep one of them", one=hits[0], two=hits[1])
            if hits:
                return hits[0], ""
        for name in below:
            if label := guess_label(name, self._known):
                return "", self._wait(name, _("looks like {label}", label=label))
        held = {label for name in below if (label := match_label(name, self._labels.held, exactly=True))}
        if len(held) == 1:
            return held.pop(), ""
        if self._level is None or len(below) <= self._level:
            return "", _(
                "it is not clear which folder is its label ({example}): put all files into digits/<label>/",
                example=self._example or "/".join(below),
            )
        name = below[self._level]
        label, reason = read_label(name)
        if reason or label in self._known:
            return label, reason
        if is_place(name):
            return label, self._wait(name, _("does not look like a label"))
        if not self._has_digits and role is Role.DIGITS and len(label) > 1:
            return label, self._wait(name, _("does not look like a character"))
        if self._labels.is_promoted and self._num_new[label] < self._labels.min_new:
            return label, _(
                "the label {label} is new and waits until it has {number} pictures (now {n})",
                label=label,
                number=self._labels.min_new,
                n=self._num_new[label],
            )
        return label, ""

    def _wait(self, name: str, why: str) -> str:
        return _(
            "it waits: the new label {name} {why}. Rename the folder, or run `tenarai confirm-label {quoted}`",
            name=clean(name),
            why=why,
            quoted=shlex.quote(clean(name)),
        )


def is_ignored(path: Sequence[str]) -> bool:
    """Whether a file is ignored without a word: system files, reports, notes at the top."""
    is_report = len(path) > 1 and clean(path[0]).lower() == REPORTS
    return is_report or any(map(is_quiet, path)) or (len(path) == 1 and is_text(path[0]))


def has_digits_folder(folder_names: Iterable[str]) -> bool:
    """Whether a source has a folder `digits`, judged by the names of its top folders."""
    return any(_find_role(name) is Role.DIGITS for name in folder_names)


def is_role(top: str) -> bool:
    """Whether a top folder is one of the four."""
    return _find_role(top) is not None


def _find_role(top: str) -> Role | None:
    return _ROLES.get(clean(top).lower())


def _guess_role(top: str) -> str:
    """The role that a top folder's name was perhaps meant for, such as `inbox` for `Inbox 2`; else empty."""
    plain = unicodedata.normalize("NFKD", strip_copy(top).lower()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z]+", plain)
    found = (difflib.get_close_matches(one, [*_ROLES], n=1, cutoff=0.85) for one in ("".join(words), *words))
    return next((close[0] for close in found if close), "")


def _refuse_nested(files: Iterable[Folders], source: str) -> None:
    for folders in sorted(files, key=len):
        for level, name in enumerate(folders[1:], start=1):
            if _find_role(name) in {Role.DIGITS, Role.MISREAD}:
                path = "/".join(folders[:level])
                raise SourceError(
                    _("the collection lies further down in {source}, in {path}", source=source, path=path),
                    expected=_("a source whose top folder contains digits/"),
                    fix=_("set TENARAI_SOURCE or --source to the folder {path}; nothing was changed", path=path),
                )


def _find_stray(name: str) -> Place | None:
    """A file beside the four folders; None for a note."""
    if is_text(name):
        return None
    reason = refuse_format(name, _("into digits/<label>/, misread/<label>/ or inbox/"))
    return Place(
        Role.INBOX,
        reason=reason
        or _("it lies outside of the folders that are read: move it into digits/<label>/, misread/<label>/ or inbox/"),
    )


def _find_contradiction(name: str, label: str) -> str:
    """Why a misread image's name cannot be true of the folder it lies in; empty if it can."""
    written, read = told_by_name(name)
    if read == label:
        return _(
            "its name says it was misread as {read_as}, its folder that {label} is what was written: "
            "correct one of them",
            read_as=read,
            label=label,
        )
    if written and written != label and written.isdecimal() == label.isdecimal():
        return _(
            "its name says that {named} was written, its folder says {label}: correct one of them",
            named=written,
            label=label,
        )
    return ""
