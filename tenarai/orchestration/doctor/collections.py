"""Many collections: each one's source and store, told where something is to be known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tenarai.orchestration.doctor.findings import Finding, examined
from tenarai.orchestration.doctor.machine import check_store
from tenarai.orchestration.doctor.source import check_source
from tenarai.orchestration.fan_out import read_collections


def check_collections(file: str) -> Iterator[Finding]:
    """What is not as it should be, by collection; then how many are well.

    Args:
        file: The setting `collections`.

    Raises:
        SettingsError: The file cannot be read, or a table does not fit.
    """
    known = read_collections(file)
    if not known:
        yield Finding("source", "wrong", f"{file} names no collection", "add a table for each, or unset it")
        return
    num_well = 0
    for name, settings in known.items():
        found = [*examined("source", check_source(settings)), *examined("store", check_store(settings))]
        num_well += not any(one.state == "wrong" for one in found)
        yield from (replace(one, text=f"{name}: {one.text}") for one in found if one.state != "well")
    told = f"{num_well} of {len(known)} collections of {file} can have their nights"
    yield Finding("source", "well" if num_well == len(known) else "note", told)
