"""The folder is the user interface: what a place inside a source says of the file that lies there.

    digits/<label>/…    labelled samples           inbox/…      anything unlabelled
    misread/<label>/…   the regression set         sheets/…     photos of practice sheets
    reports/…           written by Tenarai: ignored

A source without `digits/` is understood when its folders are labels: each then counts as `digits/<label>/`.
Local folders and Drive obey the same table.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenarai.locale import _
from tenarai.records import Role, told_by_name

MAX_LABEL_LENGTH = 64
REPORTS = "reports"
_ROLES = {role.value: role for role in Role}
_LITTER = frozenset({"thumbs.db", "desktop.ini", "icon\r", "__macosx"})
_PICTURES = (".png", ".jpg", ".jpeg", ".heic", ".heif", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Place:
    """What a file's place says of it.

    Attributes:
        role: What it is for.
        label: Its true label, or None.
        reason: Why nothing can be done with a file there, for people; empty when something can.
    """

    role: Role
    label: str | None = None
    reason: str = ""


def is_litter(name: str) -> bool:
    """Whether a file or folder is the operating system's own: hidden, or one of its leavings.

    On Drive a name may well begin with two dots, and is only a name.
    """
    return (name.startswith(".") and not name.startswith("..")) or name.lower() in _LITTER


def has_digits_folder(folder_names: Iterable[str]) -> bool:
    """Whether a source is laid out as the table says, judged by the names of its top folders; else they are labels."""
    return any(name.strip().lower() == Role.DIGITS.value for name in folder_names)


def find_place(parts: Sequence[str], *, has_digits: bool) -> Place | None:
    """What a file's place says of it.

    Args:
        parts: Names from the source's top folder down to the file, its own name last.
        has_digits: What `has_digits_folder` said of the source.

    Returns:
        The place, or None for a file that is none of Tenarai's business.
    """
    if any(is_litter(part) for part in parts):
        return None
    if len(parts) == 1:
        return _find_stray(parts[0])
    top = parts[0].strip().lower()
    if top == REPORTS:
        return None
    role = _ROLES.get(top)
    if role in {Role.INBOX, Role.SHEETS}:
        return Place(role)
    if role is not None:
        return _find_labelled(role, parts[1:])
    return None if has_digits else _find_labelled(Role.DIGITS, parts)


def read_label(folder_name: str) -> tuple[str, str]:
    """The label that a folder's name stands for, and why it cannot be one (empty when it can).

    Names are composed (NFC), because macOS writes `が` as two characters.
    """
    label = unicodedata.normalize("NFC", folder_name).strip()
    if not label:
        return "", _("the name of its label folder is empty: rename the folder to the character in it")
    if len(label) > MAX_LABEL_LENGTH:
        return "", _(
            "the name of its label folder has {number} characters, more than {limit}: give the folder a shorter name",
            number=len(label),
            limit=MAX_LABEL_LENGTH,
        )
    if any(unicodedata.category(character) in {"Cc", "Cs", "Co", "Cn"} for character in label):
        return "", _("the name of its label folder has characters that cannot be printed: rename the folder")
    return label, ""


def to_text(name: str) -> str:
    """A name as every database can keep it: what is no valid text (stray bytes, half characters, NUL) is spelt out.

    >>> to_text("caf\\udce9")
    'caf\\\\xe9'
    """
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def refuse_size(size: int, max_bytes: int) -> str:
    """Why a file of this size is not read, for people; empty when it is."""
    if size == 0:
        return _("it is an empty file (0 bytes)")
    if size <= max_bytes:
        return ""
    return _("it is too large: {size} bytes, more than {limit}", size=f"{size:,}", limit=f"{max_bytes:,}")


def _find_stray(name: str) -> Place | None:
    if not name.lower().endswith(_PICTURES):
        return None
    return Place(
        Role.INBOX,
        reason=_(
            "it lies outside of the folders that are read: move it into digits/<label>/, misread/<label>/ or inbox/"
        ),
    )


def _find_labelled(role: Role, parts: Sequence[str]) -> Place:
    if len(parts) == 1:
        return Place(
            role, reason=_("it lies in {role}/ itself: move it into a folder named after its label", role=role.value)
        )
    label, reason = read_label(parts[0])
    if role is Role.MISREAD and not reason:
        reason = _find_contradiction(parts[-1], label)
    return Place(role, label or None, reason)


def _find_contradiction(name: str, label: str) -> str:
    """Why a misread image's name cannot be true of the folder it lies in; empty when it can."""
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
