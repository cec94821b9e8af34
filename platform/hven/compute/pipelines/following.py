"""The pipeline that results were made by: their recipes, put together."""

from hven.compute.pipelines.pipeline import Pipeline, Step
from hven.compute.recipes import recipes_of
from hven.compute.updating import outputs_for
from hven.lake import Lake


def pipeline_of(lake: Lake, name: str | None = None) -> Pipeline:
    """Return the pipeline that a result, or all results of a lake, would be made by: what `hven.update` follows.

    Parameters
    ----------
    lake
        The lake.
    name
        A result; it comes with all that it is made of. All results by default.

    Raises
    ------
    DatasetNotFoundError, DataRefusedError
        If there is no such dataset, or it is not the result of a run.
    AnalysisNotFoundError
        If no plugin that is loaded brings an analysis.
    RecipeError
        If a condition was a Polars expression, which has no text.

    Examples
    --------
    >>> print(hven.compute.pipeline_of(lake, "metallicity_gradients").to_yaml())  # doctest: +SKIP
    """
    recipes = recipes_of(lake.catalog)
    steps = []
    for output in outputs_for(lake, name):
        analysis, inputs, parameters = recipes[output].arguments()
        usual = analysis.parameters_json({}) if not analysis.misfits({}) else {}
        own = {key: value for key, value in parameters.items() if key not in usual or usual[key] != value}
        steps.append(Step(analysis, inputs, own, output))
    return Pipeline(tuple(steps))
