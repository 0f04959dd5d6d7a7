"""What the base makes of digits that were scanned coarsely, and that nothing was tuned on: UCI's optdigits, 8 × 8.

.venv/bin/python benchmarks/coarse.py

Each of the 1,797 is enlarged and drawn as pen on paper, as the sample folder is.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from tenarai.model.bundle import load_base
from tenarai.prepare import NORMALISER_VERSION, normalise
from tenarai.sample import draw


def main() -> None:
    bunch, digits = load_digits(), []
    for number, image in enumerate(bunch.images):
        rng = np.random.default_rng([7, number])
        digits.append(normalise(draw(image, number, rng)))
    base = load_base(normaliser=NORMALISER_VERSION)
    probabilities = base.predict(np.stack(digits))
    right, sure = probabilities.argmax(axis=1) == bunch.target, probabilities.max(axis=1) >= base.info.unsure_below
    by_label = ", ".join(f"{label} {right[bunch.target == label].mean():.1%}" for label in range(10))
    print(f"{base.info.id}: {right.mean():.1%} of {len(right):,}; sure of {sure.mean():.1%}, ", end="")
    print(f"{(~right[sure]).mean():.2%} of these wrong; by label: {by_label}")


if __name__ == "__main__":
    main()
