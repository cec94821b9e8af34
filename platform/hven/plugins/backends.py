"""The arrays that an analysis takes: its inputs are moved where it computes, its result is brought back.

An author says ``backend="jax"`` or ``backend="array-api"`` and writes the function; moving data is not their affair.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import MissingDependencyError

if TYPE_CHECKING:
    import xarray as xr

    from hven.plugins.analysis import Analysis

_NUMBERS = "biufc"


def _is_by_object(analysis: "Analysis", name: str) -> bool:
    return name in analysis.inputs and analysis.inputs[name].is_by_object and not analysis.inputs[name].is_whole


def call(analysis: "Analysis", datasets: "Mapping[str, xr.Dataset]", parameters: Mapping[str, Any]) -> Any:
    """Return the result of an analysis on bound Datasets, in NumPy (or lazy) arrays whatever it computes with.

    ``"numpy"`` gets the arrays as they are. ``"jax"`` gets JAX arrays, on the GPU where the process sees one, and is
    called with JAX's 64-bit types on, so that float64 stays float64. ``"array-api"`` gets CuPy arrays where CuPy sees a
    GPU, and NumPy arrays elsewhere. Text stays as it is. Lazy variables stay lazy, and are moved chunk by chunk.

    Parameters
    ----------
    analysis
        The analysis.
    datasets
        Its bound inputs by name.
    parameters
        Validated parameters.

    Raises
    ------
    MissingDependencyError
        If it takes JAX arrays, and JAX is not installed.

    Examples
    --------
    >>> import xarray as xr
    >>> from hven.plugins import Table, analysis
    >>> @analysis(stars=Table(feh="dex"), produces=dict(twice="dex"), per_object=True, backend="jax")
    ... def twice(stars):
    ...     import jax.numpy as jnp
    ...     return xr.Dataset({"twice": ("object", jnp.add(stars.feh.data, stars.feh.data))})
    >>> call(twice, {"stars": xr.Dataset({"feh": ("object", [0.25])})}, {}).twice.values
    array([0.5])
    """
    by_object = (data for name, data in datasets.items() if _is_by_object(analysis, name))
    # A Dataset without a column of objects does not say how many there are; the analysis names what it misses.
    if (first := next(by_object, None)) is not None and "object" in first.sizes:
        analysis.check_number(int(first.sizes["object"]), parameters)
    convert, precision = _mover(analysis.backend)
    with precision():
        inputs = [_moved(datasets[name], convert) for name in analysis.inputs]
        result = analysis(*inputs, **parameters)
        return _brought_back(result)


@lru_cache(maxsize=1)
def cupy_or_none() -> Any:
    """Return CuPy where it is installed and sees a GPU, else None."""
    try:
        import cupy

        return cupy if cupy.cuda.runtime.getDeviceCount() else None
    except Exception:  # noqa: BLE001 - without a driver it raises errors of its own, of several classes
        return None


def _mover(backend: str) -> "tuple[Callable[[Any], Any] | None, Callable[[], AbstractContextManager[Any]]]":
    """Return what moves an array of numbers to where it is computed with, and the context for all of it."""
    if backend == "jax":
        try:
            import jax
        except ImportError as error:
            raise MissingDependencyError(
                "the analysis computes with JAX, which is not installed",
                hint="Install it with: pip install 'hven[science]'",
            ) from error
        return jax.numpy.asarray, lambda: jax.enable_x64(True)
    if backend == "array-api" and (cupy := cupy_or_none()) is not None:
        return cupy.asarray, nullcontext
    return None, nullcontext


def _moved(data: "xr.Dataset", convert: "Callable[[Any], Any] | None") -> "xr.Dataset":
    if convert is None:
        return data
    import dask.array as da

    moved = {}
    for name, variable in data.variables.items():
        # The values of an axis are an index of xarray, which is pandas' and stays where it is.
        if variable.dtype.kind not in _NUMBERS or name in data.indexes:
            continue
        values = variable.data
        if isinstance(values, da.Array):
            moved[name] = variable.copy(data=da.map_blocks(convert, values, dtype=values.dtype))
        else:
            moved[name] = variable.copy(data=convert(np.asarray(values)))
    return data.assign({n: v for n, v in moved.items() if n in data.data_vars}).assign_coords(
        {n: v for n, v in moved.items() if n in data.coords}
    )


def _brought_back(result: Any) -> Any:
    """Return a result, or parts of one, with arrays in the processor's memory; what is no result stays as it is."""
    import xarray as xr

    if isinstance(result, xr.Dataset):
        if all(isinstance(v.data, np.ndarray) for name, v in result.variables.items() if name not in result.indexes):
            return result
        loose = {name: _on_processor(v) for name, v in result.coords.items() if name not in result.indexes}
        return result.map(_on_processor, keep_attrs=True).assign_coords(loose)
    return {name: _brought_back(part) for name, part in result.items()} if isinstance(result, Mapping) else result


def _on_processor(variable: "xr.DataArray") -> "xr.DataArray":
    import dask.array as da

    values = variable.data
    if isinstance(values, np.ndarray):
        return variable
    if isinstance(values, da.Array):
        # Chunks of it may be computed on a GPU: each comes back when it is.
        return variable.copy(data=da.map_blocks(_as_numpy, values, dtype=values.dtype))
    return variable.copy(data=_as_numpy(values))


def _as_numpy(values: Any) -> Any:
    return values.get() if type(values).__module__.startswith("cupy") else np.asarray(values)
