"""Positions of tables: frames, units, hours and degrees, and what is no position."""

import numpy as np
import polars as pl
import pytest
from astropy import units as u
from astropy.coordinates import FK4, FK5, BarycentricMeanEcliptic, Galactic, SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from hven import Column
from hven.errors import DataRefusedError
from hven_plugins.files.sexagesimal import degrees
from hven_plugins.files.table_batch import table_batch

STARS = SkyCoord([10.5, 359.9, 180.0], [-45.25, 0.001, 89.0], unit="deg")


def placed(batch):
    frame = batch.parts[""]
    return np.array([frame[name].to_numpy() for name in batch.position])


def is_there(batch):
    ra, dec = placed(batch)
    return SkyCoord(ra, dec, unit="deg").separation(STARS).arcsec.max() < 1e-3


@pytest.mark.parametrize(
    ("names", "frame", "said"),
    [
        (("GLON", "GLAT"), Galactic(), ""),
        (("l", "b"), Galactic(), ""),
        (("ELON", "ELAT"), BarycentricMeanEcliptic(), ""),
        (("RAB1950", "DEB1950"), FK4(), ""),
        (("RA", "DEC"), FK4(), "FK4"),
        (("RA", "DEC"), FK5(equinox="J1975"), "FK5 1975.0"),
        (("RAJ2000", "DEJ2000"), FK5(), "eq_FK5 J2000"),
        (("GLON", "GLAT"), Galactic(), "ICRS"),
    ],
)
def test_positions_of_other_frames_are_converted_to_icrs_and_kept_beside(names, frame, said):
    there = STARS.transform_to(frame).represent_as("unitspherical")
    lon, lat = there.lon.wrap_at(360 * u.deg).deg, there.lat.deg
    batch = table_batch(pl.DataFrame({"id": [1, 2, 3], names[0]: lon, names[1]: lat}), [], "t", said)
    assert is_there(batch)
    kept = [name for name in batch.parts[""].columns if name not in ("id", *batch.position)]
    assert np.allclose(batch.parts[""].select(kept).to_numpy(), np.array([lon, lat]).T)
    assert any("converted from" in str(note) for note in batch.notes)


def test_the_user_s_frame_wins_over_the_file_s_and_an_unknown_frame_is_refused():
    there = STARS.galactic
    table = pl.DataFrame({"ra": there.l.deg, "dec": there.b.deg})
    assert is_there(table_batch(table, [], "t", "ICRS", frame="galactic"))
    with pytest.raises(DataRefusedError, match="GAPPT"):
        table_batch(table, [], "t", "GAPPT")


def test_ucds_tell_positions_whose_names_do_not():
    told = [Column("x", "", ucd="pos.galactic.lon"), Column("y", "", ucd="pos.galactic.lat")]
    assert is_there(table_batch(pl.DataFrame({"x": STARS.galactic.l.deg, "y": STARS.galactic.b.deg}), told, "t"))
    main = [Column("x", "", ucd="pos.eq.ra;meta.main"), Column("y", "", ucd="POS.EQ.DEC;META.MAIN")]
    frame = pl.DataFrame({"x": STARS.ra.deg, "y": STARS.dec.deg, "ra": [0.0] * 3, "dec": [0.0] * 3})
    assert table_batch(frame, main, "t").position == ("x", "y")
    errors = [Column("x", "", ucd="stat.error;pos.eq.ra"), Column("y", "", ucd="stat.error;pos.eq.dec")]
    assert table_batch(frame.select("x", "y"), errors, "t").position is None


@pytest.mark.parametrize(
    ("unit", "factor"), [("hourangle", 15), ("h", 15), ("RADIANS", 180 / np.pi), ("arcsec", 1 / 3600), ("DEG", 1)]
)
def test_right_ascensions_in_hours_radians_and_seconds_become_degrees(unit, factor):
    told = [Column("ra", "", unit=unit), Column("dec", "", unit="deg")]
    batch = table_batch(pl.DataFrame({"ra": STARS.ra.deg / factor, "dec": STARS.dec.deg}), told, "t")
    assert is_there(batch)
    assert next(c.unit for c in batch.columns if c.name == "ra") == "deg"


