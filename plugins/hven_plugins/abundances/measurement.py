"""Correlations of abundances in one pass over any number of stars, errors taken out, with bootstrap replicates."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hven
from hven.methods import caveats
from hven.methods.moments import Moments, Reason, bootstrap_moments, moments_by_group
from hven_plugins.abundances.table import UNUSABLE, Abundances, Block

Array = NDArray[np.float64]

WORDS = {
    Reason.NONE: "ok",
    Reason.TOO_FEW: "too few stars",
    Reason.CONSTANT: "does not vary",
    Reason.NEGATIVE_VARIANCE: "errors exceed the scatter",
    Reason.ABOVE_ONE: "above one",
}
"""What `flag` says of a pair of elements."""

UNSTABLE = "errors exceed the scatter in replicates"
FAR_ABOVE_ONE = "far above one"
"""Of a correlation that errors which are right cannot give: more than three of its errors beyond one, or twice it."""

_CELLS = 100_000
_SHOWN = 6


@dataclass(frozen=True)
class Measured:
    """Correlations of e elements, and the same of b bootstrap replicates.

    Attributes
    ----------
    correlation, correlation_err
        Error-corrected, shape (e, e).
    naive
        Without the correction.
    covariance
        Error-corrected, in dex^2.
    sigma, sigma_err
        Scatter without errors in dex, shape (e,).
    error
        Root mean square error in dex, shape (e,).
    mean
        Shape (e,).
    n
        Stars that have both, shape (e, e).
    flag
        One of `WORDS` for each pair.
    replicates
        Correlations, shape (b, e, e).
    n_stars
        Stars that went by.
    left_out
        Values of each column whose error is zero or less, and whose error is `UNUSABLE` or more, shape (c, 2).
    """

    correlation: Array
    correlation_err: Array
    naive: Array
    covariance: Array
    sigma: Array
    sigma_err: Array
    error: Array
    mean: Array
    n: NDArray[np.int64]
    flag: NDArray[Any]
    replicates: Array
    n_stars: int = 0
    left_out: NDArray[np.int64] | None = None


def correlate(blocks: Iterable[Block], *, n_boot: int, seed: int, n_min: int = 3, groups: int = 1) -> Measured:
    """Return the correlations of the abundances in `blocks`, which are gone through once.

    Parameters
    ----------
    blocks
        Abundances with errors.
    n_boot, seed
        Number of bootstrap replicates, and the seed of their weights: a star's weights follow from its id.
    n_min
        Pairs with fewer stars are NaN.
    groups
        How many means were taken out before.

    Raises
    ------
    TooFewObjectsError
        No pair has `n_min` stars.
    """
    whole: Moments | None = None
    drawn: Moments | None = None
    n_stars, left_out = 0, None
    for block in blocks:
        n_stars += len(block.ids)
        left_out = block.left_out if left_out is None else left_out + block.left_out
        part = Moments.from_array(block.x, block.err)
        replicates = bootstrap_moments(block.x, block.ids, seed, n_boot=n_boot, err=block.err)
        whole = part if whole is None else whole.merge(part)
        drawn = replicates if drawn is None else drawn.merge(replicates)
    off = None if whole is None else whole.n[~np.eye(whole.n.shape[-1], dtype=bool)]
    if whole is None or drawn is None or off is None or off.max() < n_min:
        raise hven.errors.TooFewObjectsError(
            f"no pair of elements has {n_min} stars with values and errors of both; the most is"
            f" {0 if off is None else int(off.max())}",
            where="input 'stars'",
            expected="errors that are positive, and values that are finite",
            hint="Loosen the selection, name the elements that were measured, or lower n_min.",
        )
    if groups > 1:
        whole = replace(whole, groups=np.full_like(whole.groups, groups))
        drawn = replace(drawn, groups=np.full_like(drawn.groups, groups))
    return replace(_told(whole, drawn, n_min), n_stars=n_stars, left_out=left_out)


def _told(whole: Moments, drawn: Moments, n_min: int) -> Measured:
    correlation, reasons = whole.correlation(), whole.reasons()
    words = np.array([WORDS[reason] for reason in Reason], dtype=np.dtypes.StringDType())
    flag = words[reasons]
    few = whole.n < n_min
    flag[few] = WORDS[Reason.TOO_FEW]
    correlation = np.where(few, np.nan, correlation)
    replicates = drawn.correlation()
    known = np.isfinite(replicates)
    stable = known.mean(axis=0) > 0.9
    flag[np.isfinite(correlation) & ~stable] = UNSTABLE
    correlation_err = np.where(stable & np.isfinite(correlation), _spread(replicates, known), np.nan)
    np.fill_diagonal(correlation_err, np.nan)
    with np.errstate(invalid="ignore"):
        beyond = np.abs(correlation) - 1
        far = (beyond > 3 * np.nan_to_num(correlation_err, nan=np.inf)) & (beyond > 1e-9) | (beyond > 1)
    correlation, correlation_err = (np.where(far, np.nan, v) for v in (correlation, correlation_err))
    flag[far] = FAR_ABOVE_ONE
    covariance = whole.covariance()
    sigma = np.sqrt(np.diagonal(covariance))
    scatters = np.sqrt(np.diagonal(drawn.covariance(), axis1=-2, axis2=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = np.zeros(len(sigma)) if whole.noise is None else np.diagonal(whole.noise / whole.weight)
    sigma_err = _spread(scatters, np.isfinite(scatters))
    return Measured(
        correlation=correlation,
        correlation_err=correlation_err,
        naive=np.where(few, np.nan, whole.correlation(corrected=False)),
        covariance=np.where(few, np.nan, covariance),
        sigma=np.where(np.diagonal(few), np.nan, sigma),
        sigma_err=np.where(np.isfinite(sigma) & ~np.diagonal(few), sigma_err, np.nan),
        error=np.sqrt(noise),
        mean=whole.means,
        n=whole.n,
        flag=flag,
        replicates=replicates,
    )


def _spread(values: Array, known: NDArray[np.bool_]) -> Array:
    """Return the standard deviation over the first axis of the values that are known; NaN where there are not two."""
    count = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / count
        return np.asarray(np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / (count - 1)))


@dataclass(frozen=True)
class LocalMean:
    """Mean abundances at a place in the given variables: a plane in each cell of a grid.

    Attributes
    ----------
    width
        Of a cell in each variable, shape (g,).
    cells
        By cell: centre in the variables (g,), mean abundances (e,), and their slopes (e, g).
    lost
        Parameters that were taken from the data, for each element.
    """

    width: Array
    cells: dict[tuple[int, ...], tuple[Array, Array, Array]]
    lost: int

    def residuals(self, block: Block) -> Block:
        """Return the block with its local means taken out; NaN where a cell has too few stars."""
        left = np.full_like(block.x, np.nan)
        places, known = _places(block.given, self.width)
        for place in np.unique(places[known], axis=0):
            cell = self.cells.get(tuple(place.tolist()))
            if cell is not None:
                rows = known & (places == place).all(axis=1)
                centre, mean, slope = cell
                left[rows] = block.x[rows] - mean - (block.given[rows] - centre) @ slope.T
        return block._replace(x=left)


def local_mean(blocks: Iterable[Block], width: Array, n_cell: int) -> LocalMean:
    """Return the mean abundances in cells of `width` of the given variables, cells with `n_cell` stars or more."""
    found: dict[tuple[int, ...], Moments] = {}
    elements = 0
    for block in blocks:
        elements = block.x.shape[1]
        places, known = _places(block.given, width)
        names, labels = np.unique(places, axis=0, return_inverse=True)
        parts = moments_by_group(np.column_stack([block.x, block.given]), np.where(known, labels.reshape(-1), -1))
        for label, part in parts.items():
            name = tuple(names[label].tolist())
            found[name] = found[name].merge(part) if name in found else part
        if len(found) > _CELLS:
            raise hven.errors.ParameterError(
                f"cells of {', '.join(f'{w:g}' for w in width)} are more than {_CELLS:,}",
                where="parameter 'box'",
                hint="Give wider cells, or hold fewer variables fixed.",
            )
    at, given = np.arange(elements), np.arange(elements, elements + len(width))
    cells = {}
    for name, moments in found.items():
        if np.diagonal(moments.n)[given].min() >= n_cell:
            covariance = moments.covariance()
            slope = np.linalg.lstsq(
                covariance[np.ix_(given, given)], np.nan_to_num(covariance[np.ix_(given, at)]), rcond=1e-6
            )[0].T
            cells[name] = (moments.means[given], moments.means[at], slope)
    return LocalMean(width, cells, len(cells) * (1 + len(width)))


def _places(given: Array, width: Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the cell of each star, shape (n, g), and whether it has one."""
    known = np.isfinite(given).all(axis=1)
    return np.floor(np.where(known[:, None], given, 0.0) / width).astype(np.int64), known


