"""Simulated maps as a survey to ingest: what generators are trained on, and held against, without any file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven import Batch, Column
from hven.errors import ParameterError, did_you_mean
from hven.mocks import Mock, bubble_maps, gaussian_fields, reionisation_maps

Array = NDArray[np.float64]

_ROWS = 256
"""Maps that are made, and kept in memory, at a time."""


@dataclass(frozen=True)
class Simulator:
    """A simulator of maps whose parameters are drawn: ``make(n, seed, pixels, parameters)``, ranges, what to cite."""

    make: Callable[[int, int, int, Mapping[str, Array]], Mock]
    ranges: Mapping[str, tuple[float, float]]
    units: Mapping[str, str]
    description: str
    citation: tuple[str, ...] = ()


def _bubbles(n: int, seed: int, pixels: int, theta: Mapping[str, Array]) -> Mock:
    return bubble_maps(n, seed, pixels=pixels, bubbles=theta["bubbles"], radius=theta["radius"])


def _reionisation(n: int, seed: int, pixels: int, theta: Mapping[str, Array]) -> Mock:
    return reionisation_maps(
        n, seed, pixels=pixels, box=2.0 * pixels, zeta=10 ** theta["log_zeta"], log_t_vir=theta["log_t_vir"]
    )


def _gaussian(n: int, seed: int, pixels: int, theta: Mapping[str, Array]) -> Mock:
    fields = gaussian_fields(n, seed, pixels=pixels).inputs["images"]
    amplitude = theta["amplitude"].astype(np.float32)[:, None, None, None]
    return Mock({"images": fields.assign(flux=fields["flux"] * amplitude)})


SIMULATORS: Mapping[str, Simulator] = {
    "bubbles": Simulator(
        _bubbles, {"bubbles": (6.0, 18.0), "radius": (3.0, 5.0)}, {"radius": "pix"},
        "Toy maps of reionisation: soft bubbles in a log-normal density.", ("2307.09568",),
    ),
    "reionisation": Simulator(
        _reionisation, {"log_t_vir": (4.0, 6.0), "log_zeta": (1.0, 2.398)}, {"log_t_vir": "dex", "log_zeta": "dex"},
        "21 cm brightness temperatures at z = 7.5 from an excursion set, pixels of 2 Mpc.",
        ("2307.09568", "astro-ph/0403697", "1003.3878"),
    ),
    "gaussian": Simulator(_gaussian, {"amplitude": (0.5, 2.0)}, {}, "Gaussian fields with P(k) ~ k^-2."),
}  # fmt: skip


@hven.reader(name="simulated_images", produces={"": "images"})
def simulated_images(
    path: str | None = None,
    *,
    simulator: Literal["bubbles", "reionisation", "gaussian"] = "bubbles",
    size: Annotated[int, Field(ge=1)] = 1000,
    seed: int = 0,
    pixels: Annotated[int, Field(ge=4)] = 64,
    ranges: dict[str, tuple[float, float]] | None = None,
) -> Iterator[Batch]:
    """Images of simulated maps at parameters drawn from a uniform distribution; takes no file.

    The images have the parameters as columns ``theta_...`` and their number, 0, 1, 2 ..., as ``simulation``: with
    ``where="simulation < 500"`` one takes some for training and with ``where="simulation >= 4000"`` others to judge by.
    A map follows from the seed and its number, whatever `size` is.

    * ``bubbles``: theta are the mean number of ``bubbles`` (6 to 18) and their ``radius`` in pixels (3 to 5);
    * ``reionisation``: ``log_t_vir`` in K (4 to 6) and ``log_zeta`` (1 to 2.398), as in 2307.09568;
    * ``gaussian``: the ``amplitude`` (0.5 to 2).

    Parameters
    ----------
    path
        Not used.
    simulator
        Which one: see `hven.mocks`.
    size
        Number of maps.
    seed
        Of parameters and maps.
    pixels
        Along each side.
    ranges
        Lowest and highest value of some parameters, where not those above: ``{"bubbles": (4, 8)}``.
    """
    del path
    known = SIMULATORS[simulator]
    limits = _ranges(known, ranges or {}, simulator)
    units = tuple(
        Column(f"theta_{name}", "float64", unit=known.units.get(name, ""), description=f"Parameter {name} of the map")
        for name in limits
    )
    for number, start in enumerate(range(0, size, _ROWS)):
        count = min(_ROWS, size - start)
        # Whole stretches are drawn, so that a map does not depend on how many there are after it.
        draws = np.random.default_rng([seed, number, 5]).uniform(size=(_ROWS, len(limits)))[:count]
        theta = {name: low + (high - low) * draws[:, i] for i, (name, (low, high)) in enumerate(limits.items())}
        made = known.make(count, _seed_of(seed, number), pixels, theta).inputs["images"]
        columns: dict[str, Any] = {f"theta_{name}": ("object", values) for name, values in theta.items()}
        columns["simulation"] = ("object", np.arange(start, start + count))
        images = made[["flux"]].assign(columns).assign_coords(band=["map"])
        yield Batch(
            {"": images},
            (*units, Column("simulation", "int64", description="Number of the map among those of its seed")),
            identity=("simulation",),
            survey="simulation",
            title=f"Simulated {simulator} maps",
            description=f"{known.description} {size:,} maps of {pixels} x {pixels} pixels, seed {seed}.",
            citation=known.citation,
        )


def _ranges(
    simulator: Simulator, given: Mapping[str, tuple[float, float]], called: str
) -> dict[str, tuple[float, float]]:
    """Return the range of each parameter, those that are given before the usual ones."""
    for name, (low, high) in given.items():
        if name not in simulator.ranges:
            raise ParameterError(
                f"simulator {called!r} has no parameter {name!r}", where="reader 'simulated_images', option 'ranges'",
                hint=did_you_mean(name, simulator.ranges, f"It has: {', '.join(simulator.ranges)}."),
            )  # fmt: skip
        if not (np.isfinite([low, high]).all() and low <= high):
            raise ParameterError(
                f"{name} from {low} to {high}", where="reader 'simulated_images', option 'ranges'",
                expected="the lowest value and the highest", hint="Give two numbers, the lower one first.",
            )  # fmt: skip
    return {name: given.get(name, usual) for name, usual in simulator.ranges.items()}


def _seed_of(seed: int, number: int) -> int:
    """Return the seed of one stretch of maps."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))
