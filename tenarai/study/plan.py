"""What a study varies: a line is one thing that is tried, as one trial per seed; a trial is one training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tenarai.locale import _
from tenarai.model import EPOCHS_WITHOUT_SPLIT
from tenarai.settings import StudySettings
from tenarai.study.data import DARK, GREY, INVERTED, NORMALISED, RAW, SQUEEZED, StudyData

STOPPED_AT = 60  # EarlyStopping ends sooner
SIZES = (1, 2, 5, 10, 20, 40, 80)
LONG = 200  # "more epochs"

AS_IN_A_NIGHT = _("as in a night")
NO_AUGMENTATION = _("no augmentation")
SWITCHES: dict[str, dict[str, object]] = {
    AS_IN_A_NIGHT: {},
    NO_AUGMENTATION: {"augmented": False},
    _("no normaliser"): {"reading": SQUEEZED},
    _("all ink taken for dark"): {"reading": DARK},
    _("read as in the article"): {"reading": INVERTED},
}
FIXED, STOPPING = _("fixed"), _("EarlyStopping")


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        recipe: `article` (its network, one batch per epoch), `mlp`, `cnn`, `transfer`, or `base`: not trained at all.
        reading: How images become 28 × 28 pixels, for training and for evaluation.
        augmented: Whether training images are distorted a little in each epoch.
        epochs: Number of epochs; the maximum with `stopping`.
        stopping: EarlyStopping on folds of the training images finds the number of epochs, as in a night.
        draw: Images per label to train on; 0 for all but a held-out fifth.
        samples: Images per label of these; 0 for all.
        asks: Whether the misread image is read, too.
        seed: Decides draw, initial weights and order.
    """

    recipe: str
    reading: str = NORMALISED
    augmented: bool = False
    epochs: int = 40
    stopping: bool = False
    draw: int = 0
    samples: int = 0
    asks: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """The result of a trial.

    Attributes:
        num_train: Number of training images.
        history: `loss`, `accuracy`, `val_loss`, `val_accuracy` by epoch. Without `val_` where nothing was held out or
            EarlyStopping chose the epochs; empty for the base model.
        right: `1` or `0` for each held-out image, in order.
        right_as_article: The same with images read as in the article; empty for other recipes.
        answer: The label read in the misread image; empty where the trial does not ask.
        confidence: Of that answer, 0 to 1.
        seconds: Duration.
    """

    num_train: int
    history: dict[str, list[float]] = field(default_factory=dict)
    right: str = ""
    right_as_article: str = ""
    answer: str = ""
    confidence: float = 0.0
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """Epochs of the last fit."""
        return len(self.history.get("loss", ()))


@dataclass(frozen=True)
class Line:
    """One thing that is tried.

    Attributes:
        part: The part of the study: `article`, `epochs`, `samples`, `switches` or `question`.
        recipe: What is trained.
        what: What is varied, as shown to people.
        trials: One per seed.
        at_epoch: Evaluate after this epoch; 0 for the last one.
    """

    part: str
    recipe: str
    what: str
    trials: tuple[Trial, ...]
    at_epoch: int = 0


def make_plan(form: StudySettings, data: StudyData) -> tuple[Line, ...]:
    """Everything that a form asks for, as far as the images allow it."""
    makers = {"article": _article, "epochs": _epochs, "samples": _samples, "switches": _switches}
    lines = list(_question(form)) if data.misread else []
    for part, make in makers.items():
        if part in form.parts:
            lines += make(form, data)
    return tuple(lines)


def list_trials(plan: tuple[Line, ...]) -> tuple[Trial, ...]:
    """Every trial once; those that share what they compute are neighbours."""
    order = ("base", "article", "mlp", "transfer", "cnn")
    distinct = dict.fromkeys(trial for line in plan for trial in line.trials)
    return tuple(sorted(distinct, key=lambda t: (order.index(t.recipe), t.seed, t.reading, t.augmented)))


