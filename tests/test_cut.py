"""One file, several samples: rows of a character, labels of several characters, and the pages of a PDF."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from tenarai.catalogue import open_catalogue
from tenarai.cut import cut_files
from tenarai.dataset import freeze
from tenarai.evaluate.inbox import read_inbox
from tenarai.evaluate.suspects import find_duplicates
from tenarai.prepare import NORMALISER_VERSION, prepare_images
from tenarai.records import Event, EventKind, Role, State
from tenarai.report.pictures import Pictures
from tenarai.settings import Settings
from tenarai.store import open_store
from tenarai.sync import open_source
from tests.collections_of_digits import fill, picture, real_digits, save

MORE = "there is more than one character"


def numbers_of(label, count, *, first=0):
    return np.flatnonzero(real_digits()[1] == int(label))[first : first + count].tolist()


def write(*lines):
    """A photo of these digits of the set, line by line, as (H, W) uint8."""
    rows = [np.hstack([picture(number, side=80) for number in line]) for line in lines]
    wide = max(row.shape[1] for row in rows)
    rows = [cv2.copyMakeBorder(row, 0, 0, 0, wide - row.shape[1], cv2.BORDER_CONSTANT, value=255) for row in rows]
    return cv2.copyMakeBorder(np.vstack(rows), 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=255)


def touching():
    """Several digits of which some run into each other: it is seen that there are many, not where each ends."""
    row = write(numbers_of("4", 3))
    row[60:66, 40:-40] = 20
    return row


def pdf(*pages):
    first, *rest = [Image.fromarray(page) for page in pages]
    file = io.BytesIO()
    first.save(file, "PDF", save_all=True, append_images=rest, resolution=100)
    return file.getvalue()


class Folder:
    """A source with its store, and nights that go as far as the snapshot."""

    def __init__(self, root):
        self.root, self.source = root / "folder", f"folder:{root / 'folder'}"
        self.store = open_store(str(root / "store"))
        self.catalogue = open_catalogue(f"sqlite:///{root / 'store' / 'catalogue.sqlite'}")
        self.settings, self.nights = Settings(_env_file=None, source=self.source), 0
        (self.root / "inbox").mkdir(parents=True)

    def put(self, path, content):
        file = self.root / path
        if isinstance(content, np.ndarray):
            return save(file, content)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def night(self):
        self.nights += 1
        run = f"r{self.nights}"
        open_source(self.settings).sync(self.store, self.catalogue, run)
        prepare_images(self.store, self.catalogue, self.source, self.settings)
        return cut_files(self.store, self.catalogue, self.settings, run)

    def samples(self, *roles):
        """Usable images that have a digit, by path."""
        usable = self.catalogue.fingerprints(NORMALISER_VERSION)
        images = self.catalogue.images(self.source, roles=roles or None)
        return [image for image in images if image.sha256 in usable]

    def paths(self, *roles):
        return [image.path for image in self.samples(*roles)]

    def labels(self):
        return [image.label for image in self.samples()]

    def kinds(self, path=""):
        events = self.catalogue.events(self.source, f"r{self.nights}")
        return [event.kind for event in events if event.path.startswith(path)]

    def reasons(self):
        return {one.path: str(one.reason) for one in self.catalogue.rejections(self.source, NORMALISER_VERSION)}

    def freeze(self):
        return freeze(
            self.catalogue.images(self.source),
            self.catalogue.fingerprints(NORMALISER_VERSION),
            lambda sha256s: self.catalogue.pixels(NORMALISER_VERSION, sha256s),
            normaliser=NORMALISER_VERSION,
            test_share=0.5,
        )


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def row():
    """A photo of six fours in two lines."""
    fours = numbers_of("4", 6)
    return write(fours[:4], fours[4:])


# ---- rows and pages of one character


def test_a_row_becomes_as_many_samples_each_with_its_place_in_the_photo(folder, row):
    folder.put("digits/4/row.png", row)
    result = folder.night()
    assert (result.num_files, result.num_cut, result.num_new, result.num_refused) == (1, 1, 6, 0)
    samples = folder.samples()
    digits = folder.catalogue.digits(NORMALISER_VERSION)
    assert {digits[sample.sha256].doubt for sample in samples} == {""}
    assert [sample.path for sample in samples] == [f"digits/4/row.png (character {n})" for n in range(1, 7)]
    assert {(sample.label, sample.role) for sample in samples} == {("4", Role.DIGITS)}
    assert {sample.photo_id for sample in samples} == {"digits/4/row.png"}
    assert folder.reasons() == {}
    boxes = [[int(share) for share in sample.file_id.partition("@")[2].split(",")] for sample in samples]
    assert boxes == sorted(boxes, key=lambda box: (box[1] > 400, box[0]))
    assert all(0 < left < left + wide < 1000 and 0 < top < top + high < 1000 for left, top, wide, high in boxes)


def test_each_sample_is_shown_as_its_part_of_the_photo(folder, row):
    folder.put("digits/4/row.png", row)
    folder.night()
    pictures = Pictures(folder.store, folder.catalogue)
    for sample in folder.samples():
        shown = cv2.imdecode(np.frombuffer(pictures.thumbnail(sample.sha256), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert 0.4 < shown.shape[1] / shown.shape[0] < 2.5
        assert shown[0].min() > 200  # nothing of its neighbours
        assert pictures.digit(sample.sha256).max() == 255


def test_a_second_night_cuts_nothing_again_and_changes_nothing(folder, row, monkeypatch):
    folder.put("digits/4/row.png", row)
    folder.night()
    monkeypatch.setattr("tenarai.cut.cut_characters", lambda *_: pytest.fail("it was cut again"))
    assert folder.night().num_cut == 0
    assert folder.kinds() == []


def test_a_row_that_moves_takes_its_samples_to_the_other_label(folder, row, monkeypatch):
    file = folder.put("digits/4/row.png", row)
    folder.put("digits/7/one.png", picture(numbers_of("7", 1)[0]))
    folder.night()
    before = {sample.sha256 for sample in folder.samples()}
    monkeypatch.setattr("tenarai.cut.cut_characters", lambda *_: pytest.fail("it was cut again"))
    (folder.root / "digits/9").mkdir()
    file = file.rename(folder.root / "digits/9/row.png")
    folder.night()
    assert folder.labels() == ["7"] + ["9"] * 6
    assert {sample.sha256 for sample in folder.samples()} == before
    assert folder.kinds() == [EventKind.RELABELLED] * 7
    file.unlink()
    assert folder.night().num_gone == 6
    assert folder.paths() == ["digits/7/one.png"]


def test_a_row_in_misread_is_as_many_regression_images(folder, row):
    folder.put("misread/4/row_as_9.png", row)
    fill(folder.root, num_each=2, labels="01234")
    folder.night()
    samples = folder.samples(Role.MISREAD)
    assert len(samples) == 6
    assert {sample.was_read_as for sample in samples} == {"9"}
    assert folder.freeze().snapshot.info.num_regression == 6


def test_samples_of_one_photo_share_their_split_and_a_copy_of_the_photo_shares_it_too(folder):
    for label in "0123456789":
        folder.put(f"digits/{label}/row.png", write(numbers_of(label, 6)))
        folder.put(f"digits/{label}/other.png", write(numbers_of(label, 5, first=6)))
    folder.night()
    again = cv2.imencode(".jpg", cv2.imread(str(folder.root / "digits/4/row.png")), [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    folder.put("digits/4/row again.jpg", again.tobytes())
    folder.night()
    snapshot = folder.freeze().snapshot
    split_of = dict(zip(snapshot.sha256.tolist(), snapshot.splits.tolist(), strict=True))
    splits = {}
    for sample in folder.samples():
        splits.setdefault(sample.photo_id.replace(" again.jpg", ".png"), set()).add(split_of[sample.sha256])
    assert len(splits) == 20
    assert all(len(found) == 1 for found in splits.values())
    assert {"train"} in splits.values()
    assert {"test"} in splits.values()
    copies = find_duplicates(folder.samples(), folder.catalogue.fingerprints(NORMALISER_VERSION))
    assert [(copy.path, copy.other_path) for copy in copies] == [
        ("digits/4/row again.jpg (character 1)", "digits/4/row.png (character 1)")
    ]


def test_characters_that_cannot_be_told_apart_are_refused_once_and_never_trained_on(folder, monkeypatch):
    folder.put("digits/4/row.png", write(numbers_of("4", 3)))
    monkeypatch.setattr("tenarai.cut.cut_characters", lambda page: [])
    result = folder.night()
    assert (result.num_cut, result.num_refused, result.num_new) == (1, 1, 0)
    assert folder.samples() == []
    assert folder.reasons() == {"digits/4/row.png": MORE}
    monkeypatch.setattr("tenarai.cut.cut_characters", lambda *_: pytest.fail("it was looked at again"))
    assert folder.night().num_cut == 0


def test_a_row_that_runs_together_is_refused_or_cut_and_never_trained_on_as_one_character(folder):
    partly = write(numbers_of("4", 4))
    partly[60:66, 60:140] = 20
    folder.put("digits/4/partly.png", partly)
    folder.put("digits/4/touching.png", touching())
    result = folder.night()
    assert folder.reasons() == {"digits/4/touching.png": MORE}
    assert folder.paths() == [f"digits/4/partly.png (character {n})" for n in range(1, len(folder.paths()) + 1)]
    assert len(folder.paths()) > 1
    assert result.num_refused == 1


def test_a_six_in_two_pieces_is_one_sample_and_unsure_and_two_digits_in_a_column_are_two(folder):
    page = np.full((220, 200), 235, np.uint8)
    cv2.line(page, (74, 88), (66, 104), 40, 12, cv2.LINE_AA)
    cv2.circle(page, (82, 142), 16, 40, 12, cv2.LINE_AA)
    folder.put("digits/6/pieces.png", page)
    folder.put("digits/4/two.png", write(*([number] for number in numbers_of("4", 2))))
    folder.night()
    assert folder.paths() == ["digits/4/two.png (character 1)", "digits/4/two.png (character 2)", "digits/6/pieces.png"]
    assert folder.catalogue.digits(NORMALISER_VERSION)[folder.samples()[-1].sha256].doubt == MORE


def test_a_night_that_was_killed_between_preparing_and_cutting_is_completed(folder, row):
    folder.put("digits/4/row.png", row)
    open_source(folder.settings).sync(folder.store, folder.catalogue, "r0")
    prepare_images(folder.store, folder.catalogue, folder.source, folder.settings)
    assert folder.samples() == []
    assert folder.night().num_new == 6


# ---- labels of several characters


def test_a_label_of_several_characters_takes_them_together(folder):
    folder.put("digits/25/a.png", write([numbers_of("2", 1)[0], numbers_of("5", 1)[0]]))
    folder.put("digits/4/row.png", write(numbers_of("4", 3)))
    folder.night()
    assert folder.labels() == ["25", "4", "4", "4"]
    pixels = folder.catalogue.digits(NORMALISER_VERSION)[folder.samples(Role.DIGITS)[0].sha256].pixels
    columns = np.frombuffer(pixels, np.uint8).reshape(28, 28).max(axis=0) > 60
    assert np.diff(columns.astype(int)).tolist().count(1) == 2  # both are in it, side by side


def test_a_photo_with_more_characters_than_its_label_is_refused(folder):
    folder.put("digits/25/row.png", write([numbers_of("2", 1)[0], numbers_of("5", 1)[0]] * 2))
    folder.night()
    assert folder.samples() == []
    assert folder.reasons() == {"digits/25/row.png": "it shows 4 characters, its label has 2"}


def test_a_photo_that_gets_a_longer_label_is_one_sample_and_in_parts_again_when_it_goes_back(folder):
    page = write([numbers_of("2", 1)[0], numbers_of("5", 1)[0]])
    file = folder.put("inbox/a.png", page)
    fill(folder.root, num_each=1)
    folder.night()
    assert len(folder.paths(Role.INBOX)) == 2
    (folder.root / "digits/25").mkdir()
    file = file.rename(folder.root / "digits/25/a.png")
    folder.night()
    assert folder.paths(Role.INBOX) == []
    assert "digits/25/a.png" in folder.paths(Role.DIGITS)
    assert EventKind.GONE in folder.kinds("digits/25/a.png (character") + folder.kinds("inbox/a.png (character")
    file.rename(folder.root / "inbox/a.png")
    folder.night()
    assert len(folder.paths(Role.INBOX)) == 2


def test_strokes_that_stand_apart_stay_together_where_the_labels_have_them(folder):
    two_strokes = np.full((200, 200), 250, np.uint8)
    cv2.line(two_strokes, (60, 50), (70, 140), 20, 8)
    cv2.line(two_strokes, (135, 60), (145, 130), 20, 8)
    folder.put("digits/い/a.png", two_strokes)
    folder.put("digits/4/row.png", write(numbers_of("4", 3)))
    folder.night()
    assert sorted(folder.labels()) == ["4", "4", "4", "い"]


# ---- the inbox


def test_a_row_in_the_inbox_is_read_as_a_whole(folder):
    folder.put("inbox/row.png", write([numbers_of(label, 1)[0] for label in "0143"]))
    folder.put("inbox/one.png", picture(numbers_of("7", 1)[0]))
    folder.night()
    cases = {case.path: case for case in read_inbox(folder.store, folder.catalogue, folder.source)}
    assert cases["inbox/row.png"].champion.label == "0143"
    assert cases["inbox/one.png"].champion.label == "7"
    assert set(cases) == {"inbox/row.png", "inbox/one.png"}


def test_a_photo_that_is_no_character_goes_with_all_that_was_cut_out_of_it(folder):
    folder.put("inbox/row.png", write([numbers_of(label, 1)[0] for label in "0143"]))
    folder.put("inbox/one.png", picture(numbers_of("7", 1)[0]))
    folder.night()
    (row,) = folder.catalogue.images(folder.source, file_ids=["inbox/row.png"])
    folder.catalogue.apply_sync(folder.source, [], [Event.of("label", EventKind.SET_ASIDE, row, None)])
    assert [case.path for case in read_inbox(folder.store, folder.catalogue, folder.source)] == ["inbox/one.png"]
    assert folder.paths(Role.INBOX) == ["inbox/one.png"]
    folder.catalogue.apply_sync(folder.source, [], [Event.of("label", EventKind.REOPENED, row, None)])
    assert len(folder.samples(Role.INBOX)) == 5


# ---- PDF


def test_every_page_of_a_pdf_is_an_image(folder):
    sevens = numbers_of("7", 3)
    folder.put("digits/7/scan.pdf", pdf(picture(sevens[0]), picture(sevens[1]), write(numbers_of("7", 2, first=3))))
    folder.put("inbox/scan.pdf", pdf(picture(sevens[2]), write([numbers_of(label, 1)[0] for label in "014"])))
    result = folder.night()
    assert (result.num_refused, result.num_new) == (0, 3 + 2 + 2 + 3)
    assert folder.paths(Role.DIGITS) == [
        "digits/7/scan.pdf (page 1)",
        "digits/7/scan.pdf (page 2)",
        "digits/7/scan.pdf (page 3) (character 1)",
        "digits/7/scan.pdf (page 3) (character 2)",
    ]
    assert folder.reasons() == {}
    groups = folder.catalogue.fingerprints(NORMALISER_VERSION)
    assert len({groups[sample.sha256].group for sample in folder.samples(Role.DIGITS)}) == 1
    cases = {case.path: case.champion.label for case in read_inbox(folder.store, folder.catalogue, folder.source)}
    assert cases == {"inbox/scan.pdf (page 1)": "7", "inbox/scan.pdf (page 2)": "014"}


def test_a_pdf_that_moves_takes_its_pages_and_their_characters_with_it(folder):
    file = folder.put("digits/7/scan.pdf", pdf(picture(numbers_of("7", 1)[0]), write(numbers_of("7", 2, first=3))))
    folder.put("inbox/two.png", write(numbers_of("2", 2)))
    folder.night()
    (folder.root / "digits/1").mkdir()
    file = file.rename(folder.root / "digits/1/scan.pdf")
    folder.night()
    assert folder.labels() == ["1", "1", "1", None, None]
    assert set(folder.kinds()) == {EventKind.RELABELLED}
    file.unlink()
    folder.night()
    left = folder.catalogue.images(folder.source, states=(State.OK, State.REJECTED))
    assert {image.path.partition(" (")[0] for image in left} == {"inbox/two.png"}


def test_a_page_that_cannot_be_used_is_named_and_the_others_are_taken(folder):
    blank = np.full((300, 200), 250, np.uint8)
    folder.put("digits/7/scan.pdf", pdf(blank, picture(numbers_of("7", 1)[0])))
    folder.night()
    assert folder.paths() == ["digits/7/scan.pdf (page 2)"]
    assert list(folder.reasons()) == ["digits/7/scan.pdf (page 1)"]
    assert "blank" in folder.reasons()["digits/7/scan.pdf (page 1)"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pdf(*[np.full((20, 20), 250, np.uint8)] * 101), "the PDF has 101 pages, more than 100"),
        (b"%PDF-1.7\n%%EOF", "the PDF has no page that can be shown"),
        (b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[2 0 R]/Count 9>>", "the PDF"),
    ],
)
def test_a_hostile_pdf_is_refused_with_its_reason_wherever_it_lies(folder, content, reason):
    for place in ("digits/4", "inbox", "sheets"):
        folder.put(f"{place}/a.pdf", content)
    folder.night()
    assert folder.samples() == []
    reasons = folder.reasons()
    assert set(reasons) == {"digits/4/a.pdf", "inbox/a.pdf", "sheets/a.pdf"}
    assert all(reason in found for found in reasons.values()), reasons
