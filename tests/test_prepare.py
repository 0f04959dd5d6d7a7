"""Bytes of strangers → digits: decoding, normalising, near-duplicates."""

import io
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks import bombs
from tenarai.errors import ImageError
from tenarai.prepare import (
    NEAR_DUPLICATE_BITS,
    count_pages,
    decode,
    find_near,
    normalise,
    pdf,
    perceptual_hash,
    squeeze,
)
from tenarai.prepare.decode import _Memory
from tenarai.prepare.ink import find_shadow, has_dark_ink, ink_strength
from tenarai.prepare.lines import find_slant, remove_lines, shear
from tenarai.prepare.normalise import run_stages, scale_to_work
from tests.collections_of_digits import picture, real_digits

SAMPLE = [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def colour(image):
    return np.repeat(image[..., None], 3, axis=2)


def likeness(a, b):
    """Correlation of two digits, -1 to 1."""
    return float(np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1])


# ---- decoding


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM", "TGA"])
def test_common_formats_are_decoded_by_content(kind):
    assert decode(encode(colour(picture(3)), kind)).shape == (96, 96, 3)


def test_a_phones_heic_is_decoded():
    import pillow_heif

    pillow_heif.register_heif_opener()
    assert decode(encode(colour(picture(3)), "HEIF")).shape == (96, 96, 3)


def test_a_pdf_is_its_first_page():
    buffer = io.BytesIO()
    first, second = (Image.fromarray(colour(picture(number, side=160))) for number in (5, 3))
    first.save(buffer, "PDF", save_all=True, append_images=[second])
    assert likeness(normalise(decode(buffer.getvalue())), normalise(picture(5, side=160))) > 0.9
    with pytest.raises(ImageError, match="PDF"):
        decode(b"%PDF-1.7\nnothing follows")


def test_a_pdf_that_takes_too_long_is_refused_and_the_next_one_is_read(monkeypatch):
    monkeypatch.setattr(pdf, "SECONDS", 2)
    with pytest.raises(ImageError, match="the PDF takes too long"):
        decode(bombs.pdf_pattern())
    monkeypatch.undo()
    buffer = io.BytesIO()
    Image.fromarray(colour(picture(5, side=160))).save(buffer, "PDF")
    assert decode(buffer.getvalue()).shape[2] == 3


@pytest.mark.parametrize("tone", [0, 1, 128, 255])
@pytest.mark.parametrize("side", [28, 700])
def test_a_page_of_one_tone_is_refused(tone, side):
    with pytest.raises(ImageError):
        normalise(np.full((side, side, 3), tone, np.uint8))


def test_a_jpeg_of_a_thousand_scans_is_refused_before_it_is_decoded():
    buffer = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    assert decode(data).ndim == 3
    last = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="too many scans"):
        decode(data[:last] + data[last:-2] * 1000 + data[-2:])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_fullest_frame_is_read(kind):
    written = picture(5, side=160)
    frames = [np.full_like(written, 250), written, np.full_like(written, 240)]
    buffer = io.BytesIO()
    first, *rest = [Image.fromarray(colour(frame)) for frame in frames]
    first.save(buffer, kind, save_all=True, append_images=rest, duration=100)
    assert likeness(normalise(decode(buffer.getvalue())), normalise(picture(5, side=160))) > 0.9


def test_large_images_wait_for_each_other():
    from threading import Thread

    memory = _Memory(100)
    held = []
    with memory.hold(70):
        waiting = Thread(target=lambda: [held.append(True) for _ in [memory.hold(60).__enter__()]])
        waiting.start()
        waiting.join(0.2)
        assert not held
    waiting.join(5)
    assert held


def test_one_pdf_is_open_at_a_time_also_while_its_pages_are_counted(monkeypatch):
    num_open, most = [0], [0]

    def run(*_given):
        num_open[0] += 1
        most[0] = max(most[0], num_open[0])
        time.sleep(0.02)
        num_open[0] -= 1
        return b"1"

    monkeypatch.setattr(pdf, "_run", run)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(count_pages, [b"%PDF-1.7"] * 8)) == [1] * 8
    assert most == [1]


def test_a_kind_that_needs_more_memory_than_there_is_is_refused_by_its_header():
    huge = Image.new("RGB", (11_000, 9_000))
    buffer = io.BytesIO()
    huge.save(buffer, "JPEG", quality=30, progressive=True)
    with pytest.raises(ImageError, match="too many pixels"):
        decode(buffer.getvalue(), max_pixels=90_000_000)
    buffer = io.BytesIO()
    huge.save(buffer, "JPEG", quality=30)
    assert decode(buffer.getvalue()).shape == (419, 512, 3)


