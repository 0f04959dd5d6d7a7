"""Practice sheets: what is printed is found again in a photo, and every filled box becomes a labelled image once."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tenarai.catalogue import open_catalogue
from tenarai.cli.main import main
from tenarai.cut import cut_files
from tenarai.errors import ImageError, SettingsError
from tenarai.locale import load, translate
from tenarai.prepare import NORMALISER_VERSION, normalise, prepare_images
from tenarai.records import EventKind, Role, State
from tenarai.settings import Settings, TrainingSettings
from tenarai.sheets.codes import PRIVATE, Sheet, make_sheet, recall_from
from tenarai.sheets.cut import cut_cells
from tenarai.sheets.find import find_sheet
from tenarai.sheets.layout import LAYOUTS, find_layout
from tenarai.sheets.pdf import TITLE, draw_pdf
from tenarai.sheets.plan import plan_labels
from tenarai.store import open_store
from tenarai.sync import open_source
from tests.collections_of_digits import picture, real_digits, save
from tests.photographs import (
    DENSITY,
    EMPTY,
    FILLED,
    STRUCK,
    Camera,
    bend,
    draw_camera,
    fill_in,
    photograph,
    print_sheet,
    spoil,
)

STRAIGHT = Camera(megapixels=3, tilt=8, towards=40, turn=3, shadow=0.2)


@pytest.fixture(scope="module")
def inks():
    """Real people's digits as ink, by label; letters are given the same, since a box's label is its place."""
    _, targets = real_digits()
    found = {}
    for label in range(10):
        pages = [(255 - picture(int(n), side=96)) / 255 for n in np.flatnonzero(targets == label)[:20]]
        found[str(label)] = [_crop(page) for page in pages]
    return found


def _crop(ink):
    rows, columns = (np.flatnonzero((ink > 0.3).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def sheet_of(labels="0123456789", paper="a4", store=None):
    layout = find_layout(paper)
    return make_sheet(layout, plan_labels(dict.fromkeys(labels, 0), layout.rows), store)


def written(sheet, inks, seed=0, **shares):
    by_label = {label: inks[label if label in inks else str(n % 10)] for n, label in enumerate(sheet.labels)}
    return fill_in(sheet, print_sheet(sheet), by_label, np.random.default_rng(seed), **shares)


def places(photo, recall=chr):
    return {(cell.row - 1, cell.column - 1): cell for cell in cut_cells(find_sheet(photo, recall))}


# ---- what a sheet says


@given(st.characters(exclude_categories=("Cc", "Cs", "Co", "Cn", "Zs", "Zl", "Zp", "Cf")))
def test_every_character_stands_on_a_sheet_by_itself_without_any_memory(character):
    sheet = make_sheet(LAYOUTS[0], [character] * 13, None)
    assert all(0 <= marker < 1000 for row in range(13) for marker in sheet.row_ids(row))
    left, right = sheet.row_ids(0)
    assert chr(1000 * left + right) == character


def test_a_label_of_several_characters_is_remembered_by_the_store(tmp_path):
    store = open_store(str(tmp_path))
    sheet = make_sheet(LAYOUTS[0], ["きゃ"] * 6 + ["cat"] * 6 + ["4"], store)
    assert [recall_from(store)(code) for code in sheet.codes] == list(sheet.labels)
    assert make_sheet(LAYOUTS[0], ["cat"] * 13, store).codes[0] == sheet.codes[6] >= PRIVATE
    assert recall_from(open_store(str(tmp_path / "other")))(sheet.codes[0]) is None
    with pytest.raises(SettingsError, match="several characters"):
        make_sheet(LAYOUTS[0], ["cat"] * 13, None)


def test_labels_are_planned_evenly_and_the_rarest_get_the_rows_that_are_left():
    rows = plan_labels({str(n): 10 * (n != 7) + n for n in range(10)}, 13)
    assert list(rows) == sorted(rows)
    assert [label for label in "0123456789" if rows.count(label) == 2] == ["0", "1", "7"]
    assert set(rows) == set("0123456789")
    assert set(plan_labels(dict(zip("あいうえお", (5, 1, 9, 0, 7), strict=True)), 2)) == {"い", "え"}
    assert plan_labels(dict.fromkeys(("10", "9", "b", "a"), 0), 4) == ("9", "10", "a", "b")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_same_sheet_and_date_give_the_same_bytes_and_both_are_printed(language):
    sheet = sheet_of("4あ漢👍", paper="letter")
    data = draw_pdf([sheet], language=language, date="2026-11-25")
    assert data == draw_pdf([sheet], language=language, date="2026-11-25")
    assert data != draw_pdf([sheet], language=language, date="2026-11-26")
    assert data.startswith(b"%PDF")
    assert len(data) < 200_000


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) reads the PDF's text")
@pytest.mark.parametrize("language", ["en", "ja"])
def test_title_and_date_can_be_read(tmp_path, language):
    (tmp_path / "sheet.pdf").write_bytes(draw_pdf([sheet_of()], language=language, date="2026-11-25"))
    text = subprocess.run(["pdftotext", tmp_path / "sheet.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert f"{translate(TITLE, language)} · 2026-11-25" in text


# ---- what a photo shows


def test_ten_photos_give_every_filled_box_with_its_label_and_no_other(inks):
    missed = taken = filled = wrong = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        sheet = sheet_of(paper=("a4", "letter")[seed % 2])
        paper = written(sheet, inks, seed)
        camera = draw_camera(rng)
        if seed:  # one of 12 megapixels is enough to wait for
            camera = replace(camera, megapixels=2 + camera.megapixels / 4)
        cells = places(photograph(paper.paper, camera, rng))
        filled += sum(state == FILLED for state in paper.truth.values())
        missed += sum(state == FILLED and place not in cells for place, state in paper.truth.items())
        taken += sum(paper.truth[place] == EMPTY for place in cells)
        wrong += sum(sheet.labels[row] != cell.label for (row, _), cell in cells.items())
        assert not [place for place in cells if paper.truth[place] == STRUCK], camera
    assert filled > 800
    assert (taken, wrong) == (0, 0)
    assert missed <= 0.01 * filled


def test_what_is_cut_is_the_digit_and_nothing_of_frame_label_or_shadow(inks):
    sheet = sheet_of()
    paper = written(sheet, inks, share_empty=0, share_struck=0)
    cells = places(photograph(paper.paper, STRAIGHT, np.random.default_rng(0)))
    alike = []
    for place, cell in cells.items():
        before = normalise(np.uint8(255 - 255 * np.pad(paper.ink[place], 12)))
        after = np.pad(normalise(cell.picture), 2)
        alike.append(cv2.matchTemplate(after, before, cv2.TM_CCOEFF_NORMED).max())
    assert np.mean(np.array(alike) > 0.8) > 0.98


@pytest.mark.parametrize("how", [{"lens": 0.08}, {"lens": -0.08}, {"wave": 0.005}], ids=str)
def test_a_crooked_lens_and_bent_paper_are_followed_along_the_printed_frames(how, inks):
    sheet = sheet_of()
    paper = written(sheet, inks, 4, share_empty=0.3)
    cells = places(bend(photograph(paper.paper, STRAIGHT, np.random.default_rng(5)), **how))
    assert set(cells) == {place for place, state in paper.truth.items() if state == FILLED}


@pytest.mark.skipif(not shutil.which("pdftoppm"), reason="pdftoppm (poppler-utils) prints the PDF to pixels")
def test_the_pdf_itself_is_found_in_a_photo_and_its_print_is_not_taken_for_writing(tmp_path, inks):
    sheet = sheet_of("0123あいう漢")
    (tmp_path / "sheet.pdf").write_bytes(draw_pdf([sheet], date="2026-11-25"))
    subprocess.run(["pdftoppm", "-r", str(25.4 * DENSITY), "-png", "sheet.pdf", "sheet"], cwd=tmp_path, check=True)
    paper = cv2.imread(str(next(tmp_path.glob("*.png"))))
    found = find_sheet(photograph(paper, STRAIGHT, np.random.default_rng(1)), chr)
    assert found.sheet == sheet
    assert list(cut_cells(found)) == []


def test_a_photo_with_a_marker_covered_torn_or_exchanged_is_always_refused_with_a_reason(inks):
    camera = replace(STRAIGHT, megapixels=2.2)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        sheet = sheet_of(paper=("a4", "letter")[seed % 2])
        with pytest.raises(ImageError, match="marker") as refused:
            find_sheet(photograph(spoil(print_sheet(sheet), sheet, rng), camera, rng), chr)
        assert "photograph the whole sheet" in refused.value.what


def test_rows_of_two_sheets_do_not_make_one(inks):
    mine, other = print_sheet(sheet_of("0123")), print_sheet(sheet_of("4567"))
    mine[1000:2000] = other[1000:2000]
    with pytest.raises(ImageError, match="belong to different sheets"):
        find_sheet(photograph(mine, STRAIGHT, np.random.default_rng(0)), chr)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda photo: np.full_like(photo, 127), "no practice sheet"),
        (lambda photo: np.ascontiguousarray(photo[:, ::-1]), "no practice sheet|cannot be"),
        (lambda photo: np.concatenate([photo, photo], axis=1), "several sheets"),
        (lambda photo: photo[: photo.shape[0] // 2], "cannot be seen"),
        (lambda photo: cv2.resize(photo, None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA), "too small|cannot be"),
    ],
    ids=["no sheet", "mirrored", "two sheets", "half a sheet", "too small"],
)
def test_other_photos_are_refused_with_their_reason(change, reason):
    photo = photograph(print_sheet(sheet_of()), STRAIGHT, np.random.default_rng(0))
    with pytest.raises(ImageError, match=reason):
        find_sheet(change(photo), chr)


def test_a_sheet_of_a_later_layout_is_refused():
    class Later:
        """Layout 0 under a number that nobody gave out yet."""

        def __getattr__(self, name):
            return 200 if name == "number" else getattr(LAYOUTS[0], name)

    sheet = Sheet(Later(), ("4",) * 13, (52,) * 13)
    with pytest.raises(ImageError, match="number 200"):
        find_sheet(photograph(print_sheet(sheet), STRAIGHT, np.random.default_rng(0)), chr)


# ---- from photos to labelled images


class Folder:
    """A source with its store and catalogue."""

    def __init__(self, root):
        self.root = root / "folder"
        self.source = f"folder:{self.root}"
        self.store = open_store(str(root / "store"))
        self.catalogue = open_catalogue(f"sqlite:///{root / 'store' / 'catalogue.sqlite'}")
        self.nights = 0
        save(self.root / "digits" / "4" / "own.png", picture(4))

    def put(self, name, photo):
        return save(self.root / "sheets" / name, photo[..., ::-1])

    def night(self):
        self.nights += 1
        run = f"r{self.nights}"
        settings = Settings(source=self.source)
        self.synced = open_source(settings).sync(self.store, self.catalogue, run)
        return cut_files(self.store, self.catalogue, settings, run)

    def cells(self, *states):
        rows = self.catalogue.images(self.source, roles=(Role.DIGITS,), states=states or (State.OK,))
        return [row for row in rows if row.photo_id]

    def kinds(self):
        return [event.kind for event in self.catalogue.events(self.source, f"r{self.nights}")]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def photo(inks):
    """A photo with ten filled boxes and no other."""
    sheet = sheet_of("0123456789")
    paper = written(sheet, inks, 5, share_empty=1)
    some = written(sheet, inks, 6, share_empty=0, share_struck=0)
    for row in range(10):
        part = _pixels(sheet.layout.box(row, row))
        paper.paper[part] = some.paper[part]
    return photograph(paper.paper, STRAIGHT, np.random.default_rng(2))


def _pixels(box):
    left, top, side = (round(v * DENSITY) for v in (box.x, box.y, box.side))
    return slice(top, top + side), slice(left, left + side)


def test_filled_boxes_become_labelled_images_that_name_their_photo(folder, photo):
    folder.put("monday.png", photo)
    result = folder.night()
    assert (result.num_files, result.num_cut, result.num_new, result.num_refused) == (1, 1, 10, 0)
    cells = folder.cells()
    labels = sheet_of().labels
    assert {cell.path for cell in cells} == {
        f"sheets/monday.png#{labels[n]} (row {n + 1}, column {n + 1})" for n in range(10)
    }
    assert {cell.label for cell in cells} == set(labels[:10])
    assert {cell.photo_id for cell in cells} == {"sheets/monday.png"}
    assert folder.kinds().count(EventKind.ADDED) == 2 + 10
    prepare_images(folder.store, folder.catalogue, folder.source, Settings())
    digits = folder.catalogue.digits(NORMALISER_VERSION)
    assert all(digits[cell.sha256].pixels for cell in cells)
    assert folder.catalogue.rejections(folder.source, NORMALISER_VERSION) == []


def test_a_photo_is_cut_once_whatever_its_name_becomes(folder, photo, monkeypatch):
    file = folder.put("monday.png", photo)
    folder.night()
    before = {cell.sha256 for cell in folder.cells()}
    monkeypatch.setattr("tenarai.cut.find_sheet", lambda *_: pytest.fail("it was cut again"))
    assert folder.night().num_cut == 0
    assert folder.kinds() == []
    file.rename(file.with_name("tuesday.png"))
    result = folder.night()
    assert (result.num_cut, result.num_new, result.num_gone) == (0, 0, 0)
    assert folder.kinds() == [EventKind.MOVED] * 11
    assert {cell.sha256 for cell in folder.cells()} == before
    assert all(cell.path.startswith("sheets/tuesday.png#") for cell in folder.cells())


def test_cells_go_with_their_photo_and_come_back_with_it_uncut(folder, photo, monkeypatch, tmp_path):
    file = folder.put("monday.png", photo)
    folder.night()
    monkeypatch.setattr("tenarai.cut.find_sheet", lambda *_: pytest.fail("it was cut again"))
    file.rename(tmp_path / "trash.png")
    assert folder.night().num_gone == 10
    assert folder.cells() == []
    assert len(folder.cells(State.GONE)) == 10
    assert folder.night().num_gone == 0
    (tmp_path / "trash.png").rename(file)
    assert folder.night().num_new == 10
    assert folder.kinds().count(EventKind.BACK) == 11
    assert {cell.first_run for cell in folder.cells()} == {"r1"}


def test_a_later_sync_does_not_take_cells_for_vanished_files(folder, photo):
    folder.put("monday.png", photo)
    folder.night()
    folder.night()
    assert folder.synced.num_gone == 0
    assert folder.synced.num_differences == 0
    assert len(folder.cells()) == 10


def test_another_photo_under_the_same_name_replaces_the_cells(folder, photo, inks):
    folder.put("monday.png", photo)
    folder.night()
    before = {cell.sha256 for cell in folder.cells()}
    paper = written(sheet_of("ab"), inks, 9, share_empty=0.5)
    folder.put("monday.png", photograph(paper.paper, STRAIGHT, np.random.default_rng(4)))
    folder.night()
    assert {cell.label for cell in folder.cells()} == {"a", "b"}
    assert len(folder.cells()) == sum(state == FILLED for state in paper.truth.values())
    assert not before & {cell.sha256 for cell in folder.cells()}


def test_a_photo_that_shows_no_whole_sheet_is_listed_with_its_reason_and_looked_at_once(folder, photo, monkeypatch):
    file = folder.put("half.png", photo[: photo.shape[0] // 2])
    save(folder.root / "sheets" / "note.png", np.frombuffer(b"x" * 64, np.uint8).reshape(8, 8))
    (folder.root / "sheets" / "letter.png").write_text("Dear diary")
    folder.put("blank.png", photograph(print_sheet(sheet_of()), STRAIGHT, np.random.default_rng(0)))
    assert folder.night().num_refused == 4
    reasons = {r.path: load(r.reason) for r in folder.catalogue.rejections(folder.source, NORMALISER_VERSION)}
    assert "cannot be seen" in reasons["sheets/half.png"]
    assert "no practice sheet" in reasons["sheets/note.png"]
    assert "not an image" in reasons["sheets/letter.png"]
    assert "nothing is written" in reasons["sheets/blank.png"]
    monkeypatch.setattr("tenarai.cut.find_sheet", lambda *_: pytest.fail("it was looked at again"))
    assert folder.night().num_cut == 0
    assert len(folder.catalogue.rejections(folder.source, NORMALISER_VERSION)) == 4
    file.unlink()
    folder.night()
    assert len(folder.catalogue.rejections(folder.source, NORMALISER_VERSION)) == 3


def test_words_come_from_the_store_that_printed_the_sheet_and_no_other(folder, inks, tmp_path):
    sheet = sheet_of(["きゃ", "犬"], store=folder.store)
    paper = written(sheet, inks, 3, share_empty=0.8, share_struck=0)
    folder.put("words.png", photograph(paper.paper, STRAIGHT, np.random.default_rng(3)))
    folder.night()
    assert {cell.label for cell in folder.cells()} == {"きゃ", "犬"}
    (tmp_path / "elsewhere").mkdir()
    stranger = Folder(tmp_path / "elsewhere")
    stranger.put("words.png", photograph(paper.paper, STRAIGHT, np.random.default_rng(3)))
    assert stranger.night().num_refused == 1
    (rejection,) = stranger.catalogue.rejections(stranger.source, NORMALISER_VERSION)
    assert "only the store that printed the sheet" in rejection.reason


# ---- nights and commands


def test_a_night_learns_from_a_photo_alone_and_offers_the_next_sheet(prefect, tmp_path, inks):
    from flows.nightly import nightly

    paper = written(sheet_of("0123456789"), inks, 1)
    photo = photograph(paper.paper, STRAIGHT, np.random.default_rng(1))
    save(tmp_path / "folder" / "sheets" / "monday.jpg", photo[..., ::-1])
    quick = TrainingSettings(recipe="mlp", max_epochs=6, patience=2, folds=2)
    given = {"source": f"folder:{tmp_path / 'folder'}", "store": str(tmp_path / "store"), "training": quick}
    outcome = nightly(**given, return_state=True).result()
    assert outcome.verdict in {"promoted", "kept"}
    report = json.loads(Path(outcome.report).with_name("report.json").read_text())
    assert report["frozen"]["num_images"] == sum(state == FILLED for state in paper.truth.values())
    assert report["frozen"]["info"]["labels"] == list("0123456789")
    assert Path(outcome.report).with_name("sheet.pdf").read_bytes().startswith(b"%PDF")
    assert report["sheet"] == "sheet.pdf"
    assert 'download="sheet.pdf"' in Path(outcome.report).read_text()
    assert nightly(**given, return_state=True).result().verdict == "nothing new"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("STORE", "SOURCE", "PRACTICE_SHEET", "LANGUAGE"):
        monkeypatch.delenv(f"TENARAI_{name}", raising=False)
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


def test_the_command_writes_a_sheet_without_store_or_night(run, tmp_path):
    done = run("sheet", "--for", "4,7,あ", "--paper", "letter")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")
    assert not list(tmp_path.glob(".tenarai*"))


def test_labels_mean_what_a_folder_of_that_name_means_however_they_are_typed(run, monkeypatch):
    shown = []
    monkeypatch.setattr("tenarai.sheets.plan.draw_pdf", lambda sheets, **given: shown.extend(sheets) or b"%PDF")
    assert run("sheet", "--for", "４，７、あ").exit_code == 0
    assert set(shown[0].labels) == {"4", "7", "あ"}


@pytest.mark.parametrize("labels", ["cat", "\x07"])
def test_a_label_that_cannot_be_printed_or_remembered_is_one_clear_message(run, labels):
    done = run("sheet", "--for", labels)
    assert done.exit_code == 1
    assert "the label" in done.output or "cannot be a label" in done.output


def test_a_sheet_is_weighted_by_what_the_source_has(run, tmp_path, folder, monkeypatch):
    shown = []
    monkeypatch.setattr("tenarai.sheets.plan.draw_pdf", lambda sheets, **given: shown.extend(sheets) or b"%PDF")
    for label, number in (("1", 3), ("2", 1), ("7", 2)):
        for n in range(number):
            save(folder.root / "digits" / label / f"{n}.png", picture(100 + 10 * n + int(label)))
    folder.night()
    done = run("sheet", "--source", folder.source, "--store", tmp_path / "store")
    assert done.exit_code == 0, done.output
    (sheet,) = shown
    assert {label: sheet.labels.count(label) for label in "1247"} == {"1": 3, "2": 4, "4": 3, "7": 3}
