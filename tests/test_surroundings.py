"""Surroundings leave a digit as it is, several characters are told apart, and what geometry cannot tell is doubted."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tenarai.errors import ImageError
from tenarai.prepare import has_dark_ink, normalise, read_characters, run_stages
from tenarai.prepare.images import prepare_original
from tenarai.prepare.lines import remove_lines
from tenarai.prepare.normalise import cut_characters
from tenarai.prepare.several import are_one_piece
from tenarai.prepare.surroundings import crop_page
from tenarai.settings import Settings
from tenarai.store import open_store
from tests.collections_of_digits import picture, real_digits
from tests.test_prepare import colour, encode, likeness

SIDE = 240


def cell(number):
    """A digit of 120 pixels in the middle of a page of 240."""
    page = np.full((SIDE, SIDE, 3), 250, np.uint8)
    digit = cv2.resize(colour(picture(number, side=160)), (120, 120), interpolation=cv2.INTER_AREA)
    page[60:180, 60:180] = np.minimum(page[60:180, 60:180], digit)
    return page


def framed(page):
    return cv2.rectangle(page, (22, 22), (218, 218), (30, 30, 30), 5)


def circled(page):
    return cv2.circle(page, (120, 120), 95, (30, 30, 30), 4, cv2.LINE_AA)


def in_the_corner_of_a_table(page):
    return cv2.line(cv2.line(page, (0, 8), (240, 8), (30, 30, 30), 12), (8, 0), (8, 240), (30, 30, 30), 12)


def underlined(page):
    return cv2.line(page, (55, 214), (185, 218), (30, 30, 30), 4, cv2.LINE_AA)


def between_black_bars(page):
    return cv2.copyMakeBorder(page, 140, 140, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))


def beside_white_bars(page):
    return cv2.copyMakeBorder(np.uint8(page * 0.7), 0, 0, 100, 100, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def on_a_dark_desk(page):
    matrix = cv2.getRotationMatrix2D((120, 120), 4, 1.0)
    matrix[:, 2] += 80
    return cv2.warpAffine(page, matrix, (400, 400), borderValue=(25, 22, 20))


@pytest.mark.parametrize(
    "surround",
    [framed, circled, in_the_corner_of_a_table, underlined, between_black_bars, beside_white_bars, on_a_dark_desk],
)
def test_what_surrounds_a_digit_does_not_change_it(surround):
    alike = [likeness(normalise(cell(n)), normalise(surround(cell(n)))) for n in range(30)]
    assert np.mean(np.array(alike) > 0.8) >= 0.95, sorted(alike)[:4]


def test_the_bar_of_a_seven_that_was_cropped_to_its_ink_stays():
    seven = np.full((300, 280, 3), 250, np.uint8)
    cv2.polylines(seven, [np.int32([[60, 55], [220, 55], [120, 245]])], False, (20, 20, 20), 12)
    cropped = seven[49:248, 54:226]
    assert likeness(normalise(seven), normalise(cropped)) > 0.9


def test_both_strokes_of_a_four_that_was_cropped_to_its_ink_stay():
    four = np.full((300, 300, 3), 250, np.uint8)
    cv2.polylines(four, [np.int32([[110, 60], [60, 160], [240, 160]])], False, (20, 20, 20), 6)
    cv2.line(four, (235, 70), (235, 250), (20, 20, 20), 6)
    assert likeness(normalise(four), normalise(four[57:253, 57:243])) > 0.9


@pytest.mark.parametrize("level", [60, 90])
def test_a_dark_sheet_with_light_ink_is_found_on_its_desk(level):
    page = np.full((400, 400, 3), level, np.uint8)
    page[80:320, 80:320] = 255 - cell(3)
    assert likeness(normalise(page), normalise(cell(3))) > 0.9


def test_thin_strokes_on_a_light_sheet_are_ink_on_a_dark_desk():
    sheet = np.full((240, 240, 3), 250, np.uint8)
    cv2.circle(sheet, (120, 120), 40, (90, 90, 140), 2, cv2.LINE_AA)
    found = crop_page(on_a_dark_desk(sheet))
    assert found.shape[0] < 280
    assert found.min() > 60


def test_of_bold_strokes_that_were_cropped_the_corners_say_which_is_the_paper():
    six = np.full((200, 140, 3), 250, np.uint8)
    cv2.ellipse(six, (70, 135), (50, 50), 0, 0, 360, (20, 20, 20), 34)
    cv2.line(six, (32, 120), (90, 20), (20, 20, 20), 38)
    assert has_dark_ink(six)
    assert not has_dark_ink(255 - six)


def test_ink_along_the_rim_makes_the_reading_doubtful():
    page = cv2.circle(np.full((200, 200, 3), 250, np.uint8), (100, 100), 70, (20, 20, 20), 12, cv2.LINE_AA)
    assert run_stages(page).doubt == ""
    assert run_stages(page[20:]).doubt == ""
    assert "cut off" in run_stages(page[33:]).doubt


def test_a_bold_line_that_touches_the_digit_makes_the_reading_doubtful():
    page = cv2.circle(np.full((300, 300, 3), 250, np.uint8), (150, 205), 60, (20, 20, 20), 8, cv2.LINE_AA)
    touched = cv2.line(page.copy(), (0, 262), (299, 262), (20, 20, 20), 6)
    assert run_stages(page).doubt == ""
    assert run_stages(touched).doubt


def test_a_zero_and_a_page_without_bars_stay_as_they_are():
    zero = cv2.ellipse(np.full((SIDE, SIDE, 3), 250, np.uint8), (120, 120), (60, 90), 0, 0, 360, (20, 20, 20), 9)
    stages = run_stages(zero)
    assert stages.doubt == ""
    assert stages.chosen.sum() > 0.8 * (zero[..., 0] < 100).sum() * (256 / SIDE) ** 2
    assert crop_page(zero) is zero


def test_bars_are_cropped_before_the_polarity_is_estimated():
    page = between_black_bars(cell(3))
    assert crop_page(page).shape[0] < SIDE + 10
    assert has_dark_ink(crop_page(page))


def test_a_line_under_a_digit_in_pieces_is_removed():
    page = np.full((SIDE, SIDE, 3), 250, np.uint8)
    cv2.ellipse(page, (120, 110), (26, 42), 0, 0, 360, (30, 30, 30), 6, cv2.LINE_AA)
    for angle in range(0, 360, 45):
        at = (120 + round(26 * np.cos(np.radians(angle))), 110 + round(42 * np.sin(np.radians(angle))))
        cv2.circle(page, at, 5, (250, 250, 250), -1)
    assert likeness(normalise(page), normalise(underlined(page.copy()))) > 0.9


def test_an_open_circle_makes_the_reading_doubtful():
    page = cell(3)
    cv2.ellipse(page, (120, 120), (95, 95), 0, 0, 345, (30, 30, 30), 4)
    assert "around" in run_stages(page).doubt


def test_a_finger_at_the_rim_makes_the_reading_doubtful():
    page = np.full((400, 400, 3), 225, np.uint8)
    cv2.ellipse(page, (0, 200), (150, 110), 0, 0, 360, (170, 130, 110), -1)
    assert "edge" in run_stages(cv2.GaussianBlur(page, (0, 0), 2)).doubt


def row(numbers, gap=30):
    """Digits side by side on one page."""
    digits = [cv2.resize(picture(n, side=160), (110, 110), interpolation=cv2.INTER_AREA) for n in numbers]
    page = np.full((200, 60 + sum(110 + gap for _ in digits)), 250, np.uint8)
    for place, digit in enumerate(digits):
        left = 40 + place * (110 + gap)
        page[45:155, left : left + 110] = np.minimum(page[45:155, left : left + 110], digit)
    return colour(page)


@pytest.mark.parametrize("numbers", [(0, 1), (7, 11, 22), (1, 3, 6, 9, 10, 16, 22)])
def test_the_characters_of_a_row_are_cut_in_reading_order(numbers):
    stages = run_stages(row(numbers))
    assert stages.num_characters > 1
    assert "more than one" in stages.doubt
    found = read_characters(encode(row(numbers)))
    assert len(found) == len(numbers)
    for number, character in zip(numbers, found, strict=True):
        assert likeness(character.digit, normalise(picture(number, side=160))) > 0.8
    lefts = [character.box[0] for character in found]
    assert lefts == sorted(lefts)


@pytest.mark.parametrize("edge", [(0.2, 0.5), (0.9, 0.3), (0.05, 0.95)])
def test_a_shadow_across_a_row_hides_none_of_its_characters(edge):
    page = row((7, 11, 22, 3, 6, 9, 10))
    high, wide = page.shape[:2]
    corners = np.int32([[0, 0], [edge[0] * wide, 0], [edge[1] * wide, high], [0, high]])
    shadow = cv2.fillPoly(np.ones((high, wide), np.float32), [corners], 0.5)
    page = np.uint8(page * cv2.GaussianBlur(shadow, (0, 0), 3)[..., None])
    assert len(read_characters(encode(page))) == 7


def test_lines_of_writing_are_read_from_top_to_bottom():
    page = np.concatenate([row((3, 4, 5)), row((6, 7, 8))])
    tops = [character.box[1] for character in cut_characters(page)]
    assert len(tops) == 6
    assert max(tops[:3]) < min(tops[3:])


def test_a_single_digit_is_one_character():
    _, labels = real_digits()
    single = [run_stages(cell(n)).num_characters for n in range(100)]
    assert single.count(1) >= 99, [int(labels[n]) for n in range(100) if single[n] > 1]


def test_parts_that_stand_apart_belong_together_where_the_labels_say_so():
    assert are_one_piece("0123456789")
    assert not are_one_piece(["い", "ハ"])
    assert not are_one_piece(["25", "11"])
    page = np.full((SIDE, SIDE, 3), 250, np.uint8)
    cv2.line(page, (60, 60), (70, 170), (20, 20, 20), 8)
    cv2.line(page, (180, 60), (170, 170), (20, 20, 20), 8)
    together = run_stages(page, one_piece=False)
    assert together.doubt == ""
    assert together.chosen[:, :128].any()
    assert together.chosen[:, 128:].any()
    assert run_stages(page).num_characters == 2


def test_a_blank_page_has_no_characters():
    page = np.clip(np.random.default_rng(0).normal(235, 3, (300, 300, 3)), 0, 255).astype(np.uint8)
    with pytest.raises(ImageError, match="blank"):
        read_characters(encode(np.asarray(Image.fromarray(page))))


def test_what_is_doubted_is_kept_with_the_digit_and_several_characters_are_never_trained_on(tmp_path):
    store = open_store(str(tmp_path))
    circled_page = cell(3)
    cv2.ellipse(circled_page, (120, 120), (95, 95), 0, 0, 345, (30, 30, 30), 4)
    plain, doubted, several = (
        prepare_original(store, store.put_original(encode(page)), settings=Settings())
        for page in (cell(3), circled_page, row((0, 1, 4)))
    )
    assert (plain.doubt, plain.reason) == ("", "")
    assert "around" in doubted.doubt
    assert len(doubted.pixels) == 784
    assert "more than one" in several.reason
    assert several.pixels == b""


def test_a_line_that_holds_no_ink_of_its_own_is_no_error(monkeypatch):
    ink = np.zeros((SIDE, SIDE), np.float32)
    ink[60:170, 100:112] = 0.8
    nothing = np.zeros_like(ink)
    monkeypatch.setattr("tenarai.prepare.lines._may_hold_lines", lambda _strong: True)
    monkeypatch.setattr("tenarai.prepare.lines._find_lines", lambda *_given: [(nothing, True)])
    cleaned, _lines = remove_lines(ink)
    np.testing.assert_array_equal(cleaned > 0.5, ink > 0.5)
