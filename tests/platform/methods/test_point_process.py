import numpy as np
import pytest
from scipy.optimize import minimize

from hven.errors import DataRefusedError, ParameterError
from hven.methods import in_float64, point_process
from hven.methods.point_process import Grid, cone_grid, expected_number, log_likelihood

SUN = np.array([-8.1, 0.0, 0.0])


def halo(parameters, places):
    """Return ln of a flattened power law about the Galactic centre, 1 at the Sun."""
    import jax.numpy as jnp

    slope, flattening = parameters[0], parameters[1]
    m2 = places[:, 0] ** 2 + places[:, 1] ** 2 + (places[:, 2] / flattening) ** 2
    return -0.5 * slope * jnp.log(m2 / 8.1**2)


@pytest.fixture(scope="module")
def beams():
    """Return 250 pencil beams of 1 square degree each, with a selection of their own that falls with distance."""
    rng = np.random.default_rng(0)
    towards = rng.normal(size=(250, 3))
    towards /= np.linalg.norm(towards, axis=1)[:, None]
    modulus = np.linspace(11.0, 19.0, 81)
    limit = rng.uniform(14.5, 16.5, (250, 1))
    selection = rng.uniform(0.3, 0.9, (250, 1)) / (1 + np.exp((modulus - limit) / 0.5))
    return cone_grid(towards, np.full(250, (np.pi / 180) ** 2), modulus, selection, origin=SUN)


def observed(grid, truth, n, seed):
    """Return the places of about `n` objects, drawn in every cell and thinned by the selection."""
    rng = np.random.default_rng(seed)
    mean = np.exp(np.asarray(in_float64(halo)(truth, grid.places))) * grid.volumes
    counts = rng.poisson(mean * n / np.sum(mean * grid.selection))
    cell = np.repeat(np.arange(len(counts)), counts)
    cell = cell[point_process.thin(grid.selection[cell], seed=seed)]
    off = grid.places[cell] - SUN
    return SUN + off * 10 ** (0.2 * rng.uniform(-0.05, 0.05, len(cell)))[:, None]


def fitted(places, grid, start=(2.5, 0.9)):
    """Return the parameters of the highest likelihood and their errors, with derivatives by JAX."""

    def negative(at):
        return -log_likelihood(halo, at, places, grid, free_amplitude=True)

    @in_float64
    def search():
        import jax

        climb = jax.jit(jax.value_and_grad(negative))
        found = minimize(lambda at: [np.asarray(v, dtype=float) for v in climb(at)], start, jac=True,
                         bounds=[(1, 6), (0.2, 1.5)]).x  # fmt: skip
        return found, np.sqrt(np.diag(np.linalg.inv(np.asarray(jax.jit(jax.hessian(negative))(found)))))

    return search()


@pytest.mark.t1
def test_a_halo_is_recovered_through_its_selection_and_not_without(beams):
    """Slope 3.5, flattening 0.7, 250 beams, 3000 stars; ignoring the selection must fail: it is off by 40 sigma."""
    truth = (3.5, 0.7)
    pulls = []
    for seed in range(3):
        places = observed(beams, truth, 3000, seed)
        assert 2700 < len(places) < 3300
        best, err = fitted(places, beams)
        pulls.append((best - truth) / err)
        assert err[0] < 0.1
    assert np.abs(pulls).max() < 3.5
    assert np.std(pulls) < 2
    blind = Grid(beams.places, beams.volumes, np.ones_like(beams.selection))
    best, err = fitted(places, blind)
    assert abs(best[0] - truth[0]) > 10 * err[0]


@pytest.mark.t0
def test_cones_have_the_volume_of_cones_and_a_density_its_integral():
    modulus = np.linspace(12.0, 18.0, 6001)
    grid = cone_grid([[0.0, 0.0, 1.0]], [0.01], modulus, np.full((1, 6001), 0.5))
    near, far = (10 ** (0.2 * mu - 2) for mu in (12.0 - 0.0005, 18.0 + 0.0005))
    assert grid.volumes.sum() == pytest.approx(0.01 / 3 * (far**3 - near**3), rel=1e-6)

    def falls(scale, x):
        return -x[:, 2] / scale

    def integral(d):
        return -np.exp(-d / 5.0) * (5 * d**2 + 50 * d + 250)

    assert expected_number(falls, 5.0, grid) == pytest.approx(0.5 * 0.01 * (integral(far) - integral(near)), rel=1e-6)