def test_a_picture_held_sideways_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.ascontiguousarray(np.rot90(colour(picture(7, side=120))))
    upright = normalise(decode(encode(turned, "JPEG", quality=95, exif=exif)))
    assert likeness(upright, normalise(picture(7, side=120))) > 0.95


def test_transparency_is_white_paper_under_dark_ink_and_black_under_light_ink():
    ink = 255 - picture(5)
    for tone in (0, 255):
        layers = np.dstack([np.full_like(ink, tone)] * 3 + [ink])
        assert likeness(normalise(decode(encode(layers))), normalise(picture(5))) > 0.95


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "F"])
def test_every_pixel_format_reads_the_same(mode):
    grey = Image.fromarray(picture(5, side=120))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 200)
    elif mode == "F":
        image = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    else:
        image = grey.convert("RGB").convert(mode) if mode in {"P", "CMYK"} else grey.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    assert likeness(normalise(decode(buffer.getvalue())), normalise(picture(5, side=120))) > 0.8


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"Dear diary", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (encode(colour(picture(1)), "JPEG")[:700], "truncated"),
        (encode(colour(picture(1)))[:900], "truncated"),
    ],
)
def test_unusable_bytes_are_refused_with_their_reason(data, reason):
    with pytest.raises(ImageError, match=reason):
        decode(data)


def test_a_decompression_bomb_is_refused_by_its_header():
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk + encode(colour(picture(1)))[33:]
    with pytest.raises(ImageError, match="too many pixels"):
        decode(bomb)


def test_a_file_that_is_too_large_is_refused():
    with pytest.raises(ImageError, match="too large"):
        decode(encode(colour(picture(1))), max_bytes=100)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_pictures_are_read_or_refused_but_never_crash(seed):
    rng = np.random.default_rng(seed)
    data = bytearray(encode(colour(picture(seed)), ["PNG", "JPEG", "GIF", "TIFF"][seed % 4]))
    for place in rng.integers(8, len(data), 6):
        data[place] = rng.integers(0, 256)
    try:
        digit = normalise(decode(bytes(data)))
    except ImageError:
        return
    assert digit.shape == (28, 28)
    assert digit.dtype == np.uint8


# ---- normalising


@pytest.mark.parametrize("number", SAMPLE)
def test_a_digit_is_centred_in_its_box_with_ink_white_on_black(number):
    digit = normalise(picture(number))
    assert digit.shape == (28, 28)
    assert digit.max() > 200
    assert np.median(digit) == 0
    rows, columns = np.nonzero(digit > 60)
    assert max(np.ptp(rows), np.ptp(columns)) <= 20
    weights = digit.astype(float)
    middle = (weights * np.mgrid[:28, :28]).sum(axis=(1, 2)) / weights.sum()
    assert np.abs(middle - 13.5).max() <= 1.5


@pytest.mark.parametrize("number", SAMPLE)
def test_ink_and_paper_may_change_places(number):
    assert likeness(normalise(picture(number)), normalise(picture(number, inverted=True))) > 0.98


@pytest.mark.parametrize("number", SAMPLE)
@pytest.mark.parametrize("side", [48, 128, 400])
def test_size_does_not_matter(number, side):
    assert likeness(normalise(picture(number, side=96)), normalise(picture(number, side=side))) > 0.9


def shade(image, amount=0.6):
    slope = np.linspace(0, 1, image.shape[1])[None, :]
    return (image * (1 - amount * slope)).astype(np.uint8)


