r"""The scattering transform of images: what wavelets see of them, and what wavelets see of that (arXiv:2006.08561).

Scales j = 0 .. J - 1, angles l = 0 .. L - 1. Morlet wavelets psi_jl(u) = g_jl(u) (e^(i xi_j u) - beta_jl) with::

    g = s / (2 pi sigma_j^2) exp[-u^T R diag(1, s^2) R^T u / (2 sigma_j^2)]
    sigma_j = 0.8 2^j    |xi_j| = (3 pi / 4) 2^-j    s = 4 / L    theta_l = (L/2 - 1 - l) pi / L

where u = (y, x), theta is counted from the y axis, and beta makes the mean zero. They are periodised over four tiles;
their Fourier transforms are real, and exactly zero at k = 0. The coefficients are means over the image::

    S0 = <I>    S1(j, l) = <|I * psi_jl|>    S2(j1, l1, j2, l2) = <||I * psi_j1l1| * psi_j2l2|>,  j2 > j1
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hven.errors import DataRefusedError, ParameterError
from hven.methods._scattering_windows import Grid, grids, modes_of, windows
from hven.methods._science import require

__all__ = ["Coefficients", "coefficients", "feature_names", "features", "filters", "largest", "pairs", "transform"]

Array = NDArray[np.float64]
Shape = tuple[int, int]

_BATCH = {"cpu": 8, "gpu": 256}
"""Images at a time, at most: enough to fill a GPU."""

_PIXELS_IN_CACHE = 2**16
"""Pixels at a time on a processor: with more of them the filtered maps do not stay in its caches."""


class Coefficients(NamedTuple):
    """Scattering coefficients of n images; arrays of NumPy or JAX.

    Attributes
    ----------
    s0
        The mean of each image, shape (n,).
    s1
        First order, shape (n, J, L).
    s2
        Second order, shape (n, J (J - 1) / 2, L, L): pairs of scales in the order of `pairs`, then l1 and l2.
    """

    s0: Any
    s1: Any
    s2: Any


def largest(shape: Shape) -> int:
    """Return the number of scales that images of `shape` (y, x) have room for: floor(log2 of the short side) - 1.

    Examples
    --------
    >>> largest((64, 64)), largest((256, 300))
    (5, 7)
    """
    return max(int(np.log2(min(shape))) - 1, 1)


def pairs(scales: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs (j1, j2 > j1) of second order, in the order of `Coefficients.s2`.

    Examples
    --------
    >>> pairs(3)
    ((0, 1), (0, 2), (1, 2))
    """
    return tuple((j1, j2) for j1 in range(scales) for j2 in range(j1 + 1, scales))


@lru_cache(maxsize=16)
def filters(shape: Shape, scales: int, angles: int) -> Array:
    """Return the Fourier transforms of the wavelets, real, shape (J, L, y, x), k = 0 first as FFTs have it.

    Examples
    --------
    >>> psi = filters((32, 32), 3, 4)
    >>> psi.shape, float(psi[:, :, 0, 0].max())
    ((3, 4, 32, 32), 0.0)
    """
    _check(shape, scales, angles)
    y, x = (np.concatenate([np.arange(n), np.arange(n) - n]) for n in shape)
    psi = np.empty((scales, angles, *shape))
    for j in range(scales):
        sigma, xi, s = 0.8 * 2**j, 0.75 * np.pi / 2**j, 4 / angles
        for angle in range(angles):
            theta = (angles / 2 - 1 - angle) * np.pi / angles
            along = np.cos(theta) * y[:, None] + np.sin(theta) * x
            across = np.cos(theta) * x - np.sin(theta) * y[:, None]
            envelope = s / (2 * np.pi * sigma**2) * np.exp(-(along**2 + s**2 * across**2) / (2 * sigma**2))
            tiles = (2, shape[0], 2, shape[1])
            wave = (envelope * np.exp(1j * xi * along)).reshape(tiles).sum(axis=(0, 2))
            bump = envelope.reshape(tiles).sum(axis=(0, 2))
            psi[j, angle] = np.fft.fft2(wave - wave.sum() / bump.sum() * bump).real
            psi[j, angle, 0, 0] = 0.0
    psi.flags.writeable = False
    return psi


