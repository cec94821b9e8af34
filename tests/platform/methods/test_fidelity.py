"""Neighbours by brute force, and what precision, recall, density and coverage are of samples that are known."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from hven.errors import DataRefusedError, ParameterError, TooFewObjectsError
from hven.methods import fidelity


def test_neighbours_are_those_of_a_tree():
    rng = np.random.default_rng(0)
    x, among = rng.normal(size=(1500, 5)), rng.normal(size=(700, 5))
    distance, which = fidelity.nearest(x, among, 4)
    expected, indices = cKDTree(among).query(x, 4)
    np.testing.assert_allclose(distance, expected, rtol=1e-12)
    assert np.array_equal(which, indices)
    own = fidelity.nearest(among, among, 2, is_same=True)[0]
    np.testing.assert_allclose(own, cKDTree(among).query(among, 3)[0][:, 1:], rtol=1e-9, atol=1e-12)


def test_twins_are_at_distance_zero_exactly():
    x = 1e6 + np.random.default_rng(0).normal(size=(50, 3))
    both = np.concatenate([x, x])
    assert np.all(fidelity.nearest(both, both, is_same=True)[0] == 0.0)


def test_the_four_shares_by_brute_force():
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(size=(60, 2)), 0.5 * rng.normal(size=(40, 2)) + 0.3
    gaps = np.linalg.norm(ours[:, None] - theirs, axis=2)
    within = [np.sort(np.linalg.norm(s[:, None] - s, axis=2), axis=1)[:, 3] for s in (ours, theirs)]
    expected = (
        np.mean([any(gaps[:, j] <= within[0]) for j in range(40)]),
        np.mean([any(gaps[i] <= within[1]) for i in range(60)]),
        np.mean([np.sum(gaps[:, j] <= within[0]) for j in range(40)]) / 3,
        np.mean([any(gaps[i] <= within[0][i]) for i in range(60)]),
    )
    np.testing.assert_allclose(fidelity.neighbourhoods(ours, theirs, k=3), expected)


def test_loss_of_fidelity_and_loss_of_variety_are_told_apart():
    rng = np.random.default_rng(2)
    x, same = rng.normal(size=(2, 800, 6))
    usual = fidelity.neighbourhoods(x, same)
    noisy = fidelity.neighbourhoods(x, 2 * same)
    narrow = fidelity.neighbourhoods(x, 0.4 * same)
    assert noisy.precision < 0.6 < usual.precision
    assert noisy.density < 0.3 < usual.density
    assert narrow.recall < 0.6 < usual.recall
    assert narrow.coverage < 0.6 < usual.coverage
    assert narrow.precision > 0.95


def test_samples_of_one_distribution_have_as_many_twins_and_copies_as_the_quantile_says():
    rng = np.random.default_rng(3)
    x, same, training = rng.normal(size=(3, 2000, 5))
    assert fidelity.duplicates(x, same, quantile=0.05)[0] == pytest.approx(0.05, abs=0.02)
    assert fidelity.copies(training, same, x, quantile=0.05).share == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("n", [30, 150])
def test_as_many_have_twins_as_are_expected_however_few_there_are(n):
    rng = np.random.default_rng(n)
    shares = [fidelity.duplicates(*rng.normal(size=(2, n, 4)))[0] for _ in range(150)]
    assert abs(np.mean(shares) - max(0.01, 2 / n)) < 4 * np.std(shares) / np.sqrt(150)


@pytest.mark.parametrize("n", [20, 60, 300])
def test_as_many_seem_copied_as_are_expected_however_few_are_held_out(n):
    rng = np.random.default_rng(n)
    told = [fidelity.copies(*(rng.normal(size=(size, 4)) for size in (300, 400, n))) for _ in range(60)]
    shares = [one.share for one in told]
    assert told[0].expected == max(0.01, 1 / (n + 1))
    assert abs(np.mean(shares) - told[0].expected) < 4 * np.std(shares) / np.sqrt(60)


def test_what_lies_where_training_vectors_are_dense_is_not_all_called_a_copy():
    """In 26 dimensions, of 0.8 (0.6) times the width: 7 % (31 %) by the distance to the nearest alone."""
    rng = np.random.default_rng(5)
    training, fresh, held_out = rng.normal(size=(3, 2000, 26))
    assert fidelity.copies(training, 0.8 * fresh, held_out).share < 0.04
    assert fidelity.copies(training, 0.6 * fresh, held_out).share < 0.1


def test_copies_of_what_the_training_has_twice_are_found():
    rng = np.random.default_rng(6)
    once, fresh, held_out = rng.normal(size=(3, 300, 4))
    training = np.concatenate([once, once[:50]])
    told = fidelity.copies(training, np.concatenate([once[:20], once[20:40] + 1e-4, fresh]), held_out)
    assert np.all(told.relative_distance[:40] < 0.1)
    assert told.share < 0.2


def test_copies_are_found_with_what_they_are_copies_of():
    rng = np.random.default_rng(4)
    training, fresh, held_out = rng.normal(size=(3, 500, 5))
    generated = np.concatenate([training[[7, 3]] + 1e-3, fresh[:98]])
    share, distance, which, _ = fidelity.copies(training, generated, held_out)
    assert 0.02 <= share < 0.08
    assert which[:2].tolist() == [7, 3]
    assert np.all(distance[:2] < 0.1)


def test_whitening_leaves_out_directions_that_do_not_vary():
    rng = np.random.default_rng(5)
    x = np.column_stack([rng.normal(size=200), np.ones(200)])
    assert fidelity.whitened(x)[0].shape == (200, 1)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: fidelity.nearest(np.zeros((3, 2)), np.zeros((2, 2)), 3), TooFewObjectsError),
        (lambda: fidelity.neighbourhoods(np.zeros((9, 2)), np.zeros((9, 2)), k=0), ParameterError),
        (lambda: fidelity.whitened(np.zeros((9, 2)), np.zeros((9, 3))), DataRefusedError),
        (lambda: fidelity.whitened(np.full((9, 2), np.nan)), DataRefusedError),
        (lambda: fidelity.whitened(np.zeros((2, 2))), TooFewObjectsError),
        (lambda: fidelity.copies(np.zeros((9, 2)), np.zeros((9, 2)), np.zeros((0, 2))), TooFewObjectsError),
        (lambda: fidelity.copies(np.zeros((3, 2)), np.zeros((9, 2)), np.zeros((9, 2))), TooFewObjectsError),
    ],
)
def test_what_cannot_be_is_refused(call, error):
    with pytest.raises(error):
        call()
