"""Scattering features of images: 26 numbers that tell textures apart where a power spectrum does not."""

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import xarray as xr
from pydantic import Field

import hven
from hven.methods import scattering
from hven.mocks import Mock, bubble_maps
from hven_plugins.generative.images import one_band, reasons

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHERE = "analysis 'scattering_features'"


@hven.analysis(
    images=hven.Images(),
    produces={"s0": "", "s1_<x>": "", "s21_<x>_<y>": "", "s22_<x>_<y>": "", "feature_flag": ""},
    references=("2307.09568", "2006.08561"),
    version="1",
    per_object=True,
)
def scattering_features(
    images: xr.Dataset,
    *,
    band: str = "",
    scales: Annotated[int | None, Field(ge=1)] = None,
    angles: Annotated[int, Field(ge=2, multiple_of=2)] = 4,
    exact: bool = False,
    precision: Literal["double", "single"] = "double",
) -> xr.Dataset:
    """Reduced, isotropic scattering coefficients of each image.

    Images are convolved with Morlet wavelets of J scales (2^j pixels) and L angles, the modulus is taken and averaged
    (first order); the moduli are convolved again with all larger wavelets (second order). Means over angles are left:

    * ``s0``, the mean of the image;
    * ``s1_<j>`` = ln <S1(j)>: the contrast on scale j, as a power spectrum has it, but robust to outliers;
    * ``s21_<j1>_<j2>`` = ln <S2>/<S1(j1)>: how clustered structure of scale j1 is on scale j2 (sparsity);
    * ``s22_<j1>_<j2>`` = ln of S2 with both wavelets parallel over perpendicular: how elongated it is.

    For images of 64 x 64 pixels J = 5, so there are 1 + 5 + 10 + 10 features. The images are taken as periodic; where
    they are not, the smallest scales see the edges least. ``feature_flag`` says 'ok', 'no structure' (all pixels are
    equal, only ``s0`` is there) or 'a pixel is not a number' (nothing is there). Masks and weights are not used.

    Parameters
    ----------
    band
        Which band; may be left out where there is only one.
    scales
        J; as many as the images have room for when None.
    angles
        L, an even number.
    exact
        Whether all Fourier modes are kept, to the definition to rounding; without, some times faster and good to 1e-3.
    precision
        In which the transform is computed; single is twice as fast, and good to 1e-5. Features are double.

    Raises
    ------
    ParameterError
        No such band, or more scales than the images have room for.
    """
    pixels = one_band(images, band, _WHERE)
    values = np.asarray(pixels.values, dtype=np.float64 if precision == "double" else np.float32)
    told = scattering.coefficients(values, scales, angles, exact=exact)
    features = np.asarray(scattering.features(told), dtype=np.float64)
    names = scattering.feature_names(told.s1.shape[1])
    columns = {name: ("object", features[:, i]) for i, name in enumerate(names)}
    attrs = {"scales": told.s1.shape[1], "angles": angles, "pixels": list(values.shape[1:])}
    return xr.Dataset({**columns, "feature_flag": ("object", reasons(features))}, attrs=attrs)


@scattering_features.figure
def _figure(result: xr.Dataset) -> "Figure":
    from hven_plugins.generative.figures import draw_features

    return draw_features(result)


@scattering_features.mock
def _mock(size: int, seed: int) -> Mock:
    return bubble_maps(size, seed, pixels=32)
