"""Red clump stars are standard candles in Ks: their distances, and where that puts them in the Galaxy."""

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

import hven
from hven.methods import caveats
from hven.methods.frames import SolarFrame, galactocentric
from hven.mocks import Mock, red_clump_stars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Positive = Annotated[float, Field(ge=0)]

STRING = np.dtypes.StringDType(na_object=None)
MEASURED, TAKEN_AS_ZERO = "ok", "extinction taken as 0"
UNCERTAIN = "error of a magnitude or more"
NO_POSITION, NO_MAGNITUDE, NO_EXTINCTION = "no position", "no magnitude", "no extinction"


@hven.analysis(
    stars=hven.Table(
        ra="deg",
        dec="deg",
        ks_mag="mag",
        optional={"a_k": "mag", "ks_mag_err": "mag", "a_k_err": "mag", "teff": "K", "logg": "dex"},
    ),
    produces={
        "distance": "kpc",
        "distance_err": "kpc",
        "r_gal": "kpc",
        "r_gal_err": "kpc",
        "phi_gal": "rad",
        "phi_gal_err": "rad",
        "z_gal": "kpc",
        "z_gal_err": "kpc",
        "distance_flag": "",
        "is_red_clump": "",
    },
    references=("1910.00398", "1705.08988"),
    version="2",
    per_object=True,
)
def red_clump_distances(
    stars: xr.Dataset,
    *,
    absolute_mag: float = -1.622,
    scatter: Positive = 0.09,
    missing_extinction: Literal["null", "zero"] = "null",
    assumed_ks_mag_err: Positive = 0.025,
    assumed_a_k_err: Positive = 0.04,
    logg_min: float = 2.3,
    logg_max: float = 2.55,
    teff_min: Annotated[float, hven.Unit("K")] = 4550.0,
    teff_max: Annotated[float, hven.Unit("K")] = 5000.0,
    r0: Annotated[float, hven.Unit("kpc"), Field(gt=0)] = 8.122,
    z_sun: Annotated[float, hven.Unit("kpc")] = 0.0208,
) -> xr.Dataset:
    """Distance of each star as if it were on the red clump, and its Galactocentric position, with errors.

    d = 10^((Ks - M_Ks - A_K) / 5 - 2) kpc, with the mean absolute magnitude of the red clump in 2MASS Ks. Its error
    adds in quadrature the errors of Ks and A_K and the intrinsic scatter of the clump, to first order:
    e_d / d = 0.4605 e_mu. With the defaults a distance is good to about 5 %.

    A distance is given to every star that has a position, a magnitude and an extinction, whether it is on the clump or
    not; for any other star it is wrong. `is_red_clump` says whether temperature and gravity lie in the box of the
    clump (null where they are not known); select with it, or with a box of your own. The box holds stars on their first
    ascent of the giant branch, too: some per cent to a fifth, depending on how well gravity is measured.

    `distance_flag` says how each distance came about: 'ok'; 'extinction taken as 0'; 'error of a magnitude or more',
    which is a code or a limit rather than a measurement; or why there is none: 'no position', 'no magnitude', 'no
    extinction'. Errors of Ks and A_K that are missing, zero or negative are taken as the assumed ones. This, flags
    other than 'ok', and labels without which no star is known to be on the clump are caveats of the result.

    Galactocentric positions are in astropy's right-handed frame, the Sun at phi = pi; the parameters of the frame stand
    in the attributes of the result. All errors of a star come from the one of its distance.

    Parameters
    ----------
    absolute_mag
        Mean M_Ks of the red clump in mag. The default is -1.622 +- 0.004 of Chan & Bovy 2020 (arXiv:1910.00398);
        Hawkins et al. 2017 (arXiv:1705.08988) have -1.61.
    scatter
        Its intrinsic standard deviation in mag; 0.09 after Chan & Bovy 2020.
    missing_extinction
        What a star without A_K gets: no distance ('null'), or one without extinction ('zero'), too far by 0.46 A_K.
    assumed_ks_mag_err
        1-sigma error of Ks in mag where none is given; bright 2MASS stars have about 0.025.
    assumed_a_k_err
        1-sigma error of A_K in mag where none is given; what 2MASS and WISE colours of giants give.
    logg_min, logg_max
        Gravities of the box, in dex.
    teff_min, teff_max
        Temperatures of the box, in K.
    r0
        Distance of the Sun from the Galactic centre in kpc.
    z_sun
        Height of the Sun above the plane in kpc.
    """
    solar = SolarFrame(r0=r0, z_sun=z_sun)
    ra, dec, ks_mag = (column(stars, name) for name in ("ra", "dec", "ks_mag"))
    a_k = extinctions(stars, missing_extinction)
    ks_mag_err, a_k_err = (
        np.where(given > 0, given, assumed)
        for given, assumed in (
            (column(stars, "ks_mag_err"), assumed_ks_mag_err),
            (column(stars, "a_k_err"), assumed_a_k_err),
        )
    )

    distance = 10 ** ((ks_mag - absolute_mag - a_k) / 5 - 2)
    distance[np.isnan(ra + dec)] = np.nan
    modulus_err = np.sqrt(ks_mag_err**2 + a_k_err**2 + scatter**2)
    distance_err = 0.2 * np.log(10) * modulus_err * distance
    place = galactocentric(ra, dec, distance, distance_err, solar=solar)

    known = np.isfinite(column(stars, "teff") + column(stars, "logg"))
    in_box = between(stars, "teff", teff_min, teff_max) & between(stars, "logg", logg_min, logg_max)
    result = {
        "distance": distance,
        "distance_err": distance_err,
        "r_gal": place.r_gal,
        "r_gal_err": place.r_gal_err,
        "phi_gal": place.phi_gal,
        "phi_gal_err": place.phi_gal_err,
        "z_gal": place.z_gal,
        "z_gal_err": place.z_gal_err,
        "distance_flag": flags(stars, a_k, np.maximum(ks_mag_err, a_k_err)),
        "is_red_clump": in_box,
        "is_red_clump_valid": known,
    }
    attrs = {"absolute_mag_ks": absolute_mag, "scatter_mag": scatter, **solar.attrs()}
    made = xr.Dataset({name: ("object", values) for name, values in result.items()}, attrs=attrs)
    texts = caveats_of(stars, made, {"ks_mag_err": assumed_ks_mag_err, "a_k_err": assumed_a_k_err})
    return caveats.with_caveats(made, texts)


