"""The page of an analysis: everything it says of itself, in Markdown, for docs that are generated."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hven.plugins.inputs import ANY

if TYPE_CHECKING:
    from hven.plugins.analysis import Analysis
    from hven.plugins.inputs import Input

_TOLD_ELSEWHERE = ("Parameters", "Returns", "Raises", "Examples")
_ARXIV = re.compile(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}")
_BIBCODE = re.compile(r"\d{4}[A-Za-z0-9&.]{14}[A-Z]?")
_HOW_RESULTS_GO = {True: "computed block by block, one result an object", False: "computed from all objects at once"}


def analysis_page(analysis: "Analysis", figures: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page of an analysis in Markdown: its docstring, inputs, parameters, results and references.

    Parameters
    ----------
    analysis
        The analysis.
    figures
        Files of its figures with what is to be written beneath each.

    Examples
    --------
    >>> import xarray as xr
    >>> from hven.plugins import Table, analysis
    >>> @analysis(stars=Table(feh="dex"), produces=dict(mean="dex"), references=("2304.02958",))
    ... def mean_metallicity(stars: xr.Dataset, *, least: int = 1) -> xr.Dataset:
    ...     '''Mean [Fe/H] of all stars.
    ...
    ...     Parameters
    ...     ----------
    ...     least
    ...         Fewest stars.
    ...     '''
    >>> print(analysis_page(mean_metallicity))  # doctest: +ELLIPSIS
    # mean_metallicity
    <BLANKLINE>
    Mean [Fe/H] of all stars.
    ...
    """
    about = f"Version {analysis.version}, {_HOW_RESULTS_GO[analysis.per_object]}"
    if analysis.margin:
        about += f", with neighbours up to {analysis.margin} beyond each block"
    sections: list[tuple[str, str]] = [
        ("", analysis.summary),
        ("", analysis.doc.body),
        ("", "\n\n".join(f"![{text}]({file})\n\n*{text}*" for file, text in figures)),
        ("What it needs", _inputs(analysis.inputs)),
        ("What it gives", _results(analysis.produces)),
        ("Parameters", _parameters(analysis.json_schema().get("properties", {}))),
        ("How to run it", _command(analysis)),
        *((title, text) for title, text in analysis.doc.sections.items() if title not in _TOLD_ELSEWHERE),
        ("Papers", "\n".join(f"- {_link(reference)}" for reference in analysis.references)),
        ("", f"{about}. Defined in `{analysis.function.__module__}`."),
    ]
    written = [f"## {title}\n\n{text}" if title else text for title, text in sections if text]
    return "\n\n".join([f"# {analysis.name}", *written]) + "\n"


def _inputs(inputs: "Mapping[str, Input]") -> str:
    return "\n\n".join(
        f"`{name}`: {_kind(given)}\n\n{_table(('column', 'unit', ''), _asked(given))}" for name, given in inputs.items()
    )


def _kind(given: "Input") -> str:
    named = f", and the columns that parameter `{given.named_by}` names" if given.named_by else ""
    whole = ", seen whole by every block" if given.is_whole else ""
    article = "spectra or images with" if given.kind == "images" else f"a dataset of kind {given.kind}"
    return f"{article}{whole}{named}."


def _asked(given: "Input") -> Iterable[tuple[str, str, str]]:
    groups = {name: group for group in given.one_of for name in group}
    for variable in given.variables:
        others = " or ".join(f"`{other}`" for other in groups.get(variable.name, ()) if other != variable.name)
        need = "required" if variable.is_required else f"this or {others}" if others else "used when it is there"
        yield f"`{variable.name}`", _unit(variable.unit), need


def _unit(unit: str | None) -> str:
    return "as it is" if unit is None else "its own" if unit == ANY else unit or "none"


def _results(produces: Mapping[str, Mapping[str, str]]) -> str:
    parts = []
    for part, units in produces.items():
        head = f"Part `{part}`:\n\n" if part else ""
        parts.append(head + _table(("variable", "unit"), ((f"`{n}`", u or "none") for n, u in units.items())))
    return "\n\n".join(parts)


def _parameters(properties: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (f"`{name}`", f"`{told['default']}`" if "default" in told else "required", _range(told), _text(told))
        for name, told in properties.items()
    ]
    return _table(("parameter", "default", "values", ""), rows) if rows else ""


def _text(told: Mapping[str, Any]) -> str:
    unit = f" [{told['unit']}]" if told.get("unit") else ""
    return f"{told.get('description', '')}{unit}"


def _range(told: Mapping[str, Any]) -> str:
    """Return in words what a parameter may be."""
    if "enum" in told:
        return ", ".join(f"`{choice}`" for choice in told["enum"])
    if "anyOf" in told:
        return " or ".join(_range(kind) for kind in told["anyOf"])
    limits = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    said = [f"{word} {told[key]:g}" for key, word in limits.items() if key in told]
    kind = {"integer": "whole number", "string": "text", "null": "none", "array": "list", "boolean": "true or false"}
    named = str(told.get("type", "any value"))
    items = f" of {_range(told['items'])}s" if named == "array" and told.get("items") else ""
    return " ".join([kind.get(named, named) + items, *said])


def _command(analysis: "Analysis") -> str:
    given = " ".join(f"--input {name}=DATASET" for name in analysis.inputs)
    return f"```console\n$ hven run {analysis.name} {given}\n```"


def _link(reference: str) -> str:
    if _ARXIV.fullmatch(reference):
        return f"[arXiv:{reference}](https://arxiv.org/abs/{reference})"
    if reference.startswith("10."):
        return f"[doi:{reference}](https://doi.org/{reference})"
    if _BIBCODE.fullmatch(reference):
        return f"[{reference}](https://ui.adsabs.harvard.edu/abs/{reference.replace('&', '%26')})"
    return reference


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
