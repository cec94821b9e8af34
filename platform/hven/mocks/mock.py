"""A mock: simulated inputs of an analysis, with the truth that they were made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Mock:
    """Simulated inputs of an analysis and the truth behind them.

    Attributes
    ----------
    inputs
        One Dataset for each input of the analysis, by the input's name; variables carry their unit in ``units``.
    truth
        The true value of result variables, by name: a number when it is one for all, an array over the result's
        dimension otherwise. A result variable ``<name>_err`` says how close the result should come.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> stars = xr.Dataset({"feh": ("object", np.zeros(3), {"units": "dex"})})
    >>> Mock({"stars": stars}, truth={"slope": -0.06}).truth["slope"]
    -0.06
    """

    inputs: Mapping[str, "xr.Dataset"]
    truth: Mapping[str, Any] = field(default_factory=dict)
