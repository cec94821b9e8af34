"""The catalogs that ship: complete, open in plain Intake, and led into a lake by the command that they show."""

import gzip
import json
import re
import shlex
import subprocess
import sys
import threading
from copy import deepcopy
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import intake
import numpy as np
import polars as pl
import pytest
import yaml

import hven
from hven.catalog.published import shipped
from hven.errors import (
    CatalogFormatError,
    DatasetNotFoundError,
    HvenError,
    ParameterError,
    SourceUnreachableError,
    UntrustedCatalogError,
)
from hven.schema import CANONICAL, conversion_factor, describe, parse_unit
from hven.schema.columns import Column
from hven.sky import moc

ALL = hven.published()
FILES = sorted(shipped().glob("*.yaml"))
TABLES = [name for name, entry in ALL.items() if entry.ingest_command()]
BIBCODE = re.compile(r"\d{4}[A-Za-z][\w.&]{13}[A-Z]")
OTHER = re.compile(r"(arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4,}/\S+)")


@pytest.mark.parametrize(
    ("survey", "kinds"),
    [
        ("SDSS APOGEE DR17", {"table", "spectra"}),
        ("SDSS DR17", {"table", "spectra"}),
        ("SDSS DR18", {"table", "spectra"}),
        ("Gaia DR3", {"table", "spectra"}),
        ("LAMOST LRS", {"table", "spectra"}),
        ("LAMOST MRS", {"table"}),
        ("GALAH DR3", {"table", "spectra"}),
        ("GALAH DR4", {"table"}),
        ("DESI EDR", {"table", "spectra"}),
        ("DESI DR1", {"table", "spectra"}),
        ("Edenhofer 2023", {"cube"}),
        ("Bayestar 2019", {"cube"}),
        ("Galaxy Zoo 2", {"table", "images"}),
        ("Galaxy Zoo DECaLS", {"table"}),
        ("Multimodal Universe", {"spectra", "images"}),
    ],
)
def test_every_survey_is_there_with_its_main_parts(survey, kinds):
    assert {entry.kind for entry in ALL.values() if entry.survey == survey} >= kinds


def test_gaia_is_there_in_hats_too():
    assert {entry.format for entry in ALL.search(survey="Gaia")} >= {"ecsv", "hats"}


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL)
def test_an_entry_tells_what_people_need(entry):
    assert entry.address.startswith(("https://", "s3://", "hf://"))
    assert entry.title
    assert entry.description.endswith(".")
    assert entry.licence
    assert entry.checked
    assert all(BIBCODE.fullmatch(text) or OTHER.fullmatch(text) for text in entry.citation)
    assert len(set(entry.columns)) == len(entry.columns)
    for column in entry.schema:
        parse_unit(column.unit)
        assert column.description, column.name
        assert column.ucd, column.name
    if entry.coverage:
        moc(entry.coverage)
    for _, field in re.findall(r"({)(\w+)}", entry.address):
        assert entry.parameters[field]["description"]


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL)
def test_spectra_tell_wavelength_and_resolution_and_tables_positions(entry):
    if entry.kind == "spectra":
        assert entry.wavelength
        assert entry.resolution
    if entry.kind == "table" and entry.name not in {"galah_dr4_dynamics", "galaxy_zoo_2_image_names"}:
        assert {"ra", "dec"} <= set(entry.means)


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL)
def test_what_stands_for_a_canonical_column_has_a_unit_of_its_quantity(entry):
    for name, published in entry.means.items():
        wanted, given = describe(Column(name, "")).unit, entry.schema[published].unit
        if name.removesuffix("_err") not in {"flux", "ivar"}:
            conversion_factor(given, wanted)
    assert "ra" not in entry.means or CANONICAL["ra"].ucd == entry.schema[entry.means["ra"]].ucd


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_plain_intake_loads_the_file_and_names_the_same_addresses(file):
    catalog = intake.from_yaml_file(str(file))
    names = [entry.name for entry in ALL.values() if Path(entry.source) == file]
    assert list(catalog) == names
    for name in names:
        entry = ALL[name]
        given = {parameter: f"{parameter}-1" for parameter in entry.parameters}
        reader = catalog(**given)[name]
        assert reader.data.url == entry.at(**given)
        assert reader.metadata["title"] == entry.title
        assert type(reader.data) in reader.implements | {type(reader.data)}
        assert any(issubclass(type(reader.data), kind) for kind in reader.implements)


