"""`tenarai doctor`: checks all that a night needs, changes nothing, and says how to fix what is wrong."""

from __future__ import annotations

import os
import shutil
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings

from tenarai.catalogue import hold_store, locate_catalogue, open_catalogue
from tenarai.check import last_check
from tenarai.errors import SourceError, StoreBusyError, StoreError, TenaraiError
from tenarai.locale import _, join, plural
from tenarai.orchestration.notices import WEEK
from tenarai.orchestration.pools import CPU_POOL, GPU_POOL
from tenarai.orchestration.runs import resolve_secrets
from tenarai.orchestration.server import no_answer
from tenarai.records import Role
from tenarai.report.sending import find_destination, wants_reports
from tenarai.settings import DEFAULT_SOURCE, Settings
from tenarai.store import find_store
from tenarai.sync import open_source
from tenarai.sync.drive import DriveSource

if TYPE_CHECKING:
    from tenarai.drive import Drive
    from tenarai.drive.credentials import Account
    from tenarai.sync.plan import RemoteFile

NIGHTLY = "nightly/nightly"
LARGEST_CLOCK_ERROR = 60  # seconds; Google refuses keys that were signed at the wrong time
LITTLE_SPACE, TOO_LITTLE_SPACE = 2_000_000_000, 200_000_000
KINDS = {
    "service_account": _("a service account"),
    "authorized_user": _("a person's permission"),
    "default": _("found by Google's own libraries"),
}
State = Literal["ok", "note", "wrong"]
Check = Iterator["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked.

    Attributes:
        state: ok; note, something to know; wrong, something that stops the night.
        text: What was found.
        fix: What to do about it; empty when nothing.
        about: What was checked: source, store, device or prefect; `examine` fills it in.
    """

    state: State
    text: str
    fix: str = ""
    about: str = ""


def examine(settings: Settings) -> Check:
    """Check source, store, device and Prefect, one after the other.

    Args:
        settings: As a night would have them.
    """
    checks = {
        "source": check_source(settings),
        "store": check_store(settings),
        "device": check_device(),
        "prefect": check_prefect(),
    }
    for about, findings in checks.items():
        try:
            for found in findings:
                yield replace(found, about=about)
        except TenaraiError as error:
            text = _("{what}: {received}", what=error.what, received=error.received) if error.received else error.what
            yield Finding("wrong", text, error.fix or error.expected, about)


def check_source(settings: Settings) -> Check:
    """Whether the images can be read, and what is there; of Google Drive account, clock and where reports go, too."""
    if settings.source == DEFAULT_SOURCE and not Path(settings.source.removeprefix("folder:")).exists():
        text = _("no source is set: the first night makes a sample folder")
        yield Finding("note", text, _("set TENARAI_SOURCE or --source to use your own images"))
        return
    is_drive = settings.source.startswith("drive:")
    source = open_source(resolve_secrets(settings) if is_drive else settings)
    if isinstance(source, DriveSource):
        account = source.drive.account
        yield Finding("ok", _("credentials of {account} ({kind})", account=account.name, kind=KINDS[account.kind]))
        yield _check_clock(settings.drive_api_root)
        yield Finding("ok", _("Google Drive answers {who}", who=source.drive.who()))
    files = source.list_files().files
    yield _describe_files(source.name, files)
    for file in files:  # what lies at the top of the source and is not read
        if file.reason and "/" not in file.path.rstrip("/"):
            yield Finding("note", _("{path}: {reason}", path=file.path, reason=file.reason))
    if isinstance(source, DriveSource):
        yield _check_reports(settings, source.drive)
        yield _check_expiry(source.drive.account)


def _describe_files(where: str, files: Sequence[RemoteFile]) -> Finding:
    if not files:
        fix = _("put images into digits/<label>/ or inbox/")
        return Finding("wrong", _("{where} contains no images", where=where), fix)
    counts, labels = Counter(file.role for file in files), {file.label for file in files if file.label}
    roles = join(_("{n} in {role}", n=counts[role], role=role.value) for role in Role if counts[role])
    text = _(
        "{where}: {roles}; {labels}", where=where, roles=roles, labels=plural("{n} label", "{n} labels", len(labels))
    )
    refused = [file for file in files if file.reason]
    if not refused:
        return Finding("ok", text)
    text = _("{text}; {n} cannot be used", text=text, n=len(refused))
    return Finding("note", text, _("such as {path!r}: {reason}", path=refused[0].path, reason=refused[0].reason))


def _check_clock(api_root: str) -> Finding:
    try:
        with urllib.request.urlopen(api_root, timeout=20) as answer:  # noqa: S310 - the setting names the address
            date = answer.headers["Date"]
    except urllib.error.HTTPError as error:
        date = error.headers["Date"]
    except (OSError, ValueError) as error:
        raise SourceError(
            _("{address} cannot be reached", address=api_root),
            received=str(error),
            fix=_("check the network and proxy of this machine, and TENARAI_DRIVE_API_ROOT"),
        ) from error
    difference = time.time() - parsedate_to_datetime(date).timestamp() if date else 0.0
    if abs(difference) < LARGEST_CLOCK_ERROR:
        return Finding("ok", _("the clock of this machine agrees with Google's"))
    time_off = timedelta(seconds=round(abs(difference)))
    if difference > 0:
        text = _("the clock of this machine is {time} ahead of Google's", time=time_off)
    else:
        text = _("the clock of this machine is {time} behind Google's", time=time_off)
    return Finding("wrong", text, _("set it, best by NTP: Google refuses keys signed at the wrong time"))


def _check_reports(settings: Settings, drive: Drive) -> Finding:
    if not wants_reports(settings.source, settings):
        return Finding("note", _("reports are not sent to Drive, as TENARAI_DRIVE_REPORTS says"))
    try:
        place = find_destination(settings.source, settings, drive)
    except TenaraiError as error:
        return Finding("note", _("reports cannot be sent to Drive: {why}", why=error.what), error.fix)
    if place is None:
        text = _("reports stay in the store: {account} may not write to Drive", account=drive.account.name)
        fix = _("to send them: a shared drive, a placeholder, or `tenarai connect --reports` (docs/drive.md)")
        return Finding("note", text, fix)
    if place.may_create:
        return Finding("ok", _("reports are sent to {folder} on Drive", folder=place.name))
    return Finding("ok", _("reports are sent to {folder} on Drive, into files made by hand", folder=place.name))


def _check_expiry(account: Account) -> Finding:
    if account.kind == "service_account":
        return Finding("ok", _("the key of a service account does not expire"))
    publish = _("open Google Auth Platform, Audience, choose Publish app, then run `tenarai connect` again")
    if not account.connected:
        text = _("this permission expires 7 days after it was given if its OAuth app is still in testing")
        return Finding("note", text, publish)
    given = datetime.fromisoformat(account.connected)
    ends = given + WEEK
    dates = {"given": f"{given:%Y-%m-%d}", "ends": f"{ends:%Y-%m-%d}"}
    if ends < datetime.now(UTC):
        return Finding("ok", _("this permission was given on {given} and has not expired", **dates))
    text = _("this permission was given on {given}; it expires on {ends} if its OAuth app is in testing", **dates)
    return Finding("note", text, publish)


def check_store(settings: Settings) -> Check:
    """Whether originals, models and reports can be kept, and what is kept already."""
    store = find_store(settings.store)
    if "://" not in settings.store:
        yield _check_disk(Path(settings.store).expanduser().absolute())
    if store is None:
        yield Finding("note", _("{address} does not exist yet; the first night creates it", address=settings.store))
        return
    try:
        with hold_store(settings, store):
            yield Finding("ok", _("no night is running on it"))
    except StoreBusyError:
        yield Finding("note", _("a night is running on it; another would have to wait"))
    with open_catalogue(locate_catalogue(settings, store)) as catalogue:
        images = plural("{n} image", "{n} images", len(catalogue.images(settings.source)))
        nights = plural("{n} night", "{n} nights", len(catalogue.nights(settings.source)))
    text = _("{address} has {images} of this source and {nights}", address=store.address, images=images, nights=nights)
    yield Finding("ok", text)
    if (last := last_check(store)) is None:
        yield Finding("note", _("it was never checked as a whole"), _("run `tenarai check`"))
    else:
        when, num_faults = last[0][:10], last[1]
        text = plural("checked on {when}: {n} fault", "checked on {when}: {n} faults", num_faults, when=when)
        yield Finding("note" if num_faults else "ok", text, _("run `tenarai check --repair`") if num_faults else "")


def _check_disk(folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        fix = _("make it writable for this account, or set another --store")
        raise StoreError(_("{path} cannot be written", path=existing), fix=fix)
    free = shutil.disk_usage(existing).free
    text = _("{gigabytes} GB free on its disk", gigabytes=f"{free / 1e9:.1f}")
    if free < TOO_LITTLE_SPACE:
        return Finding("wrong", text, _("free some space: a night may need hundreds of megabytes"))
    return Finding("note" if free < LITTLE_SPACE else "ok", text)


def check_device() -> Check:
    """What this machine would train on."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tenarai.model.train import choose_device

    with choose_device("auto") as device:
        if device.lower().startswith("cpu"):
            yield Finding("note", _("no GPU is visible: training takes minutes on the CPU, which is enough"))
        else:
            yield Finding("ok", _("trains on {device}", device=device))


def check_prefect() -> Check:
    """Whether nights run by themselves: a server, the deployment, and workers that are alive."""
    url = get_current_settings().api.url
    if not url:
        text = _("no server is set: `tenarai nightly` runs without one, and no night runs by itself")
        yield Finding("note", text, _("run `tenarai up`, or set PREFECT_API_URL to the address of a server"))
        return
    with get_client(sync_client=True) as client:
        try:
            yield Finding("ok", _("server {version} answers at {url}", version=client.api_version(), url=url))
            if any(schedule.active for schedule in client.read_deployment_by_name(NIGHTLY).schedules):
                yield Finding("ok", _("{deployment} is deployed and runs by itself", deployment=NIGHTLY))
            else:
                yield Finding("note", _("{deployment} is deployed; its schedule is switched off", deployment=NIGHTLY))
            for pool in (CPU_POOL, GPU_POOL):
                yield _describe_pool(pool, str(client.read_work_pool(pool).status))
        except ObjectNotFound:
            yield Finding(
                "note", _("{deployment} is not deployed there", deployment=NIGHTLY), _("run `tenarai deploy`")
            )
        except (HTTPError, PrefectHTTPStatusError) as error:
            raise no_answer(url, error) from error


def _describe_pool(pool: str, status: str) -> Finding:
    if status.rpartition(".")[2] == "READY":
        return Finding("ok", _("the pool {pool} has a worker", pool=pool))
    if pool == GPU_POOL:
        text = _("the pool {pool} has no worker: models train on the machine of the cpu pool", pool=pool)
    else:
        text = _("the pool {pool} has no worker: scheduled nights wait", pool=pool)
    return Finding("note", text, f"prefect worker start --pool {pool} --type process")
