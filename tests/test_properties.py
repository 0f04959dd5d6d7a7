"""What holds for every input, not only for the examples: plan, catalogue, normaliser, split and gate."""

import hashlib

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tenarai.catalogue import open_catalogue
from tenarai.dataset import freeze
from tenarai.errors import DatasetError, ImageError
from tenarai.evaluate.gate import decide, level_of
from tenarai.prepare import decode, normalise
from tenarai.records import (
    Case,
    Digit,
    Evaluation,
    Event,
    EventKind,
    Fingerprint,
    Image,
    Look,
    PairedCounts,
    Prediction,
    Role,
    State,
)
from tenarai.settings import GateSettings
from tenarai.sync.plan import RemoteFile, find_accident, plan_sync
from tests.collections_of_digits import picture

SOURCE = "drive:x"
LABELS = "0147"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


# ---- the plan of a sync, where ids stay when files move


@st.composite
def drives(draw):
    """A Drive folder: id → (place, content); the same content and the same name may lie anywhere, twice."""
    places = st.sampled_from(
        ["digits/4/a.png", "digits/9/a.png", "misread/4/a.png", "inbox/a.png", "digits/4/b.png", "sheets/c.jpg"]
    )
    return draw(st.dictionaries(st.sampled_from("abcdef"), st.tuples(places, st.sampled_from("xyz")), max_size=6))


def files_of(drive):
    for file_id, (place, content) in drive.items():
        role, *rest = place.split("/")
        label = rest[0] if role in {"digits", "misread"} else None
        yield RemoteFile(file_id, place, Role(role), label, 1, content, sha256=content)


@given(nights=st.lists(drives(), min_size=1, max_size=5))
def test_after_any_nights_the_live_rows_are_the_drive_and_every_difference_has_its_event(nights):
    rows, before = {}, {}
    for number, drive in enumerate(nights):
        made = plan_sync(files_of(drive), rows.values(), source=SOURCE, run=f"r{number}")
        rows |= {row.file_id: row for row in made.rows}
        live = {key: (row.path, row.sha256) for key, row in rows.items() if row.state is State.OK}
        assert live == drive
        told = {event.file_id for event in made.events}
        assert told == {key for key in {*before, *drive} if before.get(key) != drive.get(key)}
        assert all(row.first_run <= row.last_run for row in rows.values())
        assert plan_sync(files_of(drive), rows.values(), source=SOURCE, run="again").rows == ()
        before = drive


@given(num_live=st.integers(0, 400), share=st.floats(0, 1))
def test_a_sync_that_would_lose_most_files_or_many_of_them_looks_like_an_accident(num_live, share):
    drive = {str(n): ("digits/4/a.png", "x") for n in range(num_live)}
    known = plan_sync(files_of(drive), (), source=SOURCE, run="r1").rows
    kept = dict(list(drive.items())[: round(num_live * share)])
    plan = plan_sync(files_of(kept), known, source=SOURCE, run="r2")
    num_lost = num_live - len(kept)
    assert bool(find_accident(plan)) == (num_lost > max(20, 0.2 * num_live) or num_lost >= max(5, 0.5001 * num_live))


# ---- the catalogue, against a dictionary

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
images = st.builds(
    Image,
    source=st.just(SOURCE),
    file_id=st.sampled_from("abcd"),
    path=texts,
    role=st.sampled_from(Role),
    label=st.none() | texts,
    sha256=st.sampled_from([sha(letter) for letter in "xyz"]),
    size=st.integers(0, 2**40),
    state=st.sampled_from(State),
    reason=texts,
    stamp=texts,
)


