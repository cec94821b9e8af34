"""Updating: results, and what they are made of, brought up to date in order."""

from typing import TYPE_CHECKING

from hven.compute.pipelines.turns import UP_TO_DATE, StepRun, check_ended, in_turn
from hven.compute.recipes import Recipe, recipes_of
from hven.compute.records import Run
from hven.compute.runner import run
from hven.compute.staleness import in_order, needs_of, own_causes
from hven.errors import DataRefusedError, DatasetNotFoundError, did_you_mean
from hven.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client


def update(
    lake: Lake,
    name: str | None = None,
    *,
    cluster: "str | Client" = "local",
    workers: int | None = None,
    progress: bool | None = None,
) -> list[Run]:
    """Bring a result and whatever results it is made of up to date, and return the runs that this took.

    Each result keeps its recipe: the analysis, its inputs and parameters as they were asked for. Those that are stale
    are run again, first those that others are made of; of each, only the blocks that changed are computed. What is up
    to date is left alone. One that fails stops those that are made of it, and no others.

    Parameters
    ----------
    lake
        The lake.
    name
        A result; by default all of them.
    cluster, workers, progress
        As `hven.run` takes them.

    Raises
    ------
    DatasetNotFoundError, DataRefusedError
        If there is no such dataset, or it is not the result of a run.
    AnalysisNotFoundError, RecipeError
        If a recipe cannot be followed; results that do not need that one are up to date by then.
    HvenError
        Whatever a run raises; results that do not need that one are up to date by then.
    RunFailedError
        If several failed, naming each.

    Examples
    --------
    >>> [run.output for run in hven.update(lake, "metallicity_gradients")]  # doctest: +SKIP
    ['apogee_distances', 'metallicity_gradients']
    """
    done = []

    def bring(output: str) -> StepRun:
        recipe = recipes_of(lake.catalog)[output]
        if not own_causes(lake, recipe):
            return StepRun(output, UP_TO_DATE)
        analysis, inputs, parameters = recipe.arguments()
        how = {"cluster": cluster, "workers": workers, "progress": progress}
        this = run(lake, analysis, inputs, parameters, output=output, **how)  # type: ignore[arg-type]
        if this.was_up_to_date:
            return StepRun(output, UP_TO_DATE, this)
        done.append(this)
        return StepRun(output, this.state, this)

    needs = needs_of(recipes_of(lake.catalog))
    wanted = outputs_for(lake, name)
    check_ended(list(in_turn({output: needs[output] for output in wanted}, bring)))
    return done


def outputs_for(lake: Lake, name: str | None) -> list[str]:
    """Return a result and those that it is made of, directly or not, in the order in which they are to be made.

    Parameters
    ----------
    lake
        The lake.
    name
        A result, or one of its parts; None for all of them.
    """
    recipes = recipes_of(lake.catalog)
    ordered = in_order(recipes)
    if name is None:
        return ordered
    wanted = _with_all_it_is_made_of(_output_of(lake, recipes, name), recipes)
    return [output for output in ordered if output in wanted]


def _output_of(lake: Lake, recipes: "Mapping[str, Recipe]", name: str) -> str:
    for recipe in recipes.values():
        if name == recipe.output or name in recipe.datasets:
            return recipe.output
    if name in lake.catalog:
        raise DataRefusedError(
            f"{name!r} is not the result of a run",
            expected=", ".join(recipes) or "there are no results yet",
            hint="Only results are brought up to date; see 'hven status'.",
        )
    raise DatasetNotFoundError(
        f"there is no dataset {name!r}", where=lake.url, hint=did_you_mean(name, recipes, "See 'hven status'.")
    )


def _with_all_it_is_made_of(output: str, recipes: "Mapping[str, Recipe]") -> set[str]:
    needs = needs_of(recipes)
    wanted: set[str] = set()
    waiting = [output]
    while waiting:
        one = waiting.pop()
        if one not in wanted:
            wanted.add(one)
            waiting += needs[one]
    return wanted