def test_they_load_without_intake():
    code = "import hven, sys; hven.published(); print([m for m in ('intake', 'pandas', 'fsspec') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_they_are_found_in_the_checkout_and_ship_in_the_wheel():
    import tomllib

    root = Path(__file__).parents[3]
    assert shipped() in {root / "catalogs", Path(hven.__file__).parent / "catalogs"}
    project = tomllib.loads((root / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"catalogs": "hven/catalogs"}


def test_they_are_searched_like_a_lake():
    assert "apogee_dr17_apstar" in ALL.search(kind="spectra", wavelength=(15_500, 16_000))
    assert set(ALL.search(column="parallax", unit="mas").names) >= {"gaia_dr3_source", "galah_dr4_allstar"}
    assert ALL.search("dust", region="cone(0, 80, 1)").names
    assert "bayestar2019" not in ALL.search(kind="cube", region="cone(80, -85, 1)")
    assert ALL.search(kind="spectra", resolution=(20_000, 30_000)).names
    assert "sdss" in ALL._repr_html_().lower()
    assert ALL.frame().height == len(ALL)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(DatasetNotFoundError, match="apogee_dr17_allstar"):
        ALL["apogee_dr17_allstars"]


def test_an_address_refuses_parameters_it_does_not_have_and_asks_for_those_it_needs():
    entry = ALL["apogee_dr17_apstar"]
    with pytest.raises(ParameterError, match="apogee_id"):
        entry.at(apogeeid="x")
    with pytest.raises(ParameterError, match="needs the parameter 'field'"):
        entry.at(apogee_id="x")
    assert entry.at(field="F", apogee_id="A").endswith("/apo25m/F/apStar-dr17-A.fits")


# --- From the published file into a lake, by the command that is shown


def values(column, size=3):
    kind = {"string": lambda: [f"{column.name[:3]}{i}" for i in range(size)], "bool": lambda: [True] * size}
    if column.dtype in kind:
        return kind[column.dtype]()
    number = np.arange(1, size + 1)
    return (number if column.dtype.startswith("int") else number * 1.5).astype(column.dtype)


def write_like(entry, path):
    """Write a file with the published columns of an entry, in its format."""
    if entry.format == "fits":
        from astropy.io import fits

        formats = {"string": "10A", "bool": "L", "float32": "E", "float64": "D", "int32": "J", "int64": "K"}
        units = {c.name: "log(cm.s**-2)" if "logg" in c.name.lower() else c.unit or None for c in entry.schema}
        columns = [
            fits.Column(c.name, formats[c.dtype], unit=units[c.name], array=np.array(values(c))) for c in entry.schema
        ]
        name = entry.options["hdu"] if isinstance(entry.options["hdu"], str) else None
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name=name)]).writeto(path)
        return
    frame = pl.DataFrame({c.name: list(values(c)) for c in entry.schema})
    if entry.format == "ecsv":
        path.write_bytes(gzip.compress(ecsv(entry, frame).encode()))
    elif path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    else:
        frame.write_csv(path)


def ecsv(entry, frame):
    """Return text as the Gaia archive writes it: ECSV, with logarithms and powers in its own way."""
    odd = {"mas/yr": "mas.yr**-1", "km/s": "km.s**-1"}
    header = ["%ECSV 1.0", "---", "delimiter: ','", "datatype:"]
    for column in entry.schema:
        unit = "log(cm.s**-2)" if "logg" in column.name else odd.get(column.unit, column.unit)
        header += ["-", f"  name: {column.name}", f"  datatype: {column.dtype}"] + [f"  unit: {unit}"] * bool(unit)
    rows = frame.with_columns(pl.col(pl.Boolean).replace_strict({True: "True", False: "False"})).write_csv()
    return "".join(f"# {line}\n" for line in header) + rows


