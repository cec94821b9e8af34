"""Copies of training images: what is expected, and what else may look like them."""

import numpy as np
import pytest

from hven.errors import DataRefusedError
from hven.mocks import bubble_maps
from hven_plugins.generative import generative_memorisation


def maps(n, seed, **knobs):
    return bubble_maps(n, seed, **{"pixels": 16, **knobs}).inputs["images"]


def test_what_is_expected_follows_from_the_number_of_held_out_images():
    result = generative_memorisation(maps(60, 1), maps(60, 2), maps(24, 3), scales=2)
    assert float(result.copies_expected) == pytest.approx(1 / 25)
    assert abs(float(result.copies) - 1 / 25) < 4 * float(result.copies_err)
    assert float(generative_memorisation(maps(60, 1), maps(60, 2), maps(120, 3), scales=2).copies_expected) == 0.01


def test_sets_need_not_have_the_same_parameters_but_the_same_shape():
    bare = maps(60, 1).drop_vars("theta_bubbles")
    told = generative_memorisation(bare, maps(60, 2), maps(60, 3), scales=2)
    same = generative_memorisation(maps(60, 1), maps(60, 2), maps(60, 3), scales=2)
    assert float(told.copies) == float(same.copies)
    with pytest.raises(DataRefusedError, match="32 x 32"):
        generative_memorisation(maps(60, 1, pixels=32), maps(60, 2), maps(60, 3), scales=2)


def test_the_verdict_on_copies_tells_what_else_they_may_be():
    training = maps(100, 2)
    result = generative_memorisation(training.isel(object=np.arange(50)), training, maps(100, 3), scales=2)
    assert float(result.copies) == 1.0
    assert np.array_equal(result.generated_id, result.training_id)
    assert "are copies of training images, 1.0% are expected. If their variety is lost" in str(result.verdict.values)
