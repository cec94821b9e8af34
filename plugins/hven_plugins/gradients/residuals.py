"""What is left of each star's metallicity when the gradient of its population is taken out."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats
from hven.methods.frames import SOLAR, SolarFrame
from hven.mocks import Mock, residual_stars
from hven_plugins.gradients.gradients import metallicity_gradients
from hven_plugins.gradients.places import COLUMNS, column, places
from hven_plugins.gradients.populations import VARIABLES

Array = NDArray[np.float64]

_WHERE = "analysis 'metallicity_residuals'"


@hven.analysis(
    stars=hven.Table(
        feh="dex",
        one_of=[("r_gal", "distance")],
        optional={"feh_err": "dex", **COLUMNS, "teff": "K", "age": "Gyr"},
    ),
    gradients=hven.Model(),
    produces={"delta_feh": "dex", "delta_feh_err": "dex", "pop_bin": ""},
    references=("2304.02958",),
    version="2",
    per_object=True,
)
def metallicity_residuals(
    stars: xr.Dataset,
    gradients: xr.Dataset,
    *,
    radius: Literal["expected", "observed"] = "expected",
    r0: Annotated[float | None, hven.Unit("kpc"), Field(gt=0)] = None,
    z_sun: Annotated[float | None, hven.Unit("kpc")] = None,
) -> xr.Dataset:
    """[Fe/H] of each star less the gradient of its population at its radius.

    The gradients are a result of `metallicity_gradients`; ``pop_bin`` is the row of it that a star belongs to by its
    age or temperature, and -1 for a star that belongs to none (its residual is null).

    Of a star that is observed far out, some of the distance is error: its radius is rather closer to where most stars
    are. With ``radius="expected"`` the line is taken at the mean of its true radius given the observed one, by the
    mixture that the fit found; then residuals do not depend, on average, on the observed radius, and no ring of a map
    is rich or poor for this reason alone. ``radius="observed"`` takes the observed radius as it is, and so do gradients
    of other makers, without a mixture.

    A vertical gradient of the fit (``slope_z``) is taken out as well, and with its ``z_max`` stars farther from the
    plane belong to no population: both need heights. A population without a gradient leaves its stars without a
    residual, which is a caveat.

    ``delta_feh_err`` combines the errors of [Fe/H] and of the radius, the latter times the slope; the intrinsic scatter
    is no part of it.

    Parameters
    ----------
    radius
        Where the line is taken: at the 'expected' or the 'observed' radius.
    r0, z_sun
        Where the Sun is in kpc, for radii computed here; by default where the gradients have it.

    Raises
    ------
    MissingColumnError
        ``gradients`` is no result of `metallicity_gradients`, or the stars lack the age or temperature it is cut by, or
        the heights that it takes into account.
    """
    lines = Lines.of(gradients)
    solar = SolarFrame(r0=lines.r0 if r0 is None else r0, z_sun=lines.z_sun if z_sun is None else z_sun)
    known = places(stars, ["r_gal", "z_gal"] if lines.needs_height else ["r_gal"], solar, where=_WHERE)
    r, feh = known["r_gal"], column(stars, "feh")
    height = np.abs(known["z_gal"]) if lines.needs_height else np.zeros(len(r))
    r_err = known.get("r_gal_err", np.zeros(len(r)))
    feh_err = column(stars, "feh_err") if "feh_err" in stars else np.zeros(len(r))
    member = np.where(height < lines.z_max, lines.members(stars, len(r)), -1)
    delta, error = np.full((2, len(r)), np.nan)
    for i in np.unique(member[member >= 0]):
        rows = np.flatnonzero(member == i)
        place, place_err = lines.radius(i, r[rows], r_err[rows], radius)
        line = lines.intercept[i] + lines.slope[i] * (place - lines.r_ref[i]) + lines.slope_z[i] * height[rows]
        delta[rows] = feh[rows] - line
        error[rows] = np.hypot(feh_err[rows], lines.slope[i] * place_err)
    error[~np.isfinite(delta)] = np.nan
    result = xr.Dataset(
        {"delta_feh": ("object", delta), "delta_feh_err": ("object", error), "pop_bin": ("object", member)},
        attrs=solar.attrs(),
    )
    lacking = [str(i) for i in np.flatnonzero(~np.isfinite(lines.slope))]
    text = f"Population {', '.join(lacking)} has no gradient: its stars have no residual."
    return caveats.with_caveats(result, [text] if lacking else [])


@dataclass(frozen=True)
class Lines:
    """The lines of k populations and what cuts them.

    Attributes
    ----------
    variable
        ``"age"``, ``"teff"``, or empty for one population of all stars.
    low, high
        Edges (k,), the upper one excluded.
    slope, intercept, r_ref, slope_z
        Of each line, (k,); `slope_z` is 0 without a vertical gradient.
    weight, mean, width, edge
        The mixtures of the true radii in bins of the error that begin at `edge` (k, bins), each (k, bins, components);
        NaN where there is none.
    z_max, r0, z_sun
        Largest height of the stars of the fit, infinite without one, and where the Sun is, in kpc.
    """

    variable: str
    low: Array
    high: Array
    slope: Array
    intercept: Array
    r_ref: Array
    slope_z: Array
    weight: Array
    mean: Array
    width: Array
    edge: Array
    z_max: float = np.inf
    r0: float = SOLAR.r0
    z_sun: float = SOLAR.z_sun

    @classmethod
    def of(cls, gradients: xr.Dataset) -> "Lines":
        """Return the lines of a result of `metallicity_gradients`."""
        for name in ("slope", "intercept", "r_ref"):
            if name not in gradients:
                raise hven.errors.MissingColumnError(
                    f"the gradients have no {name!r}", where=_WHERE, expected="a result of metallicity_gradients",
                    hint="Name its dataset as the input 'gradients'.",
                )  # fmt: skip
        slope = np.atleast_1d(column(gradients, "slope"))
        nothing: Any = np.full((len(slope), 1), np.nan)
        no_prior: Any = np.full((len(slope), 1, 1), np.nan)
        weight, mean, width = (
            column(gradients, name) if name in gradients else no_prior
            for name in ("prior_weight", "prior_mean", "prior_width")
        )
        edges = {
            v: [np.atleast_1d(column(gradients, f"{v}_{end}")) for end in ("low", "high")]
            for v in VARIABLES
            if f"{v}_low" in gradients
        }
        variable = next((v for v, (low, _) in edges.items() if np.isfinite(low).any()), "")
        low, high = edges.get(variable, [nothing[:, 0], nothing[:, 0]])
        intercept, r_ref = (np.atleast_1d(column(gradients, name)) for name in ("intercept", "r_ref"))
        slope_z = np.nan_to_num(column(gradients, "slope_z")) if "slope_z" in gradients else np.zeros(len(slope))
        z_max, r0, z_sun = (
            float(gradients.attrs.get(name, otherwise))
            for name, otherwise in (("z_max_kpc", np.inf), ("r0_kpc", SOLAR.r0), ("z_sun_kpc", SOLAR.z_sun))
        )
        slope_z = np.atleast_1d(slope_z)
        edge = column(gradients, "prior_edge") if "prior_edge" in gradients else 0 * weight[..., 0]
        return cls(
            variable, low, high, slope, intercept, r_ref, slope_z, weight, mean, width, edge, z_max=z_max, r0=r0,
            z_sun=z_sun,
        )  # fmt: skip

    @property
    def needs_height(self) -> bool:
        """Whether the gradients take heights into account."""
        return bool(np.any(self.slope_z != 0)) or np.isfinite(self.z_max)

    def members(self, stars: xr.Dataset, n: int) -> NDArray[np.int64]:
        """Return the population of each star, (n,), -1 for none."""
        if not self.variable:
            return np.zeros(n, dtype=np.int64)
        if self.variable not in stars:
            raise hven.errors.MissingColumnError(
                f"there is no column {self.variable!r}, which cuts the populations of the gradients",
                where=_WHERE, hint="Bind it.",
            )  # fmt: skip
        values = column(stars, self.variable)
        member = np.full(n, -1, dtype=np.int64)
        for i, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            member[(values >= low) & (values < high)] = i
        return member

    def radius(self, i: int, r: Array, r_err: Array, which: str) -> tuple[Array, Array]:
        """Return the radius to take the line of population `i` at, and its error, (n,) both."""
        begins = self.edge[i][np.isfinite(self.weight[i]).any(axis=-1)]
        if which == "observed" or not len(begins):
            return r, r_err
        mine = np.maximum(np.searchsorted(begins, r_err, side="right") - 1, 0)
        # what fills a mixture up has no weight
        weight, mean, width = (
            np.where(np.isfinite(v[i][mine]), v[i][mine], fill)
            for v, fill in ((self.weight, 1e-300), (self.mean, 0.0), (self.width, 1.0))
        )
        total = width**2 + r_err[:, None] ** 2
        height = np.log(weight) - 0.5 * np.log(total) - 0.5 * (r[:, None] - mean) ** 2 / total
        share = np.exp(height - height.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        keep = width**2 / total
        each = keep * r[:, None] + (1 - keep) * mean
        place = np.sum(share * each, axis=1)
        variance = np.sum(share * (keep * r_err[:, None] ** 2 + each**2), axis=1) - place**2
        return place, np.sqrt(np.maximum(variance, 0.0))


@metallicity_residuals.mock
def _mock(size: int, seed: int) -> Mock:
    """Return stars with metal-poor patches, and the gradients of others like them."""
    stars = residual_stars(size, seed).inputs["stars"]
    gradients = metallicity_gradients(residual_stars(4000, 0).inputs["stars"], n_components=1)
    return Mock({"stars": stars.drop_vars(["delta_feh", "delta_feh_err"]), "gradients": gradients}, {})
