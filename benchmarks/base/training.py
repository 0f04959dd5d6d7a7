"""Train the base model: the network everyone starts from, before a single image of their own.

.venv/bin/tenarai pretrain --mnist mnist.npz --usps usps.npz
…
epoch N/N: accuracy …, held out …
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenarai.model.augment import STRONG
from tenarai.model.batches import augmented_batches, one_hot
from tenarai.model.networks import build_base

BATCH = 256
SMOOTHING = 0.05
RATE = 2e-3


def pretrain(
    pixels: NDArray[np.uint8],
    targets: NDArray[np.int64],
    *,
    held_out: tuple[NDArray[np.uint8], NDArray[np.int64]] | None,
    epochs: int,
    seed: int,
    rate: float = RATE,
    start: Any = None,
    on_epoch: Callable[[str], None] = print,
) -> Any:
    """Train the base network with strong augmentation and a cosine schedule; the last steps' weights are averaged.

    Args:
        pixels: (N, 28, 28) uint8, normalised.
        targets: (N,) int64: 0 to 9, or -1 for what is no digit and should be read as unsure.
        held_out: Images and labels to watch, never trained on; None to watch nothing.
        epochs: Passes over the images.
        seed: Same images, same seed, same weights on one machine.
        rate: Highest learning rate.
        start: Network to go on with. Default: a new one.
        on_epoch: Receives a line per epoch.

    Returns:
        A `keras.Model`.
    """
    import keras

    keras.utils.set_random_seed(seed)
    network = start or build_base()
    batches = augmented_batches(pixels, one_hot(targets, 10, smoothing=SMOOTHING), how=STRONG, batch=BATCH, seed=seed)
    steps = epochs * len(batches)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 20, steps, warmup_target=rate, warmup_steps=max(1, steps // 12)
    )
    momentum = min(0.995, 1 - 10 / max(steps, 20))  # a short training has no two hundred steps to average
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=1e-4, use_ema=True, ema_momentum=momentum)
    network.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)

    def say(epoch: int, logs: dict[str, float]) -> None:
        watched = f", held out {logs['val_accuracy']:.4f}" if "val_accuracy" in logs else ""
        on_epoch(f"epoch {epoch + 1}/{epochs}: accuracy {logs['accuracy']:.4f}{watched}")

    network.fit(
        batches,
        epochs=epochs,
        verbose=0,
        validation_data=(held_out[0], one_hot(held_out[1], 10)) if held_out else None,
        validation_batch_size=1024,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=say)],
    )
    return network
