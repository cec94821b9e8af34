"""One alpha sequence or two: a calibrated test, and the fraction of stars on the low one."""

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field as Range

import hven
from hven.methods import caveats, gather, stats
from hven.methods.mixtures import Track, fit_sequences_of_each
from hven.mocks import Mock, alpha_stars
from hven_plugins.abundances import two_sequences as model
from hven_plugins.abundances.templates import shipped, tracks_of
from hven_plugins.abundances.two_sequences import Scene, Stars, Templates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

M_KNOTS, HIGH, LOW = (list(shipped()[name]) for name in ("m_knot", "high", "low"))
WIDTH_HIGH, WIDTH_LOW = (shipped()[name][0] for name in ("width_high", "width_low"))

INJECTED = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Fractions on the low sequence for which the power is given."""
POOR, OFFSET_OFF, SLOPE_OFF = "poor fit", "zero point leaves its prior", "slope leaves its prior"

_GRID = np.linspace(0, 1, 2001)
_EVERY = 10
"""Which of these fractions the posterior is written at."""
_POOR_P = 0.025
_FAR, _FREE = 3.0, 10.0
"""Distance from the templates, in widths of the prior, that is a misfit; how much wider priors measure it."""
_STARS = hven.Table(
    m_h="dex",
    alpha_m="dex",
    optional={"m_h_err": "dex", "alpha_m_err": "dex", "weight": "", "object_id": None},
    named_by="group",
)
_PRODUCES = {
    "groups": {
        **dict.fromkeys(("n", "f_low", "f_low_err", "f_low_median", "f_low_upper", "lr", "p", "delta_bic", "dip"), ""),
        **dict.fromkeys(("dip_p", "gof_p", "f_stray", "f_tail", "power", "posterior", "n_effective", "fit"), ""),
        **dict.fromkeys(("sigma_low", "sigma_low_err", "sigma_high", "sigma_high_err", "offset", "offset_err"), "dex"),
        **dict.fromkeys(("track_low", "track_high", "free_track_low", "free_track_high"), "dex"),
        **dict.fromkeys(("slope", "slope_err", "edge_low", "edge_high"), ""),
    },
    "stars": {"p_low": "", "p_stray": ""},
}
_REFERENCES = ("2306.04688", "10.1214/aos/1176346577")


@hven.analysis(stars=_STARS, produces=_PRODUCES, references=_REFERENCES, version="3", min_objects="n_min")
def alpha_bimodality(
    stars: xr.Dataset,
    *,
    group: str | None = None,
    edges: list[float] | None = None,
    m_knots: list[float] = M_KNOTS,
    high: list[float] = HIGH,
    low: list[float] = LOW,
    width_high: Annotated[float, hven.Unit("dex"), Range(gt=0)] = WIDTH_HIGH,
    width_low: Annotated[float, hven.Unit("dex"), Range(gt=0)] = WIDTH_LOW,
    offset_sd: Annotated[float, hven.Unit("dex"), Range(ge=0)] = 0.02,
    slope_sd: Annotated[float, Range(ge=0)] = 0.05,
    n_boot: Annotated[int, Range(ge=20, le=10_000)] = 100,
    n_power: Annotated[int, Range(ge=0, le=10_000)] = 50,
    n_min: Annotated[int, Range(ge=10)] = 20,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Whether stars lie on one sequence of [alpha/M] against [M/H] or on two, and how many on the low one.

    Each star is on the high or the low sequence of the Milky Way, or, rarely, on none. A sequence is a ridge line
    with an intrinsic width of its own and a tail (a share of its stars has three times the width), seen with the
    errors of the star; those of [M/H] enter through the slope of the ridge. Stars on none scatter by 0.2 dex about
    the middle. The fraction on the low sequence, both widths (``sigma_low``, ``sigma_high``), the shares ``f_tail``
    and ``f_stray``, the zero point against the templates (``offset``, prior of width `offset_sd` around 0) and a tilt
    (``slope`` in dex per dex, `slope_sd`) are fitted. Three tests:

    * ``lr``, ``p``: twice the gain in ln L of a fraction over none, with the p-value from `n_boot` simulated groups of
      one sequence (parametric bootstrap; it cannot be below 1 / (n_boot + 1)). None lies on the edge of what is
      possible, so that no chi^2 distribution holds. This is the test to use.
    * ``delta_bic``: BIC of one free track less that of two free tracks, positive for two; these two tracks, parabolas
      that know of no template, are ``free_track_low`` and ``free_track_high``.
    * ``dip``, ``dip_p``: Hartigan's dip of the residuals from the high sequence.

    With a hundred stars the last two see little, and a missing detection says little: ``power`` is the chance that the
    first test finds a fraction of 0.05 to 0.5 on the low sequence among these very stars, at a rate of false alarms of
    5 %. ``f_low_upper`` is the 95 % upper limit of the fraction, flat prior, everything else integrated over;
    ``posterior`` is its density over ``f``.

    ``fit`` says whether the model holds. ``gof_p`` compares the stars with simulated groups of the fit, in the
    distribution about the ridges and along [M/H]: 'poor fit' below 0.025. 'zero point leaves its prior' and 'slope
    leaves its prior': with priors ten times as wide the stars prefer sequences more than 3 prior widths from the
    templates; the numbers then say which sequence is nearer, not which one it is. Each is a caveat.

    The ridges by default are those of APOGEE giants (``hven_plugins.abundances.templates.shipped``). Measure those of
    your own survey with ``alpha_templates_train`` and run ``alpha_bimodality_with_templates``. ``group`` names a
    column of fields, or with `edges` one that is cut into bins (``r_gal``; ``edge_low``, ``edge_high``). Groups with
    fewer than `n_min` complete stars are null, and `fit` says 'too few stars'; 'all alike' stands where [alpha/M]
    does not vary.

    Where a column ``weight`` is bound (one over the chance that a star was selected), each star counts that often, in
    proportion: weights are scaled to sum up to the effective number of stars ``n_effective`` = (sum w)^2 / sum w^2, and
    the simulated groups carry the same ones. The dip knows no weights.

    What breaks it, in groups of 100 stars of one sequence at p < 0.05: Gaussian and Laplace scatter make no false
    alarm (0 of 100), 5 % of stray stars spread evenly 4 %, a Student t of 3 degrees 4 %, and 5 % of stray stars that
    scatter about a point between the sequences 10 to 16 %. Skewed scatter is read as a low fraction. Limits of 95 %
    hold the true fraction in 90 to 99 % of groups with 5 to 30 % on the low sequence. Above solar [M/H] the sequences
    merge.

    The result has two parts: ``groups``, and ``stars`` with ``p_low``, the probability of each star to be on the low
    sequence, and ``p_stray``, to be on none.

    Parameters
    ----------
    group
        Column that tells the groups apart; all stars are one group by default.
    edges
        Ascending edges of bins in this column; stars outside belong to no group.
    m_knots, high, low
        Ridge lines of the two sequences: [alpha/M] at these [M/H].
    width_high, width_low
        Intrinsic widths of both sequences; the fitted ones may be a third off (prior of ln(width) 0.3 wide).
    offset_sd, slope_sd
        Widths of the priors of zero point and tilt; 0 fixes them.
    n_boot
        Simulated groups of one sequence for each p-value.
    n_power
        Simulated groups for each fraction of the power curve.
    n_min
        Fewest stars of a group.
    seed
        Of the simulations.

    Raises
    ------
    MissingColumnError
        Edges are given and no group.
    ParameterError
        Ridge lines that do not fit together, or edges that do not ascend.
    TooFewObjectsError
        There is no star.
    """
    templates = Templates(_tracks(m_knots, high, low), (width_low, width_high), offset_sd, slope_sd)
    return _bimodality(
        stars, templates, group=group, edges=edges, n_boot=n_boot, n_power=n_power, n_min=n_min, seed=seed
    )


