"""A night as it is run every night: a server, two pools, two workers, and a run started through the API."""

import base64
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from prefect.states import Scheduled

from tests.collections_of_digits import fill, picture, save
from tests.serving import finish, serve, start, wait

PROJECT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """`tenarai up`, its client, and the folder and store that its workers know from the environment."""
    home = tmp_path_factory.mktemp("up")
    folder = fill(home / "folder", num_each=8)
    fill(folder, num_each=1, labels="47", first=50, under="misread")
    save(folder / "inbox" / "what is this.png", picture(1700))
    with serve(home, folder) as (client, port):
        yield client, home, port


@pytest.fixture(scope="module")
def finished(up):
    client, _, _ = up
    training = {"recipe": "mlp", "max_epochs": 8, "folds": 2}
    return finish(client, start(client, training=training))


def test_the_run_ends_and_state_and_name_give_the_verdict(finished):
    assert finished.state.is_completed(), finished.state.message
    assert finished.state.message.split(":")[0] in {"promoted", "kept"}
    assert re.fullmatch(r"(Promoted|Kept) · \d+ \w+", finished.name)


def test_the_night_ran_on_the_cpu_pool_and_its_training_on_the_gpu_pool(up, finished):
    client, _, _ = up
    runs = client.read_flow_runs()
    pools = {run.name.split()[0]: run.work_pool_name for run in runs}
    assert finished.work_pool_name == "cpu"
    assert pools["train"] == "gpu"


def test_the_artifacts_hang_on_the_night_itself(up, finished):
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    client, _, _ = up
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[finished.id]))
    found = {artifact.key: artifact for artifact in client.read_artifacts(artifact_filter=mine)}
    assert set(found) >= {"nightly-report", "hard-cases", "curves", "champions"}
    assert "data:image/png;base64," in found["nightly-report"].data
    assert len(found["nightly-report"].data) < 500_000


def test_the_store_named_in_the_workers_environment_holds_the_report(up, finished):
    _, home, _ = up
    run = (home / "store/reports/latest").read_text().strip()
    assert (home / "store/reports" / run / "report.json").exists()


def test_the_prefect_ui_lies_in_the_servers_home_since_prefects_own_folder_may_belong_to_another_user(up):
    _, home, _ = up
    assert {file.parent.name for file in (home / "prefect/ui").rglob("index.html")} == {"v1", "v2"}


def test_what_the_steps_log_is_in_the_runs_log(up, finished):
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    client, _, _ = up
    mine = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[finished.id]))
    logged = wait(lambda: [log.message for log in client.read_logs(mine)], 30)
    assert any(line.startswith("sync: 83 files") for line in logged)


def test_the_coming_nights_stand_on_the_schedule_for_two_in_the_morning(up):
    client, _, _ = up
    deployment = client.read_deployment_by_name("nightly/nightly")

    def planned():
        runs = [run for run in client.read_flow_runs() if run.deployment_id == deployment.id]
        return [run.expected_start_time for run in runs if run.auto_scheduled]

    for planned_start in wait(planned, 120):
        assert planned_start.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%H:%M") == "02:00"


def test_a_second_run_finds_nothing_new(up, finished):
    client, _, _ = up
    again = finish(client, start(client, training={"recipe": "mlp", "max_epochs": 8, "folds": 2}))
    assert again.state.message.startswith("nothing new")


def test_a_killed_worker_and_a_killed_night_cost_no_night(up, finished):
    """The worker is started again; the night, whose process died with it, is run once more and completes."""
    from tenarai.orchestration.watchdog import ATTEMPTS

    client, home, port = up
    save(home / "folder/digits/3/after a kill.png", picture(1000))
    run = start(client, training={"recipe": "mlp", "max_epochs": 8, "folds": 2})
    wait(lambda: client.read_flow_run(run.id).state.is_running(), 120)
    for word in ("tenarai.orchestration.workers", client.read_flow_run(run.id).infrastructure_pid):
        for pid in _processes(f"PREFECT_API_URL=http://127.0.0.1:{port}/api", str(word)):
            os.kill(pid, signal.SIGKILL)
    assert finish(client, run).state.is_crashed()
    again = wait(lambda: [one for one in client.read_flow_runs() if ATTEMPTS[0] in one.tags], 120)
    assert finish(client, again[0]).state.is_completed()
    log = (home / "up.log").read_text()
    assert "the worker process ended (exit -9); restarting it" in log
    assert "starting it again" in log


def _processes(mark, word):
    """Ids of processes with this in their environment, and a number or words of their command line."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environ, command = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if mark.encode() in environ and (entry.name == word or word.encode() in command):
            yield int(entry.name)


def test_up_says_how_each_night_ended_and_when_the_next_one_begins(up, finished):
    _, home, _ = up
    wait(lambda: finished.name in (home / "up.log").read_text(), 60)
    assert re.search(r"next night: .+ 02:00 \(Asia/Tokyo\)", (home / "up.log").read_text())


def ask(port, path, *, method="POST", **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/{path}", b"{}", headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def test_a_stranger_without_the_password_learns_nothing(up):
    _, _, port = up
    for path in (
        "admin/settings",
        "csrf-token?client=x",
        "work_pools/cpu",
        "collections/views/aggregate-worker-metadata",
    ):
        assert ask(port, path, method="GET")[0] == 401
    for path in ("block_documents/filter", "deployments/filter", "flow_runs/filter", "variables/filter"):
        assert ask(port, path)[0] in {401, 403}  # 403: no CSRF token, and without the password none is to be had


def test_another_site_cannot_use_the_browser_of_somebody_who_is_logged_in(up):
    _, home, port = up
    login = base64.b64encode((home / "prefect/login").read_bytes().strip()).decode()
    mine = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    assert ask(port, "deployments/filter", **mine)[0] == 403  # no CSRF token
    _, headers = ask(port, "csrf-token?client=x", method="GET", Origin="https://elsewhere.example", **mine)
    assert headers.get("Access-Control-Allow-Origin") != "https://elsewhere.example"


def test_a_laptop_that_slept_for_a_week_catches_up_with_one_run(up, finished):
    client, _, _ = up
    deployment = client.read_deployment_by_name("nightly/nightly")
    now = datetime.now(UTC)
    late = [
        client.create_flow_run_from_deployment(
            deployment.id,
            parameters={"training": {"recipe": "mlp", "max_epochs": 8, "folds": 2}},
            state=Scheduled(scheduled_time=now - timedelta(days=days)),
        )
        for days in range(7)
    ]
    ended = [finish(client, run).state.type.value for run in late]
    assert sorted(ended) == ["CANCELLED"] * 6 + ["COMPLETED"]


def test_a_taken_port_is_one_clear_message(up):
    _, _, port = up
    done = subprocess.run(
        [sys.executable, "-m", "tenarai.cli.main", "up", "--port", str(port)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "taken" in done.stderr
