"""What all readers of images share: which axis is which, names of bands and objects, the columns beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hven import Batch, Column
from hven.errors import DataRefusedError, MissingColumnError, ParameterError, UnreadableFileError, did_you_mean

Layout = Literal["auto", "nyx", "nbyx", "nyxb", "yx", "byx", "yxb"]

COLOURS = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}
_MOST_BANDS = 16


def image_batch(
    pixels: NDArray[Any],
    beside: Mapping[str, NDArray[Any]],
    where: str,
    *,
    layout: Layout = "auto",
    bands: list[str] | None = None,
    columns: dict[str, str] | None = None,
    identity: list[str] | None = None,
    unit: str = "",
    units: dict[str, str] | None = None,
    position: list[str] | None = None,
    survey: str = "",
    title: str = "",
    citation: list[str] | None = None,
) -> Batch:
    """Return images that were read as a batch: ``flux`` (object, band, y, x) and 1-D columns.

    The options are those of every reader of stacks of images.

    Parameters
    ----------
    pixels
        Two to four dimensions, see `layout`.
    beside
        One value for each image, under the names of the file. A column of vectors becomes one column for each element.
    where
        The file, for errors and names of images.
    layout
        What the axes of the pixels are: n for images, b for bands, y, x; "auto" takes the last axis for bands when it
        is short and the others are not, else the second of four.
    bands
        Names of the bands.
    columns
        New names, as {"theta_zeta": "zeta"}.
    identity
        Columns that tell images apart, by new name; file name and number (``image_name``) when not given.
    unit
        Of the pixels, where the file does not say.
    units
        Of columns, by new name.
    position
        Columns of right ascension and declination in degrees, by new name, [] for none.
    survey, title
        For the catalog.
    citation
        For the catalog: bibcodes, arXiv ids or DOIs.

    Raises
    ------
    DataRefusedError
        The pixels are no images, or a column has another number of rows.
    MissingColumnError
        An option names a column that the file does not have.

    Examples
    --------
    >>> batch = image_batch(np.zeros((2, 8, 8)), {"zeta": np.ones(2)}, "maps.npz", columns={"theta_zeta": "zeta"})
    >>> batch.rows, dict(batch.parts[""].flux.sizes), batch.parts[""].image_name.values.tolist()
    (2, {'object': 2, 'band': 1, 'y': 8, 'x': 8}, ['maps#0', 'maps#1'])
    """
    import xarray as xr

    flux = _in_order(pixels, layout, where)
    told = {**dict.fromkeys(beside), **{source: name for name, source in (columns or {}).items()}}
    data: dict[str, Any] = {"flux": (("object", "band", "y", "x"), flux, {"units": unit} if unit else {})}
    stem = Path(where).name.split(".")[0]
    image_names = [stem] if len(flux) == 1 and pixels.ndim < 4 else [f"{stem}#{i}" for i in range(len(flux))]
    data["image_name"] = ("object", np.array(image_names, dtype=np.dtypes.StringDType(na_object=None)))
    for source, name in told.items():
        if source not in beside:
            raise MissingColumnError(
                f"an option names column {source!r}, which the file does not have", where=where,
                hint=did_you_mean(source, beside, f"Its columns are: {', '.join(beside) or 'none'}."),
            )  # fmt: skip
        data |= _columns(name or source, np.asarray(beside[source]), len(flux), where)
    made: xr.Dataset = xr.Dataset(data, {"band": list(_bands(bands, flux.shape[1], where))})
    chosen, placed = tuple(identity or ("image_name",)), _placed(position, where)
    for name in (*chosen, *(placed or ()), *(units or {})):
        if name not in made:
            raise MissingColumnError(
                f"an option names column {name!r}, which the file does not have", where=where,
                hint=did_you_mean(name, map(str, made.data_vars), f"There are: {', '.join(map(str, made.data_vars))}."),
            )  # fmt: skip
    described = tuple(Column(name, "", ("object",), of) for name, of in (units or {}).items())
    return Batch(
        {"": made}, described, chosen, survey=survey, title=title, citation=tuple(citation or ()), position=placed
    )


def unreadable(what: str, where: str, error: Exception | None = None) -> UnreadableFileError:
    """Return (not raise) the error for a file that is not what it says."""
    reason = f": {str(error).splitlines()[0]}" if error is not None and str(error) else ""
    return UnreadableFileError(f"{what}{reason}", where=where, hint="Fetch or copy it again, or choose another reader.")


def _in_order(pixels: NDArray[Any], layout: Layout, where: str) -> NDArray[Any]:
    """Return the pixels as (object, band, y, x)."""
    if pixels.dtype.kind not in "uifb" or not 2 <= pixels.ndim <= 4 or pixels.size == 0:
        raise DataRefusedError(
            f"an array of shape {pixels.shape} and type {pixels.dtype} is no stack of images", where=where,
            expected="numbers over (n, y, x), (n, band, y, x) or (n, y, x, band)", hint="Choose another array.",
        )  # fmt: skip
    axes = layout if layout != "auto" else _guess(pixels.shape)
    if len(axes) != pixels.ndim:
        raise ParameterError(
            f"layout {layout!r} has {len(axes)} axes and the pixels {pixels.ndim}", where=where,
            hint="Name each axis: n for images, b for bands, y and x.",
        )  # fmt: skip
    values = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    for axis in "nb":
        if axis not in axes:
            values, axes = values[None], axis + axes  # type: ignore[assignment]
    return np.ascontiguousarray(values.transpose([axes.index(axis) for axis in "nbyx"]))


def _guess(shape: tuple[int, ...]) -> Layout:
    if len(shape) == 2:
        return "yx"
    is_last = shape[-1] in COLOURS and min(shape[-3:-1]) > 2 * shape[-1]
    if len(shape) == 3:
        return "yxb" if is_last and shape[0] != shape[-1] else "nyx"
    return "nyxb" if is_last or (shape[1] > _MOST_BANDS >= shape[3]) else "nbyx"


def _bands(bands: Sequence[str] | None, count: int, where: str) -> Sequence[str]:
    if bands is not None and len(bands) != count:
        raise ParameterError(
            f"{len(bands)} names for {count} bands", where=where, hint="Name each band, or correct the layout."
        )
    return bands or COLOURS.get(count) or [f"band_{i}" for i in range(count)]


def _placed(position: list[str] | None, where: str) -> tuple[str, str] | None:
    if not position:
        return None
    if len(position) != 2:
        raise ParameterError(
            f"option 'position' has {len(position)} columns", where=where,
            expected="two, right ascension and declination, or none", hint="Correct the option.",
        )  # fmt: skip
    return position[0], position[1]


def _columns(name: str, values: NDArray[Any], n: int, where: str) -> "dict[str, Any]":
    if values.ndim not in (1, 2) or len(values) != n:
        raise DataRefusedError(
            f"column {name!r} has shape {values.shape} for {n} images", where=where, expected=f"({n},) or ({n}, k)",
            hint="Leave it out of the file, or choose other images.",
        )  # fmt: skip
    if values.dtype.kind in "SO":
        values = np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values.ravel()]).reshape(
            values.shape
        )
    if values.dtype.kind in "UT":
        values = values.astype(np.dtypes.StringDType(na_object=None))
    elif values.dtype.kind in "iufb":
        values = values.astype(values.dtype.newbyteorder("="))
    if values.ndim == 1:
        return {name: ("object", values)}
    return {f"{name}_{i}": ("object", values[:, i]) for i in range(values.shape[1])}
