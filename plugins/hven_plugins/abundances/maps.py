"""Correlations of elements across maps: at one place, at a lag, and as power spectra."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field as Range

import hven
from hven.mocks import Mock, diffusion_field

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Positive = Range(gt=0)

_TILES, _FEWEST = 4, 100


@hven.analysis(
    maps=hven.Images(flux="dex", pixel_scale="pc"),
    produces={
        "correlation": "",
        "correlation_err": "",
        "sigma": "dex",
        "lag_correlation": "",
        "power": "dex2 pc2",
        "n_pixels": "",
        "flag": "",
    },
    references=("2507.14572",),
    version="1",
    per_object=True,
)
def abundance_map_correlations(
    maps: xr.Dataset,
    *,
    lag_max: Annotated[float, hven.Unit("pc"), Positive] = 3000.0,
    n_lags: Annotated[int, Range(ge=2, le=500)] = 24,
    k_min: Annotated[float, hven.Unit("1/pc"), Positive] = 5e-4,
    k_max: Annotated[float, hven.Unit("1/pc"), Positive] = 5e-2,
    n_k: Annotated[int, Range(ge=2, le=500)] = 20,
) -> xr.Dataset:
    """Correlations of elements within each map of abundances: at one place, against the lag, and as power spectra.

    A map has one band for each element, in dex, over ``(object, band, y, x)``; pixels that are missing (not finite, in
    ``mask``, or without weight in ``ivar``) count in no pair. Take large-scale gradients out before: they correlate
    everything with everything.

    ``correlation`` is that of two elements over the pixels that have both, with an error by jackknife over 4 x 4 tiles.
    Where ``ivar`` is given, the mean noise variance is taken out of the variances, noise being taken as independent
    from band to band; what is left is compared with ``correlation_model`` of `abundance_correlation_prediction`, or
    with its ``correlation_gas`` where the noise is not known. ``lag_correlation`` is the mean product of deviations at
    a distance, from all pairs of pixels by Fourier transforms of padded maps, in units of the two scatters; the first
    lag is zero. ``power`` is the cross power in dex^2 pc^2, of maps that are periodic or large: missing pixels count as
    the mean, and the power is scaled up by the fraction of those that are there. The power that
    `abundance_correlation_prediction` gives is that of relative deviations, in pc^2: (ln 10)^2 = 5.30 times this one.

    A map says little about scales that are not small against it: a periodic one of six correlation lengths lacks a
    tenth of the variance. `flag` says 'ok', or why an element has no correlation: 'too few pixels' (under 100), 'does
    not vary', 'errors exceed the scatter', 'no pixel scale'.

    Parameters
    ----------
    lag_max, n_lags
        Largest lag, and number of lags: zero, and bins of equal width up to it.
    k_min, k_max, n_k
        Range of wave numbers 2 pi / wavelength, and number of bins of equal logarithmic width.
    """
    flux = np.asarray(maps["flux"].values, dtype=np.float64)
    known = np.isfinite(flux)
    if "mask" in maps:
        known &= ~np.asarray(maps["mask"].values).astype(bool)
    noise = None
    if "ivar" in maps:
        ivar = np.asarray(maps["ivar"].values, dtype=np.float64)
        known &= ivar > 0
        noise = np.where(known, 1 / np.where(known, ivar, 1.0), 0.0)
    scale = np.asarray(maps["pixel_scale"].values, dtype=np.float64)
    lags, waves = np.linspace(0, lag_max, n_lags), np.geomspace(k_min, k_max, n_k + 1)
    told = [
        correlate_map(flux[i], known[i], None if noise is None else noise[i], float(scale[i]), lags, waves)
        for i in range(len(flux))
    ]
    bands = flux.shape[1]
    names = [str(v) for v in maps["band"].values] if "band" in maps.variables else [str(i) for i in range(bands)]
    pair = ("band", "band2")
    sizes = {"band": bands, "band2": bands, "lag": n_lags, "k": n_k}
    dims = {
        "correlation": pair,
        "correlation_err": pair,
        "sigma": ("band",),
        "lag_correlation": (*pair, "lag"),
        "power": (*pair, "k"),
        "n_pixels": pair,
        "flag": ("band",),
    }
    text = np.dtypes.StringDType()
    kinds: dict[str, Any] = {"n_pixels": np.int64, "flag": text}
    made = {}
    for name, over in dims.items():
        values = np.empty((len(told), *(sizes[d] for d in over)), dtype=kinds.get(name, np.float64))
        for i, one in enumerate(told):
            values[i] = getattr(one, name)
        made[name] = (("object", *over), values)
    band = np.array(names, dtype=text)
    coords = {
        "band": band,
        "band2": ("band2", band),
        "lag": ("lag", lags, {"units": "pc"}),
        "k": ("k", np.sqrt(waves[1:] * waves[:-1]), {"units": "1/pc"}),
    }
    return xr.Dataset(made, coords=coords)


class MapTold(NamedTuple):
    """What one map of b bands tells; see `abundance_map_correlations`."""

    correlation: Array
    correlation_err: Array
    sigma: Array
    lag_correlation: Array
    power: Array
    n_pixels: NDArray[np.int64]
    flag: NDArray[Any]


def correlate_map(
    flux: Array, known: NDArray[np.bool_], noise: Array | None, scale: float, lags: Array, waves: Array
) -> MapTold:
    """Return the correlations of the bands of one map (b, y, x) whose pixels are `scale` pc wide."""
    b = len(flux)
    n = np.einsum("ayx,byx->ab", known.astype(float), known.astype(float))
    mean = np.where(known, flux, 0.0).sum((1, 2)) / np.maximum(np.diag(n), 1)
    off = np.where(known, flux - mean[:, None, None], 0.0)
    tiles = _tile_sums(off, known, noise)
    total = tiles.sum(axis=0)
    covariance, reasons = _corrected(total)
    reasons[np.diag(n) < _FEWEST] = "too few pixels"
    variance = np.where(reasons == "ok", np.diag(covariance), np.nan)
    spread = np.sqrt(variance)
    outer = spread[:, None] * spread[None, :]
    few = n < _FEWEST
    correlation = np.where(few, np.nan, covariance / outer)
    np.fill_diagonal(correlation, np.where(np.isfinite(spread), 1.0, np.nan))
    err = np.where(np.isfinite(correlation), _jackknife(tiles), np.nan)
    np.fill_diagonal(err, np.nan)
    if not scale > 0:
        reasons[:] = "no pixel scale"
        lagged, power = np.full((b, b, len(lags)), np.nan), np.full((b, b, len(waves) - 1), np.nan)
    else:
        lagged = _at_lags(off, known, scale, lags) / outer[..., None]
        lagged[..., 0] = correlation
        power = _powers(off, known, scale, waves)
    return MapTold(correlation, err, spread, lagged, power, np.rint(n).astype(np.int64), reasons)


def _tile_sums(off: Array, known: NDArray[np.bool_], noise: Array | None) -> Array:
    """Return for each tile the sums over common pixels of 1, x_a, x_b, x_a x_b and the noise of a, (t, 5, b, b)."""
    rows = []
    for strip, strip_known, strip_noise in zip(*_split(off, known, noise, axis=1), strict=True):
        for x, v, e in zip(*_split(strip, strip_known, strip_noise, axis=2), strict=True):
            seen = v.reshape(len(v), -1).astype(float)
            flat = x.reshape(len(x), -1)
            first = flat @ seen.T
            own = np.zeros_like(first) if e is None else e.reshape(len(e), -1) @ seen.T
            rows.append(np.stack([seen @ seen.T, first, first.T, flat @ flat.T, own]))
    return np.array(rows)


def _split(*arrays: Any, axis: int) -> list[list[Any]]:
    return [[None] * _TILES if a is None else np.array_split(a, _TILES, axis=axis) for a in arrays]


def _corrected(sums: Array) -> tuple[Array, NDArray[Any]]:
    """Return the covariance without noise (b, b), and for each band whether its variance is one."""
    n, x, y, xy, noise = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = xy / n - x * y / n**2
        naive = np.diag(covariance).copy()
        np.fill_diagonal(covariance, naive - np.diag(noise / n))
        variance = np.diag(covariance)
        reasons = np.full(len(n), "ok", dtype=np.dtypes.StringDType())
        reasons[~(variance > 0)] = "errors exceed the scatter"
        reasons[~(naive > 1e-20)] = "does not vary"
    return covariance, reasons


def _jackknife(tiles: Array) -> Array:
    """Return the standard error of each correlation from leaving out one tile at a time."""
    total, left = tiles.sum(axis=0), []
    for tile in tiles:
        covariance, _ = _corrected(total - tile)
        spread = np.sqrt(np.where(np.diag(covariance) > 0, np.diag(covariance), np.nan))
        left.append(covariance / (spread[:, None] * spread[None, :]))
    values = np.array(left)
    m = len(values)
    return np.asarray(np.sqrt((m - 1) / m * ((values - values.mean(axis=0)) ** 2).sum(axis=0)))


def _at_lags(off: Array, known: NDArray[np.bool_], scale: float, lags: Array) -> Array:
    """Return the mean product of deviations in annuli around `lags` (b, b, l); NaN where no two pixels are so far."""
    from scipy.fft import irfft2, next_fast_len, rfft2

    b, height, width = off.shape
    reach = int(np.ceil((lags[-1] + lags[1]) / scale))
    shape = tuple(next_fast_len(size + min(reach, size), real=True) for size in (height, width))
    f, m = rfft2(off, shape), rfft2(known.astype(float), shape)
    dy, dx = (np.minimum(np.arange(s), s - np.arange(s)) for s in shape)
    distance = scale * np.hypot(dy[:, None], dx[None, :])
    usable = (dy[:, None] < height) & (dx[None, :] < width) & (dy[:, None] <= reach) & (dx[None, :] <= reach)
    width_of = lags[1] - lags[0]
    place = np.where(usable & (distance > 0), np.rint(distance / width_of).astype(np.int64), len(lags))
    place = np.where(place >= len(lags), len(lags), place).ravel()
    out = np.full((b, b, len(lags)), np.nan)
    for i in range(b):
        for j in range(i + 1):
            products = np.bincount(place, irfft2(f[i] * f[j].conj(), shape).ravel(), len(lags) + 1)[:-1]
            pairs = np.bincount(place, np.rint(irfft2(m[i] * m[j].conj(), shape)).ravel(), len(lags) + 1)[:-1]
            with np.errstate(invalid="ignore", divide="ignore"):
                out[i, j] = out[j, i] = np.where(pairs > 0.5, products / pairs, np.nan)
    return out


def _powers(off: Array, known: NDArray[np.bool_], scale: float, waves: Array) -> Array:
    """Return the cross power in bins of wave number (b, b, k) in dex^2 pc^2; NaN where the map has none."""
    from scipy.fft import rfft2

    b, height, width = off.shape
    f = rfft2(off)
    ky = 2 * np.pi * np.fft.fftfreq(height, scale)
    kx = 2 * np.pi * np.fft.rfftfreq(width, scale)
    place = (np.searchsorted(waves, np.hypot(ky[:, None], kx[None, :])) - 1).ravel()
    place = np.where((place >= 0) & (place < len(waves) - 1), place, len(waves) - 1)
    # modes beside the first and the last column stand for two
    twice = np.full(width // 2 + 1, 2.0)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    counts = np.broadcast_to(twice, (height, len(twice))).ravel()
    modes = np.bincount(place, counts, len(waves))[:-1]
    share = np.einsum("ayx,byx->ab", known.astype(float), known.astype(float)) / (height * width)
    out = np.full((b, b, len(waves) - 1), np.nan)
    for i in range(b):
        for j in range(i + 1):
            total = np.bincount(place, counts * (f[i] * f[j].conj()).real.ravel(), len(waves))[:-1]
            with np.errstate(invalid="ignore", divide="ignore"):
                power = total / modes * scale**2 / (height * width) / share[i, j]
            out[i, j] = out[j, i] = np.where(modes > 0, power, np.nan)
    return out


@abundance_map_correlations.figure
def _figure(result: xr.Dataset) -> "Figure":
    from hven_plugins.abundances.figures import draw_map_lags

    return draw_map_lags(result)


@abundance_map_correlations.mock
def _mock(size: int, seed: int) -> Mock:
    """Return small maps, 24 at most, of three elements of one channel each; their closed form holds on average."""
    return diffusion_field(min(size, 24), seed, pixels=64, steps=40, box=10_000.0, rate=3e-7)