def rule(image, gap=30, squared=False):
    ruled = colour(image)
    blue = np.array([150, 170, 215], np.uint8)
    ruled[gap // 2 :: gap] = np.minimum(ruled[gap // 2 :: gap], blue)
    if squared:
        ruled[:, gap // 2 :: gap] = np.minimum(ruled[:, gap // 2 :: gap], blue)
    return ruled


def frame(image):
    framed = colour(image)
    cv2.rectangle(framed, (3, 3), (image.shape[1] - 4, image.shape[0] - 4), (40, 40, 40), 3)
    return framed


def pencil(image):
    rng = np.random.default_rng(0)
    return np.clip(225 - (255 - image.astype(float)) * 0.18 + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def dark_edge(image):
    edged = colour(image)
    edged[:, :10] = (70, 50, 40)
    return edged


def cast_shadow(image):
    """The edge of a hand's shadow, aslant through the digit: a few pixels from light to half the light."""
    high, wide = image.shape
    y, x = np.mgrid[:high, :wide]
    side = np.clip((x + 0.4 * y - 0.7 * wide) / 4 + 0.5, 0, 1)
    return (image * (1 - 0.45 * side)).astype(np.uint8)


def rule_aslant(image):
    """Squared paper photographed from a corner: each line falls by a tenth."""
    ruled = colour(image)
    for start in range(-20, 320, 32):
        cv2.line(ruled, (0, start), (image.shape[1], start + image.shape[1] // 10), (150, 170, 215), 1, cv2.LINE_AA)
        cv2.line(ruled, (start, 0), (start - image.shape[0] // 10, image.shape[0]), (150, 170, 215), 1, cv2.LINE_AA)
    return np.minimum(ruled, colour(image))


@pytest.mark.parametrize(
    "disturb",
    [shade, rule, frame, pencil, dark_edge, lambda i: rule(i, squared=True), cast_shadow, rule_aslant],
)
def test_light_lines_frames_and_faint_ink_leave_the_digit_as_it_is(disturb):
    alike = [likeness(normalise(picture(n, side=160)), normalise(disturb(picture(n, side=160)))) for n in range(40)]
    assert np.mean(np.array(alike) > 0.8) >= 0.9, sorted(alike)[:6]


def test_specks_and_a_neighbour_cut_off_by_the_rim_are_left_out():
    page = picture(3, side=160)
    disturbed = page.copy()
    disturbed[5:8, 5:8] = 0
    cv2.circle(disturbed, (disturbed.shape[1] - 1, 120), 14, 20, -1)
    assert likeness(normalise(page), normalise(disturbed)) > 0.95


def test_a_blank_page_is_refused():
    rng = np.random.default_rng(0)
    slope = np.linspace(230, 120, 240)[None, :, None]
    for page in (np.full((90, 90), 250), rng.normal(240, 3, (300, 200)), np.broadcast_to(slope, (240, 240, 3))):
        with pytest.raises(ImageError, match="blank"):
            normalise(np.clip(page, 0, 255).astype(np.uint8))


def test_polarity_is_decided_for_each_picture():
    assert has_dark_ink(scale_to_work(colour(picture(4))))
    assert not has_dark_ink(scale_to_work(colour(picture(4, inverted=True))))
    assert has_dark_ink(scale_to_work(frame(picture(4))))


def test_told_that_light_ink_is_dark_the_normaliser_takes_the_paper_for_the_ink():
    light = picture(11, inverted=True)
    assert likeness(run_stages(light, dark_ink=False).digit, normalise(light)) == pytest.approx(1)
    assert likeness(run_stages(light, dark_ink=True).digit, normalise(light)) < 0.6


def test_a_squeezed_picture_is_what_keras_loads_by_default(tmp_path):
    import keras

    wide = cv2.resize(colour(picture(11)), (90, 60))
    Image.fromarray(wide).save(tmp_path / "wide.png")
    loaded = keras.utils.load_img(tmp_path / "wide.png", color_mode="grayscale", target_size=(28, 28))
    assert np.array_equal(squeeze(wide), np.asarray(loaded))
    assert len(np.unique(squeeze(wide, smooth=True))) > len(np.unique(squeeze(wide)))


def test_coloured_ink_is_seen_in_the_channel_where_it_shows():
    ink = (255 - picture(5, side=120)).astype(float)[..., None] / 255
    red = (250 - ink * np.array([20, 190, 190])).astype(np.uint8)
    strength = ink_strength(red, dark_ink=True)
    assert strength.max() > 0.6
    assert np.median(strength) < 0.05


def test_a_single_bar_is_no_frame():
    page = np.full((120, 120), 255, np.uint8)
    page[8:12, 16:112] = 0
    cv2.line(page, (100, 12), (50, 110), 0, 4)
    cleaned, lines = remove_lines(1 - page.astype(np.float32) / 255)
    assert lines is None
    assert cleaned[9, 60] == 1


def test_a_shadow_reaches_in_from_the_rim_and_a_broad_stroke_does_not():
    paper = np.full((100, 100), 200, np.float32)
    narrow = paper.copy()
    narrow[:, 60:] = 110  # a shadow
    narrow[20:50, 20:40] = 90  # a blot
    found = find_shadow(narrow, paper)
    assert found[:, 65:].all()
    assert not found[20:50, 20:40].any()


def slanted_lines(fall):
    page = np.zeros((120, 160), np.float32)
    for start in range(-30, 150, 24):
        cv2.line(page, (0, start), (159, round(start + 159 * fall)), 0.3, 1, cv2.LINE_AA)
    return page


@pytest.mark.parametrize("fall", [-0.12, -0.04, 0.0, 0.06, 0.14])
def test_the_slant_of_printed_lines_is_found(fall):
    assert find_slant(slanted_lines(fall)) == pytest.approx(fall, abs=0.025)


def test_a_page_without_lines_has_no_slant():
    assert find_slant(np.zeros((90, 90), np.float32)) == 0


def test_sheared_by_their_slant_lines_are_level_and_sheared_back_they_are_as_before():
    page = slanted_lines(0.1)
    level = shear(page, 0.1)
    assert level.mean(axis=1).std() > 3 * page.mean(axis=1).std()
    assert np.abs(shear(level, -0.1) - page)[20:-20].mean() < 0.02


def test_a_stroke_along_a_printed_line_stays_where_it_is_clearly_stronger():
    page = np.zeros((160, 160), np.float32)
    page[20::40] = page[21::40] = 0.25
    page[59:63, 50:110] = 0.8
    cleaned, lines = remove_lines(page)
    assert lines[100, 20]
    assert cleaned[100].max() < 0.05
    assert cleaned[61, 60:100].min() > 0.7


def test_the_same_bytes_always_give_the_same_digit():
    data = encode(colour(picture(6)), "JPEG")
    assert normalise(decode(data)).tobytes() == normalise(decode(data)).tobytes()


def test_pictures_of_a_pixel_or_a_thread_are_refused_or_read_but_never_crash():
    for shape in [(1, 1), (1, 300), (300, 1), (2, 2), (3, 512), (28, 28)]:
        for fill in (0, 128, 255):
            page = np.full(shape, fill, np.uint8)
            page[0, 0] = 255 - fill
            try:
                assert normalise(page).shape == (28, 28)
            except ImageError:
                continue


# ---- near-duplicates


def hamming(ours, theirs):
    return np.bitwise_count(ours[:, None] ^ theirs).sum(axis=-1)


def digest(image):
    return np.frombuffer(perceptual_hash(run_stages(image).ink), np.uint8)[None]


def test_resized_relit_and_recompressed_copies_are_near_duplicates():
    found = 0
    for number in range(30):
        page = picture(number, side=160)
        copy = cv2.resize(shade(page, 0.3), (150, 150), interpolation=cv2.INTER_AREA)
        copy = decode(encode(colour(copy), "JPEG", quality=60))
        found += int(hamming(digest(page), digest(copy))[0, 0] <= NEAR_DUPLICATE_BITS)
    assert found >= 27


def test_other_peoples_digits_of_the_same_label_are_not_near_duplicates():
    _, targets = real_digits()
    sevens = np.concatenate([digest(picture(int(n), side=160)) for n in np.flatnonzero(targets == 7)[:40]])
    pairs = hamming(sevens, sevens)[np.triu_indices(40, 1)]
    assert (pairs <= NEAR_DUPLICATE_BITS).mean() <= 0.03


def test_near_duplicates_among_many_are_those_that_counting_bits_finds():
    rng = np.random.default_rng(0)
    theirs = rng.integers(0, 256, (3, 32), dtype=np.uint8)
    ours = rng.integers(0, 256, (5000, 32), dtype=np.uint8)
    ours[[0, 2047, 2048, 4999]] = theirs[[0, 1, 2, 0]] ^ 1  # a bit of each byte: 32 bits apart
    theirs = np.concatenate([theirs, theirs[:1] ^ 3])  # farther from the first, and near to it, too
    rows, columns, distances = find_near(ours, theirs)
    assert list(zip(rows.tolist(), columns.tolist(), distances.tolist(), strict=True)) == [
        (0, 0, 32),
        (0, 3, 32),
        (2047, 1, 32),
        (2048, 2, 32),
        (4999, 0, 32),
        (4999, 3, 32),
    ]


@pytest.mark.parametrize("counts", [(0, 5), (5, 0), (300, 20_000)])
def test_the_search_by_half_of_the_hash_finds_all_near_duplicates_nearest_first(counts):
    rng = np.random.default_rng(0)
    ours, theirs = (rng.integers(0, 256, (count, 32), dtype=np.uint8) for count in counts)
    for row in range(0, min(counts), 3):  # copies that differ in 0 to 60 bits anywhere
        flips = np.zeros(256, np.uint8)
        flips[rng.choice(256, rng.integers(60), replace=False)] = 1
        theirs[7 * row] = ours[row] ^ np.packbits(flips)
    distance = hamming(ours, theirs).astype(int)
    expected = [
        (row, column, distance[row, column])
        for row in range(len(ours))
        for column in np.argsort(distance[row], kind="stable")
        if distance[row, column] <= NEAR_DUPLICATE_BITS
    ]
    found = zip(*(array.tolist() for array in find_near(ours, theirs)), strict=True)
    assert list(found) == expected
    assert len(expected) > 50 or not min(counts)
