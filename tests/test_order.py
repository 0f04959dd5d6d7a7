"""Percentiles and medians are NumPy's own, to the bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tenarai.prepare.ink import _brightness, _sum_channels
from tenarai.prepare.order import median, percentile, percentiles

SHARES = (0, 1, 30, 35, 50, 75, 90, 99.5, 100)


@st.composite
def values(draw):
    """Some values, many of them equal, in either type."""
    kind = draw(st.sampled_from([np.float32, np.float64]))
    shape = draw(st.sampled_from([(1,), (2,), (3,), (7, 9), (40, 50)]))
    numbers = st.one_of(st.sampled_from([0.0, 1.0, 0.1]), st.floats(-1e3, 1e3, width=32))
    return draw(arrays(kind, shape, elements=numbers))


@given(values(), st.sampled_from(SHARES))
def test_a_percentile_is_numpys_own(found, share):
    assert percentile(found, share) == float(np.percentile(found, share))


def test_several_percentiles_are_found_at_once():
    picture = np.random.default_rng(1).normal(0, 2, (190, 180)).astype(np.float32)  # below 0 and above 3.75, too
    assert percentiles(picture, *SHARES) == [float(np.percentile(picture, share)) for share in SHARES]


@given(values())
def test_a_median_is_numpys_own(found):
    assert median(found) == float(np.median(found))


@pytest.mark.parametrize("share", SHARES)
def test_a_percentile_of_a_picture_is_numpys_own(share):
    picture = np.random.default_rng(0).random((256, 253), dtype=np.float32) ** 3
    assert percentile(picture, share) == float(np.percentile(picture, share))
    assert median(picture) == float(np.median(picture))


def test_the_mean_of_the_channels_is_numpys_own_for_every_sum():
    sums = np.arange(766)
    red = np.minimum(sums, 255)
    green = np.minimum(sums - red, 255)
    picture = np.stack([red, green, sums - red - green], axis=1).astype(np.uint8)[:, None]
    np.testing.assert_array_equal(_brightness(_sum_channels(picture)), picture.astype(np.float32).mean(axis=2))
