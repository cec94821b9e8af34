"""Stars whose abundances scatter with known correlations, observed with errors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hven.errors import ParameterError
from hven.mocks.mock import Mock

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def abundance_stars(
    size: int,
    seed: int,
    *,
    elements: Sequence[str] = ("O", "Na", "Mg", "Si", "Ca", "Fe"),
    correlation: "ArrayLike | None" = None,
    sigma: "ArrayLike" = 0.03,
    errors: tuple[float, float] = (0.003, 0.04),
) -> Mock:
    """Return stars with Gaussian abundances [X/H] of given correlations and scatters, and errors of each element.

    Parameters
    ----------
    size
        Number of stars.
    seed
        Of the random numbers; the same seed gives the same stars.
    elements
        Symbols; iron stands in the column ``feh``, the others in ``<x>_h``.
    correlation
        Shape (e, e), positive semi-definite with a unit diagonal; 0.8^|i - j| when not given.
    sigma
        True scatter in dex, shape (e,) or one for all.
    errors
        Smallest and largest error in dex: each element has one error, and they are spread evenly in the logarithm over
        the elements, in an order that the seed decides.

    Returns
    -------
    Mock
        Input ``stars``. Truth: ``correlation`` (e, e), its diagonal left out (NaN), and ``sigma`` (e,).

    Raises
    ------
    ParameterError
        The matrix is no correlation matrix of these elements.

    Examples
    --------
    >>> mock = abundance_stars(500, seed=1, elements=["O", "Mg"], correlation=[[1, 0.7], [0.7, 1]])
    >>> sorted(mock.inputs["stars"]), float(mock.truth["correlation"][0, 1])
    (['mg_h', 'mg_h_err', 'o_h', 'o_h_err', 'object_id'], 0.7)
    """
    import xarray as xr

    e = len(elements)
    places = np.arange(e)
    matrix = 0.8 ** np.abs(places[:, None] - places) if correlation is None else np.asarray(correlation, dtype=float)
    if matrix.shape != (e, e) or not np.allclose(np.diag(matrix), 1) or np.linalg.eigvalsh(matrix)[0] < -1e-9:
        raise ParameterError(
            f"the correlation has shape {matrix.shape}",
            where="mock abundance_stars",
            expected=f"({e}, {e}), positive semi-definite, ones on the diagonal",
            hint="Give one row and column for each of the elements.",
        )
    rng = np.random.default_rng(seed)
    scatter = np.broadcast_to(np.asarray(sigma, dtype=float), (e,))
    values, vectors = np.linalg.eigh(matrix)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    err = rng.permutation(np.geomspace(*errors, e)) if e > 1 else np.array([errors[0]])
    true = rng.standard_normal((size, e)) @ root.T * scatter
    seen = true + err * rng.standard_normal((size, e))
    columns: dict[str, tuple[str, object, dict[str, str]]] = {}
    for i, symbol in enumerate(elements):
        name = "feh" if symbol == "Fe" else f"{symbol.lower()}_h"
        columns[name] = ("object", seen[:, i], {"units": "dex"})
        columns[f"{name}_err"] = ("object", np.full(size, err[i]), {"units": "dex"})
    object_id = {"object_id": ("object", np.arange(size, dtype=np.int64))}
    truth = {"correlation": np.where(np.eye(e, dtype=bool), np.nan, matrix), "sigma": scatter.copy()}
    return Mock({"stars": xr.Dataset({**object_id, **columns})}, truth)