@pytest.mark.parametrize("name", TABLES)
def test_the_command_that_is_shown_brings_the_published_file_into_a_lake(name, lake, command, tmp_path, monkeypatch):
    entry = ALL[name]
    monkeypatch.chdir(tmp_path)
    write_like(entry, tmp_path / entry.file_name())
    said = command(entry.ingest_command().removeprefix("hven ") + f" --lake {shlex.quote(lake.url)}")
    assert said.status == 0, said.err
    kept = lake[name]
    assert kept.table().collect().height == 3
    assert (kept.entry.survey, kept.entry.title, kept.entry.citation) == (entry.survey, entry.title, entry.citation)
    frame = kept.table().collect()
    for canonical, published in entry.means.items():
        column = entry.schema[published]
        assert published == canonical or published not in kept.schema
        if column.dtype.startswith("float"):
            factor = conversion_factor(column.unit, kept.schema[canonical].unit)
            np.testing.assert_allclose(np.sort(frame[canonical]), factor * values(column), rtol=1e-6)


# --- Sources that answer, and those that do not


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class NoHead(BaseHTTPRequestHandler):
    """Knows its files, but no question for the head alone, and refuses one."""

    def do_GET(self):
        self.send_response(200 if "stars" in self.path else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


ENTRY = {
    "kind": "table",
    "survey": "Mine",
    "title": "Two stars",
    "description": "Two stars.",
    "format": "csv",
    "licence": "CC0",
    "citation": ["arXiv:1234.56789"],
    "checked": ["by hand"],
    "columns": [{"name": "ra", "unit": "deg", "means": "ra"}, {"name": "dec", "unit": "deg", "means": "dec"}],
    "ingest": {"reader": "csv"},
}


def catalog_of(url, reader="PolarsCSV", datatype="CSV", output="polars:LazyFrame", **metadata):
    return {
        "version": 2,
        "metadata": {},
        "user_parameters": {"part": {"default": "stars", "description": "which"}},
        "aliases": {"stars": "stars"},
        "data": {
            "file": {
                "datatype": f"intake.readers.datatypes:{datatype}",
                "kwargs": {"url": url},
                "metadata": {},
                "user_parameters": {},
            }
        },
        "entries": {
            "stars": {
                "reader": f"intake.readers.readers:{reader}",
                "kwargs": {"args": ["{data(file)}"]},
                "output_instance": output,
                "metadata": deepcopy(ENTRY) | metadata,
                "user_parameters": {},
            }
        },
    }


@pytest.fixture
def own(tmp_path):
    """Return what hven makes of a folder with one catalog."""

    def make(catalog):
        folder = tmp_path / f"catalogs-{len(list(tmp_path.glob('catalogs-*')))}"
        folder.mkdir()
        (folder / "mine.yaml").write_text(
            catalog if isinstance(catalog, str) else yaml.safe_dump(catalog, sort_keys=False)
        )
        return hven.published(folder)

    return make


def test_a_source_that_answers_is_opened_by_its_reader(own, serve, tmp_path):
    (tmp_path / "stars.csv").write_text("ra,dec\n1,2\n3,4\n")
    base = serve(partial(Quiet, directory=tmp_path))
    entry = own(catalog_of(f"{base}/{{part}}.csv", "PandasCSV", output="pandas:DataFrame"))["stars"]
    assert entry.check() == f"{base}/stars.csv"
    assert entry.open()["dec"].to_list() == [2, 4]
    with pytest.raises(SourceUnreachableError, match="404"):
        entry.open(part="others")


def test_fits_and_parquet_are_opened_by_the_readers_that_the_catalogs_name(own, tmp_path):
    fits = ALL["desi_dr1_mws"]
    write_like(fits, tmp_path / "stars.fits")
    opened = own(catalog_of(f"file://{tmp_path}/stars.fits", "FITSReader", "FITS", "astropy.io.fits:HDUList"))[
        "stars"
    ].open()
    assert opened["RVTAB"].data["TEFF"].tolist() == [1.5, 3.0, 4.5]
    opened.close()
    pl.DataFrame({"ra": [1.0]}).write_parquet(tmp_path / "stars.parquet")
    assert (
        own(catalog_of(f"{tmp_path}/stars.parquet", "PolarsParquet", "Parquet"))["stars"].open().collect().height == 1
    )
    (tmp_path / "map.h5").write_bytes(b"HDF")
    files = own(catalog_of(f"{tmp_path}/map.h5", "OpenFilesReader", "HDF5", "fsspec.core:OpenFiles"))["stars"].open()
    with files[0] as file:
        assert file.read() == b"HDF"


def test_a_server_without_heads_is_asked_for_one_byte(own, serve):
    base = serve(NoHead)
    assert own(catalog_of(f"{base}/stars.csv"))["stars"].check().endswith("/stars.csv")
    with pytest.raises(SourceUnreachableError, match="the server answers 503"):
        own(catalog_of(f"{base}/others.csv"))["stars"].check()


def test_a_source_that_does_not_answer_says_so_and_how_to_go_on(own):
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/stars.csv"
        with pytest.raises(SourceUnreachableError, match="no answer within") as refused:
            own(catalog_of(address))["stars"].open(timeout=0.2)
    assert refused.value.code == "source-unreachable"
    assert address in refused.value.what
    assert f"curl -fL -o stars.csv {address}" in refused.value.hint
    assert "hven ingest stars.csv --name stars --reader csv" in refused.value.hint


def test_a_name_that_no_server_has_is_unreachable(own):
    with pytest.raises(SourceUnreachableError, match="cannot be reached"):
        own(catalog_of("http://127.0.0.1:9/stars.csv"))["stars"].check()
    with pytest.raises(SourceUnreachableError, match="no such file"):
        own(catalog_of("/nowhere/stars.csv"))["stars"].check()


def test_the_probe_is_asked_where_an_address_cannot_be(own, serve, tmp_path):
    (tmp_path / "index.txt").write_text("here")
    base = serve(partial(Quiet, directory=tmp_path))
    entry = own(catalog_of("s3://bucket/**/*.parquet", probe=f"{base}/index.txt"))["stars"]
    assert entry.check() == f"{base}/index.txt"


# --- Catalogs that are not as they should be


def changed(change):
    catalog = catalog_of("https://example.org/stars.csv")
    change(catalog)
    return catalog


def told(catalog):
    return catalog["entries"]["stars"]["metadata"]


def setting(*path, value):
    def change(catalog):
        for step in path[:-1]:
            catalog = catalog[step]
        catalog[path[-1]] = value

    return change


def without(*path):
    def change(catalog):
        for step in path[:-1]:
            catalog = catalog[step]
        del catalog[path[-1]]

    return change


META = ("entries", "stars", "metadata")


@pytest.mark.parametrize(
    ("change", "says", "line"),
    [
        (without("aliases"), "the key 'aliases' is missing", "version"),
        (without("entries"), "the key 'entries' is missing", "version"),
        (without("data", "file", "user_parameters"), "the key 'user_parameters' is missing", "  file:"),
        (without("entries", "stars", "output_instance"), "the key 'output_instance' is missing", "  stars:"),
        (without(*META, "licence"), "the key 'licence' is missing", "    metadata:"),
        (without(*META, "columns", 0, "name"), "the key 'name' is missing", "      - unit"),
        (without("data", "file", "kwargs", "url"), "the key 'url' is missing", "    kwargs:"),
        (without("user_parameters", "part", "default"), "the key 'default' is missing", "  part:"),
        (setting("version", value=1), "the catalog has version 1", "version"),
        (setting("sources", value={}), "there is no key 'sources'", "sources"),
        (setting("data", "file", "drivr", value="csv"), "there is no key 'drivr'", "    drivr"),
        (setting("data", value=[]), "'data' is []", "data:"),
        (setting("aliases", "other", value="nothing"), "points to 'nothing'", "  other"),
        (setting("aliases", "../x", value="stars"), "cannot name a dataset", "  ../x"),
        (setting(*META, "kind", value="tabel"), "'kind' is 'tabel'", "      kind"),
        (setting(*META, "format", value="xlsx"), "'format' is 'xlsx'", "      format"),
        (setting(*META, "licence", value=""), "'licence' is empty", "      licence"),
        (setting(*META, "citation", value=[]), "'citation' is empty", "      citation"),
        (setting(*META, "citation", value="x"), "'citation' is 'x'", "      citation"),
        (setting(*META, "licens", value="x"), "there is no key 'licens'", "      licens"),
        (setting(*META, "rows", value="many"), "'rows' is 'many'", "      rows"),
        (setting(*META, "wavelength", value=[5, 4]), "'wavelength' is [5, 4]", "      wavelength"),
        (setting(*META, "wavelength", value=["a", 4]), "'wavelength' is 'a'", "      wavelength"),
        (setting(*META, "coverage", value="sky"), "'sky' is not part of a MOC", "      coverage"),
        (setting(*META, "columns", 0, "unit", value="degs"), "unit 'degs' is not known", "        unit"),
        (setting(*META, "columns", 0, "means", value="rah"), "'rah' is not a canonical name", "        means"),
        (setting(*META, "columns", 0, "dtype", value="uint8"), "'dtype' is 'uint8'", "        dtype"),
        (setting(*META, "columns", 0, "units", value="deg"), "there is no key 'units'", "        units"),
        (setting(*META, "ingest", "raeder", value="csv"), "there is no key 'raeder'", "        raeder"),
    ],
)  # fmt: skip
def test_a_catalog_that_is_wrong_names_the_key_the_entry_and_the_line(change, says, line, own, tmp_path):
    with pytest.raises(CatalogFormatError) as refused:
        own(changed(change))
    assert says in str(refused.value)
    text = (tmp_path / "catalogs-0/mine.yaml").read_text().splitlines()
    found = re.search(r"line (\d+)", refused.value.where)
    assert found, refused.value.where
    assert text[int(found[1]) - 1].startswith(line)
    assert refused.value.hint
    if "entries" in str(refused.value.where):
        assert "'stars'" in refused.value.where


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "not an Intake catalog of version 2"),
        ("", "not an Intake catalog of version 2"),
        ("sources: {a: {driver: csv}}", "not an Intake catalog of version 2"),
        ("version: 2\nmetadata: {", "cannot be read"),
        ("version: 2\nversion: 2", "comes twice"),
        ("version: 2\n\tmetadata: {}", "cannot be read"),
        ("version: \x00", "cannot be read"),
    ],
)
def test_text_that_is_no_catalog_is_refused(text, says, own):
    with pytest.raises(CatalogFormatError, match=says):
        own(text)


