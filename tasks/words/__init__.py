"""What people read, in their language.

Sentences are written in English where they arise: beside the check that rejects a file, the training that explains
itself, the command that fails. Here they are found again by their English form, with places for what varies, and said
in Japanese. A sentence nobody has translated is shown in English; `tests/test_words.py` finds those that should not be.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from tasks.words.japanese import JAPANESE

Language = Literal["en", "ja"]
_PLACE = re.compile(r"\{(\w+)\}")


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


class _Said(str):
    """What stood in a place; `{what:ja}` says it in Japanese, too."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return translate(str(self), spec) if spec else str(self)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Sentences with places, those with the most words of their own first, so that the particular beats the general."""
    found = [(english, said) for english, said in JAPANESE.items() if _PLACE.search(english)]
    found.sort(key=lambda pair: -len(_PLACE.sub("", pair[0])))
    return tuple((_to_pattern(english), said) for english, said in found)


def _to_pattern(english: str) -> re.Pattern[str]:
    parts = _PLACE.split(english)  # words, name, words, name, … words
    made = [re.escape(part) if number % 2 == 0 else f"(?P<{part}>.+?)" for number, part in enumerate(parts)]
    return re.compile("".join(made), re.DOTALL)
