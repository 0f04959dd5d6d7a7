"""`tenarai connect`: a person's permission to read their Drive, or how a service account gets one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tenarai.drive.credentials import OWN_FILES_SCOPE, READ_SCOPE, WRITE_SCOPE
from tenarai.errors import CredentialsError, SettingsError
from tenarai.settings import DEFAULT_HOME, Settings

DEFAULT_FILE = f"{DEFAULT_HOME}/drive-credentials.json"

WAYS = f"""\
There are two ways to let Tenarai read a folder on Google Drive. Both begin in Google's console, once:

  1. https://console.cloud.google.com/projectcreate           make a project, such as "tenarai"
  2. https://console.cloud.google.com/apis/library/drive.googleapis.com      choose it, and click Enable

A. A service account: a robot with an address of its own. Never runs out; sees only what is shared with it.

  3. https://console.cloud.google.com/iam-admin/serviceaccounts
     Create service account, any name, no roles, Done
  4. click on it, Keys, Add key, Create new key, JSON: a file is downloaded; keep it private (chmod 600)
  5. in Drive: share the folder with the robot's address (…@….iam.gserviceaccount.com), as Viewer
  6. put into .env:   TENARAI_DRIVE_CREDENTIALS=<path of the file>
                      TENARAI_SOURCE=drive:<link of the folder>
  7. tenarai doctor

B. Your own account: you say yes in a browser. Also lets reports be written to your own Drive.

  3. https://console.cloud.google.com/auth/overview           Get started: a name, your address, External, Create
  4. https://console.cloud.google.com/auth/audience           Publish app (in testing, Google ends it after 7 days)
  5. https://console.cloud.google.com/auth/clients            Create client, Desktop app, Download JSON
  6. tenarai connect --client <the downloaded file>           add --reports to have reports sent to your Drive
     Google warns that it has not verified the app, which is yours: Advanced, Go to …
  7. put into .env what it prints, and run tenarai doctor

Without a browser on this machine: run step 6 on one that has one, and copy {DEFAULT_FILE} here; or
  tenarai connect --client FILE --no-browser --port 8765
here, and on your own machine   ssh -L 8765:localhost:8765 <this machine>   before you open the address that it prints.
"""


def connect(
    client_file: Path,
    out: Path,
    settings: Settings,
    *,
    reports: bool,
    everything: bool,
    browser: bool,
    port: int,
    say: Callable[[str], None],
) -> str:
    """Ask a person for permission in their browser, and keep it in a file that only they can read.

    Args:
        client_file: What Google's console lets one download of an OAuth client of the kind Desktop app.
        out: Where the permission is kept.
        settings: How Drive is reached.
        reports: Ask to make files of Tenarai's own, too.
        everything: Ask to write into any folder, too.
        browser: Open one.
        port: Port of this machine that the browser comes back to; 0: any.
        say: Takes words for the person.

    Returns:
        The account's name and address.

    Raises:
        CredentialsError: The file is no such client, or the person did not allow reading.
        SettingsError: The permission cannot be kept there.
    """
    from google_auth_oauthlib.flow import InstalledAppFlow
    from oauthlib.oauth2 import OAuth2Error

    wanted = [READ_SCOPE, *([WRITE_SCOPE] if everything else [OWN_FILES_SCOPE] if reports else [])]
    flow = InstalledAppFlow.from_client_config(_read_client(client_file), wanted)
    os.environ.setdefault("OAUTHLIB_RELAX_TOKEN_SCOPE", "1")  # a person may untick one; it is looked at below
    try:
        found = flow.run_local_server(
            port=port,
            open_browser=browser,
            prompt="consent",  # else a second time brings no refresh token
            authorization_prompt_message="Open this address in a browser and allow what it asks for:\n{url}",
            success_message="Tenarai is connected. You may close this window.",
        )
    except (OAuth2Error, OSError) as error:
        raise CredentialsError(
            "Google did not give the permission",
            received=getattr(error, "description", "") or str(error),
            fix="try again; make a new client if it says invalid_client",
        ) from None
    granted = list(found.granted_scopes or found.scopes or ())
    if not found.refresh_token or not {READ_SCOPE, WRITE_SCOPE} & set(granted):
        raise CredentialsError(
            "without the permission to read files nothing can be done",
            received=f"permission for {', '.join(granted) or 'nothing'}",
            fix="run `tenarai connect` again and leave all boxes ticked",
        )
    name = _keep(out, found, granted, settings)
    say(f"connected as {name}; the permission is kept in {out}\nput into .env:  TENARAI_DRIVE_CREDENTIALS={out}")
    if missing := set(wanted) - set(granted):
        say(f"you did not allow {', '.join(sorted(missing))}: reports stay in the store")
    return name


def _keep(out: Path, found: Any, granted: list[str], settings: Settings) -> str:
    """Write the permission, for its owner only, once it was seen to work."""
    from tenarai.drive.client import Drive
    from tenarai.drive.credentials import to_account

    info = {
        "type": "authorized_user",
        "client_id": found.client_id,
        "client_secret": found.client_secret,
        "refresh_token": found.refresh_token,
        "token_uri": found.token_uri,
        "scopes": granted,
        "connected": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    drive = Drive(
        to_account(info, "Google's answer", granted),
        api_root=settings.drive_api_root,
        requests_per_second=settings.drive_requests_per_second,
        first_wait=settings.drive_first_wait,
    )
    info["account"] = drive.who()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f".{out.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(info, file, indent=1)
        part.replace(out)
    except OSError as error:
        raise SettingsError(
            f"the permission cannot be kept in {out}", received=error.strerror or str(error), fix="name another --out"
        ) from error
    return str(info["account"])


def _read_client(file: Path) -> dict[str, Any]:
    try:
        client = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        client = None
    if isinstance(client, dict) and "installed" in client:
        return client
    kind = client if isinstance(client, dict) else {}
    is_key = kind.get("type") == "service_account"
    if is_key:
        fix = f"set TENARAI_DRIVE_CREDENTIALS={file}: it needs no connecting"
    else:
        fix = "run `tenarai connect` without --client for the way there"
    raise CredentialsError(
        f"{file} is no OAuth client of the kind Desktop app",
        expected="the JSON file that Google's console lets one download there",
        received="a service account's key" if is_key else "a client for web sites" if "web" in kind else "",
        fix=fix,
    )
