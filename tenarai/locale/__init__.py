"""What people read, in their language.

Sentences are written in English where they arise: beside the check that rejects a file, the training that explains
itself, the command that fails. Here they are found again by their English form, with places for what varies, and said
in Japanese. A sentence nobody has translated is shown in English; `tests/test_words.py` finds those that should not be.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from tenarai.errors import TenaraiError
from tenarai.locale.japanese import JAPANESE

Language = Literal["en", "ja"]
NUMBER = r"[\d.,]+"
_PLACE = re.compile(r"\{(\w+)(:n)?\}")


def translate(sentence: str, language: str) -> str:
    """Say an English sentence in a language.

    Args:
        sentence: As it was made, what varies filled in.
        language: en or ja.

    Returns:
        The same in that language; the sentence itself where nobody has translated it.

    >>> translate("it is too large: 9 bytes, more than 5", "ja")
    '大きすぎます(9 バイト。上限は 5 バイト)'
    """
    if language == "en":
        return sentence
    if sentence in JAPANESE:
        return JAPANESE[sentence]
    for pattern, said in _patterns():
        if found := pattern.fullmatch(sentence):
            return said.format(**{name: _Said(value) for name, value in found.groupdict().items()})
    return sentence


def tell_error(error: TenaraiError, language: str) -> str:
    """An error in a language, part by part: what kind, what, what was expected and received, how to mend it.

    Args:
        error: Any of this project's.
        language: en or ja.
    """
    kind = _name_kind(error)
    if language == "en":
        return f"{kind}: {error}"
    titles = (("expected", "期待"), ("received", "実際"), ("mend", "直し方"))
    parts = [f"{title}:{translate(text, language)}" for name, title in titles if (text := getattr(error, name))]
    return "。".join([f"{translate(kind, language)}:{translate(error.what, language)}", *parts])


def _name_kind(error: TenaraiError) -> str:
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in type(error).__name__.removesuffix("Error"))
    return f"{words.strip()} error"


class _Said(str):
    """What stood in a place; `{what:ja}` says it in Japanese, too, and `{what:list}` each of a list."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        if spec == "list":
            return "、".join(translate(part, "ja") for part in self.split(", "))
        return translate(str(self), spec) if spec else str(self)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Sentences with places: those that begin with a word of their own first, then those with the most such words."""
    found = [(english, said) for english, said in JAPANESE.items() if _PLACE.search(english)]
    found.sort(key=lambda pair: (pair[0].startswith("{"), -len(_PLACE.sub("", pair[0]))))
    return tuple((_to_pattern(english), said) for english, said in found)


def _to_pattern(english: str) -> re.Pattern[str]:
    made, end = [], 0
    for place in _PLACE.finditer(english):
        name, is_number = place.groups()
        made += [re.escape(english[end : place.start()]), f"(?P<{name}>{NUMBER if is_number else '.+?'})"]
        end = place.end()
    return re.compile("".join([*made, re.escape(english[end:])]), re.DOTALL)
