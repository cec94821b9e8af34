import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline, RegularGridInterpolator
from scipy.sparse.linalg import spsolve

from hven.errors import DataRefusedError, ParameterError
from hven.methods import in_float64
from hven.methods.interp import table

AXES = [np.array([0.0, 0.4, 1.0, 1.7, 2.0]), np.array([-1.0, 0.0, 0.3, 1.0]), np.linspace(5, 6, 6)]


def rough(*trailing, seed=0):
    return np.random.default_rng(seed).normal(size=(5, 4, 6, *trailing))


def places(n, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.uniform(axis[0], axis[-1], n) for axis in AXES]


@pytest.mark.parametrize(("kind", "method"), [("linear", "linear"), ("spline", "cubic")])
def test_values_are_those_of_scipy_on_uneven_grids(kind, method):
    values, at = rough(), places(500)
    exact = {"solver": spsolve} if method == "cubic" else {}  # SciPy's own choice stops at 1e-4
    theirs = RegularGridInterpolator(AXES, values, method=method, **exact)(np.stack(at, axis=-1))
    ours, inside = table(AXES, values, kind=kind).at(*at)
    assert inside.all()
    assert ours == pytest.approx(theirs, abs=1e-11)


def test_catmull_rom_is_the_hermite_cubic_with_tangents_of_three_nodes():
    x, at = np.linspace(0, 7, 8), np.linspace(0, 7, 101)
    y = np.random.default_rng(2).normal(size=8)
    tangents = np.concatenate([[-1.5 * y[0] + 2 * y[1] - 0.5 * y[2]], (y[2:] - y[:-2]) / 2,
                               [1.5 * y[-1] - 2 * y[-2] + 0.5 * y[-3]]])  # fmt: skip
    assert table([x], y, kind="catmull_rom").at(at)[0] == pytest.approx(CubicHermiteSpline(x, y, tangents)(at))


@pytest.mark.t0
@pytest.mark.parametrize(("kind", "degree"), [("linear", 1), ("catmull_rom", 2), ("spline", 3)])
def test_polynomials_are_exact_to_the_degree_of_the_kind_and_not_beyond(kind, degree):
    """The spec asks for exactness: 1e-12 in every axis at once, with cross terms."""

    def polynomial(x, y, z, power):
        return (1 + x**power) * (2 - y**power + y) * (z**power - z)

    grid, at = np.meshgrid(*AXES, indexing="ij"), places(300)
    ours = table(AXES, polynomial(*grid, degree), kind=kind).at(*at)[0]
    assert ours == pytest.approx(polynomial(*at, degree), abs=1e-10)
    beyond = table(AXES, polynomial(*grid, degree + 1), kind=kind).at(*at)[0]
    assert np.abs(beyond - polynomial(*at, degree + 1)).max() > 1e-3


@pytest.mark.parametrize("kind", ["linear", "catmull_rom", "spline"])
def test_nodes_are_met_and_vectors_are_interpolated_each(kind):
    values = rough(2, 3)
    cube = table(AXES, values, kind=kind)
    at_nodes, inside = cube.at(*np.meshgrid(*AXES, indexing="ij"))
    assert inside.all()
    assert at_nodes == pytest.approx(values, abs=1e-12)
    at = places(20)
    vectors = cube.at(*at)[0]
    assert vectors.shape == (20, 2, 3)
    assert vectors[:, 1, 2] == pytest.approx(table(AXES, values[..., 1, 2], kind=kind).at(*at)[0], abs=1e-12)


def test_logarithmic_axes_make_power_laws_straight():
    x = np.array([1e-3, 1e-1, 3.0, 1e4])
    powers = table([x], -1.7 * np.log(x), log=[True])
    at = np.geomspace(1e-3, 1e4, 50)
    values, inside = powers.at(at)
    assert inside.all()
    assert values == pytest.approx(-1.7 * np.log(at), abs=1e-10)
    assert powers.at([0.0, -1.0, 9.9e-4, 1.1e4])[1].tolist() == [False] * 4


def test_outside_is_flagged_and_never_extrapolated():
    plane = table(AXES[:2], rough()[..., 0], kind="spline")
    at = ([-0.1, 2.1, 1.0, np.nan, 1.0], [0.0, 0.0, 1.1, 0.0, 0.5])
    values, inside = plane.at(*at)
    assert inside.tolist() == [False] * 4 + [True]
    assert np.isnan(values).tolist() == [True] * 4 + [False]
    nearest, inside = plane.at(*at, outside="nearest")
    assert inside.tolist() == [False] * 4 + [True]
    assert nearest[:3] == pytest.approx(plane.at([0.0, 2.0, 1.0], [0.0, 0.0, 1.0])[0])
    assert np.isnan(nearest[3])


@pytest.mark.parametrize("kind", ["linear", "catmull_rom", "spline"])
def test_derivatives_by_jax_are_those_of_differences(kind):
    cube = table([AXES[0], np.exp(AXES[1]), AXES[2]], rough(), kind=kind, log=[False, True, False])
    at = places(40)
    at[1] = np.exp(at[1])
    at[0][:2] = [-0.5, 2.5]  # outside: no change, and no NaN that would spread

    @in_float64
    def slopes():
        import jax

        gradient = jax.grad(lambda x, y, z: cube.at(x, y, z, outside="nearest")[0], argnums=(0, 1, 2))
        return [np.asarray(v) for v in jax.jit(jax.vmap(gradient))(*at)]

    found = slopes()
    assert found[0].dtype == np.float64
    assert found[0][:2].tolist() == [0.0, 0.0]
    for i in range(3):
        step = [1e-6 * (j == i) for j in range(3)]
        up, down = (cube.at(*(v + sign * s for v, s in zip(at, step, strict=True)), outside="nearest")[0]
                    for sign in (1, -1))  # fmt: skip
        assert found[i][2:] == pytest.approx((up - down)[2:] / 2e-6, rel=1e-6, abs=1e-7)


def test_jax_gives_what_numpy_gives():
    cube, at = table(AXES, rough(2), kind="spline"), places(64)

    @in_float64
    def compiled():
        import jax

        return [np.asarray(v) for v in jax.jit(cube.at)(*(jax.numpy.asarray(v) for v in at))]

    values, inside = compiled()
    assert values == pytest.approx(cube.at(*at)[0], rel=1e-12, abs=1e-12)
    assert inside.all()


def test_what_is_no_table_is_refused():
    x, y = np.arange(4.0), np.zeros((4, 3))
    for axes, log in (([x, x[:3][::-1]], ()), ([x], ()), ([x, x], ()), ([x, x[:3]], [True, False]),
                      ([x, x[:3]], [True]), ([], ())):  # fmt: skip
        with pytest.raises((ParameterError, DataRefusedError)):
            table(axes, np.zeros((4, 3)) if len(axes) == 2 else np.full((4,), np.nan), log=log)
    with pytest.raises(DataRefusedError, match="1 of them not finite"):
        table([x], [0.0, np.nan, 1.0, 2.0])
    with pytest.raises(ParameterError, match="kind"):
        table([x, x[:3]], y, kind="cubic")
    with pytest.raises(ParameterError, match="4 or more"):
        table([x, x[:3]], y, kind="spline")
    with pytest.raises(ParameterError, match="2 axes and 1 coordinates"):
        table([x, x[:3]], y).at(1.0)
    with pytest.raises(ParameterError, match="outside"):
        table([x, x[:3]], y).at(1.0, 1.0, outside="linear")
