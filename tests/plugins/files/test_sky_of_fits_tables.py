"""What FITS headers say of the sky: equinoxes in any writing, epochs, and columns that astropy wrote as several."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable
from astropy.time import Time

from hven_plugins.files import csv, fits_table

FK4 = SkyCoord([10.0, 11.0] * u.deg, [1.0, 2.0] * u.deg, frame="fk4")


def table(path, **cards):
    columns = [fits.Column(name, "D", unit="deg", array=values) for name, values in (("ra", FK4.ra), ("dec", FK4.dec))]
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    (batch,) = fits_table(str(path))
    return batch


@pytest.mark.parametrize("equinox", [1950.0, "1950.0", "B1950", "b1950.0"])
def test_an_equinox_is_understood_as_a_number_and_as_text(tmp_path, equinox):
    frame = table(tmp_path / "t.fits", EQUINOX=equinox).parts[""]
    there = SkyCoord(frame["ra"].to_numpy(), frame["dec"].to_numpy(), unit="deg")
    assert there.separation(FK4.icrs).arcsec.max() < 1e-6


@pytest.mark.parametrize("equinox", ["J2000", "2000.0", 2000])
def test_the_usual_equinox_changes_nothing(tmp_path, equinox):
    assert table(tmp_path / "t.fits", EQUINOX=equinox).parts[""]["ra"].to_list() == [10.0, 11.0]


def test_the_epoch_of_positions_is_noted_and_may_be_an_old_word_for_the_equinox(tmp_path):
    old = table(tmp_path / "old.fits", EPOCH=1950.0)
    assert any("say frame=FK4" in str(note) for note in old.notes if note.needs_attention)
    new = table(tmp_path / "new.fits", EPOCH=2016.0)
    assert "positions are of epoch 2016, as the file says; they are kept as they are" in map(str, new.notes)
    said = table(tmp_path / "said.fits", EPOCH=1950.0, EQUINOX=2000.0)
    assert not any(note.needs_attention for note in said.notes)
    assert not table(tmp_path / "usual.fits", EPOCH="J2000.0").notes


@pytest.mark.parametrize("name", ["t.fits", "t.ecsv"])
def test_positions_of_astropy_keep_distances_and_motions(tmp_path, name):
    there = SkyCoord(
        FK4.icrs.ra, FK4.icrs.dec, distance=[100, 200] * u.pc, pm_ra_cosdec=[1, 2] * u.mas / u.yr,
        pm_dec=[3, 4] * u.mas / u.yr, radial_velocity=[5, 6] * u.km / u.s,
    )  # fmt: skip
    QTable({"source_id": [2**53 + 1, 2], "coord": there}).write(tmp_path / name)
    (batch,) = csv(str(tmp_path / name)) if name.endswith("ecsv") else fits_table(str(tmp_path / name))
    frame, units = batch.parts[""], {column.name: column.unit for column in batch.columns}
    assert batch.position == ("ra", "dec")
    assert frame["source_id"].to_list() == [2**53 + 1, 2]
    assert np.allclose(frame.select("distance", "pmra", "pmdec", "radial_velocity"), [[100, 1, 3, 5], [200, 2, 4, 6]])
    assert (units["distance"], units["pmra"], units["radial_velocity"]) == ("pc", "mas/yr", "km/s")


def test_positions_of_astropy_in_another_frame_and_times_are_what_they_were(tmp_path):
    times = Time([55000.123456789, 55001.5], format="mjd")
    QTable({"id": [1, 2], "coord": FK4, "t": times}).write(tmp_path / "t.fits")
    (batch,) = fits_table(str(tmp_path / "t.fits"))
    frame = batch.parts[""]
    assert (
        SkyCoord(frame["ra"].to_numpy(), frame["dec"].to_numpy(), unit="deg").separation(FK4.icrs).arcsec.max() < 1e-6
    )
    assert np.abs((Time(frame["t"].to_list()) - times).to_value("s")).max() < 1e-8
    assert frame["t"][1] == "2009-06-19T12:00:00.000"
