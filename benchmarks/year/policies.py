"""How well held-out digits are read over the year by the champion: with Tenarai's gate, and with simpler rules."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate import Evidence, earlier_gate
from benchmarks.year.person import Supply, encode
from benchmarks.year.year import Report
from tenarai.dataset import REGRESSION, TEST, TRAIN, load_manifest, load_snapshot
from tenarai.evaluate.compare import pair_up
from tenarai.evaluate.holdout import cross_fit, find_holdout
from tenarai.evaluate.predictions import Predictions, champion_id, load_model_by_id
from tenarai.model.bundle import LoadedModel, load_out_of_fold
from tenarai.prepare import read_digit
from tenarai.store import Store

GATE, EARLIER, AT_LEAST, ALWAYS = "Tenarai's gate", "the gate of before", "accuracy ≥ champion", "always promoting"
COLOURS = {ALWAYS: "#c2410c", AT_LEAST: "#7c8894", EARLIER: "#3f8f5f", GATE: "#1f5fbf"}
WRITERS = ("first writers", "second writers")


@dataclass
class Policy:
    """The champion by one rule, night by night.

    Attributes:
        model: The champion now.
        num_changes: How often that changed.
        num_lost: Held-out digits that were read right until a change, and wrong after it; of all changes together.
        rows: By night, the share read right of the first and of the second writers' digits.
    """

    model: str
    num_changes: int = 0
    num_lost: int = 0
    rows: list[tuple[float, float]] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return float(np.mean(self.rows))


class Policies:
    """Four rules on the same challengers; `accuracy ≥ champion` goes by the night's own test and regression set."""

    def __init__(self, supply: Supply, store: Store) -> None:
        self._store = store
        self._digits = np.stack([read_digit(encode(supply.picture(n))) for part in supply.held_out for n in part])
        self._truth = np.array([supply.labels[n] for part in supply.held_out for n in part])
        self._middle = len(supply.held_out[0])
        self._right: dict[str, NDArray[np.bool_]] = {}
        self._loaded: dict[str, LoadedModel] = {}
        self.by_name = {name: Policy(champion_id(store)) for name in COLOURS}
        self.nights: list[int] = []

    def measure(self, night: int, report: Report) -> None:
        """Let each rule choose after a night, and note how well its choice reads."""
        challenger = report["challenger"]
        chosen = {name: policy.model for name, policy in self.by_name.items()} | {GATE: champion_id(self._store)}
        if challenger:
            chosen[ALWAYS] = challenger
            if self._is_as_good(challenger, chosen[AT_LEAST], report["snapshot"]):
                chosen[AT_LEAST] = challenger
            if self._passes_earlier_gate(challenger, chosen[EARLIER], report["snapshot"]):
                chosen[EARLIER] = challenger
        for name, policy in self.by_name.items():
            self._crown(policy, chosen[name])
        self._loaded = {model: loaded for model, loaded in self._loaded.items() if model in chosen.values()}
        self.nights.append(night)

    def last(self) -> str:
        """The newest shares, for a line on the terminal."""
        return "; ".join(
            f"{name} {a:.1%}, {b:.1%}" for name, (a, b) in ((n, p.rows[-1]) for n, p in self.by_name.items())
        )

    def second_writer(self, since: int) -> tuple[float, float]:
        """How well the gate's champion read the second writers' digits in the night before `since`, and at the end."""
        rows = self.by_name[GATE].rows
        before = [row for night, row in zip(self.nights, rows, strict=True) if night < since]
        return before[-1][1], rows[-1][1]

    def _crown(self, policy: Policy, model: str) -> None:
        right = self._read(model)
        if model != policy.model:
            policy.num_lost += int((self._read(policy.model) & ~right).sum())
            policy.num_changes += 1
            policy.model = model
        policy.rows.append((float(right[: self._middle].mean()), float(right[self._middle :].mean())))

    def _is_as_good(self, challenger: str, champion: str, snapshot_id: str) -> bool:
        snapshot = load_snapshot(self._store, snapshot_id)
        rows = np.flatnonzero(np.isin(snapshot.splits, [TEST, REGRESSION]))
        truth = snapshot.labels()[rows]
        ours, theirs = (self._is_right(model, snapshot.pixels[rows], truth).sum() for model in (champion, challenger))
        return bool(theirs >= ours)

    def _passes_earlier_gate(self, challenger: str, champion: str, snapshot_id: str) -> bool:
        """Whether the gate of before promotes; images that were filed from the inbox count for it, as they did."""
        snapshot = load_snapshot(self._store, snapshot_id)
        ours, theirs = (Predictions.of(self._load(model), snapshot.pixels) for model in (champion, challenger))
        out_of_fold = load_out_of_fold(self._store, challenger)
        honest, truth = cross_fit(snapshot, theirs, out_of_fold).labels, snapshot.labels()
        rows, _notes = find_holdout(self._store, snapshot, ours.model, honest)
        regression = snapshot.rows(REGRESSION)
        before, now = ours.labels[regression] == truth[regression], theirs.labels[regression] == truth[regression]
        sure = ours.probabilities[regression[before & ~now]].max(axis=1, initial=0.0)
        pairs = pair_up(ours.labels[rows] == truth[rows], honest[rows] == truth[rows])
        learned = load_manifest(self._store, ours.model.snapshot).rows(TRAIN) if ours.model.snapshot else ()
        counts = len(learned), len(snapshot.rows(TRAIN))
        lost = tuple(sure.tolist())
        return bool(earlier_gate(Evidence(0, 0, pairs, lost, int((now & ~before).sum()), counts, 0)))

    def _read(self, model: str) -> NDArray[np.bool_]:
        if model not in self._right:
            self._right[model] = self._is_right(model, self._digits, self._truth)
        return self._right[model]

    def _is_right(self, model: str, pixels: NDArray[np.uint8], truth: NDArray[np.str_]) -> NDArray[np.bool_]:
        return np.asarray(Predictions.of(self._load(model), pixels).labels == truth)

    def _load(self, model: str) -> LoadedModel:
        if model not in self._loaded:
            self._loaded[model] = load_model_by_id(self._store, model)
        return self._loaded[model]


def draw_year(policies: Policies) -> bytes:
    """Accuracy on held-out digits over the nights, a panel for each half of the writers; PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 3.2), dpi=100, facecolor="#ffffff", layout="constrained")
    for number, (axes, title) in enumerate(zip(figure.subplots(1, 2, sharey=True), WRITERS, strict=True)):
        for name, policy in policies.by_name.items():
            values = [100 * row[number] for row in policy.rows]
            width = 2.0 if name == GATE else 1.0
            axes.step(policies.nights, values, where="post", color=COLOURS[name], linewidth=width, label=name)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("night")
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("% of held-out digits read right")
    figure.axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