def caveats_of(stars: xr.Dataset, result: xr.Dataset, assumed: dict[str, float]) -> list[str]:
    """Return the caveats, the same sentence from every block of stars that needs it."""
    texts = []
    for name, value in assumed.items():
        if name not in stars:
            texts.append(f"Assumed: an error of {value:g} mag for {name.removesuffix('_err')}, which has none.")
        elif np.any(~(column(stars, name) > 0)):
            texts.append(
                f"Errors of {name.removesuffix('_err')} that are missing or not positive are taken as {value:g}."
            )
    words = set(result["distance_flag"].values.tolist()) - {MEASURED}
    texts += [f"Stars have the distance_flag {word!r}." for word in (TAKEN_AS_ZERO, UNCERTAIN) if word in words]
    without = [f"{word!r}" for word in (NO_POSITION, NO_MAGNITUDE, NO_EXTINCTION) if word in words]
    texts += [f"Stars have no distance: {', '.join(without)}."] if without else []
    lacking = [name for name in ("teff", "logg") if name not in stars]
    texts += [f"Without {' and '.join(lacking)} no star is known to be on the red clump."] if lacking else []
    return texts


def column(stars: xr.Dataset, name: str, otherwise: float = np.nan) -> Array:
    """Return a column (n,) as float64, `otherwise` where it has no value or is not there."""
    if name not in stars:
        return np.full(stars.sizes["object"], otherwise)
    values = np.asarray(stars[name].values, dtype=np.float64)
    return np.where(np.isfinite(values), values, otherwise)


def extinctions(stars: xr.Dataset, missing: Literal["null", "zero"]) -> Array:
    """Return A_K (n,) in mag; where it is missing NaN or 0."""
    if "a_k" not in stars and missing == "null":
        raise hven.errors.MissingColumnError(
            "there is no column 'a_k', so no star would have a distance",
            where="analysis 'red_clump_distances'",
            hint="Bind the extinction in Ks to a_k, or take it as none with missing_extinction=zero.",
        )
    return column(stars, "a_k", otherwise=0.0 if missing == "zero" else np.nan)


def between(stars: xr.Dataset, name: str, low: float, high: float) -> NDArray[np.bool_]:
    """Return whether a column (n,) lies between two values; False where it is not known."""
    values = column(stars, name)
    return (values > low) & (values < high)


def flags(stars: xr.Dataset, a_k: Array, error: Array) -> NDArray[np.str_]:
    """Return in words, (n,), how each distance came about; the first reason that there is none counts.

    `a_k` and the larger `error` of the two magnitudes are those that were used.
    """
    words = np.full(stars.sizes["object"], MEASURED, dtype=STRING)
    words[error >= 1] = UNCERTAIN
    words[np.isnan(column(stars, "a_k"))] = TAKEN_AS_ZERO
    words[np.isnan(a_k)] = NO_EXTINCTION
    words[np.isnan(column(stars, "ks_mag"))] = NO_MAGNITUDE
    words[np.isnan(column(stars, "ra") + column(stars, "dec"))] = NO_POSITION
    return words  # type: ignore[return-value]


@red_clump_distances.figure
def _figure(result: xr.Dataset) -> "Figure":
    from hven_plugins.distances.figures import draw_places

    return draw_places(result)


@red_clump_distances.mock
def _mock(size: int, seed: int) -> Mock:
    return red_clump_stars(size, seed)
