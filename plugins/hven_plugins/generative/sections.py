"""What this family adds to the report of a run: the verdict on a generator, and the story of a comparison."""

from typing import TYPE_CHECKING

import xarray as xr

import hven
from hven_plugins.generative.comparison import COMPARED, comparison_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hven import ReportSection, Run

_COLUMNS = ("looked at", "value", "limit", "flagged")


def sections_of(run: "Run") -> "list[ReportSection]":
    """Return the sections for a run with a result of an analysis that has some, and none for any other."""
    if run.commit is None:
        return []
    if run.analysis == "generative_evaluation":
        return _of_evaluation(run)
    return _of_comparison(run) if run.analysis == "generative_comparison" else []


def _of_evaluation(run: "Run") -> "list[ReportSection]":
    told = run.result.dataset()[["finding", "finding_value", "finding_limit", "is_flagged", "verdict"]].compute()
    columns = (told[name].values for name in ("finding", "finding_value", "finding_limit", "is_flagged"))
    rows = [
        (str(text), f"{float(value):.4g}", f"{float(limit):.4g}", "yes" if flagged else "no")
        for text, value, limit, flagged in zip(*columns, strict=True)
    ]
    return [hven.ReportSection("Verdict", str(told.verdict.values), _COLUMNS, rows)]


def _of_comparison(run: "Run") -> "list[ReportSection]":
    """Return the conclusion with its table, and the images, features and forecasts that it rests on."""
    result = run.result.dataset().compute()
    conclusion = str(result["conclusion"].values)
    sections = [hven.ReportSection("Conclusion", conclusion, COMPARED, comparison_rows(result))]
    evaluations = [run.inputs["evaluation"], *(_dataset(run, text) for text in run.parameters["others"])]
    for name, judged in zip(result["evaluation"].values, evaluations, strict=True):
        if judged.attrs.get("guidance", 0.0) == 0:
            sections.append(hven.ReportSection(f"Images and features: {name}", figures=_evaluated(judged.compute())))
    for text in run.parameters["forecasts"]:
        figures = _forecast(_dataset(run, text).compute())
        sections.append(hven.ReportSection(f"Forecast: {hven.DatasetPath(text).name}", figures=figures))
    return sections


def _dataset(run: "Run", text: str) -> xr.Dataset:
    return hven.DatasetPath(text, home=run.lake.url).dataset()


def _evaluated(judged: xr.Dataset) -> "dict[str, Figure]":
    from hven_plugins.generative.figures import draw_evaluation

    drawn = draw_evaluation(judged)
    return {name: drawn[name] for name in ("images", "features")}


def _forecast(forecast: xr.Dataset) -> "dict[str, Figure]":
    from hven_plugins.generative.forecast_figures import draw_forecast

    return {"corner": draw_forecast(forecast)["corner"]}