class CatalogueAsDictionary(RuleBasedStateMachine):
    """Whatever is told in whatever order, the catalogue answers as a dictionary and a list would."""

    @initialize()
    def open(self):
        self.catalogue = open_catalogue("sqlite://")  # in memory
        self.rows, self.told, self.kept = {}, [], {}

    @rule(batch=st.lists(images, max_size=4, unique_by=lambda image: image.file_id), run=st.sampled_from(["r1", "r2"]))
    def apply(self, batch, run):
        events = [Event(run, EventKind.ADDED, i.file_id, i.path, i.label, None, None, i.sha256) for i in batch]
        self.catalogue.apply_sync(SOURCE, batch, events)
        self.rows |= {image.file_id: image for image in batch}
        self.told += events

    @rule(name=st.sampled_from("xyz"), normaliser=st.integers(1, 2), pixels=st.binary(min_size=0, max_size=8))
    def prepare(self, name, normaliser, pixels):
        digit = Digit(sha(name), normaliser, pixels, b"", sha(name), "" if pixels else "blank")
        self.catalogue.put_digits([digit])
        self.kept[normaliser, sha(name)] = digit

    @invariant()
    def rows_are_those_told_last(self):
        found = self.catalogue.images(SOURCE, states=tuple(State))
        assert found == sorted(self.rows.values(), key=lambda image: (image.path, image.file_id))

    @invariant()
    def events_are_all_those_told_in_order(self):
        assert self.catalogue.events(SOURCE) == self.told

    @invariant()
    def what_is_unprepared_is_what_is_live_readable_and_without_a_digit(self):
        for normaliser in (1, 2):
            live = {i.sha256 for i in self.rows.values() if i.state is State.OK and i.role is not Role.SHEETS}
            missing = sorted(name for name in live if (normaliser, name) not in self.kept)
            assert [due.sha256 for due in self.catalogue.unprepared(SOURCE, normaliser)] == missing
            mine = {name: digit for (version, name), digit in self.kept.items() if version == normaliser}
            assert self.catalogue.digits(normaliser) == mine
            usable = {name: digit for name, digit in mine.items() if not digit.reason}
            assert list(self.catalogue.pixels(normaliser, usable)) == [digit.pixels for digit in usable.values()]
            assert self.catalogue.fingerprints(normaliser) == {
                name: Fingerprint(name, digit.phash, digit.group) for name, digit in usable.items()
            }

    def teardown(self):
        if hasattr(self, "catalogue"):
            self.catalogue.close()


TestCatalogue = CatalogueAsDictionary.TestCase
TestCatalogue.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


# ---- the normaliser

pages = arrays.arrays(np.uint8, st.tuples(st.integers(1, 48), st.integers(1, 48), st.just(3)))


@given(page=pages)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow])
def test_any_picture_gives_a_digit_in_its_box_or_a_reason(page):
    try:
        digit = normalise(page)
    except ImageError:
        return
    assert (digit.shape, digit.dtype) == ((28, 28), np.uint8)
    assert digit.max() > 100
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) < 20
    np.testing.assert_array_equal(digit, normalise(page.copy()))


