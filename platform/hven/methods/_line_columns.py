"""Columns as they are given and as the fit wants them: finite, standardised; and the way back to the user's units."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hven.errors import DataRefusedError
from hven.methods._line_likelihood import Data
from hven.methods._line_means import Mean

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """The linear map between the user's units and standardised ones, in which every parameter is of order one."""

    x: float
    y: float
    x_mean: float
    y_mean: float
    w: Array
    w_mean: Array
    x0: float

    @classmethod
    def of(cls, data: Data, x0: float) -> "Scale":
        """Return the scale in which `data` has mean 0 and variance 1; upper limits do not count for y."""
        weight = data.weight / data.weight.sum()
        seen = weight * (data.is_limit == 0) if np.any(data.is_limit == 0) else weight
        seen = seen / seen.sum()
        x_mean, y_mean, w_mean = weight @ data.x, seen @ data.y, weight @ data.covariates
        x = np.sqrt(weight @ (data.x - x_mean) ** 2)
        y = np.sqrt(seen @ (data.y - y_mean) ** 2)
        w = np.sqrt(weight @ (data.covariates - w_mean) ** 2)
        if not x > 1e-12 * abs(x_mean) or not np.all(w > 0):
            raise DataRefusedError(
                "all objects have the same x, or the same value of a covariate",
                expected="values that differ",
                hint="A line needs a range to be fitted over; check the selection.",
            )
        y = y if y > 1e-12 * abs(y_mean) else abs(y_mean) or 1.0
        return cls(float(x), float(y), float(x_mean), float(y_mean), w, w_mean, x0)

    def standardise(self, data: Data) -> Data:
        """Return `data` in the units of the fit."""
        return data._replace(
            x=(data.x - self.x_mean) / self.x,
            y=(data.y - self.y_mean) / self.y,
            x_var=data.x_var / self.x**2,
            y_var=data.y_var / self.y**2,
            xy_cov=data.xy_cov / (self.x * self.y),
            covariates=(data.covariates - self.w_mean) / self.w,
        )

    def to_user(self, values: Array, mean: Mean) -> Array:
        """Return the reported parameters (..., p) in the user's units: of the mean, sigma_int, coefficients."""
        steps = self.y / self.w
        out = np.array(values)
        inner, coefficients = np.split(out, [mean.size + 1], axis=-1)
        offset = self.y_mean - np.sum(steps * coefficients * self.w_mean, axis=-1, keepdims=True)
        if mean.kind == "spline":
            inner[..., :-1] = self.y * inner[..., :-1] + offset
        else:
            x0 = (self.x0 - self.x_mean) / self.x
            at_x0 = inner[..., 1] + inner[..., 0] * x0
            if mean.kind == "knee":
                at_x0 = at_x0 + (inner[..., 2] - inner[..., 0]) * np.maximum(x0 - inner[..., 3], 0)
                inner[..., 2] *= self.y / self.x
                inner[..., 3] = self.x_mean + self.x * inner[..., 3]
            inner[..., 0] *= self.y / self.x
            inner[..., 1] = self.y * at_x0 + offset[..., 0]
        inner[..., -1] *= self.y
        return np.concatenate([inner, coefficients * steps], axis=-1)

    def jacobian(self, values: Array, mean: Mean) -> Array:
        """Return the derivatives (p, p) of `to_user` at `values` (p,); it is linear but for the place of a knee."""
        basis = np.eye(len(values))
        if mean.kind != "knee":
            return np.asarray((self.to_user(basis, mean) - self.to_user(0 * basis, mean)).T)
        slope, _, beyond, knee = values[:4]
        fixed = np.where(np.arange(len(values)) == 3, knee, 0.0)
        matrix = (self.to_user(basis * (fixed == 0) + fixed, mean) - self.to_user(fixed + 0 * basis, mean)).T
        is_beyond = self.x0 > self.x_mean + self.x * knee
        matrix[:, 3] = 0.0
        matrix[1, 3], matrix[3, 3] = -self.y * (beyond - slope) * is_beyond, self.x
        return np.asarray(matrix)


def error_edges(x_err: Array, n_bins: int) -> Array:
    """Return the inner edges (n_bins - 1,) of bins of equal numbers of errors; fewer where many are the same."""
    edges = np.quantile(x_err, np.linspace(0, 1, n_bins + 1)[1:-1]) if n_bins > 1 else np.zeros(0)
    edges = np.unique(edges)
    return np.asarray(edges[(edges > x_err.min()) & (edges <= x_err.max())]) if len(x_err) else edges


def in_bins(data: Data, edges: Array) -> Data:
    """Return `data` with the bin of each error of x, those at an edge above it."""
    return data._replace(error_bin=np.searchsorted(edges, np.sqrt(data.x_var), side="right").astype(np.float64))


def finite_columns(
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_err: ArrayLike | None,
    y_err: ArrayLike | None,
    rho: ArrayLike,
    covariates: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    upper_limits: ArrayLike | None = None,
) -> tuple[Data, NDArray[np.bool_]]:
    """Return the columns as arrays of (n,) without rows that are not finite or have no weight, and which are finite.

    Raises
    ------
    DataRefusedError
        Lengths differ, an error or weight is negative, or rho is not between -1 and 1.
    """
    x = np.asarray(x, dtype=np.float64)
    n = x.size
    given = {
        "y": y,
        "x_err": 0.0 if x_err is None else x_err,
        "y_err": 0.0 if y_err is None else y_err,
        "rho": rho,
        "weights": 1.0 if weights is None else weights,
        "upper_limits": False if upper_limits is None else upper_limits,
    }
    arrays: dict[str, Array] = {"x": x}
    for name, values in given.items():
        array = np.asarray(values, dtype=np.float64)
        if array.shape not in ((), (n,)) or (name == "y" and array.shape == ()):
            raise DataRefusedError(
                f"{name} has shape {array.shape}", expected=f"({n},), as x", hint="Align the arrays."
            )
        arrays[name] = np.broadcast_to(array, (n,))
    w = np.zeros((n, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64).reshape(n, -1)
    finite = np.isfinite(w).all(axis=1)
    for array in arrays.values():
        finite &= np.isfinite(array)
    x, y, x_err, y_err, rho, weight, is_limit = (a[finite] for a in arrays.values())
    if np.any(x_err < 0) or np.any(y_err < 0) or np.any(weight < 0) or np.any(np.abs(rho) >= 1):
        raise DataRefusedError(
            "an error or weight is negative, or a correlation is not between -1 and 1",
            expected="errors >= 0, weights >= 0, |rho| < 1",
            hint="Mark missing errors as NaN, then the object is left out.",
        )
    is_limit = (is_limit != 0).astype(np.float64)
    data = Data(x, y, x_err**2, y_err**2, rho * x_err * y_err, weight, is_limit, w[finite], np.zeros(len(x)))
    return Data(*(v[weight > 0] for v in data)), finite
