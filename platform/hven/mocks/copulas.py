"""Stars for what copulas measure: any copula with any margins, a correlation that changes with place, two sequences."""

from typing import TYPE_CHECKING, Any

import numpy as np

from hven.methods.copulas import Copula
from hven.mocks.mock import Mock

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def copula_stars(
    size: int, seed: int, *, copula: "Copula | Sequence[Copula] | None" = None, error: float = 0.0
) -> Mock:
    """Return stars whose age and [Fe/H] hang together by a given copula, with margins of a disc.

    Ages are log-normal about 4 Gyr, [Fe/H] is a cubic of a normal variable about -0.1 dex: the copula is what is left
    when the margins are taken out.

    Parameters
    ----------
    size
        Number of stars.
    seed
        Of the random numbers; the same seed gives the same stars.
    copula
        The copula, or one for each of several groups of equal size. None takes a Frank copula of tau = -0.4.
    error
        1-sigma errors as a fraction of the spread of each column; the columns ``age_err`` and ``feh_err`` state them.

    Returns
    -------
    Mock
        Input ``stars``: age, feh, and ``group`` when there are several. Truth, over ``group``: spearman, kendall, tau.

    Examples
    --------
    >>> mock = copula_stars(1000, seed=1, copula=Copula("gumbel", 1.8))
    >>> mock.inputs["stars"].sizes["object"], float(mock.truth["kendall"][0].round(4))
    (1000, 0.4444)
    """
    rng = np.random.default_rng(seed)
    several = [copula] if isinstance(copula, Copula) else list(copula or [Copula.from_tau("frank", -0.4)])
    group = np.arange(size) % len(several)
    u, v = np.empty(size), np.empty(size)
    for i, one in enumerate(several):
        u[group == i], v[group == i] = one.sample(int(np.sum(group == i)), rng)
    age, feh = _margins(u, v)
    spread = (float(np.std(age)) if size else 0.0, float(np.std(feh)) if size else 0.0)
    columns: dict[str, tuple[Any, str]] = {"age": (age, "Gyr"), "feh": (feh, "dex")}
    if error:
        for (name, (values, unit)), scale in zip(list(columns.items()), spread, strict=True):
            sigma = error * scale
            columns[name] = (values + sigma * rng.standard_normal(size), unit)
            columns[f"{name}_err"] = (np.full(size, sigma), unit)
    stars = _table(columns)
    if len(several) > 1:
        stars["group"] = ("object", group)
    truth = {
        "spearman": np.array([c.spearman for c in several]),
        "kendall": np.array([c.tau for c in several]),
        "tau": np.array([c.tau for c in several]),
    }
    return Mock({"stars": stars}, truth)


def conditional_stars(size: int, seed: int) -> Mock:
    """Return stars whose correlation of age and [Fe/H] changes over the Galaxy: none inside hot, low orbits, else < 0.

    R ~ Gamma(9, 1) kpc, z ~ Laplace(0.5) kpc; given the place, normal variables x, y of correlation
    rho*(R, z) = tanh(-1.2 / (1 + e^((R-6)/0.8)) - 0.35 |z|), location and scale falling with R; age = 4 e^(0.45 x),
    [Fe/H] = -0.1 + 0.2 y.

    Parameters
    ----------
    size
        Number of stars.
    seed
        Of the random numbers; the same seed gives the same stars.

    Returns
    -------
    Mock
        Input ``stars``: age, feh, r_gal, z_gal. Truth: ``rho_star`` of each star, the correlation of x and y, and
        ``rho``, that of the normal scores of age and [Fe/H].

    Examples
    --------
    >>> mock = conditional_stars(1000, seed=1)
    >>> bool((mock.truth["rho_star"] <= 0).all())
    True
    """
    rng = np.random.default_rng(seed)
    r_gal = rng.gamma(9.0, 1.0, size)
    z_gal = rng.laplace(scale=0.5, size=size)
    rho = true_correlation(r_gal, z_gal)
    a, b = rng.standard_normal((2, size))
    x, y = given_place(r_gal, a, rho * a + np.sqrt(1 - rho**2) * b)
    columns = {
        "age": (4 * np.exp(0.45 * x), "Gyr"),
        "feh": (-0.1 + 0.2 * y, "dex"),
        "r_gal": (r_gal, "kpc"),
        "z_gal": (z_gal, "kpc"),
    }
    return Mock({"stars": _table(columns)}, {"rho_star": rho, "rho": correlation_of_scores(r_gal, z_gal)})


