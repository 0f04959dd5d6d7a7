"""The Prefect UI as a person uses it: log in, fill in the form, watch the run end, look at what it shows."""

import contextlib
import re
import shutil

import pytest
from playwright.sync_api import TimeoutError, expect
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from tests.browser import chromium
from tests.collections_of_digits import fill, picture, save
from tests.serving import finish, serve, start, wait

pytestmark = pytest.mark.ui
HOSTILE = "<img src=x onerror=alert(1)>.png"
MARKDOWN = "*bold* _x_ [link](javascript:alert(1)) | `code`.png"
LONG = "a_copy_with_a_name_" + "without_any_place_to_break_" * 4 + ".png"
PATIENCE = 120_000  # milliseconds
CUT_OFF = """width => [...document.querySelectorAll("h1, h2, p, li, img, table")]
    .filter(one => one.getBoundingClientRect().right > width).map(one => one.textContent)"""


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    home = tmp_path_factory.mktemp("up")
    folder = fill(home / "folder", num_each=8)
    fill(folder, num_each=1, labels="47", first=50, under="misread")
    save(folder / "inbox" / "a.png", picture(1700)).rename(folder / "inbox" / HOSTILE)
    save(folder / "misread" / "3" / "b.png", picture(4)[::-1]).rename(folder / "misread" / "3" / MARKDOWN)
    shutil.copy(next((folder / "digits" / "5").iterdir()), folder / "digits" / "5" / LONG)
    with serve(home, folder) as (client, port):
        yield client, f"http://127.0.0.1:{port}", (home / "prefect/login").read_text().strip()


@pytest.fixture(scope="module")
def page(up):
    """A page that is logged in; it reaches this machine's server and nothing else."""
    _, root, login = up
    port = root.rpartition(":")[2]
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        pages = root.replace(port, str(int(port) + 1))
        context.route(re.compile(f"^(?!{re.escape(root)}|{re.escape(pages)})"), lambda route: route.abort())
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.dialogs = []
        page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(root)
        page.locator("input[type=password]").fill(login)
        page.keyboard.press("Enter")
        page.wait_for_url("**/dashboard**")
        yield page


@pytest.fixture(scope="module")
def finished(up, page):
    """The run that was started from the form with two of its fields changed."""
    client, root, _ = up
    deployment = client.read_deployment_by_name("nightly/nightly")
    page.goto(f"{root}/v2/deployments/deployment/{deployment.id}")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    page.wait_for_load_state("networkidle")  # what is typed before the form's defaults arrive is lost
    for _ in range(3):  # a form that is still filling itself in takes no submission, and forgets what was typed
        for field, value in (("Epochs at most", "6"), ("Folds", "2")):
            page.get_by_label(field).fill(value)
            expect(page.get_by_label(field)).to_have_value(value)
        page.get_by_role("button", name="Submit").click()
        with contextlib.suppress(TimeoutError):
            page.wait_for_url(lambda url: "/run?" not in url, timeout=30_000)
            break

    def find_run():
        mine = (run for run in client.read_flow_runs() if run.deployment_id == deployment.id)
        return next((run for run in mine if not run.auto_scheduled), None)

    run = wait(find_run, 120)
    return finish(client, run, seconds=600)


def open_latest(page):
    """From an artifact's history to its latest version."""
    page.locator("a[href*='/artifacts/artifact/']").first.click()


def test_the_form_says_what_every_field_means(up, page):
    client, root, _ = up
    deployment = client.read_deployment_by_name("nightly/nightly")
    page.goto(f"{root}/v2/deployments/deployment/{deployment.id}/run?parameters=%7B%7D")
    for words in (
        "Epochs at most",
        "EarlyStopping usually ends sooner.",
        "Risk of a wrong promotion",
        "Share held out",
    ):
        page.get_by_text(words).first.wait_for()


def test_the_run_was_given_what_the_form_said_and_completes(finished):
    assert finished.parameters["training"] == {**finished.parameters["training"], "max_epochs": 6, "folds": 2}
    assert finished.state.is_completed(), finished.state.message


def test_the_list_of_runs_shows_verdict_date_and_how_it_ended(up, page, finished):
    _, root, _ = up
    page.goto(f"{root}/v2/runs/flow-run/{finished.id}")
    page.get_by_text(finished.state.name).first.wait_for()
    assert re.fullmatch(r"(Promoted|Kept) · \d+ \w+", finished.name)
    page.get_by_text(finished.name).first.wait_for()


def artifacts_of(client, run):
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    return {artifact.key: artifact for artifact in client.read_artifacts(artifact_filter=mine)}


