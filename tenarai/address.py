"""The address of a source, however people write it: `folder:<path>`, `drive:<folder id>`, or a Drive folder's link."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tenarai.errors import SettingsError
from tenarai.locale import _

_ID = re.compile(r"[\w-]{1,200}", re.ASCII)
_SCHEME = re.compile(r"(folder|drive)\s*:\s*", re.IGNORECASE)
_QUOTES = "\"'`“”‘’„«» \t"


def normalise_address(source: str) -> str:
    """The one way to write an address, by which the catalogue knows the source.

    >>> normalise_address("https://drive.google.com/drive/folders/1aB?usp=sharing")
    'drive:1aB'
    >>> normalise_address("Folder: '/photos/'")
    'folder:/photos'

    Raises:
        SettingsError: It is not an address.
    """
    text = source.strip(_QUOTES)
    scheme = _SCHEME.match(text)
    rest = text[scheme.end() :].strip(_QUOTES) if scheme else text
    kind = scheme[1].lower() if scheme else "drive" if "drive.google.com" in text.lower() else ""
    if kind == "drive":
        folder, key = parse_drive_address(rest)
        return f"drive:{folder}?resourcekey={key}" if key else f"drive:{folder}"
    if rest.lower().startswith("file://"):
        kind, rest = "folder", unquote(urlsplit(rest).path)
    if kind == "folder" and rest:
        return f"folder:{rest.rstrip('/') or '/'}"
    raise SettingsError(
        _("the source {source} is not valid", source=repr(source)),
        expected=_("folder:<path> or drive:<folder id>"),
        fix=_("set TENARAI_SOURCE or --source to folder:{path}", path=rest)
        if rest and Path(rest).expanduser().exists()
        else _("set TENARAI_SOURCE or --source"),
    )


def parse_drive_address(source: str) -> tuple[str, str]:
    """Folder id and resource key (or empty) of a Drive folder's id or link, with or without `drive:`.

    >>> parse_drive_address("drive:https://drive.google.com/drive/u/0/folders/1aB_c-9/view?resourcekey=0-xy")
    ('1aB_c-9', '0-xy')

    Raises:
        SettingsError: There is no folder id in it.
    """
    rest = _SCHEME.sub("", source.strip(_QUOTES), count=1).strip(_QUOTES)
    link = urlsplit(rest if "://" in rest else f"https://{rest}" if "/" in rest.rstrip("/") else rest)
    query = parse_qs(link.query)
    parts = [part for part in link.path.split("/") if part]
    if "folders" in parts:
        folder = "".join(parts[parts.index("folders") + 1 :][:1])
    elif link.netloc:
        folder = query.get("id", [""])[0]
    else:
        folder = "".join(parts) if len(parts) == 1 else ""
    if not _ID.fullmatch(folder):
        is_file = "d" in parts or "file" in parts
        raise SettingsError(
            _("the source {source} names no Drive folder", source=repr(source)),
            expected=_("drive:<folder id>, or the folder's link: https://drive.google.com/drive/folders/<id>"),
            received=_("the link of a file") if is_file else "",
            fix=_("open the folder in a browser, copy its link, and set TENARAI_SOURCE or --source to drive:<link>"),
        )
    return folder, query.get("resourcekey", [""])[0]
