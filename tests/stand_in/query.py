"""Drive's `q` and `fields`, as far as this project and rclone use them; what is not known is refused, as Drive does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_PARENT = r"'([\w-]+)' in parents"


def find_parents(text: str) -> list[str]:
    """Ids of the folders that a query names."""
    return re.findall(_PARENT, text)


def _is_in_one_of(told: str) -> Callable[[dict[str, Any]], bool]:
    folders = set(find_parents(told))
    return lambda file: not folders.isdisjoint(file["parents"])


_TERMS: list[tuple[str, Callable[..., Callable[[dict[str, Any]], bool]]]] = [
    (_PARENT, lambda folder: lambda file: folder in file["parents"]),
    (r"\(('[\w-]+' in parents(?: or '[\w-]+' in parents)*)\)", _is_in_one_of),
    (r"trashed\s*=\s*(true|false)", lambda value: lambda file: file["trashed"] is (value == "true")),
    (
        r"appProperties has \{ key='((?:[^'\\]|\\.)*)' and value='((?:[^'\\]|\\.)*)' \}",
        lambda key, value: lambda file: file["appProperties"].get(key) == value,
    ),
]


class NotUnderstood(ValueError):
    """Drive would answer 400."""


def parse_query(text: str) -> Callable[[dict[str, Any]], bool]:
    """Terms joined by `and`, as a test of a `files` resource."""
    terms, rest = [], text.strip()
    while rest:
        for pattern, make in _TERMS:
            if found := re.match(pattern, rest):
                values = (re.sub(r"\\(.)", r"\1", value) for value in found.groups())
                terms.append(make(*values))
                rest = rest[found.end() :].strip()
                break
        else:
            raise NotUnderstood(rest)
        if rest and not rest.startswith("and "):
            raise NotUnderstood(rest)
        rest = rest.removeprefix("and ").strip()
    return lambda file: all(term(file) for term in terms)


def parse_fields(text: str) -> dict[str, Any]:
    """`a,b(c,d)` as {"a": {}, "b": {"c": {}, "d": {}}}; an empty one means: all of it."""
    mask: dict[str, Any] = {}
    stack = [mask]
    for name, mark in re.findall(r"([\w*]*)([,()]?)", text):
        if name:
            stack[-1][name] = {}
        if mark == "(":
            stack.append(stack[-1][name])
        elif mark == ")":
            stack.pop()
    if len(stack) != 1:
        raise NotUnderstood(text)
    return mask


def keep_fields(value: Any, mask: dict[str, Any]) -> Any:
    """Only what was asked for."""
    if isinstance(value, list):
        return [keep_fields(item, mask) for item in value]
    if not mask or "*" in mask or not isinstance(value, dict):
        return value
    return {name: keep_fields(part, mask[name]) for name, part in value.items() if name in mask}
