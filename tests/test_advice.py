"""Which images of the inbox to file first."""

import numpy as np

from tenarai.evaluate.inbox import MAX_SPREAD, order_inbox, soften
from tenarai.prepare import normalise
from tests.collections_of_digits import picture


def digits(*numbers):
    return np.stack([normalise(picture(number)) for number in numbers])


def test_the_least_sure_is_filed_first():
    sure = np.array([0.99, 0.4, 0.9], np.float32)
    assert order_inbox(sure, digits(0, 1, 2)).tolist()[0] == 1


def test_a_copy_of_what_is_to_be_filed_already_waits_for_what_looks_different():
    sure = np.array([0.40, 0.41, 0.7, 0.95], np.float32)
    assert order_inbox(sure, digits(1, 1, 2, 3)).tolist() == [0, 2, 3, 1]


def test_every_image_of_the_inbox_is_listed_once_and_what_comes_late_by_how_sure():
    numbers = MAX_SPREAD + 12
    sure = np.linspace(0.99, 0.3, numbers).astype(np.float32)
    order = order_inbox(sure, digits(*range(numbers)))
    assert sorted(order.tolist()) == list(range(numbers))
    late = sure[order[MAX_SPREAD:]]
    assert (np.diff(late) >= 0).all()
    assert order_inbox(sure[:0], np.empty((0, 28, 28), np.uint8)).tolist() == []


def test_looks_are_of_one_length_and_blank_paper_is_no_trouble():
    looks = soften(np.concatenate([digits(0, 5), np.zeros((1, 28, 28), np.uint8)]))
    np.testing.assert_allclose(np.linalg.norm(looks, axis=1), [1, 1, 0], atol=1e-5)
