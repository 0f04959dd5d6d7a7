"""`report.json`: the night for programs, with what the report opens with."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from tenarai.locale import load, to_json
from tenarai.report.view import View

LEFT_OUT = {"history", "curves", "heat"}  # earlier nights have their own reports; `history.json` holds the curves


def as_json(view: View) -> bytes:
    """The night as JSON with sorted keys; equal nights give equal bytes. Shares and confidences are 0 to 1."""
    night = view.night
    found = {
        **_plain(night),
        "verdict": night.decision.verdict,
        "reason": to_json(night.decision.reason),
        "challenger": night.evaluation.challenger,
        "snapshot": night.frozen.info.id if night.frozen.info else "",
        "number": _plain(view.number),
        "today": [to_json(sentence) for _anchor, sentence in view.today()],
    }
    return (json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _plain(value: Any) -> Any:
    """Records as dicts, messages with their fields, so that they can be read in any language."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.name not in LEFT_OUT}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return to_json(load(value)) if isinstance(value, str) and not isinstance(value, Enum) else value
