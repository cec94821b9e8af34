"""Images and their parameters made ready to train on, and a training that tells how far it is and can be killed."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hven import errors
from hven.methods import gather, models, progress, train

PREFIX = "theta_"
THETA = dict.fromkeys(("theta_<x>", "theta_<x>_<y>", "theta_<x>_<y>_<z>", "theta_<x>_<y>_<z>_<u>"), "any")
"""Columns of parameters."""
LIMIT = "16 GB"


@dataclass(frozen=True)
class TrainingSet:
    """Images (n, band, y, x), their parameters (n, p), and texts to keep with the model."""

    x: NDArray[np.float32]
    theta: NDArray[np.float64]
    names: dict[str, Any]


def training_set(images: xr.Dataset, chosen: tuple[str, ...], n_min: int, where: str) -> TrainingSet:
    """Return the images that have all their pixels and parameters, in an order that their content gives.

    Raises
    ------
    MissingColumnError
        A chosen parameter is not there.
    TooFewObjectsError
        Fewer than `n_min` such images.
    """
    columns = theta_columns(images, chosen, where)
    held = gather(images, ["flux", *columns], LIMIT)
    x = np.asarray(held["flux"].values, dtype=np.float32)
    theta = _side_by_side(held, columns)
    usable = np.isfinite(x).all(axis=(1, 2, 3)) & np.isfinite(theta).all(axis=1)
    if usable.sum() < n_min:
        raise errors.TooFewObjectsError(
            f"{int(usable.sum())} of {len(x)} images have all pixels and parameters", where=where,
            expected=f"{n_min} or more", hint="Give more images, or lower n_min.",
        )  # fmt: skip
    x, theta = x[usable], theta[usable]
    digests = [hashlib.sha256(image.tobytes() + row.tobytes()).digest() for image, row in zip(x, theta, strict=True)]
    order = np.array(sorted(range(len(x)), key=digests.__getitem__))
    names = {
        "theta": [c.removeprefix(PREFIX) for c in columns],
        "theta_units": [str(held[c].attrs.get("units", "")) for c in columns],
        "bands": band_names(images),
        "flux_unit": str(held["flux"].attrs.get("units", "")),
        "data": hashlib.sha256(b"".join(digests[i] for i in order)).hexdigest(),
        "n_images": len(x),
        "n_left_out": int((~usable).sum()),
    }
    return TrainingSet(x[order], theta[order], names)


def theta_columns(data: xr.Dataset, chosen: tuple[str, ...] | list[str], where: str) -> list[str]:
    """Return the columns of the parameters called `chosen`, with or without ``theta_``; all there are when none is.

    Raises
    ------
    MissingColumnError
        There is no such column.
    ParameterError
        A name is that of two columns.

    Examples
    --------
    >>> lenses = xr.Dataset({"theta_theta_E": 1.2, "theta_z": 0.5})
    >>> theta_columns(lenses, ["theta_E", "theta_z"], "the example")
    ['theta_theta_E', 'theta_z']
    """
    there = names_like(data, PREFIX)
    wanted: list[str] = []
    for name in chosen:
        found = [column for column in (PREFIX + name, name) if column in there]
        if not found:
            raise _missing(name if name.startswith(PREFIX) else PREFIX + name, there, where)
        if len(found) > 1:
            raise errors.ParameterError(
                f"{name!r} may be {found[0]!r} or {found[1]!r}", where=where, expected="the name of one column",
                hint=f"Say {found[0]!r} or {name.removeprefix(PREFIX)!r}.",
            )  # fmt: skip
        wanted += found
    return list(dict.fromkeys(wanted)) or there


def conditions_of(table: xr.Dataset, names: list[str], where: str) -> NDArray[np.float64]:
    """Return the parameters (n, p) of a table, those that a model was trained with; NaN where there is none."""
    columns, there = [PREFIX + name for name in names], names_like(table, PREFIX)
    for column in columns:
        if column not in there:
            raise _missing(column, there, where)
    return _side_by_side(table, columns)


def trained(
    call: Callable[..., Any], data: TrainingSet, *, steps: int, check_every: int, checkpoint_every: int
) -> xr.Dataset:
    """Return the model that ``call(resume=, on_check=)`` trains, as a Dataset; what was killed goes on where it was.

    Raises
    ------
    ParameterError
        The loss stopped being finite: what is left of such a training is not what was asked for.
    """
    name = f"training-{data.names['data'][:16]}.npz"
    stored = progress.kept(name)

    def on_check(checkpoint: train.Checkpoint) -> None:
        loss = float(np.ravel(checkpoint.arrays["record"][-1, 0])[0])
        if checkpoint.step // checkpoint_every > (checkpoint.step - check_every) // checkpoint_every:
            progress.keep(name, checkpoint.to_bytes())
        progress.tell(checkpoint.step, steps, f"loss {loss:.4g}")

    model = call(resume=None if stored is None else train.Checkpoint.from_bytes(stored), on_check=on_check)
    if model.diverged:
        rate = model.settings["learning_rate"]
        raise errors.ParameterError(
            f"the loss stopped being finite before step {model.history.step[-1]} of {steps}",
            where=f"training with learning_rate={rate:g}", expected="a loss that falls",
            hint=f"Lower learning_rate, to {rate / 10:g} perhaps, and look for pixels far from all others.",
        )  # fmt: skip
    return models.to_dataset(model)


def band_names(images: xr.Dataset) -> list[str]:
    """Return the names of the bands, numbers where they have none."""
    if "band" in images.variables:
        return [str(name) for name in images["band"].values]
    return [str(i) for i in range(images["flux"].sizes["band"])]


def names_like(data: xr.Dataset, head: str) -> list[str]:
    """Return the names that begin with `head`, in alphabetical order.

    Examples
    --------
    >>> names_like(xr.Dataset({"theta_n": 3.0, "theta_a": 1.0, "seed": 1}), "theta_")
    ['theta_a', 'theta_n']
    """
    return sorted(name for name in map(str, data.variables) if name.startswith(head))


def columns_like(data: xr.Dataset, head: str) -> dict[str, NDArray[np.float64]]:
    """Return the columns that `names_like` names, by the rest of their names and in its order.

    Examples
    --------
    >>> columns_like(xr.Dataset({"theta_n": ("object", [3.0, np.nan]), "seed": 1}), "theta_")
    {'n': array([ 3., nan])}
    """
    return {name.removeprefix(head): _column(data, name) for name in names_like(data, head)}


def _missing(column: str, there: list[str], where: str) -> errors.MissingColumnError:
    told = f"The columns of parameters are: {', '.join(there) or 'none'}."
    return errors.MissingColumnError(
        f"no column {column!r}", where=where, hint=errors.did_you_mean(column, there, told)
    )


def _column(table: xr.Dataset, name: str) -> NDArray[np.float64]:
    return np.asarray(table[name].values, dtype=np.float64)


def _side_by_side(table: xr.Dataset, columns: list[str]) -> NDArray[np.float64]:
    out = np.empty((table.sizes.get("object", 0), len(columns)))
    for i, column in enumerate(columns):
        out[:, i] = _column(table, column)
    return out
