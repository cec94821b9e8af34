"""Several generators side by side: how near each is to the reference, by kind, training size and guidance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import hven
from hven.errors import DataRefusedError
from hven.mocks import Mock
from hven_plugins.generative.conclusion import Forecast, Judged, concluded
from hven_plugins.generative.evaluation import generative_evaluation
from hven_plugins.generative.verdict import VARIETY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHERE = "analysis 'generative_comparison'"
_NUMBERS = (
    "fsd_limit", "fsd_limit_err", "fsd", "fsd_err", "fsd_floor", "covariance_share", "log_det_difference", "auc",
)  # fmt: skip
_EVALUATION, _FORECAST = ("generative_evaluation", "fsd_limit"), ("generative_forecast", "indefinite_share")
_SAME = 1e-5
"""Differences, in standard deviations, up to which references are the same: sums may be taken in another order."""

_MOSTLY = 0.5
"""Share of bootstrap replicates without an ellipse beyond which images tell nothing of their parameters."""

_AREA = ("area_ratio", "area_ratio_err")
_TOLD = ("generator", "n_training", "guidance")
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
    version="2",
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
    of one kind, training size and guidance are repetitions: the conclusion takes their mean, with the error that
    their own errors or their scatter give, whichever is larger.

    Distances are compared as limits of infinitely many images (``fsd_limit``), with errors; one counts as nearer when
    the difference is more than twice its error. ``is_best`` marks the nearest at each training size without guidance.
    With hardly 16 images for each feature, or fewer, there may be no limit, and the evaluation is not ranked.
    ``conclusion`` says in words which kind is nearest, where variety is lost (by the limits of the evaluations),
    whether guidance helps, and whether forecasts of parameters from generated images can be trusted, or made at all.

    Parameters
    ----------
    others
        Further results of ``generative_evaluation``.
    forecasts
        Results of ``generative_forecast``; each goes with the evaluation of images of the same ``model``, generator,
        training size and guidance.

    Raises
    ------
    DataRefusedError
        A dataset is no such result, generated images do not tell of their generator, evaluations have different
        references or look at different features, or a forecast is of no evaluated images.
    """
    results = [_checked(evaluation, "evaluation", _EVALUATION), *(_result(path, _EVALUATION) for path in others)]
    names = ["evaluation", *(path.name for path in others)]
    for name, result in zip(names[1:], results[1:], strict=True):
        _check_reference(results[0], result, name)
    found = _forecasts(results, [(path.name, _result(path, _FORECAST)) for path in forecasts])
    entries = [_judged(result, found.get(i)) for i, result in enumerate(results)]
    told = concluded(entries)
    longest = max(result.sizes["direction"] for result in results)
    return xr.Dataset(
        {
            **{name: ("evaluation", [float(r[name]) for r in results]) for name in _NUMBERS},
            **{name: ("evaluation", [float(r[name][1]) for r in results]) for name in _PANEL},
            "coverage_expected": ("evaluation", [float(r["coverage"][0]) for r in results]),
            "eigenvalue_ratio": (("evaluation", "direction"), _padded(results, longest)),
            "n_flagged": ("evaluation", [int(r["is_flagged"].sum()) for r in results]),
            "verdict": ("evaluation", [str(r["verdict"].values) for r in results]),
            "generator": ("evaluation", [one.generator for one in entries]),
            "n_training": ("evaluation", [one.n_training for one in entries]),
            "guidance": ("evaluation", [one.guidance for one in entries]),
            **{name: ("evaluation", [_of(one.forecast, name) for one in entries]) for name in _AREA},
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
            hint="Name another dataset, or run the analysis again where an older version of it has made this one.",
        )  # fmt: skip
    if any(name not in data.attrs for name in _TOLD):
        raise DataRefusedError(
            f"the generated images behind {name!r} do not tell of their generator", where=_WHERE,
            expected="attributes generator, n_training and guidance, as of images that hven's analyses draw",
            hint="Give them to the generated images, and evaluate those again.",
        )  # fmt: skip
    return data.compute()


def _check_reference(ours: xr.Dataset, theirs: xr.Dataset, name: str) -> None:
    """Refuse an evaluation with another reference: distances to different things are no distances to compare."""
    features = [[str(one) for one in result["feature"].values] for result in (ours, theirs)]
    differs = [what for what in ("scales", "angles") if ours.attrs[what] != theirs.attrs[what]]
    if features[0] != features[1]:
        differs.append("the features")
    elif int(ours["n"][0]) != int(theirs["n"][0]):
        differs.append("the number of images of the reference")
    elif not _is_close(ours, theirs) or np.any(
        np.abs(ours["feature_mean"].values[0] - theirs["feature_mean"].values[0])
        > _SAME * ours["feature_spread"].values[0]
    ):
        differs.append("the images of the reference")
    if differs:
        raise DataRefusedError(
            f"evaluations cannot be compared: {' and '.join(differs)} differ", where=f"datasets 'evaluation', {name!r}",
            expected="one reference, looked at in one way",
            hint="Evaluate all against the same dataset, selection and band, with the same parameters.",
        )  # fmt: skip


def _is_close(ours: xr.Dataset, theirs: xr.Dataset) -> bool:
    """Return whether pixels of the references have the same mean and scatter."""
    scale = _SAME * float(ours.attrs["pixel_spread"])
    return all(abs(ours.attrs[name] - theirs.attrs[name]) <= scale for name in ("pixel_mean", "pixel_spread"))


def _forecasts(results: Sequence[xr.Dataset], forecasts: Sequence[tuple[str, xr.Dataset]]) -> dict[int, Forecast]:
    """Return each forecast by the number of the evaluation of the same images."""
    made = [_made_by(result) for result in results]
    found: dict[int, Forecast] = {}
    for name, forecast in forecasts:
        who = _made_by(forecast)
        fits = [i for i, one in enumerate(made) if one == who]
        free = [i for i in fits if i not in found]
        if not free:
            raise DataRefusedError(
                f"forecast {name!r} is of images of {who[1]} with {who[2]:,} training images, w = {who[3]:g}, and no "
                f"evaluation {'more ' if fits else ''}is of images of that model", where=_WHERE,
                expected="at most one forecast for each evaluation, with the same attributes "
                f"model, {', '.join(_TOLD)}",
                hint="Evaluate its images, too, or leave it out.",
            )  # fmt: skip
        if not who[0] and len(fits) > 1:
            raise DataRefusedError(
                f"forecast {name!r} may be of the images of {len(fits)} evaluations", where=_WHERE,
                expected="an attribute 'model' of the generated images, which tells repetitions apart",
                hint="Give it to them, and run evaluations and forecasts again.",
            )  # fmt: skip
        if not _is_close(results[free[0]], forecast):
            raise DataRefusedError(
                f"forecast {name!r} has another reference than the evaluations", where=_WHERE,
                expected="one reference", hint="Forecast with the same dataset, selection and band.",
            )  # fmt: skip
        lost, sigma = forecast["indefinite_share"].values, forecast["sigma"].values
        tells = np.isfinite(sigma).all(axis=1) & (lost <= _MOSTLY)
        area, error = (float(forecast[one]) for one in _AREA)
        found[free[0]] = Forecast(area, error, float(lost.max()), bool(tells[0]), bool(tells[1]))
    return found


def _made_by(result: xr.Dataset) -> tuple[str, str, int, float]:
    told = result.attrs
    return str(told.get("model", "")), str(told["generator"]), int(told["n_training"]), float(told["guidance"])


def _judged(result: xr.Dataset, forecast: Forecast | None) -> Judged:
    _, kind, n_training, guidance = _made_by(result)
    name = f"{kind}, {n_training:,}" + (f", w = {guidance:g}" if guidance else "")
    distance, error = float(result["fsd_limit"]), float(result["fsd_limit_err"])
    return Judged(name, kind, n_training, guidance, distance, error, _lost(result), forecast)


def _lost(result: xr.Dataset) -> tuple[tuple[str, float, float], ...]:
    """Return what an evaluation has flagged of variety: in words, value and limit."""
    columns = (result[name].values for name in ("finding", "finding_value", "finding_limit", "is_flagged"))
    return tuple(
        (str(text).removeprefix(VARIETY), float(value), float(limit))
        for text, value, limit, flagged in zip(*columns, strict=True)
        if flagged and str(text).startswith(VARIETY)
    )


def _of(forecast: Forecast | None, name: str) -> float:
    return np.nan if forecast is None else float(getattr(forecast, name))


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
            f"{float(one['guidance']):g}", _with_error(one),
            f"{float(one['log_det_difference']):+.1f}", f"{float(one['coverage']):.2f}",
            f"{float(one['precision']):.2f}", f"{float(one['auc']):.2f}", str(one["verdict"].values),
        )
        for one in (result.isel(evaluation=i) for i in range(result.sizes["evaluation"]))
    ]  # fmt: skip


def _with_error(one: xr.Dataset) -> str:
    value, error = float(one["fsd_limit"]), float(one["fsd_limit_err"])
    return f"{value:.3g} +/- {error:.1g}" if np.isfinite(value) else "no limit"


COMPARED = (
    "evaluation", "generator", "training images", "guidance", "FSD", "ln det", "coverage", "precision", "AUC",
    "verdict",
)  # fmt: skip
