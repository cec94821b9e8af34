import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.errors import DataRefusedError
from hven.methods import twopoint


def brute_force(places, values, edges):
    """Return mean products and counts of all pairs, one by one."""
    i, j = np.triu_indices(len(places), 1)
    distance = np.sqrt(((places[i] - places[j]) ** 2).sum(axis=1))
    bins = np.searchsorted(edges, distance) - 1
    products, counts = np.zeros((2, len(edges) - 1))
    for b, product in zip(bins, values[i] * values[j], strict=True):
        if 0 <= b < len(counts):
            products[b] += product
            counts[b] += 1
    with np.errstate(invalid="ignore"):
        return products / counts, counts


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 60), d=st.integers(1, 3))
def test_points_are_counted_pair_by_pair(seed, n, d):
    rng = np.random.default_rng(seed)
    places, values = rng.uniform(0, 3, (n, d)), rng.normal(size=n)
    edges = np.array([0.1, 0.5, 1.0, 2.5])
    told = twopoint.of_points(places, values, edges)
    want, counts = brute_force(places, values, edges)
    np.testing.assert_allclose(told.value, want, atol=1e-12)
    assert told.n_pairs.tolist() == counts.tolist()


def test_errors_come_from_leaving_out_one_region_at_a_time():
    rng = np.random.default_rng(1)
    places, values = rng.uniform(0, 4, (200, 2)), rng.normal(size=200)
    regions = np.floor(places[:, 0]).astype(int)
    edges = np.array([0.0, 0.4, 1.0])
    told = twopoint.of_points(places, values, edges, regions)
    want = [twopoint.of_points(places[regions != k], values[regions != k], edges).value for k in range(4)]
    np.testing.assert_allclose(told.replicates, want, atol=1e-12)
    assert told.err**2 == pytest.approx(np.diag(told.covariance()))


def test_a_grid_counts_the_pairs_of_its_pixels_exactly():
    """Points in the middles of pixels, several in some: the grid and all pairs agree to rounding."""
    rng = np.random.default_rng(2)
    cells = rng.integers(0, 12, (300, 2))
    places, values = (cells + 0.5) * 0.25, rng.normal(size=300)
    edges = np.array([0.0, 0.3, 0.9, 2.2])
    grid = twopoint.Grid.empty([0, 0], [3, 3], 0.25).add(*places.T, values)
    told = twopoint.of_grid(grid, edges)
    apart = places + 1e-9 * rng.normal(size=places.shape)  # pairs within a pixel are no longer at zero
    want, counts = brute_force(apart, values, edges)
    np.testing.assert_allclose(told.value, want, rtol=1e-9)
    assert told.n_pairs.tolist() == counts.tolist()


def test_a_fine_grid_tells_what_all_pairs_tell():
    """Pixels of an eighth of a lag: within 3 % of the first value, and within 0.15 of the error, at any lag."""
    rng = np.random.default_rng(3)
    places = rng.uniform(0, 6, (3000, 2))
    values = np.sin(2 * places[:, 0]) * np.cos(1.5 * places[:, 1]) + 0.3 * rng.normal(size=3000)
    edges = np.linspace(0, 2, 11)
    exact = twopoint.of_points(places, values, edges, np.floor(places @ [1, 6] / 2).astype(int) % 25)
    told = twopoint.of_grid(twopoint.Grid.empty([0, 0], [6, 6], 0.025).add(*places.T, values), edges, tiles=5)
    assert np.abs(told.value - exact.value).max() < 0.03 * exact.value[0]
    assert told.n_pairs.sum() == pytest.approx(exact.n_pairs.sum(), rel=0.01)
    assert np.all((told.err > 0.3 * exact.err) & (told.err < 3 * exact.err))


def test_blocks_add_up_to_the_whole():
    rng = np.random.default_rng(4)
    x, y, v = rng.normal(size=(3, 500))
    empty = twopoint.Grid.empty([-2, -2], [2, 2], 0.1)
    whole = empty.add(x, y, v)
    parts = empty.add(x[:200], y[:200], v[:200]).add(x[200:], y[200:], v[200:])
    np.testing.assert_allclose(parts.total, whole.total, atol=1e-12)
    assert (parts.count == whole.count).all()
    assert whole.count.sum() < 500
    holed = empty.add(np.append(x, [np.nan, 0.0]), np.append(y, [0.0, 0.0]), np.append(v, [1.0, np.nan]))
    assert (holed.count == whole.count).all()


def test_points_without_any_correlation_show_none():
    """50 catalogues of 1000 points: the mean is zero, and the jackknife error is that of the scatter."""
    rng = np.random.default_rng(5)
    edges = np.linspace(0, 1, 5)
    told = []
    for _ in range(50):
        x, y, v = rng.uniform(0, 4, 1000), rng.uniform(0, 4, 1000), rng.normal(size=1000)
        told.append(twopoint.of_grid(twopoint.Grid.empty([0, 0], [4, 4], 0.08).add(x, y, v), edges, tiles=3))
    values, errors = np.array([t.value for t in told]), np.array([t.err for t in told])
    assert np.abs(values.mean(axis=0) / values.std(axis=0)).max() < 0.5
    assert errors.mean(axis=0) == pytest.approx(values.std(axis=0), rel=0.35)


def test_lags_without_pairs_are_null():
    told = twopoint.of_points(np.array([[0.0], [5.0]]), np.ones(2), [0.0, 1.0, 10.0])
    assert np.isnan(told.value).tolist() == [True, False]
    assert np.isnan(told.err).all()
    grid = twopoint.Grid.empty([0, 0], [6, 1], 0.5).add([0.1, 5.1], [0.0, 0.0], [1.0, 1.0])
    assert np.isnan(twopoint.of_grid(grid, [0.0, 1.0, 10.0]).value).tolist() == [True, False]


def test_bad_lags_and_bad_points_are_refused():
    with pytest.raises(DataRefusedError, match="edges"):
        twopoint.of_points(np.zeros((2, 1)), np.zeros(2), [1.0, 0.5])
    with pytest.raises(DataRefusedError, match="not finite"):
        twopoint.of_points(np.array([[0.0], [np.nan]]), np.zeros(2), [0.0, 1.0])