def open_artifact(page, root, artifact, ui):
    """Open an artifact in the UI V1 (at the top) or V2, and wait for its pictures."""
    page.goto(f"{root}{ui}/artifacts/artifact/{artifact.id}")
    page.get_by_text(re.match(r"(?:#+ )?(.+)", artifact.data)[1].replace("\\", "")).first.wait_for()
    if "](data:" in artifact.data:
        page.locator("img[src^='data:']").first.wait_for()
    wait(lambda: page.evaluate("[...document.images].every(image => image.complete)"), 60)


@pytest.mark.parametrize("ui", ["", "/v2"])
@pytest.mark.parametrize("width", [390, 1280])
def test_artifacts_are_legible_in_both_uis_and_names_are_text(up, page, finished, ui, width):
    client, root, _ = up
    found = artifacts_of(client, finished)
    page.set_viewport_size({"width": width, "height": 844})
    for key in ("nightly-report", "hard-cases", "check-labels", "inbox", "curves", "champions", "training"):
        open_artifact(page, root, found[key], ui)
        widths = page.evaluate("[...document.images].filter(i => i.src.startsWith('data:')).map(i => i.clientWidth)")
        assert min(widths, default=40 if key == "champions" else 0) >= 40, key  # pixels on the screen
        assert page.locator("img[src='x'], a[href^='javascript']").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT_OFF, width) == [], key
        if key == "nightly-report" and width == 390:
            assert page.get_by_role("heading", name="Today").bounding_box()["y"] < 2 * 844
    for key, name in (("hard-cases", f"misread/3/{MARKDOWN}"), ("inbox", f"inbox/{HOSTILE}")):
        open_artifact(page, root, found[key], ui)
        page.get_by_text(name).first.wait_for()
    assert page.dialogs == []


def test_every_link_of_the_report_opens_with_the_same_login(up, page, finished):
    client, root, login = up
    open_artifact(page, root, artifacts_of(client, finished)["nightly-report"], "/v2")
    links = page.evaluate("[...document.links].map(link => link.href)")
    links = [link for link in links if "/reports/" in link]
    assert {link.partition("#")[0].rpartition("/")[2] for link in links} == {"report.html", "summary.png", "sheet.pdf"}
    assert any(link.endswith("#inbox") for link in links)
    page.goto(links[0])
    page.locator("input[type=password]").fill(login)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Today").wait_for()
    for link in links:
        answer = page.request.get(link)
        assert answer.ok, link
        anchor = link.partition("#")[2]
        assert not anchor or f'id="{anchor}"' in answer.text()


def test_the_curves_of_the_training_are_a_picture(up, page, finished):
    _, root, _ = up
    page.goto(f"{root}/v2/artifacts/key/training")
    open_latest(page)
    picture = page.locator("img[src^='data:image/svg']").first
    picture.wait_for()
    assert picture.evaluate("image => image.clientWidth") > 300


def test_while_it_trains_the_open_page_goes_on_and_the_curve_grows(up, page):
    client, root, _ = up
    slow = {"recipe": "cnn", "max_epochs": 60, "patience": 60, "folds": 3}
    run = start(client, force=True, training=slow)
    wait(lambda: client.read_flow_run(run.id).state.is_running(), 120)
    page.goto(f"{root}/v2/runs/flow-run/{run.id}")  # never reloaded
    lines, curves = set(), set()
    while not client.read_flow_run(run.id).state.is_final():
        lines |= set(re.findall(r"fold \d of 3, epoch \d+", page.locator("body").inner_text()))
        if training := artifacts_of(client, run).get("training"):
            curves.add(training.data)
        page.wait_for_timeout(1000)
    assert len(lines) >= 2
    assert len(curves) >= 3
    assert {key for key, artifact in artifacts_of(client, run).items() if artifact.type == "progress"} == {"progress"}


def test_a_failed_night_shows_cause_and_fix_on_a_phone(up, page):
    client, root, _ = up
    deployment = client.read_deployment_by_name("nightly/nightly")
    run = client.create_flow_run_from_deployment(deployment.id, parameters={"source": "folder:/nowhere/photos"})
    failed = finish(client, run)
    assert failed.name.startswith("Failed · ")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{root}/v2/runs/flow-run/{failed.id}?tab=Artifacts")
    page.get_by_text("what-to-do").first.wait_for()
    page.goto(f"{root}/v2/artifacts/key/what-to-do")
    open_latest(page)
    for words in ("What happened", "/nowhere/photos", "What to do", "check the path and its permissions"):
        page.get_by_text(words).first.wait_for()
        assert page.get_by_text(words).first.bounding_box()["y"] < 844
    page.set_viewport_size({"width": 1280, "height": 1000})
