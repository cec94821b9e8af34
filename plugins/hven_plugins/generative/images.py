"""The pixels of one band of an image dataset, and why some images cannot be used."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hven.errors import DataRefusedError, ParameterError, did_you_mean

STRING = np.dtypes.StringDType(na_object=None)
MEASURED, NOT_FINITE, FLAT = "ok", "a pixel is not a number", "no structure"


def one_band(images: xr.Dataset, band: str, where: str) -> xr.DataArray:
    """Return the images (object, y, x) of one band; `band` may be left empty where there is but one.

    Raises
    ------
    ParameterError
        There is no such band, or several and none is named.
    DataRefusedError
        There is no band at all.
    """
    flux = images["flux"]
    names = [str(name) for name in images["band"].values] if "band" in images.variables else []
    names = names or [str(i) for i in range(flux.sizes["band"])]
    if not names:
        raise DataRefusedError("the images have no band", where=where, hint="Choose another dataset.")
    if not band and len(names) > 1:
        raise ParameterError(
            f"the images have {len(names)} bands and none is chosen", where=where, expected=" or ".join(names),
            hint=f"Name one, as in band={names[0]}.",
        )  # fmt: skip
    if band and band not in names:
        raise ParameterError(
            f"there is no band {band!r}", where=where, hint=did_you_mean(band, names, f"The bands: {', '.join(names)}.")
        )
    return flux.isel(band=names.index(band) if band else 0, drop=True)


def origin(images: xr.Dataset) -> dict[str, Any]:
    """Return what generated images say in their attributes of where they come from, as far as they do."""
    return {
        name: images.attrs[name] for name in ("generator", "n_training", "guidance", "model") if name in images.attrs
    }


def reasons(features: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return in words, (n,), why an image has no features: 'ok' where it has all."""
    words = np.full(len(features), MEASURED, dtype=STRING)
    words[~np.isfinite(features).all(axis=1)] = FLAT
    words[~np.isfinite(features[:, 0])] = NOT_FINITE
    return words  # type: ignore[return-value]
