"""Every sentence of a report, in English and Japanese; a test holds that both have the same keys and places."""

from __future__ import annotations

from tenarai.report.texts.en import EN
from tenarai.report.texts.ja import JA

TEXTS: dict[str, dict[str, str]] = {"en": EN, "ja": JA}
