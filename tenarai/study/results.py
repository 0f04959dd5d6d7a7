"""What a study found: frozen records that become `study.json` as they stand; all shares are 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """A share of images read right, over seeds.

    Attributes:
        mean: Over the seeds; `lowest` and `highest` of them.
        num_images: Different images it rests on, all seeds together.
        low, high: 95 % interval of the mean as a share of so many images.
    """

    mean: float
    lowest: float
    highest: float
    num_images: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spread:
    """A number over seeds: its median, its lowest and its highest value."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class ArticleRow:
    """The article's network trained on one image a label.

    Attributes:
        trained_on: What it was fed: `raw`, `grey` (0 to 1) or `1 - x`.
        epochs: How many.
        training: Training accuracy.
        as_the_article: Held-out images, read `/255` and `1 - x`; None where nothing could be held out.
        as_trained: The same, read the way it was trained.
    """

    trained_on: str
    epochs: int
    training: Share
    as_the_article: Share | None
    as_trained: Share | None


@dataclass(frozen=True, slots=True)
class EpochRow:
    """A recipe after so many epochs.

    Attributes:
        recipe: mlp, cnn or transfer.
        how: `fixed` or `stopping`.
        epochs: How many, over seeds.
        training, held_out: Accuracy; held out is None where nothing could be held out.
        held_out_loss: Mean over seeds; None with `stopping`, and where nothing could be held out.
    """

    recipe: str
    how: str
    epochs: Spread
    training: Share
    held_out: Share | None
    held_out_loss: float | None


@dataclass(frozen=True, slots=True)
class Band:
    """A curve over epochs: mean, lowest and highest of the seeds."""

    mean: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Learning:
    """How a recipe learned.

    Attributes:
        recipe: mlp, cnn or transfer.
        curves: `loss`, `accuracy`, `val_loss`, `val_accuracy`.
        best: Epoch of the lowest held-out loss; None where nothing could be held out.
        overfits: Whether the held-out loss rises by over 5 % from there to the last epoch.
    """

    recipe: str
    curves: dict[str, Band]
    best: Spread | None
    overfits: bool


@dataclass(frozen=True, slots=True)
class SampleRow:
    """Accuracy at a number of training images.

    Attributes:
        recipe: mlp, cnn, transfer, or base: untouched.
        per_label: Images a label, on average; 0 for the base.
        held_out: Share read right.
    """

    recipe: str
    per_label: float
    held_out: Share


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many images a label a recipe needs.

    Attributes:
        recipe: mlp, cnn or transfer.
        target: Accuracy asked for.
        kind: `measured` (reached with `needed`), `about` (`needed`, between `low` and `high`), `at least` (`low`; no
            upper bound can be told) or `cannot tell`.
        needed, low, high: Images a label; None where there is no such number.
        why: A sentence.
    """

    recipe: str
    target: float
    kind: str
    needed: float | None
    low: float | None
    high: float | None
    why: str


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """A recipe with one thing switched off.

    Attributes:
        recipe: mlp, cnn or transfer.
        switch: What was switched off.
        held_out: Share read right.
        difference: To nothing switched off, in shares of 1; negative is worse.
        won, lost: Readings that became right, and wrong, all seeds together.
    """

    recipe: str
    switch: str
    held_out: Share
    difference: float
    won: int
    lost: int


@dataclass(frozen=True, slots=True)
class TryRow:
    """What was tried on the misread image.

    Attributes:
        tried: A few words.
        answers: What was read, and by how many seeds; the most frequent first.
        num_right, num_seeds: Seeds that read what was written, of how many.
        probability: How sure the seeds were of their answers, on average.
    """

    tried: str
    answers: tuple[tuple[str, int], ...]
    num_right: int
    num_seeds: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Why the image is misread, and what mends it.

    Attributes:
        image: Name of its file.
        label: What was written.
        sentence: The answer.
        tries: What was tried, in order.
        nearest: Rows of the material most like it to the base model, with their labels; the nearest first.
    """

    image: str
    label: str
    sentence: str
    tries: tuple[TryRow, ...]
    nearest: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Study:
    """All that a study found.

    Attributes:
        source: Address of the source.
        num_images: Images used; `labels` their labels, `per_label` how many each has on average.
        seeds: Repetitions.
        held_out: In words, how images were held out.
        sentences: By part, what was found; the misread image first.
        article, epochs, learning, samples, forecasts, switches: The parts; empty where left out.
        answer: Of the misread image, or None.
        environment: Versions behind the numbers.
    """

    source: str
    num_images: int
    labels: tuple[str, ...]
    per_label: float
    seeds: int
    held_out: str
    sentences: dict[str, tuple[str, ...]]
    article: tuple[ArticleRow, ...]
    epochs: tuple[EpochRow, ...]
    learning: tuple[Learning, ...]
    samples: tuple[SampleRow, ...]
    forecasts: tuple[Forecast, ...]
    switches: tuple[SwitchRow, ...]
    answer: Answer | None
    environment: dict[str, str]

    @property
    def headline(self) -> str:
        """The first of all sentences; empty where nothing could be said."""
        return next((sentence for sentences in self.sentences.values() for sentence in sentences), "")
