"""Images drawn from a trained model for the objects of a table, marked as what they are: synthetic."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hven import errors
from hven.methods import models
from hven_plugins.generative.training import PREFIX, conditions_of

Draw = Callable[[Any, NDArray[np.int64]], NDArray[np.float32]]


def model_of(data: xr.Dataset, kind: type[Any], where: str, made_by: str) -> Any:
    """Return the model in a Dataset, or refuse one of another kind."""
    model = models.from_dataset(data) if "spec" in data.attrs else None
    if not isinstance(model, kind):
        found = "no model" if model is None else f"a {type(model).__name__}"
        raise errors.DataRefusedError(
            f"what is given as the model is {found}", where=where, expected=f"one of {made_by}",
            hint=f"Name a result of {made_by} as the model.",
        )  # fmt: skip
    return model


def synthetic_images(
    conditions: xr.Dataset, model: Any, data: xr.Dataset, draw: Draw, where: str, guidance: float = 0.0
) -> xr.Dataset:
    """Return one image for each object of `conditions`, with its parameters, synthetic and by which model in attrs.

    ``draw(theta, ids)`` gives images for rows of parameters; objects without all of them get NaN. `guidance` is told.

    Raises
    ------
    MissingColumnError
        Objects have no ``object_id``, or a parameter of the model is not there.
    DataRefusedError
        The ids are not whole numbers.
    """
    names, ids = model.names, ids_of(conditions, where)
    theta = conditions_of(conditions, names["theta"], where)
    n = len(theta)
    known = np.isfinite(theta).all(axis=1)
    flux = np.full((n, *model.shape), np.nan, dtype=np.float32)
    if known.any():
        flux[known] = draw(theta[known] if names["theta"] else None, ids[known])
    outside = known & ~model.theta.hold(np.where(known[:, None], theta, model.theta.low))
    coordinates: dict[str, Any] = {"band": ("band", np.array(names["bands"], dtype=np.dtypes.StringDType()))}
    for i, (name, unit) in enumerate(zip(names["theta"], names["theta_units"], strict=True)):
        coordinates[PREFIX + name] = ("object", theta[:, i], {"units": unit} if unit else {})
    return xr.Dataset(
        {"flux": (("object", "band", "y", "x"), flux), "is_extrapolated": ("object", outside)},
        coordinates,
        {
            "synthetic": True,
            "model": digest_of(data),
            "model_data": names["data"],
            "generator": str(model.spec()["kind"]),
            "n_training": int(names["n_images"]),
            "guidance": float(guidance),
            "flux_unit": names["flux_unit"],
        },
    )


def ids_of(conditions: xr.Dataset, where: str) -> NDArray[np.int64]:
    """Return the ids of objects, which their images follow from: a place in the table would begin anew in each block.

    Examples
    --------
    >>> ids_of(xr.Dataset({"object_id": ("object", [7, 9])}), "the example")
    array([7, 9])
    """
    if "object_id" not in conditions:
        raise errors.MissingColumnError(
            "no column 'object_id'", where=where, expected="an id for each object, which its image follows from",
            hint="Number the rows: conditions.assign(object_id=('object', np.arange(n))).",
        )  # fmt: skip
    ids = np.asarray(conditions["object_id"].values)
    if ids.dtype.kind not in "iu":
        raise errors.DataRefusedError(
            f"object_id is {ids.dtype}", where=where, expected="whole numbers", hint="Number the rows."
        )
    return ids.astype(np.int64)


def digest_of(data: xr.Dataset) -> str:
    """Return what tells a model from all others: the SHA-256 of its spec and arrays."""
    digest = hashlib.sha256(str(data.attrs["spec"]).encode())
    for name in sorted(map(str, data.data_vars)):
        digest.update(name.encode() + np.ascontiguousarray(data[name].values).tobytes())
    return digest.hexdigest()
