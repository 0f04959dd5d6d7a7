"""Frozen records that pass between rooms: ids, counts and small facts, never pixels by the thousand."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a file is for; the value is the folder's name in the source."""

    DIGITS = "digits"
    MISREAD = "misread"
    INBOX = "inbox"
    SHEETS = "sheets"


class State(StrEnum):
    """Where a catalogue row stands. Rows are never deleted."""

    OK = "ok"
    REJECTED = "rejected"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Image:
    """One file of the source, as the catalogue knows it.

    Attributes:
        source: Address of the source, `folder:<path>` or `drive:<id>`.
        file_id: The source's own id of the file: Drive's id, or the path inside a local folder.
        path: Path inside the source, `/`-separated; for people only, it never touches the disk.
        role: What the folder says the file is for.
        label: True label for `digits` and `misread`, else None.
        sha256: Hex digest of the bytes; names the original in the store. Empty if they were never had.
        size: Bytes.
        modified: Time of last change as the source says, ISO 8601 in UTC; empty if unknown.
        state: ok, rejected or gone.
        reason: Why it was rejected, for people; else empty.
        first_run, last_run: Runs that saw it first and last changed it.
        owner: Who put it there, if the source says; else empty.
        stamp: What the source says that changes whenever the bytes may have changed; opaque, only ever compared.
    """

    source: str
    file_id: str
    path: str
    role: Role
    label: str | None
    sha256: str
    size: int
    modified: str = ""
    state: State = State.OK
    reason: str = ""
    first_run: str = ""
    last_run: str = ""
    owner: str = ""
    stamp: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


class EventKind(StrEnum):
    """What happened to a file; one file may have two events a night, such as changed and moved."""

    ADDED = "added"
    CHANGED = "changed"
    MOVED = "moved"
    RELABELLED = "relabelled"
    GONE = "gone"
    BACK = "back"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the catalogue's append-only list of what happened.

    Attributes:
        run: The night it was noticed in.
        kind: What happened.
        file_id, path, label, sha256: The file as it is now; for gone files, as it was last.
        old_path, old_label: As it was before; None where there was nothing before, or no label.
    """

    run: str
    kind: EventKind
    file_id: str
    path: str
    label: str | None
    old_path: str | None
    old_label: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Digit:
    """A prepared image, kept in the catalogue under (sha256, normaliser).

    Attributes:
        sha256: Digest of the original's bytes.
        normaliser: Version of the normaliser that made it.
        pixels: 784 bytes, row by row: (28, 28) uint8, ink 255 on paper 0. Empty when rejected.
        phash: 32 bytes: 16 × 16 perceptual hash. Empty when rejected.
        group: sha256 that names the near-duplicate group; decided once, so a split never changes.
        reason: Why the image cannot be used, for people; empty when it can.
    """

    sha256: str
    normaliser: int
    pixels: bytes
    phash: bytes
    group: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What one sync did, as numbers of files.

    `new` lists the paths of labelled images that were not there before, for test-then-train.
    """

    num_seen: int = 0
    num_added: int = 0
    num_changed: int = 0
    num_moved: int = 0
    num_relabelled: int = 0
    num_gone: int = 0
    num_back: int = 0
    num_rejected: int = 0
    num_downloaded: int = 0
    num_bytes: int = 0
    shortcut: bool = False

    @property
    def num_differences(self) -> int:
        """How many files differ from what was known; 0 on a quiet night."""
        return self.num_added + self.num_changed + self.num_moved + self.num_relabelled + self.num_gone + self.num_back


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """What one preparation did, as numbers of distinct originals."""

    num_prepared: int = 0
    num_rejected: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """An immutable data set's address and size; the arrays lie in the store.

    Attributes:
        id: Hash of the content; the same images, labels and splits always give the same id.
        labels: Class names in the order of the model's outputs.
        num_train, num_test, num_regression: Images on each side.
        num_withheld: Near-duplicates of regression images, kept out of training and test.
        normaliser: Version of the normaliser behind the pixels.
    """

    id: str
    labels: tuple[str, ...]
    num_train: int
    num_test: int
    num_regression: int
    num_withheld: int
    normaliser: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """`model.json`: what a model is, where it comes from and what it was found to be worth.

    Attributes:
        id: Name of its folder under `models/`.
        labels: Class names in the order of its outputs.
        normaliser: Version of the normaliser it was trained with.
        snapshot: Id of the snapshot; empty for the base model.
        recipe: What trained it: mlp, cnn, transfer or base.
        parameters: The training settings, as given.
        versions: Versions of Keras, its backend, NumPy and Tenarai.
        epochs: Epochs of the final fit; `epochs_by_fold` the best of each fold, empty where no split was possible.
        metrics: Named numbers, such as the cross-validated accuracy and its number of images.
        weights_sha256: Digest of `model.keras`; checked before loading.
        created: ISO 8601 in UTC.
        device: What it was trained on.
        unsure_below: Calibrated threshold under which a reading is called unsure; 0 to 1.
        notes: Sentences for people: why this recipe, why these epochs.
    """

    id: str
    labels: tuple[str, ...]
    normaliser: int
    snapshot: str
    recipe: str
    parameters: dict[str, object]
    versions: dict[str, str]
    epochs: int
    epochs_by_fold: tuple[int, ...]
    metrics: dict[str, float]
    weights_sha256: str
    created: str
    device: str
    unsure_below: float = 0.8
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model reads in one image.

    Attributes:
        label: The most probable label.
        probability: Its probability, 0 to 1.
        unsure: Whether the probability lies below the model's threshold.
    """

    label: str
    probability: float
    unsure: bool


@dataclass(frozen=True, slots=True)
class Score:
    """Right answers of a number of images, with the 95 % Wilson interval of the share; all shares 0 to 1."""

    num_right: int
    num_images: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        """Share of right answers; 0.0 of no images."""
        return self.num_right / self.num_images if self.num_images else 0.0


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Champion and challenger on the same images, as numbers of images.

    `won`: champion wrong, challenger right. `lost`: champion right, challenger wrong.
    """

    won: int
    lost: int
    both_right: int
    both_wrong: int

    @property
    def num_images(self) -> int:
        """Images compared."""
        return self.won + self.lost + self.both_right + self.both_wrong