def _check(shape: Shape, scales: int, angles: int) -> None:
    if min(shape) < 4 or not 1 <= scales <= int(np.log2(min(shape))):
        raise ParameterError(
            f"{scales} scales for images of {shape[0]} x {shape[1]} pixels", where="scattering",
            expected=f"1 to {int(np.log2(max(min(shape), 2)))}, and at least 4 pixels a side",
            hint=f"{largest(shape)} scales fit well.",
        )  # fmt: skip
    if angles < 1:
        raise ParameterError(f"{angles} angles", where="scattering", expected="at least 1", hint="4 is usual.")


@lru_cache(maxsize=16)
def transform(shape: Shape, scales: int, angles: int = 4, *, exact: bool = False) -> Callable[[Any], Coefficients]:
    """Return the transform of images (n, y, x) as a function of JAX arrays: to be jitted, differentiated, put on a GPU.

    It computes in the precision of the images. Wavelets are narrow in Fourier space, so from scale j on only the modes
    around each wavelet are kept: 2 N / 2^j of the N along each axis, at least 16. That is a few times faster, and
    changes S1 by 3e-4 and S2 by 9e-4 (rms) on fields like those of reionisation.

    Parameters
    ----------
    shape
        Of the images, (y, x).
    scales, angles
        J and L.
    exact
        Whether all modes are kept: the definition to rounding.

    Examples
    --------
    >>> import jax
    >>> spread = lambda image: transform((16, 16), 2)(image[None]).s1.sum()
    >>> jax.grad(spread)(np.eye(16, dtype=np.float32)).shape
    (16, 16)
    """
    require("jax", what="the scattering transform")
    psi, on = filters(shape, scales, angles), grids(shape, scales, exact=exact)
    whole = Grid(shape)
    first = [windows(psi[j], j, whole, on[j]) for j in range(scales)]
    second = [windows(psi[j2], j2, on[j1], on[j2]) for j1, j2 in pairs(scales)]

    def apply(images: Any) -> Coefficients:
        import jax.numpy as jnp

        s1, s2 = [], []
        modes = modes_of(images)
        chosen = iter(second)
        for j in range(scales):
            inside = jnp.abs(jnp.fft.ifft2(first[j](modes))) * (on[j].size / whole.size)
            s1.append(inside.mean((-2, -1)))
            if j + 1 < scales:
                within = modes_of(inside)
            for k in range(j + 1, scales):
                beyond = jnp.abs(jnp.fft.ifft2(next(chosen)(within))) * (on[k].size / on[j].size)
                s2.append(beyond.mean((-2, -1)))
        none = jnp.zeros((len(images), 0, angles, angles), images.dtype)
        return Coefficients(images.mean((-2, -1)), jnp.stack(s1, 1), jnp.stack(s2, 1) if s2 else none)

    return apply


@lru_cache(maxsize=16)
def _compiled(shape: Shape, scales: int, angles: int, exact: bool, is_double: bool) -> Callable[[Any], Coefficients]:
    import jax

    del is_double  # one compilation for each precision
    return jax.jit(transform(shape, scales, angles, exact=exact))


