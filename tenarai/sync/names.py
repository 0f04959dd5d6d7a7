"""What names say: the label that a folder's name stands for, files that cannot be used, and what systems leave behind.

Case is significant in labels; everything else is read as people mean it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from tenarai.locale import Message, _
from tenarai.records import told_by_name

TEXTS = frozenset({"txt", "md", "rst", "html", "htm", "log"})

_QUIET_NAMES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r", "__macosx", "@eadir"}
    | {"#recycle", "$recycle.bin", "system volume information", "lost+found", "thumbs.db:encryptable"}
)
_QUIET_ENDINGS = frozenset(
    {"aae", "xmp", "json", "thm", "pp3", "dop", "ini", "db", "ffs_db", "info", "icloud", "swp", "tmp", "temp"}
    | {"crdownload", "part", "partial", "download", "opdownload"}
)
_FORMATS: tuple[tuple[Message, str], ...] = (
    (_("a video"), "mp4 mov m4v avi mkv webm 3gp mts mpg mpeg wmv mp heics"),
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

HERE = _("here")

MAX_LABEL_LENGTH = 64
DIGITS = frozenset("0123456789")  # what the shipped base model reads

_WORDS = {
    word: str(value)
    for words in (
        "zero one two three four five six seven eight nine",
        "null eins zwei drei vier fünf sechs sieben acht neun",
        "zéro un deux trois quatre cinq six sept huit neuf",
        "cero uno dos tres cuatro cinco seis siete ocho nueve",
        "zero uno due tre quattro cinque sei sette otto nove",
        "zero um dois três quatro cinco seis sete oito nove",
        "nul een twee drie vier vijf zes zeven acht negen",
        "ноль один два три четыре пять шесть семь восемь девять",
    )
    for value, word in enumerate(words.split())
}
_COPIED = "copy|kopie|copie|copia|cópia|kopia|kopya|копия|コピー|副本|拷贝|複本|복사본"
_COPY = re.compile(
    rf"^(?:(?:{_COPIED})\s+(?:\(\d+\)\s*)?(?:(?:of|von|de|di|van)\s+)?)*(.+?)"
    rf"(?:\s*\(\d+\)|\s*[-–—_の的]?\s*\(?(?:{_COPIED})\)?(?:\s*\d+)?)*$",
    re.IGNORECASE,
)
_PREFIX = re.compile(
    r"(?:digits?|labels?|class|number|num|no|characters?|char|letters?|数字|文字|ラベル|クラス)(?:[\s_.:#=-]+|(?=\d))(.+)",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d\d(?:[-_. ]?\d\d){0,5}.*|\d{1,2}[-_.]\d{1,2}[-_.]\d{2,4}")
_PLACES = frozenset(
    re.findall(
        r"\w+",
        """
        train training test testing val valid validation data dataset set part batch group series round session
        image images img picture pictures photo photos scan scans sample samples page screenshots camera dcim
        misc other others unsorted sorted private temp tmp backup archive download downloads untitled unknown unlabelled
        unlabeled day week user writer person folder dir ordner bilder fotos dossier carpeta cartella pasta папка
        新しいフォルダー 新しいフォルダ 名称未設定フォルダ 名称未設定フォルダー 写真 画像 未分類 新建文件夹
        """,
    )
)
_OTHER_WORDS = frozenset(
    re.findall(r"\w+", "new old all done todo my of the from neuer nouveau nueva nuova nova новая")
)


@dataclass(frozen=True)
class Labels:
    """What is known of labels before a sync.

    Attributes:
        read: Labels that the champion reads; those of the base model, too, unless the champion reads none of them.
        held: Labels of the collection's usable images; they decide where no other known label does.
        confirmed: Labels that a person confirmed.
        is_promoted: Whether the collection has a champion of its own.
        min_new: Images that a new label needs there before it is trained on.
    """

    read: frozenset[str] = DIGITS
    held: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()
    is_promoted: bool = False
    min_new: int = 5

    @property
    def known(self) -> frozenset[str]:
        """Labels that decide wherever they stand in a path."""
        return self.read | self.confirmed

    @property
    def fingerprint(self) -> str:
        """Changes whenever files may be placed differently."""
        words = [*sorted(self.known), "", *sorted(self.confirmed), str(self.is_promoted), str(self.min_new)]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


BASE_LABELS = Labels()
"""What is known where there is no champion."""


def read_label(folder_name: str) -> tuple[str, str]:
    """The label that a folder's name stands for, and why it cannot be one (empty if it can).

    >>> read_label("４"), read_label(" か\\u3099 ")
    (('4', ''), ('が', ''))
    """
    label = clean(folder_name)
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


def clean(name: str) -> str:
    """A name in one form of Unicode (NFKC), without invisible characters; digits of any script by their value."""
    text = unicodedata.normalize("NFKC", name)
    visible = " ".join("".join(character for character in text if not _is_invisible(character)).split())
    return "".join(str(unicodedata.decimal(c)) for c in visible) if visible.isdecimal() else visible


def match_label(name: str, known: Collection[str], *, exactly: bool, is_misread: bool = False) -> str:
    """The known label that a name means, or empty.

    Args:
        name: A folder's name.
        known: Known labels.
        exactly: Only the label itself; else also copies and names around it, such as `4 (1)`, `04` and `digit 4`.
        is_misread: Whether `4_as_9` means 4, misread as 9. Default: False.

    >>> match_label("4 - Copy", {"4"}, exactly=False), match_label("misread 4", {"4"}, exactly=False)
    ('4', '')
    """
    text = clean(name)
    if text in known or exactly:
        return text if text in known else ""
    written = told_by_name(text)[0] if is_misread else ""
    copied = _COPY.match(text)
    names = [written, copied[1].strip() if copied else "", text.strip("'\"`’‘“”„«»[](){}<>_-.:, ")]
    names += [found[1].strip() for one in names[1:] if (found := _PREFIX.fullmatch(one))]
    names += [one.lstrip("0") or "0" for one in names if one.isdecimal()]
    return next((str(one) for one in names if one and one in known), "")


def strip_copy(name: str) -> str:
    """The name of which a folder is a copy, such as `inbox` for `Inbox - Kopie (2)`."""
    found = _COPY.match(clean(name))
    return found[1] if found else clean(name)


def guess_label(name: str, known: Collection[str]) -> str:
    """The known label that a new name resembles, such as `four`, `my 4` or `4_old`; empty if none or several."""
    if is_date(name):
        return ""
    parts = re.findall(r"[^\W\d_]+|\d+", clean(name))
    if parts and parts[0] in known:
        return str(parts[0])
    if any(part.lower() in _PLACES for part in parts):  # `set 4` is the fourth set
        return ""
    parts += [_WORDS.get(part.lower().removesuffix("s"), "") for part in parts]
    parts += [part.lstrip("0") for part in parts if part.isdecimal()]
    found = {part for part in parts if part and part in known}
    return found.pop() if len(found) == 1 else ""


def is_date(name: str) -> bool:
    """Whether a name is a year or a date."""
    return bool(_DATE.fullmatch(clean(name)))


def is_place(name: str) -> bool:
    """Whether a name says where files are kept or what they are for, such as `train` or `set 1`."""
    words = re.findall(r"[^\W\d_]+", clean(name).lower())
    return is_date(name) or (bool(words) and _OTHER_WORDS.union(_PLACES).issuperset(words))


def _is_invisible(character: str) -> bool:
    """Whether a character shows nothing: formatting, variation selectors, the keycap around a digit."""
    is_selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return is_selector or character == "\u20e3" or unicodedata.category(character) == "Cf"


# ---- files


def is_quiet(name: str) -> bool:
    """Whether a file or folder is ignored without a word: hidden, or left behind by a system or a download.

    On Drive a name may begin with two dots, and is then only a name.
    """
    lower = name.lower()
    is_hidden = name.startswith(".") and not name.startswith("..")
    is_left_behind = (
        lower.startswith("~$") or (lower.endswith("~") and "." in lower) or _ending(lower) in _QUIET_ENDINGS
    )
    return is_hidden or lower in _QUIET_NAMES or is_left_behind


def is_text(name: str) -> bool:
    """Whether a name ends like that of a note, such as a README."""
    return _ending(name) in TEXTS


def refuse_format(name: str, where: Message = HERE) -> str:
    """Why a file with such a name cannot be used, and where to put pictures; empty if it may be a picture."""
    ending = _ending(name)
    if ending in _ARCHIVES:
        return _("it is an archive: unpack it, and put its pictures {where}", where=where)
    if kind := _FORMAT_BY_ENDING.get(ending):
        return _(
            "it is {kind}: put pictures (JPEG, PNG, HEIC, WebP, AVIF, TIFF, GIF, BMP) or PDFs {where}",
            kind=kind,
            where=where,
        )
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
    if name.isascii() and "\0" not in name:
        return name
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def _ending(name: str) -> str:
    stem, _dot, ending = name.rpartition(".")
    return ending.lower() if stem else ""
