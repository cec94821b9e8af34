"""Several generators side by side: how near each is to the reference, by kind, training size and guidance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import hven
from hven.errors import DataRefusedError
from hven.mocks import Mock
from hven_plugins.generative.conclusion import Judged, concluded
from hven_plugins.generative.evaluation import generative_evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHERE = "analysis 'generative_comparison'"
_NUMBERS = (
    "fsd_limit", "fsd_limit_err", "fsd", "fsd_err", "fsd_floor", "covariance_share", "log_det_difference", "auc",
)  # fmt: skip
_EVALUATION, _FORECAST = ("generative_evaluation", "fsd_limit"), ("generative_forecast", "area_ratio")
_PANEL = ("precision", "recall", "density", "coverage", "duplicates")


@hven.analysis(
    evaluation=hven.Model(),
    produces={
        **dict.fromkeys((*_NUMBERS, *_PANEL), ""),
        "coverage_expected": "",
        "eigenvalue_ratio": "",
        "n_flagged": "",
        "verdict": "",
        "generator": "",
        "n_training": "",
        "guidance": "",
        "area_ratio": "",
        "area_ratio_err": "",
        "is_best": "",
        "conclusion": "",
    },
    references=("2307.09568",),
    version="1",
)
def generative_comparison(
    evaluation: xr.Dataset,
    *,
    others: tuple[hven.DatasetPath, ...] = (),
    forecasts: tuple[hven.DatasetPath, ...] = (),
) -> xr.Dataset:
    """Which of several generators is nearest to a reference, at each training size and guidance, and why.

    It takes in results of ``generative_evaluation`` that have the same reference, and of ``generative_forecast`` for as
    many of the same generators as there are. Each evaluation becomes an entry along ``evaluation`` with its distances,
    its panel of fidelity and variety, its verdict, and what the generated images tell of their generator: its kind
    (``generator``), the number of images that it was trained with (``n_training``) and the ``guidance``. Evaluations
    of one kind, training size and guidance are repetitions: they are told by their mean.

    Distances are compared as limits of infinitely many images (``fsd_limit``), with errors; one counts as nearer when
    the difference is more than twice its error. ``is_best`` marks the nearest at each training size without guidance.
    ``conclusion`` says in words which kind is nearest, where variety is lost, whether guidance helps, and whether
    forecasts of parameters from generated images can be trusted.

    Parameters
    ----------
    others
        Further results of ``generative_evaluation``.
    forecasts
        Results of ``generative_forecast``; each goes with the evaluation of the same model and guidance.

    Raises
    ------
    DataRefusedError
        A dataset is no such result, or generated images do not tell of their generator.
    """
    results = [_checked(evaluation, "evaluation", _EVALUATION), *(_result(path, _EVALUATION) for path in others)]
    areas = {_made_by(one): one for one in (_result(path, _FORECAST) for path in forecasts)}
    entries = [_judged(one, areas.get(_made_by(one))) for one in results]
    told = concluded(entries)
    longest = max(result.sizes["direction"] for result in results)
    return xr.Dataset(
        {
            **{name: ("evaluation", [float(r[name]) for r in results]) for name in _NUMBERS},
            **{name: ("evaluation", [float(r[name][1]) for r in results]) for name in _PANEL},
            "coverage_expected": ("evaluation", [one.coverage_expected for one in entries]),
            "eigenvalue_ratio": (("evaluation", "direction"), _padded(results, longest)),
            "n_flagged": ("evaluation", [int(r["is_flagged"].sum()) for r in results]),
            "verdict": ("evaluation", [str(r["verdict"].values) for r in results]),
            "generator": ("evaluation", [one.generator for one in entries]),
            "n_training": ("evaluation", [one.n_training for one in entries]),
            "guidance": ("evaluation", [one.guidance for one in entries]),
            "area_ratio": ("evaluation", [one.area_ratio for one in entries]),
            "area_ratio_err": ("evaluation", [one.area_ratio_err for one in entries]),
            "is_best": ("evaluation", [i in told.best for i in range(len(entries))]),
            "conclusion": ((), told.text),
        },
        coords={"evaluation": [one.name for one in entries]},
    )


def _result(path: hven.DatasetPath, kind: tuple[str, str]) -> xr.Dataset:
    return _checked(path.dataset(), path.name, kind)


def _checked(data: xr.Dataset, name: str, kind: tuple[str, str]) -> xr.Dataset:
    analysis, variable = kind
    if variable not in data:
        raise DataRefusedError(
            f"dataset {name!r} has no {variable!r}", where=_WHERE, expected=f"a result of {analysis}",
            hint="Name another dataset.",
        )  # fmt: skip
    if "generator" not in data.attrs:
        raise DataRefusedError(
            f"the generated images behind {name!r} do not tell of their generator", where=_WHERE,
            expected="attributes generator, n_training and guidance, as of images that hven's analyses draw",
            hint="Give them to the generated images, and evaluate those again.",
        )  # fmt: skip
    return data.compute()


def _made_by(result: xr.Dataset) -> tuple[str, float]:
    return str(result.attrs.get("model", "")), float(result.attrs.get("guidance", 0.0))


def _judged(result: xr.Dataset, forecast: xr.Dataset | None) -> Judged:
    error = float(result["fsd_limit_err"])
    kind, n_training = str(result.attrs["generator"]), int(result.attrs.get("n_training", 0))
    guidance = float(result.attrs.get("guidance", 0.0))
    return Judged(
        f"{kind}, {n_training:,}" + (f", w = {guidance:g}" if guidance else ""),
        kind,
        n_training,
        guidance,
        float(result["fsd_limit"]),
        error if np.isfinite(error) else float(result["fsd_err"]),
        log_det=float(result["log_det_difference"]),
        smallest_ratio=float(result["eigenvalue_ratio"].min()),
        coverage=float(result["coverage"][1]),
        coverage_expected=float(result["coverage"][0]),
        area_ratio=np.nan if forecast is None else float(forecast["area_ratio"]),
        area_ratio_err=np.nan if forecast is None else float(forecast["area_ratio_err"]),
    )


def _padded(results: Sequence[xr.Dataset], longest: int) -> NDArray[np.float64]:
    out = np.full((len(results), longest), np.nan)
    for row, result in zip(out, results, strict=True):
        row[: result.sizes["direction"]] = result["eigenvalue_ratio"].values
    return out


@generative_comparison.figure
def _figure(result: xr.Dataset) -> "dict[str, Figure]":
    from hven_plugins.generative.comparison_figures import draw_comparison

    return draw_comparison(result)


@generative_comparison.mock
def _mock(size: int, seed: int) -> Mock:
    sets = generative_evaluation.make_mock(size, seed).inputs
    sets["generated"].attrs |= {"generator": "simulator", "n_training": size, "guidance": 0.0, "model": "none"}
    return Mock({"evaluation": generative_evaluation(**sets, n_boot=10)}, {})


def comparison_rows(result: xr.Dataset) -> list[tuple[Any, ...]]:
    """Return a row of text for each evaluation, as a report shows it; headings are `COMPARED`."""
    return [
        (
            str(one["evaluation"].values), str(one["generator"].values), f"{int(one['n_training']):,}",
            f"{float(one['guidance']):g}", f"{float(one['fsd_limit']):.3g} +/- {float(one['fsd_limit_err']):.1g}",
            f"{float(one['log_det_difference']):+.1f}", f"{float(one['coverage']):.2f}",
            f"{float(one['precision']):.2f}", f"{float(one['auc']):.2f}", str(one["verdict"].values),
        )
        for one in (result.isel(evaluation=i) for i in range(result.sizes["evaluation"]))
    ]  # fmt: skip


COMPARED = (
    "evaluation", "generator", "training images", "guidance", "FSD", "ln det", "coverage", "precision", "AUC",
    "verdict",
)  # fmt: skip
