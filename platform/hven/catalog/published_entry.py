"""An entry of the catalogs that ship: a public dataset as its survey publishes it, and how to get it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps
from string import Formatter
from typing import Any, ClassVar

from hven.catalog.documents import Document, Path
from hven.catalog.entry import Counts
from hven.catalog.intake_shape import check_known, check_type, missing_key
from hven.errors import CatalogFormatError, HvenError, ParameterError, did_you_mean
from hven.schema import KINDS, Column, Schema, check_name, describe, parse_unit
from hven.schema.columns import DTYPES

FORMATS = ("fits", "csv", "ecsv", "parquet", "hats", "hdf5", "zip")
_NEEDED: Mapping[str, type] = {
    **dict.fromkeys(("kind", "survey", "title", "description", "format", "licence"), str),
    **dict.fromkeys(("citation", "columns", "checked"), list),
}
_OPTIONAL: Mapping[str, type] = {
    **dict.fromkeys(("coverage", "homepage", "probe"), str),
    **dict.fromkeys(("wavelength", "resolution"), list),
    **dict.fromkeys(("rows", "size"), int),
    "ingest": dict,
}
_COLUMN: Mapping[str, type] = {
    **dict.fromkeys(("name", "unit", "dtype", "description", "ucd", "means"), str),
    "dims": list,
}
_TEXTS = frozenset({"citation", "checked", "dims"})
_NO_COUNTS = Counts()


@dataclass(frozen=True)
class PublishedEntry:
    """A public dataset as its survey publishes it.

    Attributes
    ----------
    name, kind, survey, title, description
        What it is called here, the kind of dataset it is (or becomes in a lake), and texts for people.
    address
        Where it is published; ``{names}`` in braces are `parameters`.
    format
        ``fits``, ``csv``, ``ecsv``, ``parquet``, ``hats``, ``hdf5`` or ``zip``.
    schema
        The columns that users need, under their published names, with units, descriptions and UCDs.
    means
        hven's canonical name -> published name.
    citation, licence
        What to cite (bibcodes, DOIs or arXiv ids), and the terms of use.
    checked
        The public sources against which address and columns were checked.
    coverage, wavelength, resolution
        A MOC as text; the shortest and longest wavelength [Angstrom]; the lowest and highest resolving power.
    counts
        Rows and bytes, where the survey tells them; 0 where not.
    parameters
        What an address can be told: name -> default (empty when it has to be told) and description.
    reader, options
        The reader of hven that ingests the format, empty when none does yet, and the options it takes.
    homepage, probe
        The page about it; an address to ask when `address` itself cannot be asked.
    source
        The catalog file it stands in.
    """

    name: str
    kind: str
    survey: str
    title: str
    description: str
    address: str
    format: str
    schema: Schema
    citation: tuple[str, ...]
    licence: str
    checked: tuple[str, ...]
    means: Mapping[str, str] = field(default_factory=dict, hash=False)
    coverage: str = ""
    wavelength: tuple[float, float] | None = None
    resolution: tuple[float, float] | None = None
    counts: Counts = _NO_COUNTS
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    reader: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    homepage: str = ""
    probe: str = ""
    source: str = ""

    provenance: ClassVar[Mapping[str, Any]] = {}
    """Nobody made it here."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The published names of the columns, in order."""
        return self.schema.names

    @property
    def size(self) -> int:
        """Bytes as published, 0 when the survey does not tell."""
        return self.counts.bytes

    def schema_columns(self) -> tuple[Column, ...]:
        """Return the columns with units, descriptions and UCDs."""
        return self.schema.columns

    def at(self, **parameters: object) -> str:
        """Return the address with its parameters filled in, those not given with their defaults.

        Raises
        ------
        ParameterError
            For a parameter that the address does not have, with the nearest names, or one that has to be told.
        """
        values = self._values(parameters)
        for name, value in values.items():
            if not value:
                raise ParameterError(
                    f"the address needs the parameter {name!r}",
                    where=self._place,
                    expected=self.parameters[name]["description"],
                    hint=f"Tell it: -p {name}=..., or {name}=... in Python.",
                )
        return self.address.format_map(values)

    def address_text(self, **parameters: object) -> str:
        """Return the address as `at` does, with what has to be told and is not left in braces."""
        values = self._values(parameters)
        return self.address.format_map({name: value or f"{{{name}}}" for name, value in values.items()})

    def _values(self, parameters: Mapping[str, object]) -> dict[str, str]:
        for name in parameters:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise ParameterError(
                    f"the address has no parameter {name!r}",
                    where=self._place,
                    hint=did_you_mean(name, self.parameters, f"Its parameters are: {known}."),
                )
        defaults = {name: told["default"] for name, told in self.parameters.items()}
        return defaults | {name: str(value) for name, value in parameters.items()}

    def check(self, timeout: float = 10.0, **parameters: object) -> str:
        """Ask whether the source answers, and return the address that was asked.

        Raises
        ------
        SourceUnreachableError
            Naming the address, the reason, and how to get the data by hand.
        """
        from hven.catalog.reaching import check_reachable

        asked = self.probe if self.probe and not parameters else self.at(**parameters)
        check_reachable(asked, timeout, hint=self._by_hand(parameters))
        return asked

    def open(self, timeout: float = 10.0, **parameters: object) -> Any:
        """Return the data as its Intake reader gives it, after asking whether the source answers.

        Raises
        ------
        SourceUnreachableError
            As `check` does.
        """
        self.check(timeout, **parameters)
        import intake

        catalog = intake.from_yaml_file(self.source)
        return catalog(**{name: str(value) for name, value in parameters.items()})[self.name].read()

    def download_command(self, **parameters: object) -> str:
        """Return the command that downloads it, empty when it is not one file."""
        address = self.address_text(**parameters)
        if not address.startswith(("http://", "https://")) or "*" in address:
            return ""
        return shlex.join(["curl", "-fL", "-o", self.file_name(**parameters), address])

    def ingest_command(self, **parameters: object) -> str:
        """Return the command that brings a downloaded file into a lake, empty when no reader of hven takes it."""
        if not self.reader or not self.download_command(**parameters):
            return ""
        options = [part for name, value in self.options.items() for part in ("-o", f"{name}={_option_text(value)}")]
        return shlex.join(
            ["hven", "ingest", self.file_name(**parameters), "--name", self.name, "--reader", self.reader, *options]
        )

    def file_name(self, **parameters: object) -> str:
        """Return what a downloaded file is called here."""
        last = self.address_text(**parameters).split("?")[0].rstrip("/").rpartition("/")[2]
        endings = {
            "fits": ("fits", "fits.gz"),
            "csv": ("csv", "csv.gz"),
            "ecsv": ("csv", "csv.gz"),
            "hdf5": ("h5", "hdf5"),
            "zip": ("zip",),
        }
        known = endings.get(self.format, ("parquet",))
        return last if last.endswith(known) else f"{self.name}.{known[0]}"

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values, empty ones left out."""
        columns = [{"name": c.name, "dtype": c.dtype, "dims": list(c.dims)} | c.attrs() for c in self.schema]
        told = {
            **{k: getattr(self, k) for k in ("name", "kind", "survey", "title", "description", "address", "format")},
            **{k: getattr(self, k) for k in ("licence", "coverage", "homepage", "reader", "source")},
            **{k: list(getattr(self, k) or ()) for k in ("citation", "checked", "wavelength", "resolution")},
            "rows": self.counts.rows,
            "size": self.counts.bytes,
            "columns": columns,
            "means": dict(self.means),
            "parameters": {name: dict(told) for name, told in self.parameters.items()},
            "download": self.download_command(),
            "ingest": self.ingest_command(),
        }
        return {key: value for key, value in told.items() if value}

    @property
    def _place(self) -> str:
        return f"published entry {self.name!r}"

    def _by_hand(self, parameters: Mapping[str, object]) -> str:
        download, ingest = self.download_command(**parameters), self.ingest_command(**parameters)
        if not download:
            return f"Try again later, or see {self.homepage or self.checked[0]}."
        then = f", then: {ingest}" if ingest else " and open the file with Intake or astropy"
        return f"Try again later, or download it by hand where there is a network ({download}){then}."


def entry_of(document: Document, alias: str) -> PublishedEntry:
    """Return the entry of a catalog document, of which `check_shape` has been passed.

    Raises
    ------
    CatalogFormatError
        Naming the file, entry, line and key that is missing, unknown or wrong.
    """
    values = document.values
    key = values["aliases"][alias]
    path: Path = ("entries", key, "metadata")
    told = values["entries"][key]["metadata"]
    _check(document, path, told, _NEEDED, _OPTIONAL)
    _check_choice(document, (*path, "kind"), told["kind"], KINDS)
    _check_choice(document, (*path, "format"), told["format"], FORMATS)
    data = _data_of(document, key)
    columns = tuple(_column(document, (*path, "columns", i), item) for i, item in enumerate(told["columns"]))
    means = {c["means"]: c["name"] for c in told["columns"] if "means" in c}
    ingest = told.get("ingest", {})
    if ingest:
        _check(document, (*path, "ingest"), ingest, {"reader": str}, {"options": dict})
    options = {
        "columns": {name: published for name, published in means.items() if name != published},
        "units": _units(Schema(columns), means),
        **{name: told[name] for name in ("survey", "title", "citation")},
        **ingest.get("options", {}),
    }
    return PublishedEntry(
        name=_told(document, ("aliases", alias), lambda: check_name(alias)),
        **{name: told[name] for name in ("kind", "survey", "title", "description", "format", "licence")},
        address=data["kwargs"]["url"],
        schema=Schema(columns),
        citation=tuple(told["citation"]),
        checked=tuple(told["checked"]),
        means=means,
        coverage=_told(document, (*path, "coverage"), lambda: _moc(told.get("coverage", ""))),
        wavelength=_span(document, (*path, "wavelength"), told.get("wavelength")),
        resolution=_span(document, (*path, "resolution"), told.get("resolution")),
        counts=Counts(rows=told.get("rows", 0), bytes=told.get("size", 0)),
        parameters=_parameters(document, key, data["kwargs"]["url"]),
        reader=ingest.get("reader", ""),
        options={name: value for name, value in options.items() if value or value == []} if ingest else {},
        homepage=told.get("homepage", ""),
        probe=told.get("probe", ""),
        source=document.name,
    )


def _data_of(document: Document, key: str) -> Any:
    values = document.values
    arguments = values["entries"][key]["kwargs"].get("args", [""])
    name = str(arguments[0]).removeprefix("{data(").removesuffix(")}")
    if name not in values["data"]:
        raise CatalogFormatError(
            f"the data {arguments[0]!r} is not there",
            where=document.where(("entries", key, "kwargs", "args")),
            expected="args: ['{data(NAME)}'] with a NAME under 'data'",
            hint=did_you_mean(name, values["data"], "Add it under 'data'."),
        )
    data = values["data"][name]
    if not isinstance(data["kwargs"].get("url"), str):
        raise missing_key(document, ("data", name, "kwargs"), "url", ("url",), "https://...")
    return data


def _parameters(document: Document, key: str, address: str) -> dict[str, dict[str, str]]:
    # Intake makes parameters of the catalog only: those of an item stay mappings, and are put into the address as text.
    declared = document.values["user_parameters"]
    found = {}
    for _, name, _, _ in Formatter().parse(address):
        if name is not None and name not in declared:
            raise CatalogFormatError(
                f"the address has the parameter {name!r}, which is not declared",
                where=document.where(("entries", key)),
                hint="Declare it under the catalog's 'user_parameters', with a default and a description.",
            )
        if name is not None:
            told = declared[name] if isinstance(declared[name], dict) else {"default": declared[name]}
            found[name] = {"default": str(told["default"]), "description": str(told.get("description", ""))}
    return found


def _units(schema: Schema, means: Mapping[str, str]) -> dict[str, str]:
    """Return the units that an ingest has to be told: other than hven's, and logarithms, which files write anyhow."""
    units = {name: schema[published].unit for name, published in means.items()}
    return {n: unit for n, unit in units.items() if unit and (unit == "dex" or unit != describe(Column(n, "")).unit)}