def test_two_catalogs_do_not_share_a_name(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(catalog_of("https://example.org/stars.csv")))
    with pytest.raises(CatalogFormatError, match=r"'stars' stands in one\.yaml already"):
        hven.published(tmp_path)


def test_an_address_with_an_undeclared_parameter_is_refused(own):
    with pytest.raises((CatalogFormatError, UntrustedCatalogError), match="plate"):
        own(catalog_of("https://example.org/{plate}.csv"))


def test_a_folder_without_catalogs_says_so(tmp_path):
    with pytest.raises(SourceUnreachableError, match="there are no catalogs"):
        hven.published(tmp_path)


def places(value, path=()):
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(inner, (*path, key))


def test_whatever_stands_in_a_catalog_it_loads_or_is_refused_by_a_coded_error(own):
    catalog = catalog_of(
        "https://example.org/{part}.csv", wavelength=[3000, 4000], coverage="0/1", rows=5, probe="https://example.org"
    )
    odd = [None, True, -1, 0.5, "", "x", [], ["x"], [[]], {}, {"x": "y"}, {1: 2}, float("nan"), "9" * 400]
    loaded, refused, codes = 0, 0, set()
    for path in places(catalog):
        for value in odd:
            wrong = deepcopy(catalog)
            setting(*path, value=value)(wrong)
            try:
                surveys = own(wrong)
            except HvenError as error:
                codes.add(error.code)
                refused += 1
            else:
                loaded += 1
                for entry in surveys.values():
                    json.dumps(entry.to_json())
                surveys.search("two stars", column="ra", wavelength=3500, resolution=1, region="cone(1, 1, 1)")
                surveys._repr_html_()
    assert codes == {"bad-catalog", "catalog-untrusted"}
    assert refused > 400
    assert loaded > 20


def test_the_reference_lists_every_dataset_and_what_columns_stand_for():
    page = (Path(__file__).parents[3] / "docs/reference/public-surveys.md").read_text()
    for entry in ALL.values():
        assert f"| `{entry.name}` | {entry.kind} | {entry.survey} | {entry.format} | {entry.title} |" in page
    used = {name.removesuffix("_err") for entry in ALL.values() for name in entry.means}
    for column in (CANONICAL[name] for name in used & set(CANONICAL)):
        assert f"| `{column.name}` | {column.unit} | {column.description} |" in page
