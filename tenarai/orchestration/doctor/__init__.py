"""`tenarai doctor`: looks at everything a night needs, and says how to mend what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator

from tenarai.orchestration.doctor.findings import Finding, examined
from tenarai.orchestration.doctor.machine import check_device, check_prefect, check_store
from tenarai.orchestration.doctor.source import check_source
from tenarai.settings import Settings

__all__ = ["Finding", "examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at source, store, device and Prefect, one after the other; nothing is changed.

    Args:
        settings: As a night would have them.
    """
    yield from examined("source", check_source(settings))
    yield from examined("store", check_store(settings))
    yield from examined("device", check_device())
    yield from examined("prefect", check_prefect())