@given(number=st.integers(0, 1796), side=st.integers(40, 160), tone=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_the_negative_of_any_real_digit_is_the_same_digit(number, side, tone):
    page = np.clip(picture(number, side=side).astype(int) - tone, 0, 255).astype(np.uint8)
    difference = normalise(page).astype(int) - normalise(255 - page)
    assert np.abs(difference).mean() < 6


@given(
    data=st.binary(max_size=300), kind=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM"])
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_decoded_or_refused_with_a_reason(data, kind):
    try:
        decoded = decode(kind + data, max_pixels=1_000_000)
    except ImageError:
        return
    assert decoded.dtype == np.uint8
    assert decoded.ndim == 3


# ---- the split


def near(ours, theirs):
    return np.bitwise_count(ours[:, None] ^ theirs[None]).sum(-1, dtype=int) <= 30


@st.composite
def collections(draw):
    """Labelled images, some of them near-duplicates of others: (name, label, role, whose picture it resembles)."""
    number = draw(st.integers(12, 40))
    return [
        (
            f"{n}.png",
            LABELS[n % len(LABELS)],
            Role.MISREAD if n % 11 == 5 else Role.DIGITS,
            draw(st.sampled_from([n, n, n, n % 7])),
        )
        for n in range(number)
    ]


def frozen(collection):
    rows, digits = [], {}
    for name, label, role, like in collection:
        phash = np.random.default_rng(like).bytes(32)
        rows.append(Image("folder:x", name, f"{role}/{label}/{name}", role, label, sha(name), 1))
        digits[sha(name)] = Digit(
            sha(name), 1, hashlib.sha256(name.encode()).digest() * 24 + bytes(16), phash, sha(str(like))
        )
    return freeze(rows, digits, lambda names: (digits[n].pixels for n in names), normaliser=1, test_share=0.25).snapshot


@given(collection=collections(), num_later=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_no_copy_of_a_regression_image_is_trained_on_no_group_is_parted_and_nobody_changes_sides(collection, num_later):
    try:
        before, after = frozen(collection[:-num_later]), frozen(collection)
    except DatasetError:  # all but a few were withheld
        return
    for snapshot in (before, after):
        sides = {}
        for group, split in zip(snapshot.groups.tolist(), snapshot.splits.tolist(), strict=True):
            sides.setdefault(group, set()).add(split)
        assert all(len(found) == 1 for found in sides.values())
        assert set(snapshot.targets[snapshot.splits == "train"].tolist()) == set(
            snapshot.targets[snapshot.splits != "regression"].tolist()
        )
    was, now = (dict(zip(s.sha256.tolist(), s.splits.tolist(), strict=True)) for s in (before, after))
    lent = {name for name, side in was.items() if side == "train" and now.get(name) == "test"}
    assert {name for name in was if name in now and now[name] != was[name]} == lent
    for name in lent:  # it was all its label had to train on, and stands in no longer
        mine = before.targets == before.targets[before.sha256 == name]
        assert len(set(before.groups[mine & (before.splits == "train")].tolist())) == 1


# ---- the gate

counts = st.integers(0, 40)


def relapse():
    right, wrong = Prediction("4", 0.9, False), Prediction("5", 0.9, False)
    return Case("misread/4/a.png", sha("a"), "4", right, wrong, "newly misread")


def verdict(pairs, alpha=0.05):
    look = Look(1, level_of(1, alpha), "b", "m", pairs.num_images, "transfer")
    return decide(Evaluation("b", "m", pairs=pairs), GateSettings(alpha=alpha), look).verdict


@given(won=counts, lost=counts, rest=counts)
def test_winning_more_or_losing_less_never_costs_a_promotion(won, lost, rest):
    def promoted(won, lost):
        return verdict(PairedCounts(won, lost, rest, 0)) == "promoted"

    if promoted(won, lost):
        assert promoted(won + 1, lost)
        assert lost == 0 or promoted(won, lost - 1)
        assert won > lost
    assert not (promoted(won, lost) and promoted(lost, won))


@given(won=counts, lost=counts, when_unsure=st.sampled_from(["keep", "grown", "promote"]), now=st.integers(0, 400))
def test_no_counts_outweigh_a_relapse_of_the_regression_set(won, lost, when_unsure, now):
    gate, look = GateSettings(when_unsure=when_unsure), Look(1, 0.05, "b", "m", 100, "transfer")
    pairs = PairedCounts(won, lost, 50, 5)
    decision = decide(Evaluation("b", "m", pairs=pairs, regression=(relapse(),), num_learned=(50, now)), gate, look)
    assert decision.verdict == "kept"
    assert "misread/4/a.png" in decision.reason


@given(won=counts, lost=counts, alpha=st.floats(0.001, 0.2), more=st.floats(0.0, 0.2))
def test_a_bolder_gate_promotes_whatever_a_more_careful_one_does(won, lost, alpha, more):
    pairs = PairedCounts(won, lost, 50, 5)
    if verdict(pairs, alpha) == "promoted":
        assert verdict(pairs, alpha + more) == "promoted"