def correlate_given(table: Abundances, width: Array, *, n_cell: int, **options: Any) -> tuple[Measured, LocalMean]:
    """Return the correlations of residuals from `local_mean` of the given variables, in two passes."""
    surface = local_mean(table.blocks(), width, n_cell)
    if not surface.cells:
        raise hven.errors.TooFewObjectsError(
            f"no cell of {', '.join(f'{w:g} in {name}' for w, name in zip(width, table.given, strict=True))} has"
            f" {n_cell} stars",
            where="input 'stars'",
            hint="Give a wider box, or lower n_cell.",
        )
    return correlate(_each(table.blocks, surface.residuals), groups=surface.lost, **options), surface


def _each(blocks: Callable[[], Iterator[Block]], change: Callable[[Block], Block]) -> Iterator[Block]:
    return (change(block) for block in blocks())


def caveats_of(elements: Sequence[str], columns: Sequence[str], told: Measured, assumed: str) -> list[str]:
    """Return the caveats of correlations: errors that are assumed or unusable, scatters and pairs without a value."""
    texts = caveats.of_assumed(assumed)
    rare = np.diagonal(told.n) < 0.5 * told.n_stars
    texts += [f"Fewer than half of the {told.n_stars:,} stars have {_names(elements, rare)}."] if rare.any() else []
    for name, (zero, coded) in zip(columns, np.zeros((0, 2)) if told.left_out is None else told.left_out, strict=False):
        of = f"of {told.n_stars:,} values of {name} are left out"
        texts += [f"{int(coded):,} {of}: their errors are {UNUSABLE:g} dex or more, as codes are."] if coded else []
        texts += [f"{int(zero):,} {of}: their errors are zero or negative."] if zero else []
    flags = np.diagonal(told.flag)
    for word in dict.fromkeys(str(flag) for flag in flags if flag != WORDS[Reason.NONE]):
        texts.append(f"{_names(elements, flags == word)}: {word}; there is no scatter and no correlation.")
    i, j = np.tril_indices(len(elements), -1)
    single = (flags == WORDS[Reason.NONE])[i] & (flags == WORDS[Reason.NONE])[j]
    for word in (
        WORDS[Reason.TOO_FEW],
        WORDS[Reason.NEGATIVE_VARIANCE],
        FAR_ABOVE_ONE,
        UNSTABLE,
        WORDS[Reason.ABOVE_ONE],
    ):
        here = single & (told.flag[i, j] == word)
        pairs = [f"{elements[b]}-{elements[a]}" for a, b in zip(i[here], j[here], strict=True)]
        if pairs and word == WORDS[Reason.ABOVE_ONE]:
            values = told.correlation[i[here], j[here]]
            pairs = [f"{pair} {value:.2f}" for pair, value in zip(pairs, values, strict=True)]
        more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
        texts += [f"Correlations {word}: {', '.join(pairs[:_SHOWN])}{more}."] if pairs else []
    return texts


def _names(elements: Sequence[str], which: NDArray[np.bool_]) -> str:
    chosen = [name for name, is_chosen in zip(elements, which, strict=True) if is_chosen]
    return ", ".join(chosen[:_SHOWN]) + (f" and {len(chosen) - _SHOWN} more" if len(chosen) > _SHOWN else "")
