"""A whole night over machines that share no path: PostgreSQL, Redis and S3, an API of two processes, two workers."""

import json
import os

import pytest

from tenarai.store import open_store
from tests import services
from tests.collections_of_digits import fill, picture, save
from tests.machines import running_site

pytestmark = pytest.mark.services
TRAINING = {"recipe": "mlp", "max_epochs": 3, "folds": 2}
STORE = "s3://tenarai/store"


@pytest.fixture(scope="module")
def site(tmp_path_factory, postgresql):
    home = tmp_path_factory.mktemp("site")
    with services.redis(home / "redis") as redis, services.s3(home / "s3", bucket="tenarai") as s3:
        server = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{postgresql.make_database()}",
            "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect_redis.messaging",
            "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect_redis.messaging",
            "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
            "PREFECT_REDIS_MESSAGING_URL": f"{redis}/0",
            "PREFECT_SERVER_DOCKET_URL": f"{redis}/1",
        }
        folder = fill(home / "only on the cpu machine", num_each=8)
        fill(folder, num_each=1, labels="47", first=50, under="misread")
        save(folder / "inbox" / "what is this.png", picture(1700))
        cpu = {
            **s3,
            "TENARAI_SOURCE": f"folder:{folder}",
            "TENARAI_STORE": STORE,
            "TENARAI_CATALOGUE": f"postgresql://{postgresql.make_database()}",
        }
        with (
            running_site(home, server=server, cpu=cpu, gpu=s3, apart=True) as running,
            pytest.MonkeyPatch.context() as patch,
        ):
            for name, value in s3.items():
                patch.setenv(name, value)
            yield running


@pytest.fixture(scope="module")
def night(site):
    """A finished night, ordered as a person's own program would."""
    from prefect.deployments import run_deployment

    run = run_deployment("nightly/nightly", parameters={"training": TRAINING}, timeout=500, poll_interval=2)
    assert run.state.is_completed(), (run.state, site.machines["cpu"].log()[-3000:], site.machines["gpu"].log()[-3000:])
    return run


def test_the_night_ends_with_a_verdict_and_its_report_lies_in_the_store(night):
    store = open_store(STORE, create=False)
    run = store.read("reports", "latest").decode().strip()
    report = json.loads(store.read("reports", run, "report.json"))
    assert night.state.message.startswith(report["verdict"])
    assert report["verdict"] in {"promoted", "kept"}
    assert report["frozen"]["num_images"] == 83
    assert store.read("reports", run, "report.html").lstrip().lower().startswith(b"<!doctype html>")


def test_the_gpu_worker_trained_what_the_cpu_worker_ordered(site, night):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        pools = {run.name.split()[0]: run.work_pool_name for run in client.read_flow_runs()}
    assert pools.pop("train") == "gpu"
    assert set(pools.values()) == {"cpu"}


def test_the_two_workers_share_no_path(site, night):
    cpu, gpu = site.machines["cpu"], site.machines["gpu"]
    assert not {str(cpu.folder), "TENARAI_SOURCE", "TENARAI_STORE", "TENARAI_CATALOGUE"} & {*gpu.env, *gpu.env.values()}
    for mine, other in ((cpu, gpu), (gpu, cpu)):
        for value in mine.env.values():
            assert str(other.folder) not in value
    assert not [path for path in gpu.folder.rglob("*.npz") if path.parent.name != "base"]  # no snapshot
    assert not list(cpu.folder.rglob("model.keras"))


def test_no_slot_is_left_taken(site, night):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        limits = client.read_global_concurrency_limits(limit=10, offset=0)
        assert len(limits) >= 2
        services.wait(lambda: not any(limit.active_slots for limit in client.read_global_concurrency_limits(10, 0)), 60)


def test_the_next_night_finds_nothing_new(night):
    from prefect.deployments import run_deployment

    again = run_deployment("nightly/nightly", parameters={"training": TRAINING}, timeout=300, poll_interval=2)
    assert again.state.message.startswith("nothing new")
    assert os.environ["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
