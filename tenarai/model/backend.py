"""Keras, imported without the lines that TensorFlow writes to stderr when it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
# A GPU would multiply with 10 bits of mantissa (TF32), and read otherwise than a CPU and the forward pass in NumPy.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "float32")


@contextmanager
def _silence() -> Iterator[None]:
    """Send file descriptor 2 to /dev/null: the lines come from C++, which no log level and no `sys.stderr` reaches."""
    kept = os.dup(STDERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDERR)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nowhere)


with _silence():
    import keras

__all__ = ["keras"]
