"""What the exam shows: readings, scores with their intervals, pairs, and the regression set image by image.

Pure NumPy: models come in as arrays of probabilities, so the same counting serves every backend and every test.
"""

from tasks.evaluate.counting import confusion_matrix, find_fair_rows, pair_up, read_labels, wilson_score
from tasks.evaluate.regression import judge_regression, new_stories, tell_stories

__all__ = [
    "confusion_matrix",
    "find_fair_rows",
    "judge_regression",
    "new_stories",
    "pair_up",
    "read_labels",
    "tell_stories",
    "wilson_score",
]
