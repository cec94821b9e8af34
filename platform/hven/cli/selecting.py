"""The options of a run: what each input is (dataset and version, condition, region, columns), and where it runs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from hven.cli.texts import read_region, split_by_input
from hven.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from hven.compute import RunFile, Selection
    from hven.plugins import Analysis
    from hven.sky import Region

InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        help="What an input is: `stars=apogee`; `@version` for an older state, `a+b` to join by object. Repeats.",
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", "-w", help="Only these objects: `'logg > 2.3'` or `stars='...'`. Repeats."),
]
RegionOption = Annotated[
    list[str] | None, typer.Option("--region", help="Only this part of the sky: `'cone(190, 5, 1)'`. Repeats.")
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option("--column", help="Which column stands for one the analysis wants: `stars.feh=m_h`. Repeats."),
]
WithOption = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        help="A column computed as it is read: `'abs_g [mag] = phot_g_mean_mag + 5*log10(parallax) - 10'`; "
        "`stars.abs_g=...` of another input. Repeats.",
    ),
]
ParameterOption = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", help="A parameter of the analysis: `bins=10`. Repeats.")
]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="How many worker processes; a core each by default.")]
ClusterOption = Annotated[str, typer.Option(help="local, synchronous, or the address of a Dask scheduler.")]


def read_selections(
    analysis: "Analysis",
    given: Iterable[str] | None,
    where: Iterable[str] | None,
    region: Iterable[str] | None,
    column: Iterable[str] | None,
    file: "RunFile | None" = None,
    derived: Iterable[str] | None = None,
) -> "dict[str, Selection]":
    """Return the selection for each input that is named; what an option says counts more than what a file says.

    Raises
    ------
    ParameterError
        If an option is for an input that the analysis does not have, or that was not given.
    RegionError
        If a region is malformed.
    """
    from hven.compute import select

    inputs = list(analysis.inputs)
    datasets = {_known(name, inputs): text for name, text in split_inputs(given or [], inputs).items()}
    conditions = split_by_input(where or [], inputs, "--where")
    typed = split_by_input(region or [], inputs, "--region")
    regions: dict[str, Region | str | None] = {name: read_region(text) for name, text in typed.items()}
    columns = split_columns(column or [], inputs)
    computed = split_derived(derived or [], inputs)
    if file is not None:
        datasets = file.by_input("inputs", analysis) | datasets
        conditions = file.by_input("where", analysis) | conditions
        regions = file.by_input("region", analysis) | regions
        told = file.by_input("columns", analysis)
        columns = {name: {**told.get(name, {}), **columns.get(name, {})} for name in (*told, *columns)}
        told = file.by_input("derived", analysis)
        computed = {name: {**told.get(name, {}), **computed.get(name, {})} for name in (*told, *computed)}
    given_by: dict[str, Iterable[str]] = {
        "--where": conditions,
        "--region": regions,
        "--column": columns,
        "--with": computed,
    }
    for option, texts in given_by.items():
        for name in texts:
            if name not in datasets:
                raise ParameterError(
                    f"{option} is for input {name!r}, which is not given", hint=f"Give it with --input {name}=DATASET."
                )
    return {
        name: select(dataset, conditions.get(name), regions.get(name), columns.get(name), computed.get(name))
        for name, dataset in datasets.items()
    }


def split_inputs(texts: Iterable[str], inputs: list[str]) -> dict[str, str]:
    """Return input -> dataset of texts such as ``stars=apogee@3``; a text without a name is for the first input.

    Examples
    --------
    >>> split_inputs(["stars=apogee@3"], ["stars"]), split_inputs(["apogee"], ["stars"])
    ({'stars': 'apogee@3'}, {'stars': 'apogee'})
    """
    values: dict[str, str] = {}
    for text in texts:
        name, separator, dataset = text.partition("=")
        name, dataset = (name.strip(), dataset.strip()) if separator else (inputs[0], text.strip())
        if name in values:
            raise ParameterError(f"input {name!r} is given twice", hint="Join datasets with '+', as in stars=a+b.")
        values[name] = dataset
    return values


def split_columns(texts: Iterable[str], inputs: list[str]) -> dict[str, dict[str, str]]:
    """Return input -> {wanted name: column} of texts such as ``stars.feh=m_h`` (or ``feh=m_h`` for the first input).

    Examples
    --------
    >>> split_columns(["stars.feh=m_h", "teff=t_eff"], ["stars"])
    {'stars': {'feh': 'm_h', 'teff': 't_eff'}}
    """
    columns: dict[str, dict[str, str]] = {}
    for text in texts:
        wanted, separator, column = (part.strip() for part in text.partition("="))
        if not (wanted and separator and column):
            raise ParameterError(f"--column {text!r} is not understood", hint="Write --column input.wanted=column.")
        name, dot, inner = wanted.partition(".")
        name, inner = (name, inner) if dot else (inputs[0], wanted)
        columns.setdefault(_known(name, inputs), {})[inner] = column
    return columns


def split_derived(texts: Iterable[str], inputs: list[str]) -> dict[str, dict[str, str]]:
    """Return input -> {name of a derived column: expression}, of texts such as ``abs_g [mag] = g + 5*log10(plx)``.

    Examples
    --------
    >>> split_derived(["abs_g [mag] = g + 5*log10(plx) - 10", "spectra.good=snr >= 5"], ["stars", "spectra"])
    {'stars': {'abs_g [mag]': 'g + 5*log10(plx) - 10'}, 'spectra': {'good': 'snr >= 5'}}
    """
    derived: dict[str, dict[str, str]] = {}
    for text in texts:
        name, separator, expression = (part.strip() for part in text.partition("="))
        if not (name and separator and expression):
            raise ParameterError(f"--with {text!r} is not understood", hint="Write --with 'name [unit] = expression'.")
        word, dot, rest = name.partition("[")[0].partition(".")
        given, column = (word, name[len(word) + 1 :]) if dot and rest else (inputs[0], name)
        derived.setdefault(_known(given, inputs), {})[column] = expression
    return derived


def _known(name: str, inputs: list[str]) -> str:
    if name not in inputs:
        raise ParameterError(
            f"the analysis has no input {name!r}",
            hint=did_you_mean(name, inputs, f"It has: {', '.join(inputs)}."),
        )
    return name
