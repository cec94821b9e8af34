"""How two quantities hang together at each place of the Galaxy: the conditional correlation, with jackknife bands."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats, gather, models, ranks
from hven.mocks import Mock, conditional_stars
from hven_plugins.copulas.density import Two
from hven_plugins.copulas.folds import ConditionalMoments, Score, train
from hven_plugins.copulas.pairs import CONSTANT, caveats_of, is_labelled, pairs_by_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_WHERE = "analysis 'conditional_correlation_train'"
_LOCAL = 20_000
"""Stars that local moments are made of at most."""


@hven.analysis(
    stars=hven.Table(r_gal="kpc", z_gal="kpc", optional={"weight": "", "block": None}, named_by="columns"),
    produces={
        "": {"weight_<k>": "", "bias_<k>": "", "place_mean": "kpc", "place_std": "kpc"},
        "map": {
            "rho": "",
            "rho_err": "",
            "rho_of_fold": "",
            "mean_x": "",
            "variance_x": "",
            "mean_y": "",
            "variance_y": "",
            "rho_local": "",
            "spearman": "",
            "kendall": "",
            "n": "",
            "loss": "",
        },
    },
    references=("2306.09319",),
    version="1",
    min_objects="n_min",
)
def conditional_correlation_train(
    stars: xr.Dataset,
    *,
    columns: Two = ("age", "feh"),
    score: Score = "gaussian_nll",
    on_ranks: bool = True,
    n_folds: Annotated[int, Field(ge=2, le=200)] = 50,
    r_cells: Annotated[int, Field(ge=2, le=200)] = 24,
    z_cells: Annotated[int, Field(ge=1, le=100)] = 8,
    width: Annotated[int, Field(ge=1)] = 20,
    depth: Annotated[int, Field(ge=1)] = 3,
    steps: Annotated[int, Field(ge=1)] = 3000,
    batch: Annotated[int, Field(ge=16)] = 256,
    learning_rate: Annotated[float, Field(gt=0)] = 5e-3,
    n_min: Annotated[int, Field(ge=100)] = 400,
    seed: int = 0,
) -> dict[str, xr.Dataset]:
    """Correlation of two quantities as a smooth function of R and |z|, with jackknife bands.

    A correlation is not elicitable: no score has it as its minimum. Together with both means and variances it is, and a
    network that gives all five at each place is trained on such a score: by default the bivariate Gaussian likelihood,
    or with ``score="elicitable"`` the one of arXiv:2306.09319,

    S = ((a1 - x)^2 - 2 a2)/a2^2 + ((a3 - y)^2 - 2 a4)/a4^2 + (a5 - x y)^2,  a5 = sqrt(a2 a4) rho + a1 a3.

    Both are consistent for any distribution, not for a Gaussian only; the first is less noisy. The variables are the
    normal scores of the ranks of the two columns, so that their margins do not matter; ``on_ranks=False`` takes the
    columns standardised instead. R and |z| are standardised.

    Errors are those of a delete-a-fold jackknife, sigma^2 = (n - 1) var(rho of the folds): all folds start from the
    same weights and see the same batches, so that the noise of training, times n, is not taken for the error. Folds are
    made of single stars, or of whole blocks (patches of the sky, families of orbits) when a column ``block`` is bound:
    do so when the selection is patchy.

    The result is the model (for ``conditional_correlation``, which gives rho to each star), and the part ``map``: rho,
    its error, the rho of each fold, means and variances over (r_gal, abs_z_gal), between the 2 and 98 % quantiles of R
    and up to the 97 % quantile of |z|. As a check without any network it holds ``rho_local``, local moments weighted by
    a Gaussian kernel, and Spearman's rho and Kendall's tau of the stars in each cell; ``n`` counts them. ``loss`` is
    the course of the training.

    Parameters
    ----------
    columns
        The two quantities, in any unit.
    score
        What is minimised.
    on_ranks
        Whether to take normal scores of the ranks.
    n_folds
        Folds of the jackknife.
    r_cells, z_cells
        Cells of the map.
    width, depth
        Neurons per hidden layer, and hidden layers.
    steps, batch, learning_rate
        Of the training (AdamW, cosine schedule).
    n_min
        Fewest stars with all values.
    seed
        Of first weights, batches and folds.

    Raises
    ------
    TooFewObjectsError
        Fewer than `n_min` stars, or fewer blocks than folds.
    DataRefusedError
        A column has one value only, or all stars are at one R or |z|.
    """
    place_known = gather(stars, ["r_gal", "z_gal"])
    r, height = (np.asarray(place_known[n].values, dtype=np.float64) for n in ("r_gal", "z_gal"))
    has_block = is_labelled(stars, "block") if "block" in stars else True
    inside = np.flatnonzero(np.isfinite(r) & np.isfinite(height) & has_block)
    held = gather(stars, [n for n in (*columns, "weight", "block") if n in stars]).isel(object=inside)
    (pairs,) = pairs_by_group(held.drop_vars("block", errors="ignore"), columns, n_min=n_min, where=_WHERE)
    if pairs.reason == CONSTANT:
        raise hven.errors.DataRefusedError(
            CONSTANT, where=_WHERE, expected="two columns that vary", hint="Name another column."
        )
    r, height = r[inside][pairs.rows], np.abs(height[inside][pairs.rows])
    for name, values in (("r_gal", r), ("|z_gal|", height)):
        if np.ptp(values) == 0:
            raise hven.errors.DataRefusedError(
                f"all stars have the same {name}, {values[0]:g} kpc", where=_WHERE, expected="a range of places",
                hint="Loosen the selection; copula_density measures stars at one place.",
            )  # fmt: skip
    order = np.lexsort((height, r, pairs.y, pairs.x))
    r, height, rows = r[order], height[order], pairs.rows[order]
    w = np.ones(pairs.n) if pairs.w is None else pairs.w[order]
    x, y = (_scores(u[order], raw[order], on_ranks) for u, raw in ((pairs.u, pairs.x), (pairs.v, pairs.y)))
    fold = _folds(held["block"].values[rows] if "block" in held else None, pairs.n, n_folds, seed)
    model, loss = train(
        np.column_stack([r, height]), x, y, w, fold, n_folds, score=score, columns=columns,
        width=width, depth=depth, steps=steps, batch=batch, learning_rate=learning_rate, seed=seed,
    )  # fmt: skip
    edges = (
        np.linspace(float(np.quantile(r, 0.02)), float(np.quantile(r, 0.98)), r_cells + 1),
        np.linspace(0.0, float(np.quantile(height, 0.97)), z_cells + 1),
    )
    cube = _map(model, loss, edges).merge(_checks(r, height, x, y, w, edges, seed))
    texts = caveats_of([pairs], stars.sizes["object"], columns)
    return {
        "": models.to_dataset(model),
        "map": caveats.with_caveats(cube.assign_attrs(columns=list(columns), score=score), texts),
    }


@hven.analysis(
    stars=hven.Table(r_gal="kpc", z_gal="kpc"),
    model=hven.Model(),
    produces={"rho": "", "rho_err": ""},
    references=("2306.09319",),
    version="1",
    per_object=True,
)
def conditional_correlation(stars: xr.Dataset, model: xr.Dataset) -> xr.Dataset:
    """Conditional correlation of two quantities at the place of each star, with its jackknife error.

    The model comes from ``conditional_correlation_train``, which tells of the method. Both are null where R or z is not
    known. Beyond the stars that the model was trained on it extrapolates.

    Raises
    ------
    DataRefusedError
        The model is of another kind.
    """
    trained = models.from_dataset(model)
    if not isinstance(trained, ConditionalMoments):
        raise hven.errors.DataRefusedError(
            f"the model is a {type(trained).__name__}", where="analysis 'conditional_correlation'",
            expected="one of conditional_correlation_train", hint="Name its result as the model.",
        )  # fmt: skip
    r, height = (np.asarray(stars[n].values, dtype=np.float64) for n in ("r_gal", "z_gal"))
    known = np.isfinite(r) & np.isfinite(height)
    rho, error = np.full((2, len(r)), np.nan)
    rho[known], error[known] = trained.correlation(r[known], np.abs(height[known]))
    return xr.Dataset({"rho": ("object", rho), "rho_err": ("object", error)})


def local_correlation(
    place: tuple[Array, Array], r: Array, height: Array, x: Array, y: Array, w: Array, widths: tuple[float, float]
) -> Array:
    """Return the correlation of local moments, Gaussian kernels of `widths`, at each place (n,)."""
    out = np.empty(len(place[0]))
    for i, (r0, z0) in enumerate(zip(*place, strict=True)):
        kernel = w * np.exp(-0.5 * (((r - r0) / widths[0]) ** 2 + ((height - z0) / widths[1]) ** 2))
        total = kernel.sum()
        if not total > 0:
            out[i] = np.nan
            continue
        a, b = x - kernel @ x / total, y - kernel @ y / total
        out[i] = (kernel * a) @ b / np.sqrt((kernel @ a**2) * (kernel @ b**2))
    return out


def _scores(u: Array, raw: Array, on_ranks: bool) -> Array:
    from scipy.special import ndtri

    return np.asarray(ndtri(u)) if on_ranks else (raw - raw.mean()) / raw.std()


def _folds(blocks: Any, n: int, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each star: single stars, or blocks whole, dealt out at random."""
    rng = np.random.default_rng([seed, 1])
    if blocks is None:
        return rng.permutation(n) % n_folds
    labels, member = np.unique(np.asarray(blocks), return_inverse=True)
    if len(labels) < n_folds:
        raise hven.errors.TooFewObjectsError(
            f"{len(labels)} blocks for {n_folds} folds", where=_WHERE, hint="Ask for fewer folds, or bind finer blocks."
        )
    return (rng.permutation(len(labels)) % n_folds)[member]