@hven.analysis(
    stars=_STARS, templates=hven.Model(), produces=_PRODUCES, references=_REFERENCES, version="1", min_objects="n_min"
)
def alpha_bimodality_with_templates(
    stars: xr.Dataset,
    templates: xr.Dataset,
    *,
    group: str | None = None,
    edges: list[float] | None = None,
    offset_sd: Annotated[float, hven.Unit("dex"), Range(ge=0)] = 0.02,
    slope_sd: Annotated[float, Range(ge=0)] = 0.05,
    n_boot: Annotated[int, Range(ge=20, le=10_000)] = 100,
    n_power: Annotated[int, Range(ge=0, le=10_000)] = 50,
    n_min: Annotated[int, Range(ge=10)] = 20,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Whether stars lie on one alpha sequence or on two, with ridge lines that were measured on a reference table.

    ``templates`` is a result of ``alpha_templates_train``; method, results and limits are those of
    ``alpha_bimodality``. Where the reference is of the same pipeline as the stars, `offset_sd` can be small (0.005
    dex).

    Parameters
    ----------
    group
        Column that tells the groups apart; all stars are one group by default.
    edges
        Ascending edges of bins in this column; stars outside belong to no group.
    offset_sd, slope_sd
        Widths of the priors of zero point and tilt; 0 fixes them.
    n_boot
        Simulated groups of one sequence for each p-value.
    n_power
        Simulated groups for each fraction of the power curve.
    n_min
        Fewest stars of a group.
    seed
        Of the simulations.

    Raises
    ------
    DataRefusedError
        The templates are no result of ``alpha_templates_train``.
    MissingColumnError
        Edges are given and no group.
    ParameterError
        Edges that do not ascend.
    TooFewObjectsError
        There is no star.
    """
    tracks, widths = tracks_of(templates)
    return _bimodality(
        stars, Templates(tracks, widths, offset_sd, slope_sd), group=group, edges=edges, n_boot=n_boot,
        n_power=n_power, n_min=n_min, seed=seed,
    )  # fmt: skip


def _bimodality(
    stars: xr.Dataset, templates: Templates, *, group: str | None, edges: list[float] | None, n_boot: int, n_power: int,
    n_min: int, seed: int,
) -> dict[str, xr.Dataset]:  # fmt: skip
    table = gather(stars)
    names, label = _groups(table, group, edges)
    columns = {
        name: np.asarray(table[name].values, dtype=np.float64) if name in table else np.zeros(table.sizes["object"])
        for name in ("m_h", "alpha_m", "m_h_err", "alpha_m_err")
    }
    known = np.logical_and.reduce([np.isfinite(v) for v in columns.values()])
    known &= (columns["m_h_err"] >= 0) & (columns["alpha_m_err"] >= 0)
    if "weight" in table:
        columns["weight"] = np.asarray(table["weight"].values, dtype=np.float64)
        known &= np.nan_to_num(columns["weight"]) > 0
    if not known.any():
        raise hven.errors.TooFewObjectsError(
            "no star has m_h, alpha_m, their errors and a weight", where="input 'stars'", hint="Loosen the selection."
        )
    p_low, p_stray = np.full((2, table.sizes["object"]), np.nan)
    tracks = templates.tracks
    m = np.linspace(tracks[0].knots[0], tracks[0].knots[-1], 60)
    rows = []
    for i in range(len(names)):
        mine = known & (label == i)
        order = np.flatnonzero(mine)
        order = order[np.lexsort([columns[n][order] for n in columns])]  # sums and draws know no order of rows
        data = Stars(*(columns[n][order] for n in columns))
        row = _tested(data, templates, m, n_boot=n_boot, n_power=n_power, n_min=n_min, seed=seed)
        p_low[order], p_stray[order] = row.pop("p_low"), row.pop("p_stray")
        rows.append(row)
    ids = {"object_id": ("object", table["object_id"].values)} if "object_id" in table else {}
    errors = [name for name in ("m_h_err", "alpha_m_err") if name not in table]
    attrs = {
        "group": group or "",
        "group_unit": str(table[group].attrs.get("units", "")) if group else "",
        "n_power": n_power,
        "assumed": f"no errors: {', '.join(errors)}" if errors else "nothing",
        "n_incomplete": int((~known).sum()),
        "n_outside": int((known & (label < 0)).sum()),
    }
    shifts = [np.nan_to_num(r["offset"]) + np.nan_to_num(r["slope"]) * (m - r.pop("pivot")) for r in rows]
    lines = {
        name: np.array([track.at(m)[0] + shift for shift in shifts])
        for name, track in zip(("track_low", "track_high"), tracks, strict=True)
    }
    free = np.array([r["free"] for r in rows])
    lines |= {"free_track_low": free[:, 0], "free_track_high": free[:, 1]}
    text = np.dtypes.StringDType()
    kinds: dict[str, Any] = {"fit": text, "n": np.int64}
    one = {n: ("group", np.array([r[n] for r in rows], dtype=kinds.get(n))) for n in rows[0] if n not in _ARRAYS}
    ends = np.array(edges) if edges is not None else np.full(len(names) + 1, np.nan)
    one |= {"edge_low": ("group", ends[:-1]), "edge_high": ("group", ends[1:])}
    groups = xr.Dataset(
        {
            **one,
            "power": (("group", "f_injected"), np.array([r["power"] for r in rows])),
            "posterior": (("group", "f"), np.array([r["posterior"] for r in rows])),
            **{name: (("group", "m"), values) for name, values in lines.items()},
        },
        coords={
            "group": np.array(names, dtype=text), "f_injected": np.array(INJECTED), "m": ("m", m, {"units": "dex"}),
            "f": _GRID[::_EVERY],
        },
        attrs=attrs,
    )  # fmt: skip
    texts = _caveats(table, columns, known, names, rows, attrs["assumed"])
    return {
        "groups": caveats.with_caveats(groups, texts),
        "stars": xr.Dataset({**ids, "p_low": ("object", p_low), "p_stray": ("object", p_stray)}),
    }


def _caveats(
    table: xr.Dataset, columns: dict[str, Array], known: NDArray[np.bool_], names: list[str],
    rows: list[dict[str, Any]], assumed: Any,
) -> list[str]:  # fmt: skip
    """Return the caveats: errors that are assumed, unusable or too large, stars left out, groups that say nothing."""
    missing = {name: int(np.sum(~np.isfinite(values))) for name, values in columns.items()}
    texts = caveats.of_assumed(str(assumed)) + caveats.of_missing(len(known), int(known.sum()), missing)
    for name in ("m_h", "alpha_m"):
        if f"{name}_err" in table:
            texts += caveats.of_errors(name, columns[name], columns[f"{name}_err"], "dex")
            negative = int(np.sum(columns[f"{name}_err"] < 0))
            texts += [f"{negative:,} stars are left out: their errors of {name} are negative."] if negative else []
    texts += caveats.of_repeats([columns[name][known] for name in ("m_h", "alpha_m")])
    for word in dict.fromkeys(row["fit"] for row in rows if row["fit"] != "ok"):
        labels = [name for name, row in zip(names, rows, strict=True) if row["fit"] == word]
        texts.append(f"Group {', '.join(labels[:6])}{' and more' if len(labels) > 6 else ''}: {word}.")
    return texts


def _tested(
    stars: Stars, templates: Templates, m: Array, *, n_boot: int, n_power: int, n_min: int, seed: int
) -> dict[str, Any]:
    """Return what is found of one group; free tracks at [M/H] `m`."""
    n = len(stars.m)
    row: dict[str, Any] = dict.fromkeys(_NUMBERS, np.nan)
    row |= {"n": n, "n_effective": stars.n_effective if n else 0.0, "pivot": 0.0}
    row |= {"free": np.full((2, len(m)), np.nan), "posterior": np.full(len(_GRID[::_EVERY]), np.nan)}
    row |= {"power": np.full(len(INJECTED), np.nan), "p_low": np.full(n, np.nan), "p_stray": np.full(n, np.nan)}
    if n < n_min:
        return {**row, "fit": "too few stars"}
    if np.ptp(stars.a) == 0:
        return {**row, "fit": "all alike"}
    scene = Scene.of(stars, templates)
    alone, both = model.fit_both(stars.a[None], scene, templates)
    lr, p = _gains(alone, both)[0], both.p[0]
    nulls = model.in_parts(lambda b: model.simulate(alone.p[0], stars, templates, [seed, 0, b]), n_boot)
    drawn = _gains(*model.fit_both(nulls, scene, templates))
    density = model.posterior_of_fraction(p, stars, templates, _GRID)
    below = np.cumsum(density)
    low, middle, above, upper = (float(_GRID[np.searchsorted(below, level)]) for level in (0.1587, 0.5, 0.8413, 0.95))
    one, two = (fit_sequences_of_each([stars.columns], tracks=k)[0] for k in (1, 2))
    dip = stats.dip_test(stars.a - templates.tracks[1].at(stars.m)[0])
    gof_p = _goodness(p, stars, scene, templates, n_boot, seed)
    errors = model.errors_of(p, stars, templates)
    p_low, p_stray = model.memberships(p, stars, templates)
    word = "ok" if both.converged[0] else "not converged"
    word = POOR if gof_p < _POOR_P else word
    return {
        **row,
        "pivot": float(scene.weight @ stars.m / scene.weight.sum()),
        "f_low": float(p[model.FRACTION]),
        "f_low_err": (above - low) / 2,
        "f_low_median": middle,
        "f_low_upper": upper,
        "lr": float(lr),
        "p": stats.permutation_p(float(lr), drawn),
        "gof_p": gof_p,
        "delta_bic": one.bic - two.bic,
        "free": np.where((m >= stars.m.min()) & (m <= stars.m.max()), two.tracks(m), np.nan),
        "posterior": density[::_EVERY] * (len(_GRID) - 1),
        "dip": dip.dip,
        "dip_p": dip.p,
        "sigma_low": float(np.exp(p[model.WIDTH_LOW])),
        "sigma_low_err": float(errors[model.WIDTH_LOW] * np.exp(p[model.WIDTH_LOW])),
        "sigma_high": float(np.exp(p[model.WIDTH_HIGH])),
        "sigma_high_err": float(errors[model.WIDTH_HIGH] * np.exp(p[model.WIDTH_HIGH])),
        "offset": float(p[model.OFFSET]),
        "offset_err": float(errors[model.OFFSET]),
        "slope": float(p[model.SLOPE]),
        "slope_err": float(errors[model.SLOPE]),
        "f_stray": float(np.exp(p[model.STRAY])),
        "f_tail": float(np.exp(p[model.WING])),
        "power": _power(p, stars, scene, templates, float(np.quantile(drawn, 0.95)), n_power, seed),
        "fit": _misfit(both, stars, scene, templates) or word,
        "p_low": p_low,
        "p_stray": p_stray,
    }


def _gains(alone: model.Fits, both: model.Fits) -> Array:
    """Return twice the gain in ln L plus ln prior of both sequences over the high one, (b,)."""
    return np.maximum(2 * (both.height - alone.height), 0.0)


def _power(p: Array, stars: Stars, scene: Scene, templates: Templates, level: float, n_power: int, seed: int) -> Array:
    """Return the chance that the test finds each of the fractions INJECTED among these stars."""
    if n_power == 0:
        return np.full(len(INJECTED), np.nan)
    found = []
    for k, fraction in enumerate(INJECTED):
        truth = np.where(np.arange(7) == model.FRACTION, fraction, p)
        groups = np.stack([model.simulate(truth, stars, templates, [seed, 1 + k, b]) for b in range(n_power)])
        found.append(float(np.mean(_gains(*model.fit_both(groups, scene, templates)) > level)))
    return np.array(found)


def _goodness(p: Array, stars: Stars, scene: Scene, templates: Templates, n_boot: int, seed: int) -> float:
    """Return the p-value of the fit: distribution about the ridges and course along [M/H], the worse one times two."""
    own = model.misfit_statistics(p[None], stars.a[None], scene, stars.m)[0]
    groups = model.in_parts(lambda b: model.simulate(p, stars, templates, [seed, 9, b]), n_boot)
    again = model.fit(groups, scene, templates, np.tile(p, (n_boot, 1)))
    drawn = model.misfit_statistics(again.p, groups, scene, stars.m)
    return float(min(1.0, 2 * min(stats.permutation_p(own[j], drawn[:, j]) for j in range(2))))


def _misfit(both: model.Fits, stars: Stars, scene: Scene, templates: Templates) -> str:
    """Return which of zero point and slope leaves its prior, '' for none."""
    wide = replace(
        templates,
        offset_sd=_FREE * max(templates.offset_sd, 0.01),
        slope_sd=_FREE * max(templates.slope_sd, 0.02),
    )
    found = model.fit(stars.a[None], scene, wide, both.p)
    errors = model.errors_of(found.p[0], stars, wide)
    off = []
    for name, sd, word in (
        (model.OFFSET, templates.offset_sd, OFFSET_OFF), (model.SLOPE, templates.slope_sd, SLOPE_OFF)
    ):  # fmt: skip
        error = float(np.nan_to_num(errors[name]))
        limit = _FAR * float(np.hypot(sd, error))
        off.append((abs(float(found.p[0, name])) / limit, word))
    farthest, word = max(off)
    return word if farthest > 1 else ""


_ARRAYS = ("power", "posterior", "free")
_NUMBERS = (
    "f_low", "f_low_err", "f_low_median", "f_low_upper", "lr", "p", "gof_p", "delta_bic", "dip", "dip_p", "sigma_low",
    "sigma_low_err", "sigma_high", "sigma_high_err", "offset", "offset_err", "slope", "slope_err", "f_stray", "f_tail",
)  # fmt: skip


def _tracks(m_knots: list[float], high: list[float], low: list[float]) -> tuple[Track, Track]:
    fits = len(m_knots) == len(high) == len(low) >= 2 and bool(np.all(np.diff(m_knots) > 0))
    if not fits or not np.all(np.asarray(high) >= np.asarray(low)):
        raise hven.errors.ParameterError(
            f"{len(m_knots)} knots with {len(high)} values of the high and {len(low)} of the low sequence",
            where="parameters m_knots, high and low",
            expected="as many values as ascending knots, the high sequence nowhere below the low one",
            hint="Correct the ridge lines.",
        )
    return Track(tuple(m_knots), tuple(low)), Track(tuple(m_knots), tuple(high))


def _groups(table: xr.Dataset, group: str | None, edges: list[float] | None) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of the groups, and the group of each star, -1 for none."""
    if edges is not None and group is None:
        raise hven.errors.MissingColumnError(
            "edges are given, and no column that they cut", where="parameter 'group'", hint="Name it: group='r_gal'."
        )
    if group is None:
        return ["all"], np.zeros(table.sizes["object"], dtype=np.int64)
    values = np.asarray(table[group].values)
    if edges is None:
        numeric = values.dtype.kind == "f"
        usable = np.isfinite(values) if numeric else np.ones(len(values), dtype=bool)
        names, place = np.unique(values[usable], return_inverse=True)
        label = np.full(len(values), -1, dtype=np.int64)
        label[usable] = place
        return [f"{name:.15g}" if numeric else str(name) for name in names], label
    if len(edges) < 2 or not np.all(np.diff(edges) > 0):
        raise hven.errors.ParameterError(
            f"the edges are {edges}", where="parameter 'edges'", expected="two or more, ascending", hint="Correct them."
        )
    label = np.searchsorted(edges, values, side="right").astype(np.int64) - 1
    label[(label >= len(edges) - 1) | ~np.isfinite(values)] = -1
    return [f"{group} {a:g} to {b:g}" for a, b in pairwise(edges)], label


@alpha_bimodality.figure
def _figure(result: dict[str, xr.Dataset], inputs: dict[str, xr.Dataset]) -> "dict[str, Figure]":
    from hven_plugins.abundances.bimodality_figures import draw_fractions, draw_sequences

    return {
        "sequences": draw_sequences(result, inputs["stars"]),
        "fractions": draw_fractions(result["groups"]),
    }


@alpha_bimodality.mock
def _mock(size: int, seed: int) -> Mock:
    """Return stars of one group, 500 at most, a fifth of them on the low sequence."""
    mock = alpha_stars(min(size, 500), seed, f_low=0.2)
    return Mock(mock.inputs, {"groups.f_low": mock.truth["groups.f_low"]})


@alpha_bimodality_with_templates.figure
def _figure_with_templates(result: dict[str, xr.Dataset], inputs: dict[str, xr.Dataset]) -> "dict[str, Figure]":
    from hven_plugins.abundances.bimodality_figures import draw_fractions, draw_sequences

    return {"sequences": draw_sequences(result, inputs["stars"]), "fractions": draw_fractions(result["groups"])}


@alpha_bimodality_with_templates.mock
def _mock_with_templates(size: int, seed: int) -> Mock:
    """Return stars of one group, 500 at most, a fifth of them on the low sequence, and the templates that ship."""
    mock = alpha_stars(min(size, 500), seed, f_low=0.2)
    columns = {name: ("knot", np.array(values)) for name, values in shipped().items()}
    return Mock({**mock.inputs, "templates": xr.Dataset(columns)}, {"groups.f_low": mock.truth["groups.f_low"]})
