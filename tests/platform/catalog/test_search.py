"""Questions to a catalog: what fits, exactly at the edges, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units
from hypothesis import given
from hypothesis import strategies as st

from hven import errors
from hven.catalog import Catalog, Commit, Counts, Entry, Pin, matching, search
from hven.schema import Column, Schema
from hven.sky import cone, coverage, healpix_29

APOGEE = Schema(
    (
        Column("object_id", "int64"),
        Column("ra", "float64", unit="deg", ucd="pos.eq.ra;meta.main"),
        Column("ra_err", "float64", unit="mas", ucd="stat.error;pos.eq.ra"),
        Column("FE_H", "float32", unit="dex", description="Iron abundance", ucd="phys.abund.Fe"),
        Column("rv", "float32", unit="km s-1"),
    )
)
GAIA = Schema(
    (
        Column("source_id", "int64", description="Identifiant à vie"),
        Column("pmra", "float64", unit="mas/yr", ucd="pos.pm;pos.eq.ra"),
        Column("g_mag", "float32", unit="mag", ucd="phot.mag;stat.mean;em.opt.G"),
        Column("mg_fe", "float32", unit="dex"),
        Column("odd", "float32", unit="furlongs"),
    )
)
XP = Schema((Column("flux", "float32", ("object", "wavelength")), Column("wavelength", "float64", unit="Angstrom")))


class Kept:
    """Schemas by hash, and which were asked for."""

    def __init__(self, *schemas):
        self.known, self.asked = {schema.digest: schema for schema in schemas}, []

    def __call__(self, digests):
        self.asked.append(set(digests))
        return {digest: self.known[digest] for digest in digests}


def entry(name, schema, kind="table", **told):
    pin = Pin("delta", f"data/{name}/0a/table", 3)
    units = tuple(dict.fromkeys(column.unit for column in schema))
    return Entry(name, kind, pin, schema.digest, Counts(10, 100, 1), schema.names, **{"units": units} | told)


@pytest.fixture
def catalog():
    entries = [
        entry(
            "apogee",
            APOGEE,
            survey="APOGEE DR17",
            title="Étoiles of APOGEE",
            citation=("Abdurro'uf 2022",),
            coverage="3/0-3",
            provenance={"how": "ingest", "reader": ["my_readers:apogee_stars"]},
        ),
        entry(
            "gaia",
            GAIA,
            survey="Gaia DR3",
            coverage=coverage(healpix_29([10.0], [20.0])),
            provenance={
                "how": "ingest",
                "reader": ["hven_plugins.files:csv"],
                "appended": [{"reader": ["hven_plugins.files:parquet"]}],
            },
        ),
        entry("spectra", XP, "spectra", survey="Gaia DR3", wavelength=(3360.0, 10200.0), resolution=(30.0, 100.0)),
        entry("slopes", XP, "result", provenance={"analysis": "gradients", "run": "20260101-120000-abc123"}),
    ]
    return Catalog(
        Commit(7, "t" * 32, "2026-01-01T00:00:00Z"), {e.name: e for e in entries}, schemas=Kept(APOGEE, GAIA, XP)
    )


QUESTIONS = [
    ({}, "apogee gaia spectra slopes"),
    ({"text": "FE_H"}, "apogee"),
    ({"text": "etoiles"}, "apogee"),
    ({"text": "ÉTOILES dr17"}, "apogee"),
    ({"text": "étoiles dr3"}, ""),
    ({"text": "iron"}, "apogee"),
    ({"text": "apogee iron"}, "apogee"),
    ({"text": "identifiant vie"}, "gaia"),
    ({"text": "abdurro"}, "apogee"),
    ({"text": "on"}, ""),
    ({"text": "  "}, "apogee gaia spectra slopes"),
    ({"kind": "spectra"}, "spectra"),
    ({"survey": "gaia"}, "gaia spectra"),
    ({"survey": "gaia dr3", "kind": "table"}, "gaia"),
    ({"column": "feh"}, "apogee"),
    ({"column": "radial_velocity"}, "apogee"),
    ({"column": "RA"}, "apogee"),
    ({"column": "*_fe"}, "gaia"),
    ({"column": "?a"}, "apogee"),
    ({"column": "no_such"}, ""),
    ({"unit": "km/s"}, "apogee"),
    ({"unit": "m/s"}, ""),
    ({"unit": "deg"}, "apogee"),
    ({"unit": "dex"}, "apogee gaia"),
    ({"unit": ""}, "apogee gaia spectra slopes"),
    ({"column": "*_fe", "unit": "dex"}, "gaia"),
    ({"column": "pm*", "unit": "dex"}, ""),
    ({"ucd": "pos.eq"}, "apogee"),
    ({"ucd": "stat.error;pos.eq"}, "apogee"),
    ({"ucd": "pos.pm"}, "gaia"),
    ({"ucd": "PHOT.MAG;em.opt"}, "gaia"),
    ({"ucd": "phot.mag;em.IR"}, ""),
    ({"ucd": "pos.e"}, ""),
    ({"ucd": "pos.eq", "unit": "mas"}, ""),
    ({"wavelength": (4000, 5000)}, "spectra"),
    ({"wavelength": (10200, 20000)}, "spectra"),
    ({"wavelength": (np.nextafter(10200, 1e9), 20000)}, ""),
    ({"wavelength": (None, 3360)}, "spectra"),
    ({"wavelength": (0, np.nextafter(3360, 0))}, ""),
    ({"wavelength": (None, None)}, "spectra"),
    ({"wavelength": 6562.8}, "spectra"),
    ({"wavelength": "600:700 nm"}, "spectra"),
    ({"wavelength": "2um:"}, ""),
    ({"wavelength": "656.28 nm"}, "spectra"),
    ({"wavelength": (2, 3) * units.um}, ""),
    ({"wavelength": (1 * units.um, 2 * units.um)}, "spectra"),
    ({"wavelength": [4000, 5000]}, "spectra"),
    ({"resolution": (100, None)}, "spectra"),
    ({"resolution": "101:"}, ""),
    ({"region": cone(10, 20, 0.01)}, "gaia"),
    ({"region": "cone(10, 20, 0)"}, "gaia"),
    ({"region": "cone(190, 5, 1)"}, ""),
    ({"region": "~cone(0, 0, 0)"}, "apogee gaia"),
    ({"produced_by": "gradients"}, "slopes"),
    ({"produced_by": "abc123"}, "slopes"),
    ({"produced_by": "20260101"}, "slopes"),
    ({"produced_by": "123"}, ""),
    ({"produced_by": "apogee_stars"}, "apogee"),
    ({"produced_by": "my_readers:apogee_stars"}, "apogee"),
    ({"produced_by": "parquet"}, "gaia"),
    ({"produced_by": "parq"}, ""),
]


@pytest.mark.parametrize(("question", "names"), QUESTIONS, ids=lambda value: str(value)[:60])
def test_a_condition_finds_exactly_what_fits(catalog, question, names):
    assert " ".join(catalog.search(**question).names) == names


@pytest.mark.parametrize(("question", "names"), QUESTIONS, ids=lambda value: str(value)[:60])
def test_a_query_is_written_as_python_that_makes_it_again(question, names):
    query = matching(**question)
    assert eval(repr(query)) == query
    both = query & ~(matching(kind="table") | query)
    assert eval(repr(both)) == both


def test_conditions_read_schemas_only_for_what_the_cheaper_ones_leave(catalog):
    catalog.search(kind="table", survey="gaia", ucd="phot.mag")
    assert catalog.schemas.asked == [{GAIA.digest}]
    catalog.schemas.asked.clear()
    catalog.search("fe_h", column="feh", wavelength=(1, 2))
    catalog.search(column="mg_fe")
    catalog.search(kind="cube", unit="km/s", text="nothing like it")
    assert catalog.schemas.asked == []


def test_entries_tell_units_and_those_of_older_catalogs_are_looked_up(catalog):
    assert catalog.search(unit="km/s").names == ("apogee",)
    assert catalog.schemas.asked == []
    assert catalog.search(column="rv", unit="km/s").names == ("apogee",)
    assert catalog.schemas.asked == [{APOGEE.digest}]
    old = Catalog(catalog.commit, {n: replace(e, units=None) for n, e in catalog.entries.items()}, {}, catalog.schemas)
    assert Catalog.from_json(old.to_json()) == old
    for question, names in QUESTIONS:
        assert " ".join(old.search(**question).names) == names


def test_what_does_not_tell_does_not_fit_but_fits_the_negation(catalog):
    blue = matching(wavelength=(None, 5000))
    assert catalog.search(blue).names == ("spectra",)
    assert catalog.search(~blue).names == ("apogee", "gaia", "slopes")
    assert catalog.search(~~blue).names == ("spectra",)


CONDITIONS = [matching(**question) for question, _ in QUESTIONS if "wavelength" not in question]
TREES = st.recursive(
    st.sampled_from(CONDITIONS),
    lambda inner: st.one_of(
        st.tuples(st.just("&"), inner, inner),
        st.tuples(st.just("|"), inner, inner),
        st.tuples(st.just("~"), inner),
    ),
    max_leaves=6,
)


def built(tree):
    if not isinstance(tree, tuple):
        return tree
    parts = [built(part) for part in tree[1:]]
    return ~parts[0] if tree[0] == "~" else parts[0] & parts[1] if tree[0] == "&" else parts[0] | parts[1]


def expected(tree, item, columns):
    if not isinstance(tree, tuple):
        return tree.matches(item, columns)
    parts = [expected(part, item, columns) for part in tree[1:]]
    return not parts[0] if tree[0] == "~" else all(parts) if tree[0] == "&" else any(parts)


@given(TREES)
def test_combined_queries_find_what_logic_says_of_each_item(tree):
    schemas = {"apogee": APOGEE, "gaia": GAIA, "spectra": XP}
    items = {
        name: entry(name, schema, survey="Gaia DR3" if name != "apogee" else "") for name, schema in schemas.items()
    }
    found = search(items, built(tree), columns_of=lambda some: [schemas[item.name] for item in some])
    assert found.names == tuple(n for n, item in items.items() if expected(tree, item, schemas[n]))


@given(st.tuples(*[st.sampled_from([None, 1.0, 2.0, 3.0, 4.0])] * 2), st.tuples(*[st.integers(1, 4)] * 2))
def test_ranges_fit_when_they_share_a_value(asked, spans):
    low, high = -np.inf if asked[0] is None else asked[0], np.inf if asked[1] is None else asked[1]
    item = entry("x", XP, resolution=(float(min(spans)), float(max(spans))))
    if low > high:
        with pytest.raises(errors.QueryError, match="Exchange"):
            matching(resolution=asked)
    else:
        shares = any(low <= value <= high for value in np.arange(min(spans), max(spans) + 0.25, 0.25))
        assert matching(resolution=asked).matches(item) is bool(shares)


@pytest.mark.parametrize(
    ("question", "error", "told"),
    [
        ({"kind": "spectrum"}, errors.QueryError, "Did you mean 'spectra'"),
        ({"kind": "x"}, errors.QueryError, "The kinds are: table"),
        ({"surveys": "gaia"}, errors.QueryError, "Did you mean 'survey'"),
        ({"surveys": None}, errors.QueryError, "Did you mean 'survey'"),
        ({"wavelength": (9000, 4000)}, errors.QueryError, "lower end first"),
        ({"wavelength": (np.nan, 4000)}, errors.QueryError, "two numbers"),
        ({"wavelength": "nan:4000"}, errors.QueryError, "two numbers"),
        ({"wavelength": (1, 2, 3)}, errors.QueryError, "two numbers"),
        ({"wavelength": ("a", "b")}, errors.QueryError, "two numbers"),
        ({"wavelength": True}, errors.QueryError, "two numbers"),
        ({"wavelength": ...}, errors.QueryError, "two numbers"),
        ({"wavelength": ""}, errors.QueryError, "two numbers"),
        ({"wavelength": "4000:5000 kg"}, errors.UnitError, "Angstrom"),
        ({"wavelength": (1, 2) * units.kg}, errors.UnitError, "Angstrom"),
        ({"wavelength": "4000:5000 parrots"}, errors.UnitError, "parrots"),
        ({"resolution": "high"}, errors.QueryError, "two numbers"),
        ({"unit": "parrot"}, errors.UnitError, "parrot"),
        ({"unit": 3}, errors.QueryError, "unit is 3"),
        ({"ucd": "pos..eq"}, errors.QueryError, "not a UCD"),
        ({"ucd": "pos.eq;"}, errors.QueryError, "not a UCD"),
        ({"ucd": ""}, errors.QueryError, "not a UCD"),
        ({"region": "cone(1, 2)"}, errors.RegionError, "cone takes"),
        ({"region": 3}, errors.QueryError, "region is 3"),
        ({"text": 3}, errors.QueryError, "text is 3"),
        ({"column": ["feh"]}, errors.QueryError, "column is"),
        ({"produced_by": 7}, errors.QueryError, "produced_by is 7"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_question_that_cannot_be_understood_is_refused_by_name(catalog, question, error, told):
    with pytest.raises(error, match=told):
        catalog.search(**question)
    with pytest.raises(error, match=told):
        matching(**question)


def test_a_query_is_neither_true_nor_false():
    with pytest.raises(errors.QueryError, match=r"& \| ~"):
        bool(matching(kind="table") and matching(kind="cube"))
    with pytest.raises(TypeError):
        matching(kind="table") & "cube"


def test_something_else_than_a_question_is_refused(catalog):
    with pytest.raises(errors.QueryError, match="3 is no question"):
        catalog.search(3)


def test_text_may_come_first_and_conditions_add_to_a_query(catalog):
    assert catalog.search("gaia", kind="table").names == ("gaia",)
    assert catalog.search(matching(survey="gaia"), kind="spectra").names == ("spectra",)
    assert catalog.search(catalog.search(survey="gaia"), kind="spectra").names == ("spectra",)
    assert repr(catalog.search(matching(kind="table"), kind=None).query) == "matching(kind='table')"
    assert repr(matching("two words", text=None)) == "matching('two words')"


@pytest.mark.parametrize(
    ("question", "note"),
    [
        ({"region": "cone(190, 5, 1)"}, "No dataset covers cone(190, 5, 1); 2 of 4 tell where on the sky they are."),
        (
            {"wavelength": (20000, None)},
            "No dataset has a wavelength from 20000; 1 of 4 tell theirs, from 3360 to 10200",
        ),
        ({"resolution": 5000}, "No dataset has a resolution of 5000; 1 of 4 tell theirs, from 30 to 100."),
        ({"kind": "cube"}, "No dataset of kind 'cube'; there are: result, spectra, table."),
        ({"survey": "lamost"}, "No dataset of survey 'lamost'; there are: APOGEE DR17, Gaia DR3."),
        ({"column": "x", "unit": "km/s", "ucd": "a.b"}, "named 'x' with unit 'km/s' with UCD 'a.b'."),
        ({"unit": "pc"}, "No dataset has a column with unit 'pc'."),
        ({"text": "iron unicorn"}, "No dataset has the word 'unicorn'."),
        ({"text": "iron dr3"}, "No dataset has all the words of 'iron dr3'."),
        ({"produced_by": "me"}, "made by 'me'; the makers are: gradients, hven_plugins.files:csv"),
        ({"kind": "spectra", "survey": "apogee"}, "Each condition fits some dataset, but none fits them all."),
        ({"kind": "cube", "survey": "apogee"}, "No dataset of kind 'cube'"),
    ],
)
def test_a_search_that_finds_nothing_says_why(catalog, question, note):
    found = catalog.search(**question)
    assert len(found) == 0
    assert note in found.note
    assert note[:30] in repr(found)
    assert catalog.search().note == ""


def test_an_empty_catalog_says_that_it_is(catalog):
    assert "no datasets yet" in Catalog(catalog.commit).search("x").note


def test_without_schemas_only_names_are_known(catalog):
    bare = Catalog(catalog.commit, catalog.entries)
    assert bare.search(column="feh").names == ("apogee",)
    assert bare.search(unit="dex").names == ("apogee", "gaia")
    assert bare.search(ucd="pos.eq").names == ()
