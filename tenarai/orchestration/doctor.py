"""`tenarai doctor`: checks all that a night needs, changes nothing, and says how to fix what is wrong."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tenarai.address import normalise_address
from tenarai.catalogue import locate_catalogue, open_catalogue
from tenarai.check import last_check
from tenarai.errors import StoreBusyError, StoreError, TenaraiError
from tenarai.locale import _, join, plural
from tenarai.orchestration.pools import CPU_POOL, GPU_POOL
from tenarai.orchestration.server import no_answer
from tenarai.records import Role
from tenarai.settings import DEFAULT_SOURCE, Settings
from tenarai.store import find_store
from tenarai.sync import open_source

if TYPE_CHECKING:
    from tenarai.sync.plan import RemoteFile

NIGHTLY = "nightly/nightly"
LITTLE_SPACE, TOO_LITTLE_SPACE = 2_000_000_000, 200_000_000
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
                yield Finding(found.state, found.text, found.fix, about)
        except TenaraiError as error:
            text = _("{what}: {received}", what=error.what, received=error.received) if error.received else error.what
            yield Finding("wrong", text, error.fix or error.expected, about)


def check_source(settings: Settings) -> Check:
    """Whether the images can be read, and what is there."""
    if settings.source.startswith("drive:"):
        from tenarai.orchestration.drive_doctor import check_drive

        yield from check_drive(settings)
    elif settings.source == DEFAULT_SOURCE and not Path(settings.source.removeprefix("folder:")).exists():
        text = _("no source is set: the first night makes a sample folder")
        yield Finding("note", text, _("set TENARAI_SOURCE or --source to use your own images"))
    else:
        source = open_source(settings)
        files = source.list_files()
        yield describe_files(source.name, files)
        yield from describe_unread(files)


def describe_files(where: str, files: Sequence[RemoteFile]) -> Finding:
    """Counts by role; an empty folder stops the night.

    Args:
        where: The folder, for people.
        files: All that was found in it.
    """
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


def describe_unread(files: Sequence[RemoteFile]) -> Check:
    """What lies at the top of the source and is not read, each with what to do."""
    for file in files:
        if file.reason and "/" not in file.path.rstrip("/"):
            yield Finding("note", _("{path}: {reason}", path=file.path, reason=file.reason))


def check_store(settings: Settings) -> Check:
    """Whether originals, models and reports can be kept, and what is kept already."""
    store = find_store(settings.store)
    if "://" not in settings.store:
        yield _check_disk(Path(settings.store).expanduser().absolute())
    if store is None:
        yield Finding("note", _("{address} does not exist yet; the first night creates it", address=settings.store))
        return
    try:
        with store.lock():
            yield Finding("ok", _("no night is running on it"))
    except StoreBusyError:
        yield Finding("note", _("a night is running on it; another would have to wait"))
    source = normalise_address(settings.source)
    with open_catalogue(locate_catalogue(settings, store)) as catalogue:
        images = plural("{n} image", "{n} images", len(catalogue.images(source)))
        nights = plural("{n} night", "{n} nights", len(catalogue.nights(source)))
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
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
    from prefect.settings import get_current_settings

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