def true_correlation(r_gal: "Array", z_gal: "Array") -> "Array":
    """Return rho*(R, z) of `conditional_stars`.

    Examples
    --------
    >>> float(true_correlation(np.array(12.0), np.array(0.0)).round(3))
    -0.001
    """
    return np.asarray(np.tanh(-1.2 / (1 + np.exp((r_gal - 6) / 0.8)) - 0.35 * np.abs(z_gal)))


def given_place(r_gal: "Array", x: "Array", y: "Array") -> "tuple[Array, Array]":
    """Return the normal variables `x`, `y` with the location and scale that `conditional_stars` have at a radius.

    Examples
    --------
    >>> [a.tolist() for a in given_place(np.array([9.0]), np.array([0.0]), np.array([0.0]))]
    [[0.0], [0.0]]
    """
    away = r_gal - 9.0
    return np.asarray(-0.1 * away + (1 - 0.02 * away) * x), np.asarray(-0.12 * away + (1 + 0.02 * away) * y)


def correlation_of_scores(r_gal: "Array", z_gal: "Array") -> "Array":
    """Return the correlation at each place of the normal scores of `conditional_stars`, by quadrature.

    Scores are made of the ranks among all stars, x' = Phi^-1(F(x)), which bends x a little: F is the mixture over all
    radii. Shapes (n,).

    Examples
    --------
    >>> here = np.array([4.0]), np.array([0.5])
    >>> bool(abs(correlation_of_scores(*here) - true_correlation(*here))[0] < 0.02)
    True
    """
    from scipy.special import ndtr, ndtri, roots_genlaguerre

    radii, weights = roots_genlaguerre(40, 8.0)
    weights = weights / weights.sum()
    grid = np.linspace(-12, 12, 4001)
    means, ones = given_place(radii[:, None], np.zeros((40, 1)), np.zeros((40, 1))), np.ones((40, 1))
    tops = given_place(radii[:, None], ones, ones)
    tables = []
    for mean, top in zip(means, tops, strict=True):
        below, above = (weights @ ndtr(sign * (grid - mean) / (top - mean)) for sign in (1, -1))
        tables.append(np.where(below < 0.5, ndtri(below), -ndtri(above)))
    nodes, w = np.polynomial.hermite_e.hermegauss(24)
    w = w / w.sum()
    both = w[:, None] * w
    rho = true_correlation(np.asarray(r_gal), np.asarray(z_gal))
    out = np.empty(len(rho))
    for i in range(len(rho)):
        a, b = np.meshgrid(nodes, nodes, indexing="ij")
        x, y = given_place(np.asarray(r_gal[i]), a, rho[i] * a + np.sqrt(1 - rho[i] ** 2) * b)
        x, y = np.interp(x, grid, tables[0]), np.interp(y, grid, tables[1])
        x, y = x - (both * x).sum(), y - (both * y).sum()
        out[i] = (both * x * y).sum() / np.sqrt((both * x**2).sum() * (both * y**2).sum())
    return out


