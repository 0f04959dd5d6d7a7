"""`make score DATA=<folder>`: how well people's own digits are read, untouched and after a few samples of theirs.

The folder is laid out as `<set>/<label>/<file>`, a set a writer. Of each set the base model reads everything; then, for
1, 2, 5 and 10 samples a label, a challenger is trained as a night trains it, and reads what it was not trained on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenarai.dataset import TrainingSet
from tenarai.errors import DatasetError, ImageError
from tenarai.prepare import NORMALISER_VERSION, decode, normalise
from tenarai.records import Score
from tenarai.settings import TrainingSettings

if TYPE_CHECKING:
    from tenarai.model.bundle import LoadedModel

Say = Callable[[str], None]
Digits = NDArray[np.uint8]

SAMPLES_EACH = (1, 2, 5, 10)


@dataclass(frozen=True, eq=False)
class Writer:
    """One set.

    Attributes:
        name: Its folder.
        files: Paths, in order.
        digits: (N, 28, 28) uint8; blank where nothing could be read, which counts as misread.
        labels: (N,) str, what was written.
        problems: Why a file could not be read, by row.
    """

    name: str
    files: tuple[Path, ...]
    digits: Digits
    labels: NDArray[np.str_]
    problems: dict[int, str]


@dataclass(frozen=True, eq=False)
class WriterScore:
    """What came out for one set.

    Attributes:
        writer: The set.
        read: (N,) str, what the base model read.
        sure: (N,) bool, whether it was sure.
        after: By samples a label: one share of right readings a draw, each on all images that were not drawn.
    """

    writer: Writer
    read: NDArray[np.str_]
    sure: NDArray[np.bool_]
    after: dict[int, list[float]]

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) bool, whether the base read what was written."""
        return np.asarray(self.read == self.writer.labels)

    def as_json(self) -> dict[str, object]:
        """The counts of the set, and the shares after some samples."""
        after = {str(k): [round(share, 4) for share in shares] for k, shares in self.after.items()}
        counts = {"set": self.writer.name, "images": len(self.read), "right": int(self.right.sum())}
        return {**counts, "unreadable": len(self.writer.problems), "after": after}


def score_folder(folder: Path, *, draws: int, say: Say, few_shot: bool = True) -> list[WriterScore]:
    """Score every set in a folder.

    Args:
        folder: Sets, laid out as `<set>/<label>/<file>`.
        draws: How often samples are drawn from each set.
        say: Receives a line a set.
        few_shot: Also train on samples of the writer; else only the base reads.

    Raises:
        DatasetError: There are no sets.
    """
    from tenarai.model.bundle import load_base

    base = load_base(normaliser=NORMALISER_VERSION)
    scores = []
    for writer in load_writers(folder):
        read, sure = _read(base, writer.digits)
        after = {k: list(_learn(writer, k, draws)) for k in SAMPLES_EACH} if few_shot else {}
        score = WriterScore(writer, read, sure, {k: shares for k, shares in after.items() if shares})
        told = "".join(f", with {k}: {np.mean(shares):.1%}" for k, shares in score.after.items())
        say(f"{writer.name}: {score.right.sum()} of {len(read)}{told}")
        scores.append(score)
    return scores


