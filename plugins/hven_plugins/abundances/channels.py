"""What each element comes from: fractions and delays of channels, at one delay each or spread over a distribution."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import hven
from hven_plugins.abundances.diffusion import CHANNELS, Physics, Sources, sources_at, spreads
from hven_plugins.abundances.elements import by_atomic_number

Array = NDArray[np.float64]

EARLIEST, LATEST = 1.0, 13_700.0
"""Delays in Myr between which distributions are tabulated."""

_SUM = 0.03
"""How far rounded fractions may sum up to something else than one."""

_ALL_AT_ONCE = 1e-3


@dataclass(frozen=True)
class Channels:
    """Channels of e elements, ordered by atomic number.

    Attributes
    ----------
    elements
        Symbols.
    fractions, delays
        Shape (e, 4) in the order of `CHANNELS`; delays in Myr by which half of the channel's part is released.
    """

    elements: tuple[str, ...]
    fractions: Array
    delays: Array

    def __len__(self) -> int:
        return len(self.elements)

    def select(self, elements: Sequence[str]) -> "Channels":
        """Return the channels of some elements, in the order given."""
        at = [self.elements.index(name) for name in elements]
        return Channels(tuple(elements), self.fractions[at], self.delays[at])

    @property
    def main(self) -> tuple[str, ...]:
        """The channel that most of each element comes from."""
        return tuple(CHANNELS[i] for i in np.argmax(self.fractions, axis=1))

    def net(self, returned: float) -> "Channels":
        """Return the channels without what AGB stars merely give back, the share `returned` of each gross yield.

        Of iron, which they do not make, it is all that the table gives them (0.21 of the default one). It is the same
        share for every element whose gross yields have solar proportions: an assumption, not the paper's.

        Examples
        --------
        >>> net = default_channels().net(0.21).select(["Fe", "Ba"])
        >>> net.fractions[:, 1].round(2).tolist()
        [0.0, 0.94]
        """
        agb = CHANNELS.index("agb")
        fractions = self.fractions.copy()
        fractions[:, agb] = np.maximum(fractions[:, agb] - returned, 0.0)
        return Channels(self.elements, fractions / fractions.sum(axis=1, keepdims=True), self.delays)

    def at_once(self) -> Sources:
        """Return sources that release everything at the half-time, as the paper has it."""
        return sources_at(self.fractions, self.delays)

    def spread_out(
        self,
        *,
        cc_dex: float = 0.2,
        agb_dex: float = 0.3,
        ia_slope: float = -1.1,
        ia_start: float = 40.0,
        bins: int = 96,
    ) -> "SpreadSources":
        """Return sources that release over distributions of delays with the same half-times.

        Log-normal for core collapse and r-process (`cc_dex`) and AGB stars (`agb_dex`), t^`ia_slope` from `ia_start`
        Myr on for type Ia, up to where its median is the half-time. The widths are assumptions, not the paper's.
        """
        from scipy.special import ndtr

        edges = np.geomspace(EARLIEST, LATEST, bins + 1)
        masses = np.zeros((len(self), len(CHANNELS), bins))
        for i, channel in enumerate(CHANNELS):
            half = self.delays[:, i, None]
            if channel == "ia":
                below = _power_law_below(edges, half, ia_slope, ia_start)
            else:
                dex = max(agb_dex if channel == "agb" else cc_dex, _ALL_AT_ONCE)
                below = ndtr(np.log10(edges / half) / dex)
            shares = np.diff(below, axis=1)
            masses[:, i] = self.fractions[:, i, None] * shares / shares.sum(axis=1, keepdims=True)
        return SpreadSources(masses, edges)

    def to_dataset(self) -> xr.Dataset:
        """Return the table as an analysis takes it, a row for each element."""
        columns: dict[str, Any] = {"element": ("object", np.array(self.elements, dtype=np.dtypes.StringDType()))}
        for i, channel in enumerate(CHANNELS):
            columns[f"f_{channel}"] = ("object", self.fractions[:, i], {"units": ""})
            columns[f"t_{channel}"] = ("object", self.delays[:, i], {"units": "Myr"})
        return xr.Dataset(columns)

    @classmethod
    def from_dataset(cls, table: xr.Dataset) -> "tuple[Channels, tuple[str, ...]]":
        """Return the channels of a table, and the elements left out for a value that is missing.

        Raises
        ------
        TooFewObjectsError
            No element has all values.
        DataRefusedError
            An element stands there twice, a fraction is negative or they do not sum up to one, or a delay is not
            positive.
        """
        names = [str(name) for name in table["element"].values]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise _refused(f"element {twice[0]!r} stands in two rows", "one row an element", "Drop one of them.")
        fractions, delays = np.zeros((len(names), len(CHANNELS))), np.ones((len(names), len(CHANNELS)))
        for i, channel in enumerate(CHANNELS):
            if f"f_{channel}" in table:
                if f"t_{channel}" not in table:
                    raise hven.errors.MissingColumnError(
                        f"there are fractions f_{channel} and no column 't_{channel}' of delays",
                        where="input 'channels'",
                        hint=f"Give t_{channel} in Myr, or leave f_{channel} away.",
                    )
                fractions[:, i] = table[f"f_{channel}"].values
                delays[:, i] = table[f"t_{channel}"].values
        delays = np.where(fractions == 0, 1.0, delays)
        known = np.isfinite(fractions).all(axis=1) & np.isfinite(delays).all(axis=1)
        if not known.any():
            raise hven.errors.TooFewObjectsError(
                f"none of {len(names)} elements has all fractions and delays",
                where="input 'channels'",
                hint="Complete the table; the default one is hven_plugins.abundances.default_channels().",
            )
        for name, f, t in zip(np.array(names)[known], fractions[known], delays[known], strict=True):
            if (f < 0).any() or abs(f.sum() - 1) > _SUM:
                told = f"the fractions of {name} are {', '.join(f'{v:g}' for v in f)}"
                raise _refused(told, f"none negative, summing up to one within {_SUM}", "Normalise them.")
            if (t <= 0).any():
                raise _refused(f"a delay of {name} is {t.min():g} Myr", "positive delays", "Correct it.")
        order = [i for i in by_atomic_number(names) if known[i]]
        missing = tuple(names[i] for i in by_atomic_number(names) if not known[i])
        return cls(tuple(names[i] for i in order), fractions[order], delays[order]), missing


@dataclass(frozen=True)
class SpreadSources:
    """Sources that release over bins of delay; has the methods of `Sources`.

    Attributes
    ----------
    masses
        What each channel releases of each element within each bin, shape (e, 4, b).
    edges
        Of the bins, in Myr, shape (b + 1,).
    """

    masses: Array
    edges: Array

    def pairs(self, value: Any, physics: Physics, xp: Any = np) -> Any:
        """Return sum_ij w_Xi w_Yj <value(V_max, V_min, D^2)>_ij, averaged over each pair of bins, shape (e, e)."""
        e, c, b = self.masses.shape
        times = _nodes(self.edges)
        n = times.shape[1]
        width = xp.repeat(xp.stack([xp.asarray(s) for s in physics.widths]), b * n)
        at = xp.tile(times.reshape(-1), c)
        between = value(*spreads(at, at, width, width, physics, xp)).reshape(c, b, n, c, b, n).mean((2, 5))
        within = self._within(value, physics, xp)
        same = np.eye(b, dtype=bool)[None, :, None, :]
        kernel = xp.where(same, within.transpose(0, 2, 1)[:, :, :, None], between).reshape(c * b, c * b)
        flat = self.masses.reshape(e, c * b)
        return flat @ kernel @ flat.T

    def mean(self, physics: Physics, xp: Any = np) -> Any:
        """Return the mean surface density of each element, shape (e,)."""
        left = xp.maximum(physics.duration - _nodes(self.edges), 0.0).mean(1)
        return physics.rate * (self.masses.sum(1) @ left)

    def _within(self, value: Any, physics: Physics, xp: Any) -> Any:
        """Return the mean over two delays of the same bin, shape (c, c, b).

        The gap has a triangular distribution, and value rises steeply where it vanishes: nodes are s^4, s uniform.
        """
        s, weight = np.polynomial.legendre.leggauss(24)
        s, weight = (s + 1) / 2, weight / 2
        share, weight = s**4, weight * 4 * s**3 * 2 * (1 - s**4)
        gaps = share[:, None] * np.diff(self.edges)
        sums = self.edges[:-1] + self.edges[1:]
        width = xp.stack([xp.asarray(s) for s in physics.widths])
        own = (width[:, None] ** 2 + width[None, :] ** 2)[:, :, None, None]
        v_min = 2 * physics.kappa * gaps + own
        v_max = xp.maximum(4 * physics.l_corr**2 - 2 * physics.kappa * sums + own, v_min)
        return (weight[:, None] * value(v_max, v_min, (physics.sigma_v * gaps) ** 2)).sum(2)


def default_channels() -> Channels:
    """Return the channels of 26 elements computed from the public inputs of arXiv:2507.14572, to two decimals.

    Gross yields of a Chabrier population: core collapse Sukhbold et al. 2016, AGB Karakas & Lugaro 2016 and Doherty et
    al. 2014, type Ia Seitenzahl et al. 2013 with 1.3e-3 per solar mass and t^-1.1 (Maoz & Graur 2017). Gross yields
    count what AGB stars merely give back: 21 % of the iron.

    Examples
    --------
    >>> channels = default_channels()
    >>> len(channels), channels.select(["Fe"]).fractions[0].tolist()
    (26, [0.27, 0.21, 0.52, 0.0])
    """
    with files("hven_plugins.abundances").joinpath("channels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = {n: ("object", v if n == "element" else np.array(v, dtype=np.float64)) for n, v in columns.items()}
    return Channels.from_dataset(xr.Dataset(table))[0]


def _nodes(edges: Array) -> Array:
    """Return two Gauss-Legendre nodes in each bin, shape (b, 2)."""
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    return np.asarray(middle[:, None] + half[:, None] * np.array([-1, 1]) / np.sqrt(3))


def _power_law_below(edges: Array, half: Array, slope: float, start: float) -> Array:
    """Return the share of t^slope that is released by each edge, its median being `half`, shape (e, b + 1)."""
    if np.any(half[half != 1.0] <= start):
        raise hven.errors.ParameterError(
            f"the type Ia half-time {half.min():g} Myr is before the first of them at {start:g} Myr",
            where="delay distribution",
            hint="Give a later t_ia, or an earlier ia_start.",
        )
    half = np.where(half <= start, 437.0, half)
    power = slope + 1
    if abs(power) < 1e-9:
        last = half**2 / start
        return np.asarray(np.clip(np.log(edges / start) / np.log(last / start), 0, 1))
    top = 2 * half**power - start**power
    below = (np.maximum(edges, start) ** power - start**power) / (top - start**power)
    return np.asarray(np.where(np.isfinite(below), np.clip(below, 0, 1), 1.0))


def _refused(what: str, expected: str, hint: str) -> hven.errors.DataRefusedError:
    return hven.errors.DataRefusedError(what, where="input 'channels'", expected=expected, hint=hint)