def train_as_in_a_night(recipe: str, **changes: object) -> Trial:
    """A recipe as a night trains it, except for the changes."""
    trial = Trial(recipe, augmented=recipe in {"cnn", "transfer"}, epochs=EPOCHS_WITHOUT_SPLIT.get(recipe, 0))
    return replace(trial, **changes)  # type: ignore[arg-type]


def _over_seeds(form: StudySettings, trial: Trial) -> tuple[Trial, ...]:
    return tuple(replace(trial, seed=seed) for seed in range(form.seeds))


def _article(form: StudySettings, data: StudyData) -> Iterator[Line]:
    """The article's network on one image per label, fed as in the article and in two other ways."""
    for reading in (RAW, GREY, INVERTED):
        for epochs in form.epochs:
            trial = Trial("article", reading, epochs=epochs, draw=1)
            yield Line("article", "article", reading, _over_seeds(form, trial))


def _epochs(form: StudySettings, data: StudyData) -> Iterator[Line]:
    for recipe in form.recipes:
        longest = train_as_in_a_night(recipe, epochs=max(form.epochs), draw=form.per_label)
        for epochs in form.epochs:
            yield Line("epochs", recipe, FIXED, _over_seeds(form, longest), at_epoch=epochs)
        stopping = replace(longest, epochs=STOPPED_AT, stopping=True)
        yield Line("epochs", recipe, STOPPING, _over_seeds(form, stopping))


def _samples(form: StudySettings, data: StudyData) -> Iterator[Line]:
    """Sizes up to what every label has when a fifth is held out, then everything."""
    train, held_out = data.draw(0, 0)
    if not len(held_out):
        return
    yield Line("samples", "base", "", _over_seeds(form, train_as_in_a_night("base")))
    sizes = [size for size in SIZES if size < 0.9 * len(train) / len(data.labels)]
    for recipe in form.recipes:
        for size in (*sizes, 0):
            yield Line("samples", recipe, "", _over_seeds(form, train_as_in_a_night(recipe, samples=size)))


def _switches(form: StudySettings, data: StudyData) -> Iterator[Line]:
    """Each ingredient switched off by itself, for training and for evaluation."""
    if not len(data.draw(0, form.per_label)[1]):
        return
    for recipe in form.recipes:
        normal = train_as_in_a_night(recipe, draw=form.per_label)
        for switch, changes in SWITCHES.items():
            if switch != NO_AUGMENTATION or normal.augmented:
                yield Line("switches", recipe, switch, _over_seeds(form, replace(normal, **changes)))  # type: ignore[arg-type]


def _question(form: StudySettings) -> Iterator[Line]:
    """What is tried on the misread image: the article's way first, then one improvement at a time."""
    longest = max(form.epochs)
    article = Trial("article", RAW, epochs=longest, draw=1)
    mlp = train_as_in_a_night("mlp", epochs=longest, draw=1)
    tried = {
        _("the article's network, {epochs} epochs", epochs=epochs): replace(article, epochs=epochs)
        for epochs in (*form.epochs, max(LONG, 5 * longest))
    }
    tried |= {
        _("the same reading for both"): replace(article, reading=INVERTED),
        _("the normaliser"): mlp,
        _("the normaliser and augmentation"): replace(mlp, augmented=True),
        _("the normaliser and all images"): replace(mlp, draw=0),
        _("a CNN with augmentation on all images"): train_as_in_a_night("cnn"),
        _("the base model fine-tuned on one image per label"): train_as_in_a_night("transfer", draw=1),
        _("the base model fine-tuned on all images"): train_as_in_a_night("transfer"),
    }
    for what, trial in tried.items():
        yield Line("question", trial.recipe, what, _over_seeds(form, replace(trial, asks=True)))
    yield Line("question", "base", _("the base model, untouched"), (train_as_in_a_night("base", asks=True),))
