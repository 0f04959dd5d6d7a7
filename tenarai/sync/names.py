"""What the names of files and folders say, whatever lies where: system files, formats, names as text."""

from __future__ import annotations

from pathlib import PurePosixPath

from tenarai.locale import Message, _

PICTURES = frozenset(
    {"png", "apng", "jpg", "jpeg", "jpe", "jfif", "heic", "heif", "hif", "webp", "avif", "gif", "bmp", "tif", "tiff"}
    | {"jp2", "j2k", "jpx", "pnm", "pgm", "pbm", "ppm", "tga", "pdf"}
)
TEXTS = frozenset({"txt", "md", "rst", "html", "htm", "log"})

_QUIET_NAMES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r", "__macosx", "@eadir"}
    | {"#recycle", "$recycle.bin", "system volume information", "lost+found"}
)
_QUIET_ENDINGS = frozenset(
    {"aae", "xmp", "json", "thm", "tmp", "temp", "crdownload", "part", "partial", "download", "opdownload"}
)
_FORMATS: tuple[tuple[Message, str], ...] = (
    (_("a video"), "mp4 mov m4v avi mkv webm 3gp mts mpg mpeg wmv"),
    (_("a sound file"), "mp3 m4a wav ogg flac aac amr"),
    (_("a spreadsheet"), "csv tsv xls xlsx ods numbers"),
    (_("a document"), "doc docx odt rtf pages ppt pptx odp key txt md rst html htm log epub"),
    (_("a vector drawing"), "svg ai eps cdr"),
    (_("a file of a drawing program"), "psd kra xcf procreate clip"),
    (_("a raw photo"), "dng cr2 cr3 nef arw raf orf rw2"),
    (_("a link"), "url webloc lnk gdoc gsheet gslides gdraw"),
    (_("a data file"), "npy npz pkl parquet h5 hdf5 sqlite xml"),
    (_("a program"), "exe msi dmg apk app py ipynb"),
)
_FORMAT_BY_ENDING = {ending: name for name, endings in _FORMATS for ending in endings.split()}
_ARCHIVES = frozenset({"zip", "rar", "7z", "tar", "gz", "tgz", "bz2", "xz"})


def is_quiet(name: str) -> bool:
    """Whether a file or folder is ignored without a word: hidden, or left behind by a system or a download.

    On Drive a name may begin with two dots, and is then only a name.
    """
    lower = name.lower()
    is_hidden = name.startswith(".") and not name.startswith("..")
    return is_hidden or lower in _QUIET_NAMES or lower.startswith("~$") or _ending(lower) in _QUIET_ENDINGS


def is_picture(name: str) -> bool:
    """Whether a name ends like that of a picture or a PDF."""
    return _ending(name) in PICTURES


def is_text(name: str) -> bool:
    """Whether a name ends like that of a note, such as a README."""
    return _ending(name) in TEXTS


def refuse_format(name: str) -> str:
    """Why a file with such a name cannot be used, for people; empty if it may be a picture."""
    ending = _ending(name)
    if ending in _ARCHIVES:
        return _("it is an archive: unpack it, and put the pictures here")
    if kind := _FORMAT_BY_ENDING.get(ending):
        return _("it is {kind}: put a picture (JPEG, PNG, HEIC, WebP, AVIF, TIFF, GIF, BMP) or a PDF here", kind=kind)
    return ""


def refuse_size(size: int, max_bytes: int) -> str:
    """Why a file of this size is not read, for people; empty if it is."""
    if size == 0:
        return _("it is an empty file (0 bytes)")
    if size <= max_bytes:
        return ""
    return _("it is too large: {size} bytes, more than {limit}", size=f"{size:,}", limit=f"{max_bytes:,}")


def to_text(name: str) -> str:
    """A name as every database can keep it: what is not valid text (stray bytes, surrogates, NUL) is escaped.

    >>> to_text("caf\\udce9")
    'caf\\\\xe9'
    """
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def _ending(name: str) -> str:
    return PurePosixPath(name.replace("/", "_")).suffix[1:].lower()
