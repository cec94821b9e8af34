"""Mixing inferred from measured correlations: a closed-form likelihood, sampled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field as Range

import hven
from hven.methods import caveats, hmc, in_float64
from hven.mocks import Mock, abundance_stars
from hven_plugins.abundances.channels import Channels, default_channels
from hven_plugins.abundances.correlations import MOCK_ELEMENTS, abundance_correlations
from hven_plugins.abundances.diffusion import CHANNELS, PC_PER_MYR, Drift, Physics, field_of, sources_at
from hven_plugins.abundances.pair_covariance import PairCovariance, closed_form, shrunk
from hven_plugins.abundances.prediction import CHANNEL_COLUMNS, R_COLUMNS, NotNegative, Positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Free = Literal["l_corr", "kappa", "sigma_v", "sigma_sn", "sigma_agb", "sigma_r", "t_r", "f_r"]

UNITS = {
    "l_corr": "pc",
    "kappa": "pc2/Myr",
    "sigma_v": "km/s",
    "sigma_sn": "pc",
    "sigma_agb": "pc",
    "sigma_r": "pc",
    "t_r": "Myr",
    "f_r": "",
    "sigma_model": "",
}

_CONVERGED = 1.01
_NEAR_ONE = 0.9995
"""Correlations beyond are left out: their Fisher z knows nothing but rounding."""


@hven.analysis(
    channels=hven.Table(optional=R_COLUMNS, **CHANNEL_COLUMNS),
    measured=hven.Model(),
    produces={
        "posterior": "",
        "value": "",
        "value_err": "",
        "median": "",
        "lower": "",
        "upper": "",
        "r_hat": "",
        "ess_bulk": "",
        "ess_tail": "",
        "parameter_unit": "",
        "correlation_measured": "",
        "correlation_measured_err": "",
        "correlation_model": "",
        "main_channel": "",
        "pearson": "",
        "rms": "",
        "chi2": "",
        "n_pairs": "",
        "reliability": "",
    },
    references=("2507.14572", "1111.4246"),
    version="2",
)
def abundance_correlation_fit(
    channels: xr.Dataset,
    measured: xr.Dataset,
    *,
    free: list[Free] | None = None,
    which: Literal["correlation", "conditional"] = "correlation",
    l_corr: Annotated[float, hven.Unit("pc"), Positive] = 1000.0,
    kappa: Annotated[float, hven.Unit("pc2/Myr"), Positive] = 358.0,
    sigma_v: Annotated[float, hven.Unit("km/s"), Positive] = 2.0,
    sigma_sn: Annotated[float, hven.Unit("pc"), Positive] = 60.0,
    sigma_agb: Annotated[float, hven.Unit("pc"), Positive] = 2.0,
    sigma_r: Annotated[float, hven.Unit("pc"), Positive] = 60.0,
    prior_dex: Annotated[float, Positive] = 0.3,
    model_error: Annotated[float, NotNegative] = 0.3,
    drift: Drift = "isotropic",
    delays: Literal["single", "distribution"] = "single",
    n_warmup: Annotated[int, Range(ge=50)] = 500,
    n_draws: Annotated[int, Range(ge=50)] = 1000,
    n_chains: Annotated[int, Range(ge=2)] = 4,
    seed: int = 0,
) -> xr.Dataset:
    """Mixing of the interstellar medium from the correlations of elements, with the posterior of its parameters.

    The correlations that `abundance_correlations` has measured (its matrices, as ``measured``) are held against those
    that `abundance_correlation_prediction` gives for the same elements, in Fisher's z = atanh(correlation), where their
    errors are nearly Gaussian. The covariance between pairs is that of the bootstrap replicates, shrunk to the one that
    correlations of Gaussian abundances have; the attribute ``shrinkage`` is the weight of the latter, 1 for fewer than
    20 replicates. Errors hold for any number of replicates: with the diagonal alone they were five times too small.
    ``sigma_model`` is the scatter of the model itself in z, fitted along with
    a half-normal prior of width `model_error`: delays and yields are not known to the percent that large surveys
    measure, and without it the posterior would be much too narrow. A `model_error` of 0 takes the model as exact.

    Parameters are sampled in the logarithm by NUTS, with log-normal priors of `prior_dex` about the values given here.
    Lengths, times and kappa are tied: what the correlations tell best are sigma^2 / kappa t and l_corr^2 / kappa t,
    through the delays t of the table, and parameters may be strongly correlated where the table tells little.

    Elements that come from the r-process (``f_r`` > 0 in the table) let ``t_r``, ``sigma_r`` and the ``f_r`` of each
    such element be fitted; their other channels share what is left.

    ``value`` and ``value_err`` are mean and standard deviation over the posterior, ``median``, ``lower`` and ``upper``
    its 50, 16 and 84 % points; all are null unless `reliability` says 'ok' (R-hat at most 1.01, at most 1 % divergent
    transitions, effective sample sizes of 100 a chain); parameters whose chains have not converged are named in a
    caveat. ``correlation_model`` is the model at the highest posterior
    density; ``pearson`` and ``rms`` compare it with the data over all pairs.

    Parameters
    ----------
    free
        What is fitted; l_corr, kappa, sigma_v and sigma_sn by default.
    which
        The measured matrix to take: 'correlation', or 'conditional' at fixed other variables.
    l_corr, kappa, sigma_v, sigma_sn, sigma_agb, sigma_r
        Medians of the priors, and the values of what is not free. sigma_sn is the injection width of both kinds of
        supernovae.
    prior_dex
        Standard deviation of the priors in dex.
    model_error
        Width of the prior of the scatter of the model, in Fisher's z.
    drift, delays
        As for `abundance_correlation_prediction`.
    n_warmup, n_draws, n_chains, seed
        Of the sampler.

    Raises
    ------
    TooFewObjectsError
        Fewer pairs than parameters have a correlation and an error.
    MissingColumnError
        ``measured`` is no result of `abundance_correlations`.
    ParameterError
        An r-process parameter is free and no element has f_r, or t_r or f_r with distributions of delays.
    """
    wanted = list(dict.fromkeys(free or ["l_corr", "kappa", "sigma_v", "sigma_sn"]))
    table, _ = Channels.from_dataset(channels)
    data = _pairs(measured, table, which)
    table = table.select(data.elements)
    _check_free(wanted, table, delays)
    if len(data.z) < len(wanted) + 2:
        raise hven.errors.TooFewObjectsError(
            f"{len(data.z)} pairs of elements with correlation and error for {len(wanted)} parameters",
            where="input 'measured'",
            expected=f"{len(wanted) + 2} or more",
            hint="Measure more elements that are in the table, or free fewer parameters.",
        )
    centre = {
        "l_corr": l_corr, "kappa": kappa, "sigma_v": sigma_v, "sigma_sn": sigma_sn, "sigma_agb": sigma_agb,
        "sigma_r": sigma_r, "t_r": _half_time(table),
    }  # fmt: skip
    model = Model(table, centre, tuple(wanted), prior_dex, model_error, drift, delays == "distribution")
    told = _sample(model, data, n_warmup=n_warmup, n_draws=n_draws, n_chains=n_chains, seed=seed)
    return _dataset(model, data, told)


@dataclass(frozen=True)
class Pairs:
    """Measured correlations of e elements: p pairs (i, j), their Fisher z and its covariance (p, p).

    `shrinkage` is the weight of the closed form in the covariance; `n_lost` pairs have no correlation or no error.
    """

    elements: tuple[str, ...]
    i: NDArray[np.int64]
    j: NDArray[np.int64]
    z: Array
    covariance: Array
    correlation: Array
    correlation_err: Array
    shrinkage: float
    n_lost: int


@dataclass(frozen=True)
class Model:
    """What is fitted, with which priors.

    Attributes
    ----------
    table
        Channels of the elements that were measured.
    centre
        Medians of the priors, speeds in km/s.
    free
        Names of what is sampled.
    prior_dex, model_error
        Widths of the priors.
    drift, is_spread
        Form of the drift; whether delays are distributed.
    """

    table: Channels
    centre: Mapping[str, float]
    free: tuple[str, ...]
    prior_dex: float
    model_error: float
    drift: Drift
    is_spread: bool

    @property
    def with_r(self) -> NDArray[np.int64]:
        """Elements of the r-process."""
        return np.flatnonzero(self.table.fractions[:, CHANNELS.index("r")] > 0)

    def names(self) -> list[str]:
        """Return the k parameters as a result lists them."""
        scales = [name for name in self.free if name != "f_r"]
        shares = [f"f_r {self.table.elements[i]}" for i in self.with_r] if "f_r" in self.free else []
        return [*scales, *shares, *(["sigma_model"] if self.model_error > 0 else [])]

    def start(self) -> Array:
        """Return the medians of the priors on the whole line: logarithms, logits of fractions, shape (k,)."""
        share = np.clip(self.table.fractions[:, CHANNELS.index("r")], 0.02, 0.98)
        begin = []
        for name in self.names():
            if name.startswith("f_r "):
                f = share[self.table.elements.index(name.removeprefix("f_r "))]
                begin.append(np.log(f / (1 - f)))
            else:
                begin.append(np.log(0.3 * self.model_error if name == "sigma_model" else self.centre[name]))
        return np.array(begin)

    def parameters(self, v: Any, xp: Any) -> dict[str, Any]:
        """Return the parameters by name at a point `v` (..., k) of the whole line."""
        shares = {name for name in self.names() if name.startswith("f_r ")}
        return {
            name: 1 / (1 + xp.exp(-v[..., i])) if name in shares else xp.exp(v[..., i])
            for i, name in enumerate(self.names())
        }

    def log_prior(self, v: Any, xp: Any) -> Any:
        """Return the logarithm of the prior density at `v` (k,), Jacobians included."""
        sd, told = self.prior_dex * np.log(10), 0.0
        for i, name in enumerate(self.names()):
            if name.startswith("f_r "):
                told -= xp.logaddexp(0.0, v[i]) + xp.logaddexp(0.0, -v[i])  # uniform in the fraction
            elif name == "sigma_model":
                told += v[i] - 0.5 * (xp.exp(v[i]) / self.model_error) ** 2
            else:
                told -= 0.5 * ((v[i] - np.log(self.centre[name])) / sd) ** 2
        return told

    def correlation(self, p: Mapping[str, Any], xp: Any) -> Any:
        """Return the predicted correlations at parameters `p`, shape (e, e)."""
        at = {**self.centre, **p}
        physics = Physics(
            l_corr=at["l_corr"], kappa=at["kappa"], sigma_v=at["sigma_v"] * PC_PER_MYR, sigma_cc=at["sigma_sn"],
            sigma_ia=at["sigma_sn"], sigma_agb=at["sigma_agb"], sigma_r=at["sigma_r"],
        )  # fmt: skip
        if self.is_spread:
            sources: Any = self.table.spread_out(bins=48)
        else:
            sources = sources_at(*self._table_at(p, xp), xp)
        return field_of(sources, physics, drift=self.drift, xp=xp).correlation(xp)

    def _table_at(self, p: Mapping[str, Any], xp: Any) -> tuple[Any, Any]:
        f, t, r = xp.asarray(self.table.fractions), xp.asarray(self.table.delays), CHANNELS.index("r")
        is_r = (np.arange(len(CHANNELS)) == r)[None, :]
        if "t_r" in p:
            t = xp.where(is_r, p["t_r"], t)
        if "f_r" in self.free:
            others = self.table.fractions * ~is_r
            others = others / np.maximum(others.sum(axis=1, keepdims=True), 1e-12)
            named = [f"f_r {name}" for name in self.table.elements]
            share = xp.stack([xp.asarray(p.get(name, 0.0)) for name in named])[:, None]
            fitted = np.array([name in p for name in named])[:, None]
            f = xp.where(fitted, xp.where(is_r, share, others * (1 - share)), f)
        return f, t


@dataclass(frozen=True)
class Told:
    """Draws of the parameters (chains, draws, k), and the predicted correlations at the highest density (e, e)."""

    draws: Array
    best: Array
    divergences: int
    flags: tuple[str, ...]


@in_float64
def _sample(model: Model, data: Pairs, **options: Any) -> Told:
    """Return draws from the posterior, sampled in coordinates that its curvature at the top makes round."""
    import jax
    import jax.numpy as jnp
    from scipy.optimize import minimize

    values, vectors = np.linalg.eigh(data.covariance)
    values = np.clip(values, 1e-10 * values.max(), None)

    def log_density(v: Any) -> Any:
        p = model.parameters(v, jnp)
        rho = jnp.clip(model.correlation(p, jnp)[data.i, data.j], -_NEAR_ONE, _NEAR_ONE)
        off = vectors.T @ (data.z - jnp.arctanh(rho))
        variance = values + (p["sigma_model"] ** 2 if "sigma_model" in p else 0.0)
        return model.log_prior(v, jnp) - 0.5 * jnp.sum(off**2 / variance + jnp.log(variance))

    slope = jax.jit(jax.value_and_grad(lambda v: -log_density(v)))

    def descend(v: Array) -> tuple[float, Array]:
        value, gradient = slope(v)
        return (float(value), np.asarray(gradient)) if np.isfinite(value) else (1e300, np.zeros(len(v)))

    top = minimize(descend, model.start(), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    curvature, axes = np.linalg.eigh(np.asarray(jax.jit(jax.hessian(lambda v: -log_density(v)))(top)))
    scale = axes / np.sqrt(np.maximum(np.nan_to_num(curvature), 0.1))
    told = hmc.sample(lambda p: log_density(top + scale @ p["u"]), {"u": np.zeros(len(top))}, **options)
    line = top + told.draws["u"] @ scale.T
    draws = np.stack(list(model.parameters(line, np).values()), axis=-1)
    few = 100 * len(draws)
    raised = {
        "not_finite": not np.isfinite(draws).all(),
        "divergences": "divergences" in told.flags,
        "r_hat": not (hmc.r_hat(draws) <= _CONVERGED).all(),
        "ess": not (np.minimum(hmc.ess_bulk(draws), hmc.ess_tail(draws)) >= few).all(),
    }
    at = np.unravel_index(int(np.argmax(np.nan_to_num(told.log_density, nan=-np.inf))), told.log_density.shape)
    best = np.asarray(model.correlation(model.parameters(line[at], np), np))
    return Told(
        draws, best, int(told.divergences.sum()), tuple(name for name, is_raised in raised.items() if is_raised)
    )


def _pairs(measured: xr.Dataset, table: Channels, which: str) -> Pairs:
    head = "" if which == "correlation" else "conditional_"
    replicated, sigma, count = f"{head}replicates", f"{head}sigma", "conditional_n" if head else "n_pairs"
    for name in (which, f"{which}_err", replicated, sigma, count, "error", "element"):
        if name not in measured.variables:
            raise hven.errors.MissingColumnError(
                f"there is no variable {name!r}",
                where="input 'measured'",
                expected="a result of the analysis abundance_correlations",
                hint="Run abundance_correlations first, and give its result.",
            )
    there = [str(name) for name in measured["element"].values]
    both = tuple(name for name in table.elements if name in there)
    at = np.array([there.index(name) for name in both], dtype=np.int64)
    correlation = np.asarray(measured[which].values, dtype=np.float64)[np.ix_(at, at)]
    error = np.asarray(measured[f"{which}_err"].values, dtype=np.float64)[np.ix_(at, at)]
    draws = np.asarray(measured[replicated].values, dtype=np.float64)[:, at][:, :, at]
    i, j = np.tril_indices(len(both), -1)
    with np.errstate(invalid="ignore"):
        good = np.isfinite(error[i, j]) & (error[i, j] > 0) & (np.abs(correlation[i, j]) < _NEAR_ONE)
    i, j = i[good].astype(np.int64), j[good].astype(np.int64)
    rho, slope = correlation[i, j], 1 / (1 - correlation[i, j] ** 2)
    told = PairCovariance(np.zeros((0, 0)), 1.0)
    if len(i):
        scatter, noise = (np.asarray(measured[name].values, dtype=np.float64)[at] for name in (sigma, "error"))
        n = np.asarray(measured[count].values, dtype=np.float64)[np.ix_(at, at)]
        told = shrunk(draws[:, i, j], closed_form(correlation, scatter, noise, n, i, j), error[i, j])
    # to first order in z: that of a draw may be infinite
    covariance = told.value * np.outer(slope, slope)
    n_lost = int((~good).sum())
    return Pairs(both, i, j, np.arctanh(rho), covariance, correlation, error, told.shrinkage, n_lost)


def _check_free(free: list[str], table: Channels, delays: str) -> None:
    of_r = [name for name in free if name in {"t_r", "f_r", "sigma_r"}]
    has_r = bool((table.fractions[:, CHANNELS.index("r")] > 0).any())
    if of_r and not has_r:
        raise hven.errors.ParameterError(
            f"{of_r[0]} is free, and no element that was measured has an r-process channel",
            where="parameter 'free'",
            hint="Give f_r and t_r in the table of channels, for europium say.",
        )
    if delays == "distribution" and {"t_r", "f_r"} & set(free):
        raise hven.errors.ParameterError(
            "t_r and f_r cannot be fitted with distributions of delays",
            where="parameters free and delays",
            hint='Fit them with delays="single".',
        )


def _half_time(table: Channels) -> float:
    r = CHANNELS.index("r")
    has = table.fractions[:, r] > 0
    return float(np.median(table.delays[has, r])) if has.any() else 100.0


def _dataset(model: Model, data: Pairs, told: Told) -> xr.Dataset:
    names = model.names()
    flat = told.draws.reshape(-1, len(names))
    known = np.nan if told.flags else 1.0
    best = told.best
    x, y = best[data.i, data.j], data.correlation[data.i, data.j]
    off = data.z - np.arctanh(np.clip(x, -_NEAR_ONE, _NEAR_ONE))
    text = np.dtypes.StringDType()
    elements = np.array(data.elements, dtype=text)
    lower, median, upper = np.quantile(flat, [0.16, 0.5, 0.84], axis=0) * known
    pair = ("element", "element2")
    r_hat = hmc.r_hat(told.draws)
    result = xr.Dataset(
        {
            "posterior": (("draw", "parameter"), flat),
            "value": ("parameter", flat.mean(axis=0) * known),
            "value_err": ("parameter", flat.std(axis=0) * known),
            "median": ("parameter", median),
            "lower": ("parameter", lower),
            "upper": ("parameter", upper),
            "r_hat": ("parameter", r_hat),
            "ess_bulk": ("parameter", hmc.ess_bulk(told.draws)),
            "ess_tail": ("parameter", hmc.ess_tail(told.draws)),
            "parameter_unit": ("parameter", np.array([UNITS[n.split(" ")[0]] for n in names], dtype=text)),
            "correlation_measured": (pair, data.correlation),
            "correlation_measured_err": (pair, data.correlation_err),
            "correlation_model": (pair, best),
            "main_channel": ("element", np.array(model.table.main, dtype=text)),
            "pearson": ((), np.corrcoef(x, y)[0, 1]),
            "rms": ((), np.sqrt(np.mean((x - y) ** 2))),
            "chi2": ((), float(off @ np.linalg.pinv(data.covariance) @ off)),
            "n_pairs": ((), len(data.z)),
            "reliability": ((), np.array(", ".join(told.flags) or "ok", dtype=text)),
        },
        coords={"parameter": np.array(names, dtype=text), "element": elements, "element2": ("element2", elements)},
        attrs={
            "shrinkage": data.shrinkage,
            "drift": model.drift,
            "delays": "distribution" if model.is_spread else "single",
            "divergences": told.divergences,
        },
    )
    texts = [f"The posterior is not reliable: {', '.join(told.flags)}; values are null."] if told.flags else []
    slow = [f"{name} {value:.3f}" for name, value in zip(names, r_hat, strict=True) if not value <= _CONVERGED]
    texts += [f"Chains have not converged, by r_hat: {', '.join(slow)}."] if slow else []
    texts += (
        [f"{data.n_lost} of {data.n_lost + len(data.z)} pairs have no correlation or error."] if data.n_lost else []
    )
    return caveats.with_caveats(result, texts)


@abundance_correlation_fit.figure
def _figure(result: xr.Dataset) -> "dict[str, Figure]":
    from hven_plugins.abundances.figures import draw_comparison, draw_posterior

    names = [str(name) for name in result["element"].values]
    parameters = [str(name) for name in result["parameter"].values]
    scatter = 0.0
    if "sigma_model" in parameters:
        scatter = float(np.median(result["posterior"].values[:, parameters.index("sigma_model")]))
    value, error = (result[f"correlation_measured{end}"].values for end in ("", "_err"))
    main = [str(name) for name in result["main_channel"].values]
    model = result["correlation_model"].values
    compared = draw_comparison(names, value, error, model, main=main, scatter=scatter)
    return {"comparison": compared, "posterior": draw_posterior(result)}


MOCK_PHYSICS = {"l_corr": 1400.0, "kappa": 300.0, "sigma_v": 3.0, "sigma_sn": 80.0}
"""Parameters of the mock, other than the priors' medians."""


@abundance_correlation_fit.mock
def _mock(size: int, seed: int) -> Mock:
    """Return the table of 15 elements, and what 5000 stars of other physics than the priors' medians measure."""
    table = default_channels().select(MOCK_ELEMENTS)
    physics = Physics(
        l_corr=MOCK_PHYSICS["l_corr"], kappa=MOCK_PHYSICS["kappa"], sigma_v=MOCK_PHYSICS["sigma_v"] * PC_PER_MYR,
        sigma_cc=MOCK_PHYSICS["sigma_sn"], sigma_ia=MOCK_PHYSICS["sigma_sn"],
    )  # fmt: skip
    field = field_of(table.at_once(), physics)
    stars = abundance_stars(
        5000, seed, elements=MOCK_ELEMENTS, correlation=field.correlation(), sigma=0.04, errors=(0.003, 0.02)
    )
    measured = abundance_correlations(stars.inputs["stars"], n_boot=300)[""]
    truth = np.array([*MOCK_PHYSICS.values(), np.nan])
    rows = table.to_dataset().drop_vars(["f_r", "t_r"]).isel(object=slice(0, max(size, 1)))
    return Mock({"channels": rows, "measured": measured}, {"value": truth})
