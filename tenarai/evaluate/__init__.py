"""What the exam shows: readings, scores with their intervals, pairs, and the regression set image by image.

Pure NumPy: models come in as arrays of probabilities, so the same counting serves every backend and every test.
"""

from tenarai.evaluate.advice import order_inbox
from tenarai.evaluate.changes import find_changes, plan_trials
from tenarai.evaluate.counting import confusion_matrix, find_fair_rows, pair_up, read_labels, wilson_score
from tenarai.evaluate.regression import judge_regression, new_stories, tell_stories
from tenarai.evaluate.suspects import find_duplicates, find_outliers, find_wrong_labels

__all__ = [
    "confusion_matrix",
    "find_changes",
    "find_duplicates",
    "find_fair_rows",
    "find_outliers",
    "find_wrong_labels",
    "judge_regression",
    "new_stories",
    "order_inbox",
    "pair_up",
    "plan_trials",
    "read_labels",
    "tell_stories",
    "wilson_score",
]
