"""Why an image is read as it is: what it looks like to the model, and where the reading comes from."""

from dataclasses import replace

import cv2
import keras
import numpy as np
import pytest

from tenarai.model.bundle import LoadedModel, load_base
from tenarai.model.explain import find_nearest, map_occlusion
from tenarai.model.networks import HEAD, build_cnn, build_head, build_mlp, build_transfer, take_convolutions
from tenarai.prepare import NORMALISER_VERSION, normalise
from tests.collections_of_digits import picture, real_digits


@pytest.fixture(scope="module")
def base():
    return load_base(normaliser=NORMALISER_VERSION)


@pytest.fixture(scope="module")
def digits():
    _, targets = real_digits()
    numbers = [int(n) for label in range(10) for n in np.flatnonzero(targets == label)[:6]]
    return np.stack([normalise(np.repeat(picture(n)[..., None], 3, axis=2)) for n in numbers]), targets[numbers]


def test_what_is_nearest_to_a_digit_is_mostly_the_same_digit(base, digits):
    pixels, targets = digits
    nearest = find_nearest(base, pixels, pixels, number=4)
    assert nearest.shape == (60, 4)
    assert (nearest[:, 0] == np.arange(60)).all()  # nothing is more like an image than itself
    assert (targets[nearest[:, 1:]] == targets[:, None]).mean() > 0.9


def test_there_are_never_more_neighbours_than_images(base, digits):
    assert find_nearest(base, digits[0][:2], digits[0][:3], number=5).shape == (2, 3)


def test_the_reading_depends_on_ink_and_not_on_empty_paper(base, digits):
    pixels, _ = digits
    maps = map_occlusion(base, pixels[::6])
    assert maps.shape == (10, 14, 14)
    assert maps.dtype == np.uint8
    for heat, image in zip(maps, pixels[::6], strict=True):
        near_ink = cv2.dilate(image, np.ones((7, 7), np.uint8))[1::2, 1::2] > 0
        assert heat.max() == 255
        assert heat[~near_ink].max(initial=0) == 0


def test_nothing_to_explain_gives_nothing(base):
    assert map_occlusion(base, np.zeros((0, 28, 28), np.uint8)).shape == (0, 14, 14)


def by_recipe(recipe, base):
    if recipe == "transfer":
        convolutions = take_convolutions(base.network)
        return build_transfer(convolutions, build_head(convolutions.output_shape[-1], 128, 10, seed=0))
    return {"mlp": build_mlp, "cnn": build_cnn}[recipe](10)


@pytest.mark.parametrize("recipe", ["mlp", "cnn", "transfer"])
def test_a_model_of_every_recipe_has_features(recipe, digits, base):
    model = LoadedModel.from_network(replace(base.info, recipe=recipe), by_recipe(recipe, base))
    assert model.features(digits[0][:3]).shape == (3, 128)
    assert find_nearest(model, digits[0][:3], digits[0], number=1)[:, 0].tolist() == [0, 1, 2]


def test_features_are_those_of_keras_last_hidden_layer(digits, base):
    hidden = keras.Model(base.network.input, base.network.get_layer(HEAD[0]).output)
    np.testing.assert_allclose(base.features(digits[0]), hidden.predict(digits[0], verbose=0), atol=1e-4)
