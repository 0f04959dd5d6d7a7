"""Clients for the stand-in Drive, as tests need them: real credentials, no long waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tenarai.drive import Drive, open_drive
from tenarai.settings import Settings
from tests.stand_in import StandInDrive

IMPATIENT = {"drive_first_wait": 0.005, "drive_quota_per_minute": 10**8}


def settings_for(server: StandInDrive, place: Path, key: dict[str, Any] | None = None, **given: Any) -> Settings:
    """Settings that lead to the stand-in, its key written to a file in `place`; a service account unless told."""
    file = place / "key.json"
    file.write_text(json.dumps(key or server.people.service_account_key()))
    options = {"drive_api_root": server.root, "drive_credentials": str(file), **IMPATIENT, **given}
    return Settings(_env_file=None, **options)


def client_for(server: StandInDrive, place: Path, *, write: bool = False, **given: Any) -> Drive:
    return open_drive(settings_for(server, place, **given), write=write)
