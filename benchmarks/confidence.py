"""What "unsure" is worth: how often sure readings are wrong, and whether what is no digit is called unsure.

.venv/bin/python -m benchmarks.confidence OWN [--draws N] [--each K]
.venv/bin/python -m benchmarks.confidence OWN POOL.npz… [--first SEED] [--writers N]

OWN is a folder of <set>/<label>/<file>. With pools: whether the bound on sure readings holds in the collections of
writers (see `benchmarks.writers`). Without, three tables: the base model's readings by how sure it was; models
fine-tuned on K images a label, their threshold found on held-out folds, on images that they have not seen; and letters,
scribbles and empty cells.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.base.score import Writer, load_writers
from benchmarks.base.strokes import draw_no_digits
from benchmarks.writers import Hands, fit_head
from tenarai.dataset import TrainingSet
from tenarai.errors import ImageError
from tenarai.model.augment import STRONG, augment
from tenarai.model.bundle import LoadedModel, load_base
from tenarai.model.confidence import find_threshold
from tenarai.model.train import calibrate, split_folds, train_model
from tenarai.prepare import NORMALISER_VERSION, normalise
from tenarai.settings import TrainingSettings

Digits = NDArray[np.uint8]

LETTERS = "ACDEFHKMNPRTUVWXYadefhkmnprtwxy"  # without those that look like a digit
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX)
BINS = (0.0, 0.5, 0.8, 0.95, 0.99, 1.01)
NUM_EACH = 400
COLLECTION = 300  # images of a writer; the bounds asked for are tried on these
BOUNDS = (0.01, 0.02, 0.05)


def draw_letters(rng: np.random.Generator) -> Iterator[Digits]:
    """(28, 28) uint8 letters in fonts that the base never saw, bent a little."""
    for _ in range(NUM_EACH):
        page = np.full((120, 120), 255, dtype=np.uint8)
        letter, font = LETTERS[rng.integers(len(LETTERS))], FONTS[rng.integers(len(FONTS))]
        cv2.putText(page, letter, (30, 85), font, 2.5, 0, int(rng.integers(2, 8)), cv2.LINE_AA)
        yield augment(normalise(page)[None], rng, STRONG)[0]


def draw_scribbles(rng: np.random.Generator) -> Iterator[Digits]:
    """Letters, signs and scribbles of the program that also taught the base, in other draws."""
    yield from draw_no_digits(NUM_EACH, rng)


def draw_empty_cells(rng: np.random.Generator) -> Iterator[Digits | None]:
    """Paper with grain, half of it in a printed frame; None where the normaliser refuses it."""
    for number in range(NUM_EACH):
        page = rng.normal(rng.uniform(150, 245), rng.uniform(1, 5), (100, 100))
        if number % 2:
            cv2.rectangle(page, (2, 2), (97, 97), float(rng.uniform(20, 120)), 2)
        try:
            yield normalise(np.clip(page, 0, 255).astype(np.uint8))
        except ImageError:
            yield None


def tell_what_is_no_digit(model: LoadedModel) -> None:
    print("\n| no digit | drawn | refused | unsure | sure |\n| --- | ---: | ---: | ---: | ---: |")
    kinds: dict[str, Callable[[np.random.Generator], Iterator[Digits | None]]] = {
        "letters": draw_letters,
        "scribbles and signs": draw_scribbles,
        "empty cells": draw_empty_cells,
    }
    for number, (name, draw) in enumerate(kinds.items()):
        made = list(draw(np.random.default_rng([99, number])))
        usable = [digit for digit in made if digit is not None]
        sure = model.predict(np.stack(usable)).max(axis=1) >= model.info.unsure_below if usable else np.zeros(0, bool)
        counts = (1 - len(usable) / len(made), (~sure).sum() / len(made), sure.sum() / len(made))
        print(f"| {name} | {len(made)} | {' | '.join(f'{share:.1%}' for share in counts)} |")


def tell_by_confidence(model: LoadedModel, writers: list[Writer]) -> None:
    probabilities = model.predict(np.concatenate([writer.digits for writer in writers]))
    sure = probabilities.max(axis=1)
    read = np.array(model.info.labels)[probabilities.argmax(axis=1)]
    right = read == np.concatenate([writer.labels for writer in writers])
    print("| the base says | images | mean | read right |\n| --- | ---: | ---: | ---: |")
    for low, high in itertools.pairwise(BINS):
        rows = (sure >= low) & (sure < high)
        if rows.any():
            shown = (
                f"{low:.0%} to {min(high, 1):.0%} | {rows.sum()} | {sure[rows].mean():.1%} | {right[rows].mean():.1%}"
            )
            print(f"| {shown} |")
    kept = sure >= model.info.unsure_below
    wrong = (~right[kept]).mean()
    print(f"\nSure from {model.info.unsure_below:.0%}: {kept.mean():.1%} of {len(kept)}; {wrong:.2%} of them wrong.")


def tell_after_own_samples(writers: list[Writer], each: int, draws: int) -> None:
    print(f"\n| set, {each} a label | unseen | sure | wrong of these | promised |\n| --- | ---: | ---: | ---: | ---: |")
    for writer in writers:
        names, targets, counts = np.unique(writer.labels, return_inverse=True, return_counts=True)
        if counts.min() <= 2 * each:
            continue
        sure, wrong, unseen = 0, 0, 0
        for draw in range(draws):
            rng = np.random.default_rng([draw, each])
            order = [rng.permutation(np.flatnonzero(targets == k))[:each] for k in range(len(names))]
            mine = np.concatenate(order)
            others = np.setdiff1d(np.arange(len(targets)), mine)
            training_set = TrainingSet(
                writer.digits[mine],
                targets[mine].astype(np.int64),
                np.array([str(path) for path in writer.files])[mine],
                tuple(map(str, names)),
                NORMALISER_VERSION,
            )
            trained = train_model(training_set, TrainingSettings(seed=draw, device="cpu"))
            probabilities = trained.network.predict(writer.digits[others], verbose=0)
            kept = probabilities.max(axis=1) >= trained.info.unsure_below
            sure, unseen = sure + int(kept.sum()), unseen + len(others)
            wrong += int((probabilities.argmax(axis=1) != targets[others])[kept].sum())
        bound = f"{TrainingSettings().error_when_sure:.0%}"
        shown = f"{draws} × {unseen // draws} | {sure / unseen:.1%} | {wrong / sure:.2%} | {bound}"
        print(f"| {writer.name} | {shown} |")


def tell_by_collection(hands: Hands, seeds: range) -> None:
    """Thresholds found on collections of `COLLECTION` images, tried on the other images of the same writers."""
    print("| writer | bound asked for | bound shown | unseen | sure | wrong of these | holds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    num_held = dict.fromkeys(BOUNDS, 0)
    for seed in seeds:
        hand = hands.draw(seed)
        order = np.random.default_rng([seed, 5]).permutation(len(hand.targets))
        mine, others = order[:COLLECTION], order[COLLECTION:]
        out_of_fold = np.full((len(mine), 10), np.nan, np.float32)
        for learn, held_out in split_folds(hand.targets[mine], mine.astype(str), TrainingSettings().folds, seed):
            fold = fit_head(hand, mine[learn], seed)
            out_of_fold[held_out] = fold.probabilities(hand.plain[mine[held_out]])
        temperature, out_of_fold = calibrate(out_of_fold, hand.targets[mine])
        refitted = fit_head(hand, mine, seed).probabilities(hand.plain[others]) ** np.float32(1 / temperature)
        refitted /= refitted.sum(axis=1, keepdims=True)
        is_wrong = refitted.argmax(axis=1) != hand.targets[others]
        for bound in BOUNDS:
            threshold, note = find_threshold(out_of_fold, hand.targets[mine], bound)
            reached = float(note.fields.get("reached", 1.0))
            is_sure = refitted.max(axis=1) >= threshold
            wrong = float(is_wrong[is_sure].mean()) if is_sure.any() else 0.0
            num_held[bound] += wrong <= reached
            shown = f"{bound:.0%} | {reached:.0%} | {len(others)} | {is_sure.mean():.1%} | {wrong:.2%}"
            print(f"| {seed}, {hand.name} | {shown} | {'yes' if wrong <= reached else 'no'} |", flush=True)
    for bound, num in num_held.items():
        print(f"\n{bound:.0%} asked for: the bound shown holds in {num} of {len(seeds)} collections.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("own", type=Path)
    parser.add_argument("pools", type=Path, nargs="*")
    parser.add_argument("--first", type=int, default=60, help="seed of the first writer")
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--draws", type=int, default=2, help="0 trains nothing")
    parser.add_argument("--each", type=int, default=10)
    given = parser.parse_args()
    if given.pools:
        return tell_by_collection(Hands(given.own, given.pools), range(given.first, given.first + given.writers))
    base, writers = load_base(normaliser=NORMALISER_VERSION), list(load_writers(given.own))
    tell_by_confidence(base, writers)
    if given.draws:
        tell_after_own_samples(writers, given.each, given.draws)
    tell_what_is_no_digit(base)


if __name__ == "__main__":
    main()
