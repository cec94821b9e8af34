"""The selections of the papers, against the same cuts written out in NumPy."""

import numpy as np
import polars as pl
import pytest

import hven
from hven.errors import ParameterError
from hven_plugins.copulas import preset


def apogee_like(n, seed):
    """Return columns as a survey of giants has them, every cut passed by most rows and failed by some."""
    rng = np.random.default_rng(seed)

    def flags(*bits):
        return sum((rng.random(n) < 0.05).astype(np.int64) << bit for bit in bits)

    age, distance = rng.uniform(0.5, 14, n), rng.uniform(0.1, 12, n)
    return {
        "EXTRATARG": flags(1, 4), "ASPCAPFLAG": flags(0, 7, 23, 27), "STARFLAG": flags(0, 3, 9), "MEMBERFLAG": flags(2),
        "distance": distance, "distance_err": distance * rng.uniform(0, 0.25, n), "logg": rng.uniform(0.5, 4.2, n),
        "teff": rng.uniform(3800, 5700, n), "age": age, "age_err": age * rng.uniform(0, 0.5, n),
        "r_gal": rng.uniform(0, 22, n), "z_gal": rng.normal(0, 1, n),
    }  # fmt: skip


@pytest.mark.parametrize(("name", "lowest"), [("apogee_giants", 1.0), ("apogee_giants_latent_ages", 2.55)])
def test_the_giants_of_apogee_are_those_of_the_paper(name, lowest, tmp_path):
    c = apogee_like(20_000, 1)
    wanted = (
        (c["EXTRATARG"] == 0) & (c["ASPCAPFLAG"] & (1 << 23 | 1 << 27) == 0) & (c["STARFLAG"] & (1 << 0 | 1 << 3) == 0)
        & (c["MEMBERFLAG"] == 0) & (c["distance_err"] / c["distance"] < 0.2) & (c["logg"] > lowest) & (c["logg"] < 3.8)
        & (c["teff"] > 4000) & (c["teff"] < 5500) & (c["age"] < 13) & (c["age_err"] / c["age"] < 0.4)
        & (c["r_gal"] < 20) & (np.abs(c["z_gal"]) < 2)
    )  # fmt: skip
    assert 500 < wanted.sum() < 10_000
    lake = hven.create(tmp_path / "lake")
    with lake.transaction("stars") as tx:
        tx.write("stars", pl.DataFrame({"mark": np.arange(20_000), **c}))
    found = lake["stars"].table(where=preset(name)).collect()["mark"].to_numpy()
    assert sorted(found.tolist()) == np.flatnonzero(wanted).tolist()


def test_a_selection_that_there_is_not_is_refused():
    with pytest.raises(ParameterError, match="no selection 'apogee_dwarfs'"):
        preset("apogee_dwarfs")
