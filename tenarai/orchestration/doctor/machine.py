"""Store, device and Prefect on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tenarai.catalogue import locate_catalogue, open_catalogue
from tenarai.errors import StoreBusyError, StoreError
from tenarai.night import name_drive_by_id
from tenarai.orchestration.doctor.findings import Finding
from tenarai.orchestration.pools import CPU_POOL, GPU_POOL
from tenarai.orchestration.server import no_good_answer
from tenarai.settings import Settings
from tenarai.store import Store, find_store

LITTLE_SPACE, TOO_LITTLE_SPACE = 2_000_000_000, 200_000_000
NIGHTLY = "nightly/nightly"


def check_store(settings: Settings) -> Iterator[Finding]:
    """Whether originals, models and reports can be kept, and what is kept already."""
    store = find_store(settings.store)
    if "://" not in settings.store:
        yield _check_disk(Path(settings.store).expanduser().absolute())
    if store is None:
        yield Finding("store", "note", f"{settings.store} is not there yet; the first night makes it")
        return
    yield _check_lock(store)
    source = name_drive_by_id(settings).source
    with open_catalogue(locate_catalogue(settings, store)) as catalogue:
        num_images, num_nights = len(catalogue.images(source)), len(catalogue.nights(source))
    yield Finding("store", "well", f"{store.address} knows {num_images} images of this source and {num_nights} nights")


def _check_disk(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK):
        raise StoreError(f"{there} cannot be written", fix="make it writable for this account, or name another --store")
    free = shutil.disk_usage(there).free
    text = f"{free / 1e9:.1f} GB free on its disk"
    if free < TOO_LITTLE_SPACE:
        return Finding("store", "wrong", text, "free some: a night may need hundreds of megabytes")
    return Finding("store", "note" if free < LITTLE_SPACE else "well", text)


def _check_lock(store: Store) -> Finding:
    try:
        with store.lock():
            return Finding("store", "well", "no night is at work on it")
    except StoreBusyError:
        return Finding("store", "note", "a night is at work on it; another would wait its turn outside")


def check_device() -> Iterator[Finding]:
    """What this machine would train on."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own words would drown the doctor's
    from tenarai.model.train import choose_device

    with choose_device("auto") as device:
        if device.lower().startswith("cpu"):
            yield Finding("device", "note", "no GPU is visible: training takes minutes on the CPU, which is enough")
        else:
            yield Finding("device", "well", f"trains on {device}")


def check_prefect() -> Iterator[Finding]:
    """Whether nights run by themselves: a server, the deployment, and living workers."""
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        text = "no server is named: `tenarai nightly` brings its own for each night; none runs by itself"
        yield Finding("prefect", "note", text, "`tenarai up`, or set PREFECT_API_URL to a server")
        return
    with get_client(sync_client=True) as client:
        try:
            yield Finding("prefect", "well", f"server {client.api_version()} answers at {url}")
            schedules = client.read_deployment_by_name(NIGHTLY).schedules
            if any(schedule.active for schedule in schedules):
                yield Finding("prefect", "well", f"{NIGHTLY} is deployed and runs by itself")
            else:
                yield Finding("prefect", "note", f"{NIGHTLY} is deployed; its schedule is switched off")
            for pool in (CPU_POOL, GPU_POOL):
                yield _describe_pool(pool, str(client.read_work_pool(pool).status))
        except ObjectNotFound:
            yield Finding("prefect", "note", f"{NIGHTLY} is not deployed there", "`tenarai deploy`")
        except (HTTPError, PrefectHTTPStatusError) as error:
            raise no_good_answer(url, error) from error


def _describe_pool(pool: str, status: str) -> Finding:
    if status.rpartition(".")[2] == "READY":
        return Finding("prefect", "well", f"a worker of the pool {pool} is there")
    what = "nights train on the cpu pool's machine" if pool == GPU_POOL else "scheduled nights wait"
    fix = f"prefect worker start --pool {pool} --type process"
    return Finding("prefect", "note", f"no worker of the pool {pool} is there: {what}", fix)
