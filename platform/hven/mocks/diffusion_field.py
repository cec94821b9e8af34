"""Maps of elements that star clusters put into a turbulent disc: the stochastic equation itself, step by step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import ParameterError
from hven.mocks.mock import Mock

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def diffusion_field(
    size: int,
    seed: int,
    *,
    elements: Sequence[str] = ("CC", "AGB", "Ia"),
    fractions: "ArrayLike | None" = None,
    delays: "ArrayLike" = (10.0, 550.0, 437.0),
    widths: "ArrayLike" = 60.0,
    box: float = 20_000.0,
    pixels: int = 256,
    l_corr: float = 1000.0,
    kappa: float = 357.95,
    sigma_v: float = 2.0454,
    rate: float = 3e-6,
    weight_variance: float = 120.0,
    steps: int = 280,
    logarithm: bool = True,
) -> Mock:
    """Return periodic maps of surface densities forced by star clusters and spread by diffusion (arXiv:2507.14572).

    Clusters are born uniformly in space and time, drift with a 2-D Gaussian velocity, and release each channel after
    its delay over a Gaussian. Fields are stepped in Fourier space, where diffusion is exact; what is released within a
    step has diffused for half of it. No closed form is used.

    Parameters
    ----------
    size
        Number of independent maps.
    seed
        Of the random numbers; map i is the same whatever `size` is.
    elements
        Names of the e elements.
    fractions, delays
        Of the c channels in each element, and delays in Myr, shape (e, c). Delays of shape (e,) are those of elements
        of one channel each.
    widths
        Injection widths in pc, of the shape of `delays` or one for all.
    box, pixels
        Side of the map in pc and in pixels. Boxes under 16 `l_corr` lose variance: 20 % at 6.
    l_corr, kappa
        Correlation length in pc and diffusion coefficient in pc^2/Myr; maps run for l_corr^2 / kappa.
    sigma_v
        1-D dispersion of the drift in pc/Myr.
    rate
        Clusters per Myr and pc^2.
    weight_variance
        Variance of the clusters' weights, of mean 1, drawn from a mass function m^-2 that is cut to give it.
    steps
        Of time.
    logarithm
        Whether the maps are in dex about their mean, or relative to the mean expected.

    Returns
    -------
    Mock
        Input ``maps``: ``flux`` (object, band, y, x), the elements being bands, with pixel_scale and beam_fwhm [pc].
        Truth: none; the closed forms are what the maps are for.

    Examples
    --------
    >>> maps = diffusion_field(1, seed=1, pixels=32, steps=20).inputs["maps"]
    >>> dict(maps.flux.sizes), bool(abs(float(maps.flux.mean())) < 0.1)
    ({'object': 1, 'band': 3, 'y': 32, 'x': 32}, True)
    """
    import xarray as xr

    late = np.asarray(delays, dtype=float)
    shares = np.ones((len(elements), 1)) if fractions is None else np.asarray(fractions, dtype=float)
    late = late[:, None] if late.ndim == 1 else late
    wide = np.asarray(widths, dtype=float)
    spread = np.broadcast_to(wide[:, None] if wide.ndim == 1 else wide, late.shape)
    if shares.shape != late.shape or len(late) != len(elements):
        raise ParameterError(
            f"fractions have shape {shares.shape} and delays {late.shape} for {len(elements)} elements",
            where="mock diffusion_field",
            expected="(elements, channels) both",
            hint="Give a row for each element.",
        )
    duration = l_corr**2 / kappa
    expected = rate * (shares * np.maximum(duration - late, 0)).sum(axis=1)
    sources = [(i, *values) for i in range(len(elements)) for values in zip(shares[i], late[i], spread[i], strict=True)]
    stepped: dict[str, Any] = {
        "box": box, "pixels": pixels, "kappa": kappa, "sigma_v": sigma_v, "rate": rate, "duration": duration,
        "steps": steps, "lightest": _lightest(weight_variance),
    }  # fmt: skip
    maps = np.empty((size, len(elements), pixels, pixels), dtype=np.float32)
    for i in range(size):
        fields = _one(np.random.default_rng([seed, i]), sources, len(elements), **stepped) / expected[:, None, None]
        if logarithm:
            fields = np.log10(np.maximum(fields, 1e-6))
            fields -= fields.mean(axis=(1, 2), keepdims=True)
        maps[i] = fields
    return Mock(
        {
            "maps": xr.Dataset(
                {
                    "object_id": ("object", np.arange(size, dtype=np.int64)),
                    "flux": (("object", "band", "y", "x"), maps, {"units": "dex"} if logarithm else {"units": ""}),
                    "pixel_scale": ("object", np.full(size, box / pixels), {"units": "pc"}),
                    "beam_fwhm": ("object", np.zeros(size), {"units": "pc"}),
                },
                coords={"band": np.array(elements, dtype=np.dtypes.StringDType())},
            )
        }
    )


def _one(
    rng: np.random.Generator,
    sources: "list[tuple[Any, ...]]",
    elements: int,
    *,
    box: float,
    pixels: int,
    kappa: float,
    sigma_v: float,
    rate: float,
    duration: float,
    steps: int,
    lightest: float,
) -> "NDArray[np.float64]":
    """Return the surface densities (e, y, x) of one realisation, in clusters' worth per pc^2."""
    from scipy.fft import irfft2, rfft2

    count = rng.poisson(rate * box**2 * duration)
    born = np.sort(rng.uniform(0, duration, count))
    x, y = rng.uniform(0, box, (2, count))
    u, v = sigma_v * rng.standard_normal((2, count))
    weight = _weights(rng.uniform(size=count), lightest)
    k = 2 * np.pi * np.fft.fftfreq(pixels, box / pixels)
    k2 = k[:, None] ** 2 + k[None, : pixels // 2 + 1] ** 2
    step, cell = duration / steps, box / pixels
    decay, half = np.exp(-kappa * k2 * step), np.exp(-kappa * k2 * step / 2)
    total = np.zeros((elements, *k2.shape), dtype=complex)
    for element, share, delay, width in sources:
        if share == 0 or delay >= duration:
            continue
        profile = np.exp(-k2 * max(width**2 - cell**2 / 12, 0.0) / 2) * half
        columns = (np.floor((x + u * delay) / cell).astype(np.int64)) % pixels
        place = (np.floor((y + v * delay) / cell).astype(np.int64) % pixels) * pixels + columns
        ends = np.searchsorted(born, np.arange(steps + 1) * step - delay)
        held = np.zeros(k2.shape, dtype=complex)
        for n in range(steps):
            held *= decay
            if ends[n + 1] > ends[n]:
                now = slice(ends[n], ends[n + 1])
                deposit = np.bincount(place[now], weight[now], pixels**2).reshape(pixels, pixels)
                held += rfft2(deposit)
        total[element] += share * held * profile
    return np.asarray(irfft2(total, (pixels, pixels))) / cell**2


def _weights(u: "NDArray[np.float64]", lightest: float) -> "NDArray[np.float64]":
    """Return weights of mean 1 from a mass function m^-2 between `lightest` and 1, from uniform numbers."""
    mass = 1 / (1 / lightest - u * (1 / lightest - 1))
    return np.asarray(mass * (1 / lightest - 1) / -np.log(lightest))


def _lightest(variance: float) -> float:
    """Return the lower limit of m^-2 up to 1 whose weights, of mean 1, have this variance."""
    from scipy.optimize import brentq

    if variance == 0:
        return 1 - 1e-9

    def excess(log_mass: float) -> float:
        m = np.exp(log_mass)
        return float((1 - m) * (1 / m - 1) / log_mass**2 - 1 - variance)

    return float(np.exp(brentq(excess, -40.0, -1e-6)))