def _map(model: ConditionalMoments, loss: Array, edges: tuple[Array, Array]) -> xr.Dataset:
    r, height = ((e[1:] + e[:-1]) / 2 for e in edges)
    grid = np.meshgrid(r, height, indexing="ij")
    shape = (len(r), len(height))
    moments = model.moments(grid[0].ravel(), grid[1].ravel())
    rho, error = model.correlation(grid[0].ravel(), grid[1].ravel())
    over = ("r_gal", "abs_z_gal")
    middle = {
        name: (over, moments[0, :, i].reshape(shape))
        for i, name in enumerate(("mean_x", "variance_x", "mean_y", "variance_y"))
    }
    return xr.Dataset(
        {
            "rho": (over, rho.reshape(shape)),
            "rho_err": (over, error.reshape(shape)),
            "rho_of_fold": (("fold", *over), moments[1:, :, 4].reshape(-1, *shape)),
            **middle,
            "loss": (("stretch", "member"), loss),
        },
        coords={"r_gal": ("r_gal", r, {"units": "kpc"}), "abs_z_gal": ("abs_z_gal", height, {"units": "kpc"})},
    )


def _checks(r: Array, height: Array, x: Array, y: Array, w: Array, edges: tuple[Array, Array], seed: int) -> xr.Dataset:
    """Return correlations without a network: local moments, and rank correlations of the stars in each cell."""
    centres = [(e[1:] + e[:-1]) / 2 for e in edges]
    grid = np.meshgrid(*centres, indexing="ij")
    some = np.arange(len(r))
    if len(r) > _LOCAL:
        some = np.sort(np.random.default_rng([seed, 2]).choice(len(r), _LOCAL, replace=False))
    widths = (1.5 * (edges[0][1] - edges[0][0]), 1.5 * (edges[1][1] - edges[1][0]))
    local = local_correlation(
        (grid[0].ravel(), grid[1].ravel()), r[some], height[some], x[some], y[some], w[some], widths
    )
    cell = [np.searchsorted(e, values, side="right") - 1 for e, values in zip(edges, (r, height), strict=True)]
    shape = (len(centres[0]), len(centres[1]))
    spearman, kendall, n = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    for i in range(shape[0]):
        for j in range(shape[1]):
            here = (cell[0] == i) & (cell[1] == j)
            n[i, j] = here.sum()
            if n[i, j] >= 10:
                spearman[i, j] = ranks.spearman(x[here], y[here], w[here]).value
                kendall[i, j] = ranks.kendall(x[here], y[here], w[here]).value
    over = ("r_gal", "abs_z_gal")
    return xr.Dataset(
        {
            "rho_local": (over, local.reshape(shape)),
            "spearman": (over, spearman),
            "kendall": (over, kendall),
            "n": (over, n),
        }
    )


@conditional_correlation_train.figure
def _figure(result: "dict[str, xr.Dataset]") -> "dict[str, Figure]":
    from hven_plugins.copulas.map_figures import draw_loss, draw_map, draw_profiles

    cube = result["map"]
    return {"map": draw_map(cube), "profiles": draw_profiles(cube), "loss": draw_loss(cube)}


@conditional_correlation_train.mock
def _mock(size: int, seed: int) -> Mock:
    made = conditional_stars(size, seed)
    return Mock(made.inputs, {})


@conditional_correlation.mock
def _mock_of_stars(size: int, seed: int) -> Mock:
    made = conditional_stars(size, seed)
    learned = conditional_correlation_train(conditional_stars(4000, 0).inputs["stars"], n_folds=10, steps=500, depth=2)
    place = made.inputs["stars"][["object_id", "r_gal", "z_gal"]]
    return Mock({"stars": place, "model": learned[""]}, {})
