"""FITS tables written as text, codes for missing where the standard has none, and checksums of data."""

import numpy as np
import pytest
from astropy.io import fits

from hven_plugins.files import fits_table


def read(path, **options):
    batches = list(fits_table(str(path), **options))
    return batches[0].parts[""], [str(note) for batch in batches for note in batch.notes if note.needs_attention]


def ascii_table(path, null):
    rows = ["1    5  1.5abc", "2  -99     de ", "3       2.5   "]
    header = fits.Header()
    cards = {"XTENSION": "TABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 14, "NAXIS2": 3, "PCOUNT": 0, "GCOUNT": 1}
    header.update(cards)
    header["TFIELDS"] = 4
    columns = (("id", 1, "I2"), ("x", 3, "I4"), ("f", 7, "F5.2"), ("name", 12, "A3"))
    for number, (name, first, form) in enumerate(columns, 1):
        header[f"TTYPE{number}"], header[f"TBCOL{number}"], header[f"TFORM{number}"] = name, first, form
    if null is not None:
        header["TNULL2"] = null
    content = "".join(rows).encode()
    fits.PrimaryHDU().writeto(path)
    with path.open("ab") as file:
        file.write(header.tostring().encode() + content + b" " * (-len(content) % 2880))


@pytest.mark.parametrize(("null", "second"), [("-99", None), (" -99", None), ("", -99), (None, -99)])
def test_blanks_and_codes_of_ascii_tables_are_null_and_never_zero(tmp_path, null, second):
    ascii_table(tmp_path / "t.fits", null)
    frame, _ = read(tmp_path / "t.fits")
    assert frame.rows() == [(1, 5, 1.5, "abc"), (2, second, None, "de"), (3, None, 2.5, None)]


@pytest.mark.parametrize(("form", "null"), [("E", -99.5), ("D", -99.5), ("E", -99), ("J", "-99"), ("J", -99.0)])
def test_codes_for_missing_count_where_the_standard_has_none(tmp_path, form, null):
    code = float(null)
    column = fits.Column("x", form, array=np.array([code, 5, 7]))
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column])]).writeto(tmp_path / "t.fits")
    raw = (tmp_path / "t.fits").read_bytes()
    shown = f"'{null}'" if isinstance(null, str) else str(null)
    card = f"TNULL1  = {shown:>20}".ljust(80).encode()
    (tmp_path / "t.fits").write_bytes(_with_card(raw, card))
    frame, _ = read(tmp_path / "t.fits")
    assert frame["x"].to_list() == [None, 5, 7]


def _with_card(raw, card):
    """Return a file whose table has one more card: the blanks behind its END make room for it."""
    end = raw.rindex(b"END" + b" " * 77)
    return raw[:end] + card + b"END" + b" " * 77 + raw[end + 160 :]


@pytest.mark.parametrize("rows", [3, 100_000])
def test_a_checksum_that_does_not_fit_the_data_needs_attention(tmp_path, rows):
    rng = np.random.default_rng(1)
    columns = [
        fits.Column("x", "J", array=rng.integers(-(2**31), 2**31 - 1, rows)),
        fits.Column("name", "3A", array=np.array(["abc"] * rows)),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "t.fits", checksum=True)
    assert not read(tmp_path / "t.fits")[1]
    raw = bytearray((tmp_path / "t.fits").read_bytes())
    raw[5760 + 4] ^= 1
    (tmp_path / "t.fits").write_bytes(raw)
    (note,) = read(tmp_path / "t.fits")[1]
    assert "DATASUM" in note
