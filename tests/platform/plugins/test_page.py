"""The page of an analysis tells everything that it declares."""

from typing import Annotated, Literal

import pytest
import xarray as xr
from pydantic import Field

import hven
from hven.plugins import analysis_page, plugins


@hven.analysis(
    per_object=True,
    margin="10 arcsec",
    stars=hven.Table(feh="dex", one_of=[("age", "teff")], optional={"feh_err": "dex"}, named_by="columns"),
    clusters=hven.Whole(hven.Table(ra="deg")),
    produces={"labels": {"x": "dex"}, "maps": {"y": ""}},
    references=("2304.02958", "10.3847/1538-4357/abc", "2014A&A...562A..71B", "a book"),
)
def everything(
    stars: xr.Dataset,
    clusters: xr.Dataset,
    *,
    columns: list[str],
    bins: Annotated[int, Field(ge=1, le=9)] = 3,
    kind: Literal["a|b", "c"] = "c",
    scale: float | None = None,
) -> dict[str, xr.Dataset]:
    """Return everything.

    More about it.

    Parameters
    ----------
    columns
        Which columns.
    bins
        How many bins.
    kind
        Of what kind.
    scale
        How large.

    Notes
    -----
    It has a trap.
    """
    return {}


def test_the_page_tells_inputs_results_parameters_notes_and_papers():
    page = analysis_page(everything, [("everything.png", "All of it")])
    for line in [
        "# everything",
        "Return everything.",
        "More about it.",
        "![All of it](everything.png)",
        "`stars`: a dataset of kind table, and the columns that parameter `columns` names.",
        "`clusters`: a dataset of kind table, seen whole by every block.",
        "| `feh` | dex | required |",
        "| `feh_err` | dex | used when it is there |",
        "| `age` | Gyr | this or `teff` |",
        "Part `labels`:",
        "| `y` | none |",
        "| `columns` | required | list of texts | Which columns. |",
        "| `bins` | `3` | whole number at least 1 at most 9 | How many bins. |",
        r"| `kind` | `c` | `a\|b`, `c` | Of what kind. |",
        "| `scale` | `None` | number or none | How large. |",
        "$ hven run everything --input stars=DATASET --input clusters=DATASET",
        "## Notes",
        "It has a trap.",
        "- [arXiv:2304.02958](https://arxiv.org/abs/2304.02958)",
        "- [doi:10.3847/1538-4357/abc](https://doi.org/10.3847/1538-4357/abc)",
        "- [2014A&A...562A..71B](https://ui.adsabs.harvard.edu/abs/2014A%26A...562A..71B)",
        "- a book",
        "with neighbours up to 10 arcsec beyond each block",
    ]:
        assert line in page, line


@pytest.mark.parametrize("name", sorted(plugins().analyses))
def test_every_built_in_analysis_has_a_page_that_leaves_nothing_out(name):
    analysis = plugins().analysis(name)
    page = analysis_page(analysis)
    told = [*analysis.inputs, *analysis.json_schema()["properties"], *analysis.references]
    assert all(word in page for word in told)
    assert analysis.summary in page
    assert analysis.references
    assert "| |" not in page.replace("|  |", "")
