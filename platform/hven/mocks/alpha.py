"""Stars on a high-alpha and a low-alpha sequence, as far apart as those of the Milky Way."""

from collections.abc import Sequence

import numpy as np

from hven.methods.mixtures import Track
from hven.mocks.mock import Mock

M_KNOTS = (-1.0, -0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4)
HIGH = (0.292, 0.279, 0.271, 0.247, 0.208, 0.142, 0.081, 0.055)
LOW = (0.157, 0.096, 0.092, 0.076, 0.036, 0.017, 0.018, 0.018)


def alpha_stars(
    size: int,
    seed: int,
    *,
    f_low: float | Sequence[float] = 0.2,
    sigma: float = 0.03,
    m_h_err: float = 0.016,
    alpha_m_err: float = 0.012,
    mean: float = -0.4,
    width: float = 0.25,
) -> Mock:
    """Return stars of two alpha sequences 0.12 to 0.18 dex apart, with errors in both abundances.

    Parameters
    ----------
    size
        Number of stars.
    seed
        Of the random numbers; the same seed gives the same stars.
    f_low
        Fraction on the low sequence, or one for each of several fields of equal size.
    sigma
        Intrinsic width of both sequences in dex.
    m_h_err, alpha_m_err
        1-sigma errors in dex.
    mean, width
        Of the Gaussian distribution of [M/H].

    Returns
    -------
    Mock
        Input ``stars``: m_h, alpha_m with errors, and ``field`` when there are several. Truth: ``groups.f_low``,
        ``stars.is_low`` (whether each star is on the low sequence).

    Examples
    --------
    >>> mock = alpha_stars(100, seed=1, f_low=[0.0, 0.3])
    >>> sorted(mock.inputs["stars"]), mock.truth["groups.f_low"].tolist()
    (['alpha_m', 'alpha_m_err', 'field', 'm_h', 'm_h_err', 'object_id'], [0.0, 0.3])
    """
    import xarray as xr

    rng = np.random.default_rng(seed)
    shares = np.atleast_1d(np.asarray(f_low, dtype=float))
    field = np.arange(size) * len(shares) // max(size, 1)
    m = rng.normal(mean, width, size)
    is_low = rng.random(size) < shares[field]
    ridge = np.where(is_low, Track(M_KNOTS, LOW).at(m)[0], Track(M_KNOTS, HIGH).at(m)[0])
    alpha = ridge + sigma * rng.standard_normal(size)
    columns: dict[str, object] = {
        "object_id": ("object", np.arange(size, dtype=np.int64)),
        "m_h": ("object", m + m_h_err * rng.standard_normal(size), {"units": "dex"}),
        "m_h_err": ("object", np.full(size, m_h_err), {"units": "dex"}),
        "alpha_m": ("object", alpha + alpha_m_err * rng.standard_normal(size), {"units": "dex"}),
        "alpha_m_err": ("object", np.full(size, alpha_m_err), {"units": "dex"}),
    }
    if len(shares) > 1:
        columns["field"] = ("object", field)
    return Mock({"stars": xr.Dataset(columns)}, {"groups.f_low": shares, "stars.is_low": is_low})
