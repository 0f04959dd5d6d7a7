"""Pictures without the normaliser: squeezed to 28 × 28, light and dark as they came.

What most beginners' programs do, and what a study weighs the normaliser against; nothing else reads this way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def squeeze(picture: NDArray[np.uint8], *, smooth: bool = False) -> NDArray[np.uint8]:
    """The whole picture in grey, squeezed to 28 × 28 whatever its proportions.

    Args:
        picture: (H, W, 3) uint8.
        smooth: Average the pixels that fall together. Default: take one of them, as Keras' `flow_from_directory` and
            `load_img` do unless they are told otherwise.

    Returns:
        (28, 28) uint8, white 255.
    """
    method = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).convert("L").resize((28, 28), method), dtype=np.uint8)