@dataclass(frozen=True, slots=True)
class RegressionCase:
    """One previously misread image tonight.

    Attributes:
        path: Where it lies in the source.
        sha256: Digest of the original.
        label: What was written.
        champion, challenger: What each reads; challenger is None on a night without one.
        status: `fixed` (champion wrong, challenger right), `still misread`, `newly misread` (champion right,
            challenger wrong), `read` (both right).
    """

    path: str
    sha256: str
    label: str
    champion: Reading
    challenger: Reading | None
    status: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided.

    Attributes:
        verdict: `promoted`, `kept` or `nothing new`.
        reason: One sentence for people.
        p_value: One-sided mid-p of the paired counts; None where no test was made.
    """

    verdict: str
    reason: str
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Reign:
    """One line of the champion's history.

    Attributes:
        model: Model id.
        since: ISO 8601 in UTC.
        why: One sentence.
        by: `gate`, or who overrode it.
        action: `first`, `promoted`, `rolled back`.
        snapshot: Snapshot whose exam decided, if any.
    """

    model: str
    since: str
    why: str
    by: str
    action: str
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class InboxReading:
    """One unlabelled image and what the champion reads in it."""

    path: str
    sha256: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that could not be used, and why, for people."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Curves:
    """The learning curves of one challenger, as `history.json` holds them.

    Attributes:
        folds: One dict a fold: `loss`, `accuracy`, `val_loss`, `val_accuracy`, each a list over epochs.
        refit: The final fit: `loss`, `accuracy` over epochs.
        best_epochs: Best epoch of each fold, from 1.
        chosen_epoch: Epochs of the final fit.
    """

    folds: tuple[dict[str, list[float]], ...]
    refit: dict[str, list[float]]
    best_epochs: tuple[int, ...]
    chosen_epoch: int


@dataclass(frozen=True)
class NightReport:
    """Everything that `report.json` holds and the report shows. Pictures are fetched from the store by sha256.

    Attributes:
        run: Name of the night, also of its folder under `reports/`.
        created: ISO 8601 in UTC.
        source, store: Addresses.
        decision: Verdict and reason.
        champion: Id of the champion before the night; `reigning` the one after it.
        challenger: Id, or empty.
        snapshot: The snapshot, or None when nothing could be frozen.
        champion_score, challenger_score: On the same images; None where not examined.
        pairs: The paired counts behind the decision.
        confusion: (K, K) counts of the examined model, true label by row, over `confusion_labels`.
        fresh: Champion's score on tonight's new labelled images before training (test-then-train).
        regression: One case an image.
        inbox, rejections: As read and found tonight.
        withheld: Paths kept out of training as near-duplicates of regression images.
        curves: Learning curves, or None.
        recipe, notes: What trained the challenger and why.
        sync: What the sync did.
        device: What trained, or what would have.
        seconds: Seconds by stage.
        num_images: Usable images of the source, inbox included.
        history: Earlier nights, oldest first: `{"run", "verdict", "champion", "accuracy", "num_images", "fresh_right",
            "fresh_images"}`.
    """

    run: str
    created: str
    source: str
    store: str
    decision: Decision
    champion: str
    reigning: str
    challenger: str
    snapshot: SnapshotInfo | None
    sync: SyncResult
    champion_score: Score | None = None
    challenger_score: Score | None = None
    pairs: PairedCounts | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    confusion_labels: tuple[str, ...] = ()
    fresh: Score | None = None
    regression: tuple[RegressionCase, ...] = ()
    inbox: tuple[InboxReading, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    withheld: tuple[str, ...] = ()
    curves: Curves | None = None
    recipe: str = ""
    notes: tuple[str, ...] = ()
    device: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    num_images: int = 0
    history: tuple[dict[str, object], ...] = ()