def two_sequence_stars(
    size: int,
    seed: int,
    *,
    high_fraction: float = 0.3,
    low_feh: tuple[float, float] = (-0.1, 0.25),
    high_feh: tuple[float, float] = (-0.4, 0.3),
    scatter: tuple[float, float] = (0.022, 0.025),
    error: float = 0.012,
) -> Mock:
    """Return stars on the low- and the high-alpha sequence of the disc.

    [Mg/Fe] = 0.055 - 0.12 [Fe/H] (low) and 0.28 - 0.25 max([Fe/H] + 0.6, 0) (high), with scatter and errors.

    Parameters
    ----------
    size
        Number of stars.
    seed
        Of the random numbers; the same seed gives the same stars.
    high_fraction
        Share of the high-alpha stars; 0 leaves one sequence.
    low_feh, high_feh
        Mean and standard deviation of [Fe/H] of either sequence, in dex.
    scatter
        Intrinsic standard deviation of [Mg/Fe] of the low and of the high sequence, in dex.
    error
        1-sigma error of [Mg/Fe], in dex.

    Returns
    -------
    Mock
        Input ``stars``: feh, mg_fe, mg_fe_err. Truth: ``is_high`` of each star; ``high_probability``, the posterior
        given its [Fe/H] and [Mg/Fe], whose accuracy no split can beat; ``bayes_accuracy``, the best balanced accuracy.

    Examples
    --------
    >>> mock = two_sequence_stars(5000, seed=1)
    >>> bool(mock.truth["bayes_accuracy"] > 0.95)
    True
    """
    rng = np.random.default_rng(seed)
    is_high = rng.random(size) < high_fraction
    feh = np.where(is_high, rng.normal(*high_feh, size), rng.normal(*low_feh, size))
    spread = np.hypot(np.where(is_high, scatter[1], scatter[0]), error)
    mg_fe = np.where(is_high, _high_track(feh), _low_track(feh)) + spread * rng.standard_normal(size)
    log_odds = np.log(max(high_fraction, 1e-300)) - np.log1p(-high_fraction)
    for sign, (mean, std), track, width in (
        (1, high_feh, _high_track(feh), np.hypot(scatter[1], error)),
        (-1, low_feh, _low_track(feh), np.hypot(scatter[0], error)),
    ):
        log_odds = log_odds - sign * (
            0.5 * ((feh - mean) / std) ** 2 + np.log(std) + 0.5 * ((mg_fe - track) / width) ** 2 + np.log(width)
        )
    # balanced accuracy weighs both classes alike: its best label is that of the larger density, not posterior
    likelier = log_odds - np.log(max(high_fraction, 1e-300)) + np.log1p(-high_fraction) > 0
    right = [np.mean(likelier[is_high]) if is_high.any() else 1.0, np.mean(~likelier[~is_high])] if size else [1.0]
    stars = _table({"feh": (feh, "dex"), "mg_fe": (mg_fe, "dex"), "mg_fe_err": (np.full(size, error), "dex")})
    truth = {
        "is_high": is_high,
        "high_probability": np.exp(-np.logaddexp(0.0, -log_odds)),
        "bayes_accuracy": float(np.mean(right)),
    }
    return Mock({"stars": stars}, truth)


def _low_track(feh: "Array") -> "Array":
    return np.asarray(0.055 - 0.12 * feh)


def _high_track(feh: "Array") -> "Array":
    return np.asarray(0.28 - 0.25 * np.maximum(feh + 0.6, 0.0))


def _margins(u: "Array", v: "Array") -> "tuple[Array, Array]":
    from scipy.special import ndtri

    x, y = ndtri(u), ndtri(v)
    return np.asarray(4 * np.exp(0.45 * x)), np.asarray(-0.1 + 0.18 * y + 0.01 * y**3)


def _table(columns: "dict[str, tuple[Any, str]]") -> "xr.Dataset":
    import xarray as xr

    variables = {name: ("object", values, {"units": unit}) for name, (values, unit) in columns.items()}
    object_id = ("object", np.arange(len(next(iter(columns.values()))[0]), dtype=np.int64))
    return xr.Dataset({"object_id": object_id, **variables})