def _column(document: Document, path: Path, told: Any) -> Column:
    check_type(document, path, told, dict)
    _check(document, path, told, {"name": str}, _COLUMN)
    dtype = told.get("dtype", "float64")
    _check_choice(document, (*path, "dtype"), dtype, DTYPES)
    unit = told.get("unit", "")
    _told(document, (*path, "unit"), lambda: parse_unit(unit))
    texts = (told.get("description", ""), told.get("ucd", ""))
    known = Column("", dtype)
    if "means" in told:
        known = describe(Column(told["means"], dtype))
        if not known.description:
            raise CatalogFormatError(
                f"{told['means']!r} is not a canonical name",
                where=document.where((*path, "means")),
                hint="Choose one of hven.schema.CANONICAL, an error '<name>_err' or an abundance '<x>_fe'.",
            )
    dims = tuple(map(str, told.get("dims", ["object"])))
    return Column(told["name"], dtype, dims, unit, texts[0] or known.description, texts[1] or known.ucd)


def _check(
    document: Document, path: Path, told: Mapping[str, Any], needed: Mapping[str, type], optional: Mapping[str, type]
) -> None:
    for name, kind in needed.items():
        if name not in told:
            raise missing_key(document, path, name, needed, "[...]" if kind is list else "...")
        if told[name] in ("", []):
            raise CatalogFormatError(
                f"{name!r} is empty",
                where=document.where((*path, name)),
                expected=f"a non-empty {'list' if kind is list else 'text'}",
                hint=f"Tell the {name}.",
            )
    known = {**optional, **needed}
    check_known(document, path, told, known)
    for name, value in told.items():
        check_type(document, (*path, name), value, known[name])
        if name in _TEXTS:
            for number, text in enumerate(value):
                check_type(document, (*path, name, number), text, str)


def _check_choice(document: Document, path: Path, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise CatalogFormatError(
            f"{path[-1]!r} is {value!r}",
            where=document.where(path),
            expected=", ".join(known),
            hint=did_you_mean(value, known, "Choose one of these."),
        )


def _span(document: Document, path: Path, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    for end in value:
        check_type(document, path, end, float)
    if len(value) != 2 or not 0 < value[0] <= value[1]:
        raise CatalogFormatError(
            f"{path[-1]!r} is {value!r}",
            where=document.where(path),
            expected="the lowest and the highest value",
            hint="Write two numbers, the lower one first.",
        )
    return float(value[0]), float(value[1])


def _told(document: Document, path: Path, make: Any) -> Any:
    """Return what `make` gives, or its refusal with the place in the file."""
    try:
        return make()
    except HvenError as error:
        raise CatalogFormatError(
            error.what, where=document.where(path), expected=error.expected, hint=error.hint
        ) from error


def _moc(text: str) -> str:
    from hven.sky.moc_text import canonical_moc

    return canonical_moc(text) if text else ""


def _option_text(value: Any) -> str:
    if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        return ",".join(f"{name}={one}" for name, one in value.items())
    return value if isinstance(value, str) else dumps(value)
