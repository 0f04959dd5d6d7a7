"""`tenarai connect`: the few questions that lead to a working `.env`, and a person's permission to read their Drive."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from dotenv import set_key
from pydantic import SecretStr
from tzlocal import get_localzone_name

from tenarai.cli.options import read_language, say
from tenarai.drive.credentials import OWN_FILES_SCOPE, READ_SCOPE, WRITE_SCOPE
from tenarai.errors import CredentialsError, writing
from tenarai.locale import Message, _, translate
from tenarai.records import Role
from tenarai.settings import DEFAULT_HOME, Settings, read_settings

DEFAULT_FILE = f"{DEFAULT_HOME}/drive-credentials.json"

WAYS = _(
    """\
There are two ways to let Tenarai read a folder on Google Drive. Both begin once in Google's console:

  1. https://console.cloud.google.com/projectcreate
     create a project, such as "tenarai"
  2. https://console.cloud.google.com/apis/library/drive.googleapis.com
     choose the project, and click Enable

A. A service account: a robot with its own address. It never expires and sees only what is shared with it.

  3. https://console.cloud.google.com/iam-admin/serviceaccounts
     Create service account, any name, no roles, Done
  4. click it, Keys, Add key, Create new key, JSON: a file is downloaded; keep it private (chmod 600)
  5. in Drive: share the folder with the robot's address (…@….iam.gserviceaccount.com) as Viewer
  6. put into .env:   TENARAI_DRIVE_CREDENTIALS=<path of the file>
                      TENARAI_SOURCE=drive:<link of the folder>
  7. tenarai doctor

B. Your own account: you agree in a browser. Reports can then be written to your own Drive, too.

  3. https://console.cloud.google.com/auth/overview
     Get started: a name, your address, External, Create
  4. https://console.cloud.google.com/auth/audience
     Publish app (while it is in testing, Google ends the permission after 7 days)
  5. https://console.cloud.google.com/auth/clients
     Create client, Desktop app, Download JSON
  6. tenarai connect --client <the downloaded file>
     add --reports to have reports sent to your Drive. Google warns that it has not verified the app,
     which is yours: Advanced, Go to …
  7. put into .env what it prints, and run tenarai doctor

Without a browser on this machine: run step 6 on one that has one, and copy {file} here. Or run
  tenarai connect --client FILE --no-browser --port 8765
