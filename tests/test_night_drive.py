"""Whole nights from the stand-in Drive, and the report back in it."""

import json
from pathlib import Path

import pytest

from flows.nightly import nightly
from tenarai.errors import UnusualChangesError
from tenarai.settings import TrainingSettings
from tests.collections_of_digits import fill, picture, save
from tests.stand_in import ROBOT, StandInDrive
from tests.stand_in.people import REFRESH_TOKEN, SECRET, WRITE, private_pem

QUICK = TrainingSettings(recipe="mlp", max_epochs=6, patience=2, folds=2)
NASTY = "<img src=x onerror=alert(1)> ../🖋️" + "x" * 270 + ".png"


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A Drive with nothing on it, and an environment that leads to it."""
    with StandInDrive() as drive:
        use(drive, tmp_path, monkeypatch, drive.people.authorised_user(WRITE))
        monkeypatch.setenv("TENARAI_DRIVE_API_ROOT", drive.root)
        monkeypatch.setenv("TENARAI_DRIVE_FIRST_WAIT", "0.01")
        monkeypatch.setenv("TENARAI_DRIVE_QUOTA_PER_MINUTE", "100000000")
        yield drive


@pytest.fixture
def server(empty, tmp_path):
    """Seven images a label, one in misread/, and an inbox."""
    folder = fill(tmp_path / "folder", num_each=7)
    fill(folder, num_each=1, labels="4", first=50, under="misread")
    for file in sorted(folder.rglob("*.png")):
        empty.tree.put(str(file.relative_to(folder)), file.read_bytes())
    empty.tree.put("inbox/what.png", save(tmp_path / "what.png", picture(1700)).read_bytes())
    empty.tree.add_file(NASTY, empty.tree.folder("inbox"), save(tmp_path / "nasty.png", picture(1701)).read_bytes())
    empty.tree.add_file("bad " + NASTY, empty.tree.folder("digits/3"), "no picture")
    return empty


@pytest.fixture
def unlabelled(empty, tmp_path):
    """An inbox of thirty images: nights on which nothing is trained."""
    for number in range(30):
        empty.tree.put(f"inbox/{number}.png", save(tmp_path / "one.png", picture(number)).read_bytes())
    return empty


def use(drive, place, monkeypatch, key):
    (place / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("TENARAI_DRIVE_CREDENTIALS", str(place / "key.json"))


def run_night(server, store, **given):
    server.calls.clear()
    source = f"drive:https://drive.google.com/drive/folders/{server.tree.root.id}"
    return nightly(source=source, store=str(store), training=QUICK, return_state=True, **given)


def reports(server):
    tree = server.tree
    folder = next(item for item in tree.children(tree.root) if item.name == "reports")
    return {file.name: file.data for file in tree.children(folder)}


def test_a_whole_night_on_drive_hands_its_report_back_and_the_second_night_is_quiet(prefect, server, tmp_path):
    store = tmp_path / "store"
    state = run_night(server, store)
    outcome = state.result()
    assert outcome.verdict in {"promoted", "kept"}
    assert outcome.problems == ()
    sent = reports(server)
    of_tonight = {f"{outcome.run} {outcome.verdict}.html", f"{outcome.run} sheet.pdf", f"{outcome.run} summary.png"}
    assert set(sent) == {"report.html", "sheet.pdf", "summary.png"} | of_tonight
    assert sent["report.html"] == Path(outcome.report).read_bytes()
    assert sent["sheet.pdf"].startswith(b"%PDF")
    record = json.loads(Path(outcome.report).with_name("report.json").read_text())
    assert record["source"] == f"drive:{server.tree.root.id}"
    assert (record["frozen"]["num_images"], len(record["frozen"]["rejections"])) == (73, 1)

    assert b"<img src=x" not in sent["report.html"]  # names are only text
    assert not [path for path in tmp_path.rglob("*") if "onerror" in path.name]
    _holds_no_secret(store, state)
    assert "On Google Drive: [Report](https://drive.google.com/file/d/" in _overview(state)

    second = run_night(server, store).result()
    assert second.verdict == "nothing new"
    assert server.calls[0] == "GET /drive/v3/changes"
    assert not server.count("alt=media") + server.count("POST")  # the newest report is renewed in its place
    assert set(reports(server)) == set(sent)
    assert json.loads(Path(second.report).with_name("report.json").read_text())["sync"]["shortcut"] is True

    third = run_night(server, store).result()  # what the second wrote into reports/ is no reason to look again
    assert json.loads(Path(third.report).with_name("report.json").read_text())["sync"]["shortcut"] is True


def _overview(state):
    """What the night shows first in the Prefect UI."""
    from prefect.client.orchestration import get_client

    from tenarai.orchestration.artifacts import find_artifacts

    with get_client(sync_client=True) as client:
        (artifact,) = find_artifacts(client, state.state_details.flow_run_id, "nightly-report")
    return artifact.data


def _holds_no_secret(store, state):
    """Neither the store nor what Prefect keeps of the run."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, LogFilter, LogFilterFlowRunId

    run_id = state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
        artifacts = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
        logs = client.read_logs(log_filter=LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))
    told = run.model_dump_json() + "".join(one.model_dump_json() for one in [*artifacts, *logs])
    everything = told.encode() + b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert artifacts
    for secret in (SECRET, REFRESH_TOKEN, "nobody-may-see", private_pem()[100:140]):
        assert secret.encode() not in everything


def test_a_night_whose_report_cannot_be_sent_is_still_a_night_and_says_so(prefect, unlabelled, tmp_path, monkeypatch):
    use(unlabelled, tmp_path, monkeypatch, unlabelled.people.service_account_key())
    unlabelled.tree.folder("reports").shares[ROBOT] = "writer"
    unlabelled.tree.put("reports/notes.txt")
    state = run_night(unlabelled, tmp_path / "store")
    outcome = state.result()
    assert state.is_completed()
    assert outcome.verdict == "nothing new"
    assert "could not be sent to Google Drive" in state.message
    assert "put a file named report.html there" in outcome.problems[0]
    assert Path(outcome.report).exists()


def test_a_mass_deletion_is_believed_when_the_form_says_so(prefect, unlabelled, tmp_path):
    store = tmp_path / "store"
    run_night(unlabelled, store).result()
    for file in list(unlabelled.tree.children(unlabelled.tree.folder("inbox")))[:25]:
        unlabelled.tree.trash(file)
    with pytest.raises(UnusualChangesError, match="--accept-changes"):
        run_night(unlabelled, store).result()
    outcome = run_night(unlabelled, store, accept_changes=True).result()
    assert json.loads(Path(outcome.report).with_name("report.json").read_text())["frozen"]["num_images"] == 5