def load_writers(folder: Path) -> Iterator[Writer]:
    """The sets of a folder, by name.

    Raises:
        DatasetError: There are none.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found = False
    for name in names:
        files = tuple(sorted(path for path in (folder / name).glob("*/*") if path.is_file()))
        if files:
            found = True
            yield _load_writer(name, files)
    if not found:
        raise DatasetError(
            f"there are no sets in {folder}",
            expected="<set>/<label>/<image>, one folder a writer",
            fix="check the path given as DATA",
        )


def _load_writer(name: str, files: tuple[Path, ...]) -> Writer:
    problems: dict[int, str] = {}

    def load(row: int) -> Digits:
        try:
            return normalise(decode(files[row].read_bytes()))
        except (ImageError, OSError) as error:
            problems[row] = str(error)
            return np.zeros((28, 28), dtype=np.uint8)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        digits = np.stack(list(pool.map(load, range(len(files)))))
    return Writer(name, files, digits, np.array([path.parent.name for path in files]), problems)


def _read(model: LoadedModel, digits: Digits) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    probabilities = model.predict(digits)
    names = np.array(model.info.labels)
    return names[probabilities.argmax(axis=1)], np.asarray(probabilities.max(axis=1) >= model.info.unsure_below)


def _learn(writer: Writer, samples_each: int, draws: int) -> Iterator[float]:
    """Share of right readings after some samples of each label, one a draw; none where a label has too few images."""
    from tenarai.model.train import train_model

    names, targets, counts = np.unique(writer.labels, return_inverse=True, return_counts=True)
    if counts.min() <= samples_each:
        return
    for draw in range(draws):
        rng = np.random.default_rng([draw, samples_each])
        mine = np.concatenate([rng.permutation(np.flatnonzero(targets == k))[:samples_each] for k in range(len(names))])
        others = np.setdiff1d(np.arange(len(targets)), mine)
        groups = np.array([str(path) for path in writer.files])[mine]
        training_set = TrainingSet(
            writer.digits[mine],
            targets[mine].astype(np.int64),
            groups,
            tuple(str(name) for name in names),
            NORMALISER_VERSION,
        )
        trained = train_model(training_set, TrainingSettings(seed=draw, device="cpu"))
        read = trained.network.predict(writer.digits[others], verbose=0).argmax(axis=1)
        yield float((read == targets[others]).mean())


def as_table(scores: Sequence[WriterScore]) -> str:
    """The scores as a markdown table, with the pooled row and the mean over sets."""
    tried = [k for k in SAMPLES_EACH if any(k in score.after for score in scores)]
    lines = [
        f"| {' | '.join(['set', 'images', 'base', *(f'+{k} a label' for k in tried)])} |",
        f"| --- | ---: | ---: |{' ---: |' * len(tried)}",
    ]
    for score in scores:
        cells = [_cell(score.after.get(k, [])) for k in tried]
        lines.append(
            f"| {' | '.join([score.writer.name, str(len(score.read)), f'{score.right.mean():.1%}', *cells])} |"
        )
    means = [_cell([float(np.mean(s.after[k])) for s in scores if k in s.after], spread=False) for k in tried]
    base_mean = np.mean([score.right.mean() for score in scores])
    lines.append(f"| {' | '.join([f'**mean over {len(scores)} sets**', '', f'**{base_mean:.1%}**', *means])} |")
    right = np.concatenate([score.right for score in scores])
    pooled = Score.of(int(right.sum()), len(right))
    all_images = f"**{pooled.accuracy:.1%}** ({pooled.low:.1%}–{pooled.high:.1%})"
    lines.append(f"| {' | '.join(['**all images**', str(len(right)), all_images, *([''] * len(tried))])} |")
    sure = np.concatenate([score.sure for score in scores])
    lines += [
        "",
        f"Base: {int((~right).sum())} of {len(right)} images misread; sure of {sure.mean():.1%}, "
        f"of these {int((sure & ~right).sum())} wrong; {int((~sure & ~right).sum())} of the misread called unsure.",
    ]
    if tried:
        lines.append("After some samples: mean over the draws, each on the images not drawn; ±: standard deviation.")
    return "\n".join(lines)


def _cell(shares: Sequence[float], *, spread: bool = True) -> str:
    if not shares:
        return "–"
    around = f" ± {100 * np.std(shares):.1f}" if spread and len(shares) > 1 else ""
    return f"{np.mean(shares):.1%}{around}"


def draw_misread(scores: Sequence[WriterScore]) -> bytes:
    """A contact sheet of everything the base misreads, original above digit, as PNG."""
    from benchmarks.base.contact_sheet import Cell, draw_contact_sheet

    cells = [
        Cell(
            _picture(score.writer.files[row]),
            score.writer.digits[row],
            f"{score.writer.labels[row]} as {score.read[row]}",
        )
        for score in scores
        for row in np.flatnonzero(~score.right)
    ]
    return draw_contact_sheet(cells)


def _picture(file: Path) -> Digits:
    try:
        return decode(file.read_bytes())
    except (ImageError, OSError):
        return np.full((64, 64, 3), 200, dtype=np.uint8)