@pytest.mark.t0
def test_the_amplitude_that_is_integrated_out_is_the_one_of_the_profile(beams):
    """sum ln nu - N ln int and the maximum over the amplitude differ by a constant; derivatives are differences."""
    places = observed(beams, (3.0, 0.8), 400, 9)

    def with_amplitude(parameters, x):
        return halo(parameters[1:], x) + parameters[0]

    def profile(slope):
        amplitude = np.log(len(places) / expected_number(halo, (slope, 0.8), beams))
        return log_likelihood(with_amplitude, (amplitude, slope, 0.8), places, beams)

    def free(slope):
        return log_likelihood(halo, (slope, 0.8), places, beams, free_amplitude=True)

    assert profile(3.2) - profile(2.5) == pytest.approx(free(3.2) - free(2.5), abs=1e-6)

    @in_float64
    def slope_of():
        import jax

        return float(jax.grad(lambda s: log_likelihood(halo, (s, 0.8), places, beams, free_amplitude=True))(3.0))

    assert slope_of() == pytest.approx((free(3.0 + 1e-4) - free(3.0 - 1e-4)) / 2e-4, rel=1e-5)


def test_cells_that_nobody_sees_spoil_nothing():
    grid = Grid(np.array([[0.0], [1.0], [2.0]]), np.ones(3), np.array([0.0, 1.0, 0.5]))

    @in_float64
    def slope():
        import jax
        import jax.numpy as jnp

        return float(jax.grad(lambda p: expected_number(lambda p, x: p * jnp.log(x[:, 0]), p, grid))(2.0))

    assert slope() == pytest.approx(0.5 * 4 * np.log(2))
    halved = grid.with_selection([1.0, 0.5, 0.5])
    assert halved.selection.tolist() == [0.0, 0.5, 0.25]


def test_selections_counted_from_few_objects_have_the_spread_of_jeffreys():
    from scipy.stats import beta

    k, n = np.array([0, 3, 10]), np.array([4, 10, 10])
    mean, err = point_process.selection_fraction(k, n)
    assert mean == pytest.approx(beta(k + 0.5, n - k + 0.5).mean())
    assert err == pytest.approx(beta(k + 0.5, n - k + 0.5).std())
    draws = point_process.selection_draws(k, n, 20_000, seed=2)
    assert draws.std(axis=0) == pytest.approx(err, rel=0.03)
    assert np.array_equal(draws, point_process.selection_draws(k, n, 20_000, seed=2))


def test_what_is_no_survey_is_refused():
    mu, one = np.linspace(10, 12, 5), np.ones((1, 5))
    for directions, modulus, selection in (([[1.0, 0, 0]], mu**2, one), ([[1.0, 0, 0]], mu, one[:, :4]),
                                           ([[1.0, 0]], mu, one), ([[1.0, 0, 0]], mu, 1.1 * one),
                                           ([[1.0, 0, 0]], mu, np.nan * one),
                                           ([[1.0, 0, 0]], mu[::-1], one)):  # fmt: skip
        with pytest.raises(DataRefusedError):
            cone_grid(directions, [0.1], modulus, selection)
    grid = cone_grid([[1.0, 0, 0]], [0.1], mu, one)
    for places in (np.ones((3, 2)), np.ones(3), np.full((3, 3), np.nan)):
        with pytest.raises(DataRefusedError, match="places"):
            log_likelihood(halo, (3.0, 1.0), places, grid)
    with pytest.raises(DataRefusedError, match="seen"):
        point_process.selection_fraction([3], [2])
    with pytest.raises(ParameterError, match="n_draws"):
        point_process.selection_draws([1], [2], 0)
    with pytest.raises(DataRefusedError, match="selection"):
        grid.with_selection(np.full(5, 2.0))
