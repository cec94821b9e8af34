"""How two results are compared, and a result with the truth of its mock."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import ResultRefusedError

if TYPE_CHECKING:
    import xarray as xr

MANY = 50
"""From so many values on, recovery is judged by fractions, below by the worst value."""


def differences(
    one: "Mapping[str, xr.Dataset]", other: "Mapping[str, xr.Dataset]", rtol: float = 1e-6, atol: float = 0.0
) -> list[str]:
    """Return in words where two results differ, nothing when they agree; NaN equals NaN, texts are compared exactly.

    Parameters
    ----------
    one, other
        Results by part.
    rtol, atol
        How far floats may differ: ``atol + rtol * abs(value)``.

    Examples
    --------
    >>> import xarray as xr
    >>> differences({"": xr.Dataset({"a": 1.0})}, {"": xr.Dataset({"a": 1.5})})
    ['a: 1 of 1 values differ, by up to 0.5']
    """
    told = [f"part {name!r} is in one result only" for name in sorted(set(one) ^ set(other))]
    for part in sorted(set(one) & set(other)):
        ours, theirs = one[part], other[part]
        told += [f"{n} is in one result only" for n in sorted(map(str, set(ours.variables) ^ set(theirs.variables)))]
        for name in ours.variables:
            if name in theirs.variables:
                label = f"{part}.{name}" if part else str(name)
                text = _difference(np.asarray(ours[name].values), np.asarray(theirs[name].values), rtol, atol)
                told += [f"{label}: {text}"] if text else []
    return told


def misses(
    result: "Mapping[str, xr.Dataset]",
    truth: Mapping[str, Any],
    tolerance: Mapping[str, float] | None = None,
    sigmas: float = 5.0,
) -> list[str]:
    """Return in words where a result misses the truth, nothing when it comes as close as its own errors say.

    A number is held against ``<name>_err`` of the result, or against its `tolerance`. Few values must all lie within
    `sigmas`. Of many (50 or more), 60 % must lie within 1 sigma and 99 % within `sigmas`. Of truths that are texts or
    true/false, a fraction of `tolerance` may be missed. Values that are NaN in the result are left out, but not all.

    Parameters
    ----------
    result
        The result by part.
    truth
        True values by variable, those of the part ``p`` as ``p.variable``.
    tolerance
        Standard deviations to use where the result has none.
    sigmas
        How many standard deviations a value may be off.

    Raises
    ------
    ResultRefusedError
        If a number has neither an error nor a tolerance.

    Examples
    --------
    >>> import xarray as xr
    >>> misses({"": xr.Dataset({"slope": -0.06, "slope_err": 0.002})}, {"slope": -0.08})
    ['slope: -0.06 +- 0.002 where the truth is -0.08 (10.0 sigma)']
    """
    told = []
    for name, true in truth.items():
        part, _, short = name.rpartition(".")
        if part not in result or short not in result[part]:
            continue
        value = np.asarray(result[part][short].values)
        truths = np.broadcast_to(np.asarray(getattr(true, "values", true)), value.shape)
        if value.dtype.kind not in "iuf":
            missed = float(np.mean(value != truths)) if value.size else 0.0
            if missed > (tolerance or {}).get(name, 0.0):
                told.append(f"{name}: {missed:.1%} of the values are not the true ones")
            continue
        error = _error_of(result[part], short, (tolerance or {}).get(name), value.shape, name)
        text = _miss(value.astype(float), truths.astype(float), error, sigmas)
        told += [f"{name}: {text}"] if text else []
    return told


def stated(result: "Mapping[str, xr.Dataset]", truth: Mapping[str, Any]) -> list[str]:
    """Return the names of the truths that the result says something of."""
    parts = {name: name.rpartition(".") for name in truth}
    return [name for name, (part, _, short) in parts.items() if part in result and short in result[part]]


def _difference(ours: Any, theirs: Any, rtol: float, atol: float) -> str:
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} in one result, {theirs.shape} in the other"
    if ours.dtype.kind == "f" and theirs.dtype.kind == "f":
        differs = ~np.isclose(ours, theirs, rtol=rtol, atol=atol, equal_nan=True)
        gaps = np.abs(ours - theirs)[differs]
        by = f", by up to {np.nanmax(gaps):.3g}" if np.isfinite(gaps).any() else ""
    else:
        pairs = zip(ours.ravel().tolist(), theirs.ravel().tolist(), strict=True)
        differs, by = np.array([a != b and not (_is_null(a) and _is_null(b)) for a, b in pairs], dtype=bool), ""
    return f"{int(differs.sum())} of {differs.size} values differ{by}" if differs.any() else ""


def _is_null(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN alone differs from itself


def _error_of(part: "xr.Dataset", name: str, told: float | None, shape: tuple[int, ...], label: str) -> Any:
    if told is not None:
        return np.full(shape, told)
    if f"{name}_err" not in part:
        raise ResultRefusedError(
            f"the mock states the truth of {label!r}, and the result no error of it",
            expected=f"{name}_err",
            hint=f"Return it, or give the suite tolerance={{{label!r}: ...}}.",
        )
    return np.broadcast_to(np.asarray(part[f"{name}_err"].values, dtype=float), shape)


def _miss(value: Any, truth: Any, error: Any, sigmas: float) -> str:
    known = np.isfinite(value) & np.isfinite(truth)
    if np.isfinite(truth).any() and not known.any():
        return "every value is NaN"
    value, truth, error = value[known], truth[known], error[known]
    if not (np.isfinite(error) & (error > 0)).all():
        return f"{int((~(np.isfinite(error) & (error > 0))).sum())} values have no finite positive error"
    pull = np.abs(value - truth) / error
    if not pull.size:
        return ""
    if pull.size < MANY:
        worst = int(np.argmax(pull))
        text = (
            f"{value[worst]:.4g} +- {error[worst]:.2g} where the truth is {truth[worst]:.4g} ({pull[worst]:.1f} sigma)"
        )
        return text if pull[worst] > sigmas else ""
    near, far = float(np.mean(pull <= 1.0)), float(np.mean(pull > sigmas))
    if near >= 0.6 and far <= 0.01:
        return ""
    return f"{near:.1%} of {pull.size} values lie within 1 sigma of the truth, {far:.1%} beyond {sigmas:g} sigma"
