"""Messages in two languages, by gettext.

A message is written once, in English, where it arises: `_("{path} is missing", path=path)`. It is a `str` that remembers
its template and fields, so it can be logged, raised, stored and shown in another language later. No finished sentence is
ever parsed.

`make messages` collects the templates into `tenarai/locale/ja/LC_MESSAGES/tenarai.po` and compiles them.
"""

from __future__ import annotations

import gettext
import json
from collections.abc import Iterable
from functools import cache, reduce
from pathlib import Path
from typing import Any, Literal

Language = Literal["en", "ja"]
DOMAIN = "tenarai"
FOLDER = Path(__file__).parent
_PLAIN = (str, int, float)  # what JSON keeps; other values, such as paths, become text


class Message(str):
    """An English sentence that remembers its template and fields.

    Attributes:
        template: The sentence with named fields, `{path} is missing`; the key of its translation.
        fields: Values by name: text, numbers, or other messages.
        plural: The template for more than one; then the field `n` decides. Empty for sentences without a number.
    """

    template: str
    fields: dict[str, Any]
    plural: str

    def __new__(cls, template: str, fields: dict[str, Any] | None = None, plural: str = "") -> Message:
        """Format the English sentence."""
        fields = {name: value if isinstance(value, _PLAIN) else str(value) for name, value in (fields or {}).items()}
        chosen = plural if plural and fields.get("n") != 1 else template
        self = super().__new__(cls, chosen.format(**fields))
        self.template, self.fields, self.plural = template, fields, plural
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep template and fields across processes."""
        return (Message, (self.template, self.fields, self.plural))


def _(template: str, /, **fields: Any) -> Message:
    """A message with named fields.

    >>> _("{path} is missing", path="a.png")
    'a.png is missing'
    """
    return Message(template, fields)


def plural(one: str, many: str, /, n: int, **fields: Any) -> Message:
    """A message that depends on a number, which is its field `n`.

    >>> plural("{n} image", "{n} images", 2)
    '2 images'
    """
    return Message(one, {**fields, "n": n}, many)


def join(messages: Iterable[str]) -> str:
    """A list of messages as one, which each language separates in its own way.

    >>> join(["a.png", _("the file is empty")])
    'a.png, the file is empty'
    """
    return reduce(lambda first, rest: _("{first}, {rest}", first=first, rest=rest), messages)


def translate(text: str, language: str) -> str:
    """A message in a language; text that is no message, and a sentence without a translation, as they are.

    >>> translate(_("the file is empty"), "ja")
    'ファイルが空です'
    """
    if not text or not isinstance(text, Message) or language == "en":
        return str(text)
    known = catalogue(language)
    if text.plural:
        template = known.ngettext(text.template, text.plural, text.fields["n"])
    else:
        template = known.gettext(text.template)
    fields = {
        name: translate(value, language) if isinstance(value, str) else value for name, value in text.fields.items()
    }
    return template.format(**fields)


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """The translations of a language; English needs none."""
    return gettext.translation(DOMAIN, FOLDER, [language], fallback=True)


def to_json(text: str) -> Any:
    """A message as plain values for `report.json` and the catalogue: its template and fields, or the text itself."""
    if not isinstance(text, Message):
        return str(text)
    found: dict[str, Any] = {"message": text.template}
    if text.fields:
        found["fields"] = {name: to_json(v) if isinstance(v, str) else v for name, v in text.fields.items()}
    return found | ({"plural": text.plural} if text.plural else {})


def from_json(found: Any) -> str:
    """The message that `to_json` wrote; what is not one is shown as text.

    >>> from_json(to_json(_("{path} is missing", path="a.png")))
    'a.png is missing'
    """
    if not isinstance(found, dict) or not isinstance(found.get("message"), str):
        return str(found)
    given = found.get("fields", {})
    fields = {name: from_json(value) if isinstance(value, dict) else value for name, value in given.items()}
    try:
        return Message(found["message"], fields, found.get("plural", ""))
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):  # written by another version
        return str(found["message"])


def dump(text: str) -> str:
    """A message as one line of text, for a database column; plain text stays as it is."""
    return json.dumps(to_json(text), ensure_ascii=False) if isinstance(text, Message) else str(text)


def load(text: str) -> str:
    """The message in a line that `dump` wrote."""
    try:
        return from_json(json.loads(text)) if text.startswith('{"message"') else text
    except ValueError:
        return text
