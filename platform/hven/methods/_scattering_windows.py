"""Fourier modes around a wavelet, cut out as a small grid: what of an image a wavelet of some scale sees."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_KEPT = 2.0
_SMALLEST = 16
_KEPT_AT_ONE = 0.8
"""Of the modes along an axis, the part that is kept at j = 1: four standard deviations around each wavelet."""


class Grid(NamedTuple):
    """Pixels of a map, or as many modes of it."""

    shape: tuple[int, int]

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]


def grids(shape: tuple[int, int], scales: int, *, exact: bool) -> list[Grid]:
    """Return the grid that suffices for each scale: 2 N / 2^j pixels along an axis of N, at least 16.

    At j = 1 that is 0.8 N, rounded up to a multiple of 16, for which FFTs are fast.

    Examples
    --------
    >>> [grid.shape[0] for grid in grids((64, 64), 5, exact=False)]
    [64, 64, 32, 16, 16]
    >>> [grid.shape[0] for grid in grids((256, 256), 5, exact=False)]
    [256, 208, 128, 64, 32]
    """

    def along(n: int, j: int) -> int:
        if exact or j == 0:
            return n
        if j == 1:
            return min(n, _SMALLEST * int(np.ceil(_KEPT_AT_ONE * n / _SMALLEST)))
        return min(n, max(_SMALLEST, 2 * int(np.ceil(_KEPT * n / 2 ** (j + 1)))))

    return [Grid((along(shape[0], j), along(shape[1], j))) for j in range(scales)]


def modes_of(images: Any) -> Any:
    """Return the Fourier modes of real images (..., y, x), all of them, in the order of FFTs.

    Half of them are computed; the others are their complex conjugates at -k.
    """
    import jax.numpy as jnp

    nx = images.shape[-1]
    half = jnp.fft.rfft2(images)
    beyond = half[..., 1 : (nx + 1) // 2][..., ::-1].conj()
    beyond = jnp.concatenate([beyond[..., :1, :], beyond[..., :0:-1, :]], axis=-2)
    return jnp.concatenate([half, beyond], axis=-1)


def windows(psi: Array, scale: int, given: Grid, wanted: Grid) -> Callable[[Any], Any]:
    """Return the function that takes modes (..., y, x) on the grid `given` to those that L wavelets let through.

    Modes come and go in the order of FFTs. Those that are wanted lie around the centre of each wavelet: moving them to
    k = 0 turns the phase of the filtered map, not its modulus, which is all that scattering asks for.

    Parameters
    ----------
    psi
        Fourier transforms of the wavelets on the full grid, shape (L, y, x).
    scale
        j, which says where they are centred.
    given, wanted
        Grids of the modes that come, shape (..., y, x), and of those that go, (..., L, y, x).
    """
    angles, *full = psi.shape
    theta = (angles / 2 - 1 - np.arange(angles)) * np.pi / angles
    sizes = zip((np.cos(theta), np.sin(theta)), full, given.shape, wanted.shape, strict=True)
    y, x = (_around(0.375 / 2**scale * n * way, n, m, w) for way, n, m, w in sizes)
    weights = np.stack([one[np.ix_(y[i] % full[0], x[i] % full[1])] for i, one in enumerate(psi)])
    rows = (y % given.shape[0]).astype(np.int32)[:, :, None]
    columns = (x % given.shape[1]).astype(np.int32)[:, None, :]

    def take(modes: Any) -> Any:
        import jax.numpy as jnp

        chosen = modes[..., None, :, :] if list(wanted.shape) == full else modes[..., rows, columns]
        return chosen * jnp.asarray(weights, modes.real.dtype)

    return take


def _around(centre: Array, full: int, given: int, wanted: int) -> NDArray[np.int64]:
    """Return the modes of one axis that are wanted around each of L centres, of those that are given: (L, wanted)."""
    start = np.zeros(len(centre), dtype=np.int64) if wanted == full else np.rint(centre).astype(np.int64) - wanted // 2
    if given < full:
        start = np.clip(start, -(given // 2), (given + 1) // 2 - wanted)
    return start[:, None] + np.arange(wanted)
