"""Images without the normaliser: resized to 28 × 28, light and dark as they are.

Most beginners' programs do this. A study compares the normaliser with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def squeeze(picture: NDArray[np.uint8], *, smooth: bool = False) -> NDArray[np.uint8]:
    """Convert the whole image to grey and resize it to 28 × 28, ignoring its aspect ratio.

    Args:
        picture: (H, W, 3) uint8.
        smooth: Average the pixels that fall together. Default: pick one of them, as Keras' `load_img` does by default.

    Returns:
        (28, 28) uint8, white 255.
    """
    method = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).convert("L").resize((28, 28), method), dtype=np.uint8)
