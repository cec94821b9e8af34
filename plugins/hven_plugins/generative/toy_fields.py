"""Small Gaussian fields whose amplitude a parameter sets: what generators are tried on."""

import numpy as np
import xarray as xr

from hven.mocks import Mock, gaussian_fields

PIXELS = 4
LOW, HIGH = 0.5, 2.0


def toy_fields(size: int, seed: int, pixels: int = PIXELS) -> Mock:
    """Return fields of P(k) ~ k^-1 times ``theta_amplitude``, which is uniform between 0.5 and 2."""
    fields = gaussian_fields(size, seed, pixels=pixels, slope=-1.0).inputs["images"]
    amplitude = toy_conditions(size, seed)["theta_amplitude"]
    flux = fields["flux"] * amplitude.astype("float32")
    return Mock({"images": fields.assign(flux=flux.transpose(*fields["flux"].dims), theta_amplitude=amplitude)})


def toy_conditions(size: int, seed: int) -> xr.Dataset:
    """Return amplitudes of `size` objects, uniform between 0.5 and 2; object i has the same whatever `size` is."""
    amplitude = np.array([np.random.default_rng([seed, i, 7]).uniform(LOW, HIGH) for i in range(size)])
    ids = np.arange(size, dtype=np.int64)
    return xr.Dataset({"object_id": ("object", ids), "theta_amplitude": ("object", amplitude, {"units": ""})})