def coefficients(
    images: Any, scales: int | None = None, angles: int = 4, *, exact: bool = False, batch: int | None = None
) -> Coefficients:
    """Return the scattering coefficients of any number of images, as NumPy arrays.

    Parameters
    ----------
    images
        Shape (n, y, x). float64 images are transformed in double precision, all others in single.
    scales, angles
        J, as many as fit when None, and L.
    exact
        Whether all Fourier modes are kept, see `transform`.
    batch
        Images at a time; the last batch is padded, so that one shape is compiled.

    Raises
    ------
    DataRefusedError
        The images do not have three dimensions.
    ParameterError
        More scales than the images have room for.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> told = coefficients(rng.normal(size=(3, 32, 32)))
    >>> told.s1.shape, told.s2.shape, told.s1.dtype
    ((3, 4, 4), (3, 6, 4, 4), dtype('float64'))
    """
    require("jax", what="the scattering transform")
    import jax

    values = np.asarray(images)
    if values.ndim != 3:
        raise DataRefusedError(
            f"the images have shape {values.shape}", expected="(n, y, x)", hint="Take one band at a time."
        )
    values = values if values.dtype == np.float64 else values.astype(np.float32)
    n, shape = len(values), (values.shape[1], values.shape[2])
    j = largest(shape) if scales is None else scales
    _check(shape, j, angles)
    is_double = values.dtype == np.float64
    step = batch or _images_at_a_time(shape, "cpu" if jax.default_backend() == "cpu" else "gpu")
    with jax.enable_x64(is_double):
        work = _compiled(shape, j, angles, exact, is_double)
        told = [work(_padded(values[start : start + step], step)) for start in range(0, n, step)]
        host = [Coefficients(*map(np.asarray, one)) for one in told] or [
            Coefficients(
                *(np.zeros((0, *tail), values.dtype) for tail in ((), (j, angles), (len(pairs(j)), angles, angles)))
            )
        ]
    return Coefficients(*(np.concatenate(parts)[:n] for parts in zip(*host, strict=True)))


def _images_at_a_time(shape: Shape, backend: str) -> int:
    most = _BATCH[backend]
    return max(1, min(most, _PIXELS_IN_CACHE // (shape[0] * shape[1]))) if backend == "cpu" else most


def _padded(values: NDArray[Any], length: int) -> NDArray[Any]:
    return values if len(values) == length else np.pad(values, ((0, length - len(values)), (0, 0), (0, 0)))


def feature_names(scales: int) -> tuple[str, ...]:
    """Return the names of the reduced features, in the order of `features`.

    Examples
    --------
    >>> feature_names(2)
    ('s0', 's1_0', 's1_1', 's21_0_1', 's22_0_1')
    >>> len(feature_names(5))
    26
    """
    both = [f"{a}_{b}" for a, b in pairs(scales)]
    return ("s0", *(f"s1_{j}" for j in range(scales)), *(f"s21_{p}" for p in both), *(f"s22_{p}" for p in both))


def features(told: Coefficients) -> Any:
    """Return the reduced isotropic features (n, 1 + J + J (J - 1)), named by `feature_names`.

    s0 = S0, and with means over angles

        s1(j) = ln <S1>    s21(j1, j2) = ln [<S2> / <S1(j1)>]    s22(j1, j2) = ln [<S2(l1 || l2)> / <S2(l1 _|_ l2)>]

    All but s0 know nothing of the image's mean, and s21 and s22 nothing of its contrast. Images without structure (all
    pixels equal to rounding) have NaN in all but s0. Works for arrays of NumPy and JAX.

    Raises
    ------
    ParameterError
        The number of angles is odd: no wavelet is perpendicular to another.
    """
    xp = told.s1.__array_namespace__()
    scales, angles = told.s1.shape[1:]
    if angles % 2:
        raise ParameterError(
            f"{angles} angles have no perpendicular pairs", where="scattering.features", expected="an even number",
            hint="4 is usual.",
        )  # fmt: skip
    rounding = 8 * xp.finfo(told.s1.dtype).eps
    s1 = told.s1.mean(2)
    has_structure = (s1 > rounding * xp.abs(told.s0)[:, None]) & (s1 > 0)
    s1 = xp.where(has_structure, s1, xp.nan)
    first = np.array([j1 for j1, _ in pairs(scales)], dtype=np.intp)
    s2 = told.s2.mean((2, 3))
    turned = (np.arange(angles) + angles // 2) % angles
    along = told.s2[:, :, np.arange(angles), np.arange(angles)].mean(2)
    across = told.s2[:, :, np.arange(angles), turned].mean(2)
    whole = has_structure.all(1)[:, None]
    s2, along, across = (xp.where(whole & (v > 0), v, xp.nan) for v in (s2, along, across))
    rows = [told.s0[:, None], xp.log(s1)]
    if scales > 1:
        rows += [xp.log(s2 / s1[:, first]), xp.log(along / across)]
    return xp.concatenate(rows, axis=1)
