"""Where the rows of a table are on the sky: which columns say it, in which frame and unit, and what is doubtful."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hven import Column, Note
from hven.errors import DataRefusedError
from hven_plugins.files.sexagesimal import PATTERN, degrees, is_hours, joined
from hven_plugins.files.sky_frames import read_frame, to_icrs
from hven_plugins.files.words import MISSING

if TYPE_CHECKING:
    import polars as pl

PAIRS: tuple[tuple[str, str, str], ...] = (
    ("ra", "dec", ""),
    ("raj2000", "dej2000", ""),
    ("_raj2000", "_dej2000", ""),
    ("raj2000", "decj2000", ""),
    ("ra_j2000", "dec_j2000", ""),
    ("ra_icrs", "de_icrs", "icrs"),
    ("ra_icrs", "dec_icrs", "icrs"),
    ("_ra.icrs", "_de.icrs", "icrs"),
    ("_ra_icrs", "_de_icrs", "icrs"),
    ("radeg", "dedeg", ""),
    ("radeg", "decdeg", ""),
    ("ra_deg", "dec_deg", ""),
    ("_ra", "_de", ""),
    ("_ra", "_dec", ""),
    ("ra_d", "dec_d", ""),
    ("alpha_j2000", "delta_j2000", ""),
    ("alphawin_j2000", "deltawin_j2000", ""),
    ("target_ra", "target_dec", ""),
    ("ramean", "decmean", ""),
    ("raj2000_deg", "dej2000_deg", ""),
    ("right_ascension", "declination", ""),
    ("rightascension", "declination", ""),
    ("raj2000", "dec", ""),
    ("rahms", "dedms", ""),
    ("ra_hms", "dec_dms", ""),
    ("alpha_sky", "delta_sky", ""),
    ("ra_dr3", "dec_dr3", ""),
    ("ra_dr2", "dec_dr2", ""),
    ("ra_gaia", "dec_gaia", ""),
    ("gaia_ra", "gaia_dec", ""),
    ("rab1950", "deb1950", "fk4"),
    ("_rab1950", "_deb1950", "fk4"),
    ("ra1950", "dec1950", "fk4"),
    ("ra1950", "de1950", "fk4"),
    ("ra_b1950", "dec_b1950", "fk4"),
    ("glon", "glat", "galactic"),
    ("_glon", "_glat", "galactic"),
    ("gal_lon", "gal_lat", "galactic"),
    ("gal_l", "gal_b", "galactic"),
    ("lii", "bii", "galactic"),
    ("l", "b", "galactic"),
    ("elon", "elat", "ecliptic"),
    ("_elon", "_elat", "ecliptic"),
    ("ecl_lon", "ecl_lat", "ecliptic"),
    ("ecliptic_lon", "ecliptic_lat", "ecliptic"),
)
"""Names under which surveys publish positions, lower case, in the order of preference, and the frame they imply."""

_UCDS: tuple[tuple[str, str, str], ...] = (
    ("pos.eq.ra;meta.main", "pos.eq.dec;meta.main", ""),
    ("pos_eq_ra_main", "pos_eq_dec_main", ""),
    ("pos.eq.ra", "pos.eq.dec", ""),
    ("pos_eq_ra", "pos_eq_dec", ""),
    ("pos.galactic.lon;meta.main", "pos.galactic.lat;meta.main", "galactic"),
    ("pos.galactic.lon", "pos.galactic.lat", "galactic"),
    ("pos_gal_lon", "pos_gal_lat", "galactic"),
    ("pos.ecliptic.lon", "pos.ecliptic.lat", "ecliptic"),
    ("pos.ecliptic.lon;meta.main", "pos.ecliptic.lat;meta.main", "ecliptic"),
)
_EQUATORIAL = ("icrs", "fk5", "fk4", "fk4noeterms")
_DEGREES = {"deg": 1.0, "rad": 180 / 3.141592653589793, "arcmin": 1 / 60, "arcsec": 1 / 3600, "mas": 1 / 3.6e6}
_SPELLINGS = {
    "degree": "deg",
    "degrees": "deg",
    "d": "deg",
    "°": "deg",
    "[deg]": "deg",
    "radian": "rad",
    "radians": "rad",
    "rads": "rad",
    "arcminute": "arcmin",
    "arcminutes": "arcmin",
    "arcsecond": "arcsec",
    "arcseconds": "arcsec",
    "milliarcsecond": "mas",
}


@dataclass(frozen=True)
class Pair:
    """Two columns that say where rows are, and the frame that names, UCDs or the file imply; empty when unsaid."""

    longitude: str
    latitude: str
    frame: str = ""


def find_pair(
    data: "pl.DataFrame", columns: Mapping[str, Column], file_frame: str | Mapping[str, str] = ""
) -> Pair | None:
    """Return the columns of positions of a table: by the UCD of the main position, by name, by any UCD of a position.

    Columns of numbers go before columns of texts; right ascensions written as hours, minutes and seconds go before
    galactic and ecliptic longitudes, which tables give in few digits beside them.

    Examples
    --------
    >>> import polars as pl
    >>> find_pair(pl.DataFrame({"GLON": [1.0], "GLAT": [2.0]}), {})
    Pair(longitude='GLON', latitude='GLAT', frame='galactic')
    """
    names = {name.lower(): name for name in reversed(data.columns)}
    ucds: dict[str, str] = {}
    for name in reversed(data.columns):
        if ucd := columns.get(name, Column(name, "")).ucd.lower():
            ucds[ucd] = name
    main, other = _UCDS[:2], _UCDS[2:]
    found = [(ucds[a], ucds[b], f) for a, b, f in main if a in ucds and b in ucds]
    found += [(names[a], names[b], f) for a, b, f in PAIRS if a in names and b in names]
    found += [(ucds[a], ucds[b], f) for a, b, f in other if a in ucds and b in ucds]
    found = [one for one in found if _can_be(data, one)]
    found.sort(key=lambda one: _rank(data, one))
    if not found:
        return None
    longitude, latitude, frame = found[0]
    return Pair(longitude, latitude, _pair_frame(longitude, frame, file_frame))


def pair_of(names: Sequence[str], columns: Mapping[str, Column], file_frame: str | Mapping[str, str] = "") -> Pair:
    """Return two columns that a user names as the position, with the frame that their names, UCDs or the file imply.

    Examples
    --------
    >>> pair_of(["GLON", "GLAT"], {}).frame, pair_of(["x", "y"], {}, "FK5").frame
    ('galactic', 'fk5')
    """
    longitude, latitude = names
    lower = (longitude.lower(), latitude.lower())
    ucds = tuple(columns.get(name, Column(name, "")).ucd.lower() for name in names)
    frame = next((f for a, b, f in PAIRS if (a, b) == lower), "")
    frame = frame or next((f for a, b, f in _UCDS if (a, b) == ucds), "")
    return Pair(longitude, latitude, _pair_frame(longitude, frame, file_frame))


def _pair_frame(longitude: str, implied: str, file_frame: str | Mapping[str, str]) -> str:
    """Return the frame of a pair: what the file says, unless that is of other coordinates than names or UCDs imply."""
    said = file_frame if isinstance(file_frame, str) else file_frame.get(longitude, "")
    if not said:
        return read_frame(implied) if implied else ""
    if not implied:
        return read_frame(said)
    mine = read_frame(implied)
    try:
        theirs = read_frame(said)
    except DataRefusedError:
        return mine
    is_finer = theirs.partition(" ")[0] == mine.partition(" ")[0]
    return theirs if is_finer else mine


def _can_be(data: "pl.DataFrame", pair: tuple[str, str, str]) -> bool:
    """Return whether two columns can be a position: ``l`` and ``b`` alone may be anything."""
    if any(data[name].dtype.is_nested() for name in pair[:2]):
        return False
    if (pair[0].lower(), pair[1].lower()) != ("l", "b"):
        return True
    if not all(data[name].dtype.is_numeric() for name in pair[:2]):
        return False
    return bool(data[pair[0]].is_between(-180, 360).all() and data[pair[1]].is_between(-90, 90).all())


def _rank(data: "pl.DataFrame", pair: tuple[str, str, str]) -> int:
    """Return how good two columns are as a position: the lower the better."""
    import polars as pl

    is_equatorial = (read_frame(pair[2]) if pair[2] else "icrs").partition(" ")[0] in _EQUATORIAL
    if all(data[name].dtype.is_numeric() for name in pair[:2]):
        return 0 if is_equatorial else 2
    texts = [data[name].drop_nulls().head(1000) for name in pair[:2] if data[name].dtype == pl.String]
    shares = [float(column.str.strip_chars().str.contains(PATTERN).mean() or 0) for column in texts]  # type: ignore[arg-type]
    are_angles = all(share > 0.5 for share in shares)
    return 1 if is_equatorial and texts and are_angles else 3


_LIKE = (
    re.compile(r"_*(ra|raj2000|right_?asc\w*|glon)(\d|_\w+|h|hms|deg|rad|hours?)?|alpha|alpha_j2000"),
    re.compile(r"_*(dec?|dej2000|declination|glat)(\d|_\w+|d|dms|deg|rad)?|delta|delta_j2000"),
)


def unknown_positions(names: Sequence[str]) -> list[Note]:
    """Return a note on columns that may be positions, of a table in which none are known.

    Examples
    --------
    >>> str(unknown_positions(["id", "RA_rad", "DEC_rad"])[0])
    "no columns of positions are known among 'RA_rad', 'DEC_rad': name them with position=[...] and their units, or []"
    >>> unknown_positions(["id", "ra_err", "dec_err", "rate", "decay"])
    []
    """
    kept = [name for name in names if not re.search(r"err|corr|sigma|unc|pm|flag|^e_", name.lower())]
    found = [[name for name in kept if like.fullmatch(name.lower())] for like in _LIKE]
    if not all(found):
        return []
    shown = ", ".join(map(repr, [*found[0][:2], *found[1][:2]]))
    text = f"no columns of positions are known among {shown}: name them with position=[...] and their units, or []"
    return [Note(text, needs_attention=True)]


def with_joined_parts(data: "pl.DataFrame", columns: list[Column]) -> "tuple[pl.DataFrame, list[Column], list[Note]]":
    """Return a table in which RAh, RAm, RAs, DE-, DEd, DEm, DEs are put together as ``ra`` and ``dec`` too.

    Examples
    --------
    >>> import polars as pl
    >>> parts = {"RAh": [1], "RAm": [30], "RAs": [0.0], "DE-": ["-"], "DEd": [0], "DEm": [30], "DEs": [0.0]}
    >>> with_joined_parts(pl.DataFrame(parts), [])[0].columns[:2]
    ['ra', 'dec']
    """
    pair = joined(data)
    if pair is None or {"ra", "dec"} & {name.lower() for name in data.columns}:
        return data, columns, []
    made = [Column("ra", "", unit="deg"), Column("dec", "", unit="deg")]
    notes = [Note("columns 'ra' and 'dec' are put together from hours, minutes and seconds in columns of their own")]
    return data.insert_column(0, pair[0]).insert_column(1, pair[1]), [*columns, *made], notes


def in_icrs(
    data: "pl.DataFrame", columns: list[Column], pair: Pair, frame: str, where: str, *, refuse: bool
) -> "tuple[pl.DataFrame, list[Column], tuple[str, str], list[Note]]":
    """Return a table with ICRS positions in degrees, the columns, the two columns of the positions, and notes.

    Positions of another frame are kept beside: columns called ``ra`` or ``dec`` get the name of the frame behind.

    Parameters
    ----------
    data, columns
        The table, and what is known of its columns.
    pair
        The columns of positions.
    frame
        What the user says of the frame; empty for what the file says.
    where
        The file, for errors.
    refuse
        Whether positions that are nowhere on the sky are refused, or become null.

    Raises
    ------
    DataRefusedError
        If the frame is not converted, or positions are nowhere on the sky.
    """
    known = {column.name: column for column in columns}
    notes: list[Note] = []
    is_equatorial = (read_frame(frame or pair.frame or "icrs")).partition(" ")[0] in _EQUATORIAL
    for name, is_first in ((pair.longitude, True), (pair.latitude, False)):
        column = known.get(name, Column(name, ""))
        values, noted = _degrees(data[name], column, is_right_ascension=is_first and is_equatorial)
        if values is not None:
            noted = [*noted, *_unread(data[name], values, where, refuse=refuse)]
            data = data.with_columns(values)
            known[name] = replace(column, unit="deg")
        notes += noted
    was_small = any(_small(column.unit) for column in columns if column.name in (pair.longitude, pair.latitude))
    columns = [known.pop(column.name, column) for column in columns] + list(known.values())
    data, noted = _without_impossible(data, pair, where, refuse=refuse)
    notes += [*noted, *_doubts(data, pair, columns, was_small=was_small)]
    used = read_frame(frame or pair.frame or "icrs")
    if used == "icrs":
        return data, columns, (pair.longitude, pair.latitude), notes
    return _converted(data, columns, pair, used, notes)


def _converted(
    data: "pl.DataFrame", columns: list[Column], pair: Pair, frame: str, notes: list[Note]
) -> "tuple[pl.DataFrame, list[Column], tuple[str, str], list[Note]]":
    import polars as pl

    lon, lat = (
        data[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in (pair.longitude, pair.latitude)
    )
    ra, dec = to_icrs(lon, lat, frame)
    taken = {name.lower() for name in data.columns}
    suffix = frame.partition(" ")[0]
    renamed = {}
    for name in data.columns:
        if name.lower() in ("ra", "dec"):
            new = f"{name}_{suffix if name in (pair.longitude, pair.latitude) else 'file'}"
            renamed[name] = f"{new}_2" if new.lower() in taken else new
    data = data.rename(renamed).with_columns(
        pl.Series("ra", ra).fill_nan(None).alias("ra"), pl.Series("dec", dec).fill_nan(None).alias("dec")
    )
    columns = [
        replace(column, name=renamed.get(column.name, column.name), ucd=_not_main(column.ucd)) for column in columns
    ]
    columns += [Column("ra", "", unit="deg", ucd="pos.eq.ra;meta.main")]
    columns += [Column("dec", "", unit="deg", ucd="pos.eq.dec;meta.main")]
    originals = " and ".join(repr(renamed.get(name, name)) for name in (pair.longitude, pair.latitude))
    notes = [
        *notes,
        Note(f"'ra' and 'dec' (ICRS) are converted from {frame} positions, kept in {originals}", column="ra"),
    ]
    return data, columns, ("ra", "dec"), notes


def _largest(values: "pl.Series") -> float:
    import polars as pl

    return float(values.cast(pl.Float64).fill_null(0.0).fill_nan(0.0).abs().to_numpy().max(initial=0.0))


def _small(unit: str) -> bool:
    return _SPELLINGS.get(unit.strip().lower(), unit.strip().lower()) in ("arcmin", "arcsec", "mas")


def _not_main(ucd: str) -> str:
    return ucd.removesuffix(";meta.main") if ucd.startswith("pos.") else ucd


def _degrees(values: "pl.Series", column: Column, *, is_right_ascension: bool) -> "tuple[pl.Series | None, list[Note]]":
    """Return angles in degrees (None where their unit is no angle), and what was converted or assumed."""
    import polars as pl

    name, unit = values.name, column.unit.strip()
    if values.dtype == pl.String:
        return degrees(values, unit, is_right_ascension=is_right_ascension)
    if not values.dtype.is_numeric():
        return None, []
    if is_right_ascension and is_hours(unit):
        note = Note(f"column {name!r} is converted from hours to degrees", column=name)
        return values.cast(pl.Float64) * 15.0, [note]
    spelled = _SPELLINGS.get(unit.lower(), unit if unit == "mas" else unit.lower())
    if spelled not in _DEGREES:
        return None, []
    factor = _DEGREES[spelled]
    if factor != 1.0:
        note = Note(f"column {name!r} is converted from {unit} to degrees", column=name)
        return values.cast(pl.Float64) * factor, [note]
    return values, []


def _unread(texts: "pl.Series", values: "pl.Series", where: str, *, refuse: bool) -> list[Note]:
    """Refuse texts that are no angles, or return a note on them."""
    import polars as pl

    if texts.dtype != pl.String:
        return []
    bare = texts.str.strip_chars()
    lost = values.is_null() & bare.is_not_null() & ~bare.is_in(sorted(MISSING)).fill_null(value=False)
    count = int(lost.sum())
    if not count:
        return []
    row = int(lost.arg_max() or 0)
    text = (
        f"column {texts.name!r}: {count:,} of {texts.len():,} values are no angle, such as {texts[row]!r} in row {row}"
    )
    if refuse:
        raise DataRefusedError(
            text,
            where=where,
            expected="degrees, or hours or degrees, minutes and seconds, as 12:34:56.7",
            hint="Correct the values, leave the rows out (option unplaced=drop), or read the file without position:"
            " position=[].",
        )
    return [Note(f"{text}: null", True, texts.name)]


def _without_impossible(
    data: "pl.DataFrame", pair: Pair, where: str, *, refuse: bool
) -> "tuple[pl.DataFrame, list[Note]]":
    """Return a table in which positions that are nowhere (such as -999 or 9999) are null."""
    import polars as pl

    lon, lat = data[pair.longitude], data[pair.latitude]
    if not (lon.dtype.is_numeric() and lat.dtype.is_numeric()):
        return data, []
    ends = [lat.min(), lat.max(), lon.min(), lon.max()]
    if None not in ends and -90 <= ends[0] <= ends[1] <= 90 and -360 <= ends[2] <= ends[3] <= 720:  # type: ignore[operator]
        return data, []  # As nearly always: a query costs 2 ms, a third of what a small file takes in all.
    impossible = data.select(
        ((pl.col(pair.latitude).abs() > 90) | ~pl.col(pair.longitude).is_between(-360, 720)).fill_null(value=False)
        & ~pl.col(pair.latitude).cast(pl.Float64).is_nan().fill_null(value=False)
        & ~pl.col(pair.longitude).cast(pl.Float64).is_nan().fill_null(value=False)
    ).to_series()
    count = int(impossible.sum())
    if not count:
        return data, []
    row = int(impossible.arg_max() or 0)
    example = f"{pair.longitude} = {lon[row]:g}, {pair.latitude} = {lat[row]:g}"
    if count == data.height:
        raise DataRefusedError(
            f"columns {pair.longitude!r} and {pair.latitude!r} are no positions in degrees: row {row} has {example}",
            where=where,
            expected="a declination within -90 and 90 degrees, a right ascension within 0 and 360",
            hint="Say which columns are the position, and their units: position=[...], units={...}; or position=[].",
        )
    if refuse:
        raise DataRefusedError(
            f"{count} of {data.height} rows have a position that is nowhere on the sky: row {row} has {example}",
            where=where,
            expected="a declination within -90 and 90 degrees, a right ascension within 0 and 360",
            hint="Leave them out (option unplaced=drop), or read the file without position: position=[].",
        )
    nowhere = pl.Series(impossible)
    data = data.with_columns(
        pl.when(~nowhere).then(pl.col(name)).alias(name) for name in (pair.longitude, pair.latitude)
    )
    return data, [Note(f"{count} rows have a position that is nowhere on the sky, such as {example}: null", True, "ra")]


def _doubts(data: "pl.DataFrame", pair: Pair, columns: Sequence[Column], *, was_small: bool = False) -> list[Note]:
    """Return what looks wrong with positions in degrees."""
    import polars as pl

    lon, lat = data[pair.longitude], data[pair.latitude]
    if not (lon.dtype.is_numeric() and lat.dtype.is_numeric()) or not data.height:
        return []
    notes = []
    origin = int(((lon == 0) & (lat == 0)).sum())
    if origin > 1 and data.height > 1:
        notes.append(
            Note(f"{origin} rows lie at exactly (0, 0), which may stand for no position", True, pair.longitude)
        )
    unit = next((column.unit for column in columns if column.name == pair.longitude), "")
    if was_small and data.height > 1 and _largest(lon) < 1 and _largest(lat) < 1:
        text = f"columns {pair.longitude!r} and {pair.latitude!r} are within a degree of (0, 0): they may be offsets"
        notes.append(Note(text, True, pair.longitude))
    angles = lon.cast(pl.Float64).drop_nulls().drop_nans()
    low, high = (float(angles.to_numpy().min()), float(angles.to_numpy().max())) if angles.len() else (0.0, 0.0)
    if not unit and data.height >= 20 and low >= 0 and 16 < high - low <= high <= 24:
        notes.append(
            Note(
                f"column {pair.longitude!r} runs from {low:g} to {high:g} and has no unit: taken as degrees;"
                f" if it is in hours, say units={{{pair.longitude!r}: 'hourangle'}}",
                True,
                pair.longitude,
            )
        )
    return notes