@given(
    st.lists(st.tuples(st.floats(0, 359.99), st.floats(-89.99, 89.99)), min_size=1), st.sampled_from([":", " ", "hms"])
)
def test_angles_written_as_hours_minutes_and_seconds_come_back(positions, separator):
    sky = SkyCoord(positions, unit="deg")
    hours = sky.ra.to_string(u.hour, sep=separator, precision=6, pad=True)
    arcs = sky.dec.to_string(u.deg, sep=separator.replace("hms", "dms"), precision=6, alwayssign=True)
    ra, _ = degrees(pl.Series("ra", np.atleast_1d(hours)), "", is_right_ascension=True)
    dec, _ = degrees(pl.Series("dec", np.atleast_1d(arcs)), "", is_right_ascension=False)
    assert np.abs((ra.to_numpy() - sky.ra.deg + 180) % 360 - 180).max() < 1e-8
    assert np.abs(dec.to_numpy() - sky.dec.deg).max() < 1e-8


@pytest.mark.parametrize(
    ("texts", "unit", "expected"),
    [
        (["350:30:00", "10:00:00"], "", [350.5, 10.0]),
        (["10:30:00"], "", [157.5]),
        (["10:30:00"], "deg", [10.5]),
        (["10d30m00s"], "", [10.5]),
        (["10h30m"], "", [157.5]),
        (["-00:30:00,5"], "", [-7.502083333]),
        (["\u221200 30 00"], "", [-7.5]),
        (["10.5", "nonsense", None], "", [10.5, None, None]),
        (["12:99:00"], "", [None]),
    ],
)
def test_hours_and_degrees_are_told_apart(texts, unit, expected):
    found, _ = degrees(pl.Series("ra", texts), unit, is_right_ascension=True)
    assert found.round(9).to_list() == expected


def test_an_assumption_of_hours_is_noted():
    batch = table_batch(pl.DataFrame({"ra": ["10:30:00"], "dec": ["-00:30:00"]}), [], "t")
    assert any("taken as hours" in str(note) for note in batch.notes)


def test_hours_minutes_and_seconds_in_columns_of_their_own_are_put_together():
    parts = {"RAh": [1], "RAm": [30], "RAs": [36.0], "DE-": ["-"], "DEd": [0], "DEm": [30], "DEs": [0.0]}
    batch = table_batch(pl.DataFrame(parts), [], "t")
    assert placed(batch).ravel().tolist() == pytest.approx([22.65, -0.5])


def test_positions_that_are_nowhere_are_refused_or_dropped_by_name():
    table = pl.DataFrame({"ra": [10.0, -999.0], "dec": [1.0, -999.0]})
    with pytest.raises(DataRefusedError, match=r"1 of 2 rows .* ra = -999, dec = -999"):
        table_batch(table, [], "t")
    batch = table_batch(table, [], "t", unplaced="drop")
    assert batch.rows == 1
    assert any(note.needs_attention for note in batch.notes)


def test_rows_at_the_origin_and_hours_without_a_unit_need_attention():
    notes = table_batch(pl.DataFrame({"ra": [0.0, 0.0, 7.0], "dec": [0.0, 0.0, 1.0]}), [], "t").notes
    assert ["exactly (0, 0)" in str(note) and note.needs_attention for note in notes] == [True]
    hours = pl.DataFrame({"ra": np.linspace(0.5, 23.5, 40), "dec": np.linspace(-80, 80, 40)})
    assert ["hourangle" in str(note) and note.needs_attention for note in table_batch(hours, [], "t").notes] == [True]
    assert table_batch(hours, [Column("ra", "", unit="deg")], "t").notes == ()


