"""What a study found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenarai.settings import StudySettings
from tenarai.study.material import MIN_FOR_FOLDS, MIN_FOR_HELD_OUT, NUM_FOLDS, Material
from tenarai.study.results import EpochRow, Forecast, Learning, Share, Study, TryRow

TRAINED_ON = {"raw": "0 to 255", "grey": "/255", "1 - x": "/255 and 1 − x"}


def say_held_out(material: Material, form: StudySettings) -> str:
    """How images were held out."""
    if material.per_label < MIN_FOR_HELD_OUT:
        return (
            "With one image a label nothing can be held out: what is learned by heart says nothing about other images."
        )
    if form.per_label or material.per_label < MIN_FOR_FOLDS:
        number = max(1, form.per_label)
        return f"Each seed trains on {number} image{'s' * (number > 1)} a label and is examined on all others."
    covered = "every image is held out once" if form.seeds == NUM_FOLDS else "each seed another"
    return f"Each seed holds a fifth of the images out, {covered} with {form.seeds} seed{'s' * (form.seeds > 1)}."


def summarise(study: Study) -> dict[str, tuple[str, ...]]:
    """By part, what was found, in sentences."""
    found = {
        "question": (study.answer.sentence,) if study.answer else (),
        "article": tuple(_on_the_article(study)),
        "epochs": tuple(_on_epochs(study)),
        "samples": tuple(_on_samples(study)),
        "switches": tuple(_on_switches(study)),
    }
    return {part: sentences for part, sentences in found.items() if sentences}


def _on_the_article(study: Study) -> Iterator[str]:
    rows = [row for row in study.article if row.trained_on == "raw"]
    if not rows:
        return
    row = max(rows, key=lambda row: row.epochs)
    best = max(study.article, key=lambda row: row.as_trained.mean if row.as_trained else 0)
    if row.as_the_article is None or row.as_trained is None or best.as_trained is None:
        yield (
            f"On one image a label the article's network reads {percent(row.training.mean)} of its training images "
            f"after {row.epochs} epochs; there are no others to examine it on."
        )
        return
    yield (
        f"On one image a label the article's network reads {percent(row.training.mean)} of its training images "
        f"after {row.epochs} epochs, but {percent(row.as_the_article.mean)} of {row.as_the_article.num_images} others; "
        f"read the way it was trained {percent(row.as_trained.mean)}, at best {percent(best.as_trained.mean)} "
        f"(trained on {TRAINED_ON[best.trained_on]}, {best.epochs} epochs)."
    )


def _on_epochs(study: Study) -> Iterator[str]:
    for learning in study.learning:
        rows = [row for row in study.epochs if row.recipe == learning.recipe]
        parts = [f"{_held_out(row.held_out)} after {_epochs(row)}" for row in rows]
        yield f"{learning.recipe}: {', '.join(parts)}. {say_best(learning)}"


def say_best(learning: Learning) -> str:
    """Where the held-out loss is lowest, and whether over-fitting begins there."""
    if learning.best is None:
        return "Nothing was held out, so where over-fitting begins cannot be told."
    best, last = learning.best, len(learning.curves["loss"].mean)
    where = f"epoch {best.median:.0f} (seeds: {best.lowest:.0f} to {best.highest:.0f})"
    if learning.overfits:
        return f"Over-fitting begins after {where}: from there the held-out loss rises."
    if best.median >= 0.9 * last:
        return f"The held-out loss still falls at epoch {last}: no over-fitting yet."
    return f"The held-out loss is lowest at {where} and stays about there."


def _on_samples(study: Study) -> Iterator[str]:
    for recipe in dict.fromkeys(row.recipe for row in study.samples if row.recipe != "base"):
        rows = [row for row in study.samples if row.recipe == recipe]
        told = ", ".join(f"{percent(row.held_out.mean)} with {row.per_label:g}" for row in (rows[0], rows[-1]))
        answers = ", ".join(f"{row.target:.0%}: {_needed(row)}" for row in study.forecasts if row.recipe == recipe)
        yield f"{recipe}: {told} images a label. How many are enough for {answers}."


def _needed(row: Forecast) -> str:
    if row.kind == "measured" or row.kind == "cannot tell":
        return f"{row.needed:g}" if row.needed else "nobody can tell"
    bounds = f" ({row.low:.0f} to {row.high:.0f})" if row.low and row.high else ""
    return f"about {row.needed:.0f}{bounds}" if row.needed else f"more than {row.low:.0f}"


def _on_switches(study: Study) -> Iterator[str]:
    for recipe in dict.fromkeys(row.recipe for row in study.switches):
        normal, *others = [row for row in study.switches if row.recipe == recipe]
        told = ", ".join(f"{row.switch} {points(row.difference)}" for row in others)
        yield f"{recipe}, {percent(normal.held_out.mean)} as a night trains it; in points: {told}."


def answer_question(label: str, tries: Sequence[TryRow], nearest: Sequence[tuple[int, str]]) -> str:
    """Why the image is misread, and what mends it, in one sentence."""
    base, rest = tries[-1], tries[:-1]
    article = [row for row in rest if row.tried.startswith("the article's")][-1]
    tried = rest[rest.index(article) + 1 :]
    mends = [row for row in tried if row.num_right == row.num_seeds]
    harder = next(row for row in rest if row.tried.startswith("the same"))
    parts = [f"This {label} is read as {_answers(article)} by {article.tried}"]
    if article.num_right < article.num_seeds:
        verb = "mend" if harder.num_right == harder.num_seeds else "do not mend"
        parts.append(f"more epochs {verb} it ({_out_of(harder)})")
    parts.append(_say_what_mends(mends, tried))
    parts.append(
        f"the base model, which never saw this handwriting, reads {base.answers[0][0]} ({percent(base.confidence)})"
    )
    same = sum(1 for _, near in nearest if near == label)
    parts.append(
        f"of the {len(nearest)} images most like it, {same or 'none'} {'bear' if same > 1 else 'bears'} its label"
    )
    return "; ".join(parts) + "."


def _say_what_mends(mends: Sequence[TryRow], tries: Sequence[TryRow]) -> str:
    """The least that reads it right in every seed; tries are ordered by what they take."""
    if not mends:
        return "nothing that was tried reads it right in every seed"
    others = len(tries) - tries.index(mends[0]) - 1
    as_well = f", as with {len(mends) - 1} of the {others} things tried after it" if len(mends) > 1 else ""
    return f"every seed reads it right with {mends[0].tried}{as_well}"


def _answers(row: TryRow) -> str:
    if len(row.answers) == 1:
        return row.answers[0][0]
    return _join([f"{answer} ({number} of {row.num_seeds} seeds)" for answer, number in row.answers])


def _out_of(row: TryRow) -> str:
    return f"{row.num_right} of {row.num_seeds} seeds"


def _join(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _epochs(row: EpochRow) -> str:
    if row.how == "fixed":
        return f"{row.epochs.median:.0f} epochs"
    return f"EarlyStopping at {row.epochs.median:.0f} ({row.epochs.lowest:.0f} to {row.epochs.highest:.0f})"


def _held_out(share: Share | None) -> str:
    return percent(share.mean) if share else "–"


def percent(share: float) -> str:
    """0.904 → `90.4 %`."""
    return f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """-0.031 → `−3.1`; with its sign, as a difference is read."""
    return f"{100 * difference:+.1f}".replace("-", "−")
