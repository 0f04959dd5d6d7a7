"""Collects the texts of `--help` for translation: docstrings of commands, and `help=` of their options."""

import ast
import inspect
import io
import re
from collections.abc import Iterator
from typing import Any

from babel.messages.extract import extract_python


def extract(file: io.BytesIO, keywords: Any, comment_tags: Any, options: Any) -> Iterator[Any]:
    """What Babel finds in a module of Python, and the help in it; an extraction method of Babel's."""
    source = file.read()
    yield from extract_python(io.BytesIO(source), keywords, comment_tags, options)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "help" and isinstance(node.value, ast.Constant):
            yield node.value.lineno, None, inspect.cleandoc(node.value.value), []
        elif isinstance(node, ast.FunctionDef) and re.search(r"click\.(command|group)\(", _decorators(node)):
            yield node.lineno, None, ast.get_docstring(node), []


def _decorators(function: ast.FunctionDef) -> str:
    return " ".join(map(ast.unparse, function.decorator_list))