def test_ids_keep_their_digits_or_are_known_to_have_lost_them():
    table = pl.DataFrame({"source_id": [7.0, None], "id": ["a", "b"], "teff": [5000.0, 4000.0]})
    batch = table_batch(table, [], "t")
    assert batch.parts[""].dtypes == [pl.Int64, pl.String, pl.Float64]
    lost = table_batch(pl.DataFrame({"source_id": [5.85308e18, 5.85309e18], "teff": [1.0, 2.0]}), [], "t")
    assert lost.identity == ()
    assert any(note.needs_attention and "rounded" in str(note) for note in lost.notes)
    huge = table_batch(pl.DataFrame({"source_id": pl.Series([2**64 - 1], dtype=pl.UInt64)}), [], "t")
    assert huge.parts[""]["source_id"].to_list() == [str(2**64 - 1)]
    decimals = pl.DataFrame({"source_id": pl.Series(["5853498713190525697"]).str.to_decimal(scale=0)})
    assert table_batch(decimals, [], "t").parts[""]["source_id"].to_list() == [5853498713190525697]


@pytest.mark.parametrize(
    ("names", "units"), [(("RA_rad", "DEC_rad"), ("rad", "rad")), (("ra_hours", "dec_deg"), ("hourangle", "deg"))]
)
def test_columns_that_may_be_positions_are_named_and_what_the_note_says_works(names, units):
    factors = [{"rad": np.pi / 180, "hourangle": 1 / 15, "deg": 1.0}[unit] for unit in units]
    table = pl.DataFrame({"id": [1, 2, 3], names[0]: STARS.ra.deg * factors[0], names[1]: STARS.dec.deg * factors[1]})
    unplaced = table_batch(table, [], "t")
    assert unplaced.position is None
    assert any(f"among {names[0]!r}, {names[1]!r}" in str(note) for note in unplaced.notes if note.needs_attention)
    assert is_there(table_batch(table, [], "t", position=list(names), units=dict(zip(names, units, strict=True))))
    assert not table_batch(table, [], "t", position=[]).notes


@pytest.mark.parametrize("names", [("alpha_fe", "delta_feh"), ("ra_err", "dec_err"), ("rate", "decay"), ("ra", "x")])
def test_other_columns_are_not_taken_for_positions(names):
    assert not table_batch(pl.DataFrame({"id": [1], names[0]: [0.5], names[1]: [0.5]}), [], "t").notes


@pytest.mark.parametrize(
    ("degrees", "south"),
    [(["-00", "+10"], -0.5), ([-0.0, 10.0], -0.5), ([-3, 10], -3.5), ([0, 10], 0.5), ([0, -10], None)],
)
def test_degrees_that_carry_the_sign_of_a_declination_are_put_together_unless_it_is_lost(degrees, south):
    parts = {"RAh": [1, 2], "RAm": [0, 0], "RAs": [0.0, 0.0], "DEd": degrees, "DEm": [30, 30], "DEs": [0.0, 0.0]}
    batch = table_batch(pl.DataFrame(parts), [], "t")
    if south is None:
        assert batch.position is None
        assert any("no columns of positions" in str(note) for note in batch.notes)
    else:
        assert batch.parts[""]["dec"][0] == south
        assert batch.parts[""]["ra"].to_list() == [15.0, 30.0]


def test_positions_of_arc_seconds_around_zero_may_be_offsets():
    table = pl.DataFrame({"id": [1, 2], "ra": [-10.5, 12.0], "dec": [5.0, -6.0]})
    told = [Column(name, "", unit="arcsec") for name in ("ra", "dec")]
    assert any("may be offsets" in str(note) for note in table_batch(table, told, "t").notes if note.needs_attention)
    far = table.with_columns(pl.col("ra", "dec") + 36000)
    assert not any(note.needs_attention for note in table_batch(far, told, "t").notes)