here, and on your own machine   ssh -L 8765:localhost:8765 <this machine>   before you open the address it prints.""",
    file=DEFAULT_FILE,
)

ASK = _("Open this address in a browser and allow what it asks for:")
DONE = _("Tenarai is connected. You can close this window.")


def ask_settings(file: Path) -> None:
    """Ask for language, images and time, and write the answers into `.env`; what else is in it stays.

    Args:
        file: Path of `.env`.

    Raises:
        TenaraiError: An answer is invalid, or Google did not give the permission.
    """
    spoken = "ja" if os.environ.get("LANG", "").startswith("ja") else "en"
    language = click.prompt("Language / 言語", type=click.Choice(["en", "ja"]), default=spoken)
    _write(file, TENARAI_LANGUAGE=language)
    source = _ask(_("Your images: a folder, or the link of a folder on Google Drive"), default="handwriting").strip()
    if "drive.google.com" in source or source.startswith("drive:"):
        _write(file, TENARAI_SOURCE=f"drive:{source.removeprefix('drive:')}")
        say(WAYS)
        key = Path(_ask(_("The downloaded JSON file")))
        if is_client(key):
            ask_google(key, Path(DEFAULT_FILE), read_settings(), reports=True)
            key = Path(DEFAULT_FILE)
        _write(file, TENARAI_DRIVE_CREDENTIALS=str(key))
    else:
        folder = Path(source.removeprefix("folder:")).expanduser()
        with writing(folder, fix=_("check the path")):
            for role in Role:
                (folder / role).mkdir(parents=True, exist_ok=True)
        _write(file, TENARAI_SOURCE=f"folder:{folder}")
        say(_("put images into {folder}/digits/<label>/, and those to be read into {folder}/inbox/", folder=folder))
    zone = read_settings().timezone or get_localzone_name()
    time = _ask(_("When to run at night, by the clock of {zone}", zone=zone), value_proc=_read_time, default="02:00")
    _write(file, TENARAI_NIGHTLY_AT=time, TENARAI_TIMEZONE=zone)
    notices = _ask(_("Where to send notices, such as ntfy://my-topic (empty: nowhere)"), default="")
    say(
        _(
            "{file} is written. Next: `tenarai doctor`, then `tenarai nightly`, or `tenarai up` for every night",
            file=file,
        )
    )
    if notices:
        say(_("once `tenarai up` runs: `tenarai notify {address}`", address=notices))


def _read_time(text: str) -> str:
    try:
        return f"{datetime.strptime(text.strip(), '%H:%M'):%H:%M}"
    except ValueError:
        raise click.BadParameter(translate(_("write it as 02:30"), read_language())) from None


def _ask(question: str, **options: Any) -> Any:
    return click.prompt(translate(question, read_language()), **options)


def _write(file: Path, **values: str) -> None:
    for name, value in values.items():
        with writing(file, fix=_("check the path")):
            set_key(file, name, value, quote_mode="auto")
        os.environ[name] = value


def ask_google(
    client_file: Path,
    out: Path,
    settings: Settings,
    *,
    reports: bool = False,
    everything: bool = False,
    browser: bool = True,
    port: int = 0,
) -> None:
    """Ask a person for permission in their browser, and keep it in a file that only they can read.

    Args:
        client_file: An OAuth client of the type Desktop app, as downloaded from Google's console.
        out: Where the permission is kept.
        settings: How Drive is reached.
        reports: Also ask to make files that only Tenarai sees. Default: False.
        everything: Also ask to write into any folder. Default: False.
        browser: Open one. Default: True.
        port: Port of this machine that the browser comes back to. Default: any.

    Raises:
        CredentialsError: The file is no such client, or the person did not allow reading.
        SettingsError: The permission cannot be kept there.
    """
    from google_auth_oauthlib.flow import InstalledAppFlow
    from oauthlib.oauth2 import OAuth2Error

    wanted = [READ_SCOPE, *([WRITE_SCOPE] if everything else [OWN_FILES_SCOPE] if reports else [])]
    language = read_language()
    flow = InstalledAppFlow.from_client_config(_read_client(client_file), wanted)
    os.environ.setdefault("OAUTHLIB_RELAX_TOKEN_SCOPE", "1")  # a person may untick one; it is looked at below
    try:
        found = flow.run_local_server(
            port=port,
            open_browser=browser,
            prompt="consent",  # else a second time brings no refresh token
            authorization_prompt_message=f"{translate(ASK, language)}\n{{url}}",
            success_message=translate(DONE, language),
        )
    except (OAuth2Error, OSError) as error:
        raise CredentialsError(
            _("Google did not give the permission"),
            received=getattr(error, "description", "") or str(error),
            fix=_("try again; create a new client if it says invalid_client"),
        ) from None
    granted = list(found.granted_scopes or found.scopes or ())
    if not found.refresh_token or not {READ_SCOPE, WRITE_SCOPE} & set(granted):
        raise CredentialsError(
            _("the permission to read files is missing"),
            received=_("permission for {scopes}", scopes=", ".join(granted) or "–"),
            fix=_("run `tenarai connect` again and leave all boxes ticked"),
        )
    account = _keep(out, found, granted, settings)
    say(_("connected as {account}; the permission is kept in {file}", account=account, file=out))
    say(_("put into .env:  {line}", line=f"TENARAI_DRIVE_CREDENTIALS={out}"))
    if missing := set(wanted) - set(granted):
        say(_("you did not allow {scopes}: reports stay in the store", scopes=", ".join(sorted(missing))))


def _keep(out: Path, found: Any, granted: list[str], settings: Settings) -> str:
    """Write the permission for its owner only, once it was seen to work; returns the account's name and address."""
    from tenarai.drive import open_drive

    info = {
        "type": "authorized_user",
        "client_id": found.client_id,
        "client_secret": found.client_secret,
        "refresh_token": found.refresh_token,
        "token_uri": found.token_uri,
        "scopes": granted,
        "connected": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    drive = open_drive(settings.model_copy(update={"drive_credentials": SecretStr(json.dumps(info))}))
    info["account"] = drive.who()
    with writing(out, fix=_("set another {option}", option="--out")):
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f".{out.name}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(info, file, indent=1)
        part.replace(out)
    return str(info["account"])


def is_client(file: Path) -> bool:
    """Whether a file is an OAuth client of the type Desktop app, and not a key."""
    return "installed" in _read_json(file)


def _read_client(file: Path) -> dict[str, Any]:
    found = _read_json(file)
    if "installed" in found:
        return found
    if found.get("type") == "service_account":
        received = _("a service account's key")
        fix = _("set TENARAI_DRIVE_CREDENTIALS={file}: it needs no connecting", file=file)
    else:
        received = _("a client for web sites") if "web" in found else Message("")
        fix = _("run `tenarai connect` without --client to see how to get one")
    raise CredentialsError(
        _("{file} is not an OAuth client of the type Desktop app", file=file),
        expected=_("the JSON file downloaded from Google's console"),
        received=received,
        fix=fix,
    )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
