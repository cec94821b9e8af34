"""An analysis: a function from Datasets to a Dataset, and the description that lets hven run it."""

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Literal

from hven.errors import AnalysisNotFoundError, DeclarationError, ParameterError, TooFewObjectsError, did_you_mean
from hven.plugins.declaration import (
    ANGLES,
    check_block_rows,
    check_inputs,
    check_margin,
    check_min_objects,
    check_units,
)
from hven.plugins.docstring import Docstring, read_docstring
from hven.plugins.importing import find_object, is_importable
from hven.plugins.parameters import (
    check_parameters,
    parameter_misfits,
    parameters_json,
    parameters_model,
    parse_texts,
    signature,
)
from hven.schema import check_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from pydantic import BaseModel

    from hven.mocks import Mock
    from hven.plugins.inputs import Input

Backend = Literal["numpy", "jax", "array-api"]
BACKENDS: tuple[str, ...] = ("numpy", "jax", "array-api")


class Analysis:
    """A described function. Calling it calls the function; everything else is told to hven by the attributes.

    Made by the decorator `analysis`, not directly.

    Attributes
    ----------
    function
        The plain function.
    name
        Its name in hven, unique among the plugins that are loaded.
    inputs
        What it asks for, by the names of its positional arguments.
    parameters
        A pydantic model of its keyword-only arguments.
    produces
        Units of result variables by part; the part ``""`` is the result itself.
    per_object
        Whether objects are independent of each other, so that blocks may be computed alone.
    version
        What a change of the method changes: results of another version are stale.
    references
        arXiv ids, bibcodes or DOIs of what it does.
    margin
        How far beyond its block it looks, as ``"10 arcsec"``; None for not at all.
    block_rows
        Objects in a block at most; None for as many as read well.
    min_objects
        How many objects it needs at least, or the name of the parameter that says so; None for any number.
    backend
        The arrays it takes: ``"numpy"``, ``"jax"`` or ``"array-api"``.
    summary
        The first line of the docstring.
    doc
        The docstring in parts.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        inputs: "Mapping[str, Input]",
        produces: Mapping[str, Any],
        references: tuple[str, ...],
        version: str,
        per_object: bool,
        margin: str | None,
        block_rows: int | None,
        min_objects: int | str | None = None,
        backend: Backend,
    ) -> None:
        where = f"{function.__module__}.{function.__qualname__}"
        update_wrapper(self, function)
        self.function = function
        self.name = check_name(name, "analysis")
        self.parameters: type[BaseModel] = parameters_model(function)
        self.inputs = check_inputs(inputs, function, self.parameters.model_fields, where)
        self.produces: Mapping[str, Mapping[str, str]] = check_units(produces, where)
        self.references = (references,) if isinstance(references, str) else tuple(references)
        self.version, self.per_object, self.backend = str(version), bool(per_object), backend
        self.margin = check_margin(margin, per_object, where)
        self.block_rows = check_block_rows(block_rows, per_object, where)
        self.min_objects = check_min_objects(min_objects, per_object, self.parameters.model_fields, where)
        self.doc: Docstring = read_docstring(function.__doc__)
        self.summary = self.doc.summary
        self._figure: Callable[..., Any] | None = None
        self._mock: Callable[[int, int], Mock] | None = None
        if backend not in BACKENDS:
            raise DeclarationError(
                f"there is no backend {backend!r}", where=where, hint=f"The backends are: {', '.join(BACKENDS)}."
            )
        if per_object and not next(iter(self.inputs.values())).is_by_object:
            raise DeclarationError(
                "a per_object analysis has a first input without objects",
                where=where,
                hint="Let the first argument be the Table, Spectra or Images whose objects make the blocks.",
            )

    def __call__(self, *inputs: Any, **parameters: Any) -> Any:
        """Return what the plain function returns, nothing bound, checked or converted."""
        return self.function(*inputs, **parameters)

    def __repr__(self) -> str:
        return f"<analysis {self.name!r} version {self.version} of {self.function.__module__}>"

    def __reduce__(self) -> Any:
        module, qualname = self.function.__module__, self.function.__qualname__
        if is_importable(self, module, qualname):
            return find_object, (module, qualname)
        declared = {
            "name": self.name,
            "inputs": self.inputs,
            "produces": self.produces,
            "references": self.references,
            "version": self.version,
            "per_object": self.per_object,
            "margin": self.margin,
            "block_rows": self.block_rows,
            "min_objects": self.min_objects,
            "backend": self.backend,
        }
        return _by_value, (self.function, declared, self._figure, self._mock)

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters validated and completed with defaults.

        Raises
        ------
        ParameterError
            For one that is unknown, missing or outside its range.
        """
        return check_parameters(self.parameters, parameters, f"analysis {self.name!r}")

    def fewest(self, parameters: Mapping[str, Any]) -> int:
        """Return how many objects it needs at least with these validated parameters; 0 for any number.

        Examples
        --------
        >>> from hven.plugins import Table
        >>> @analysis(stars=Table(feh="dex"), produces={"mean": "dex"}, min_objects="n_min")
        ... def mean_of_many(stars, *, n_min: int = 30):
        ...     '''Mean of [Fe/H].'''
        >>> mean_of_many.fewest(mean_of_many.check({})), mean_of_many.fewest({"n_min": 5})
        (30, 5)
        """
        least = parameters[self.min_objects] if isinstance(self.min_objects, str) else self.min_objects
        return int(least or 0)

    def check_number(self, objects: int, parameters: Mapping[str, Any], where: str = "") -> None:
        """Refuse fewer objects than the analysis needs (`fewest`).

        Raises
        ------
        TooFewObjectsError
            Saying how many there are, and how many are needed.
        """
        least = self.fewest(parameters)
        if objects >= least:
            return
        name = f" (parameter {self.min_objects!r})" if isinstance(self.min_objects, str) else ""
        raise TooFewObjectsError(
            f"analysis {self.name!r} is given {objects:,} object{'' if objects == 1 else 's'}",
            where=where,
            expected=f"{least:,} at least{name}",
            hint="Loosen where and region, or choose other datasets.",
        )

    def misfits(self, parameters: Mapping[str, Any]) -> list[ParameterError]:
        """Return everything for which `check` would refuse the parameters, not only the first."""
        return parameter_misfits(self.parameters, parameters, f"analysis {self.name!r}")

    def parse_texts(self, texts: Mapping[str, str], beneath: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the validated parameters that texts such as ``{"bins": "10"}`` mean, defaults included.

        Values of `beneath` stand for parameters that no text names.

        Raises
        ------
        ParameterError
            For one that is unknown, missing or outside its range.
        """
        return parse_texts(self.parameters, texts, f"analysis {self.name!r}", beneath)

    def parameters_json(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return validated parameters as JSON values, the same for the same run; `check` gives them back."""
        return parameters_json(self.parameters, parameters, f"analysis {self.name!r}")

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the parameters, with descriptions from the docstring."""
        return self.parameters.model_json_schema()

    def figure(self, draw: Callable[..., Any]) -> Callable[..., Any]:
        """Take the function that draws a result (decorator).

        It is called as ``draw(result)``, or ``draw(result, inputs)`` when it has two arguments, and returns a
        matplotlib Figure or a dict of them by name.
        """
        if len(_positional(draw)) not in (1, 2):
            raise DeclarationError(
                "the figure function takes other arguments than (result) or (result, inputs)",
                where=f"analysis {self.name!r}",
                hint="Let it take the result, and the inputs when it needs them.",
            )
        self._figure = draw
        return draw

    def mock(self, make: "Callable[[int, int], Mock]") -> "Callable[[int, int], Mock]":
        """Take the function ``make(size, seed) -> Mock`` that simulates inputs with known truth (decorator)."""
        if _positional(make) != ["size", "seed"]:
            raise DeclarationError(
                f"the mock function takes ({', '.join(_positional(make))})",
                where=f"analysis {self.name!r}",
                expected="(size, seed)",
                hint="Rename its arguments.",
            )
        self._mock = make
        return make

    @property
    def has_figure(self) -> bool:
        """Whether it can draw its result."""
        return self._figure is not None

    @property
    def has_mock(self) -> bool:
        """Whether it can simulate its inputs."""
        return self._mock is not None

    def draw(
        self, result: "xr.Dataset | Mapping[str, xr.Dataset]", inputs: "Mapping[str, xr.Dataset] | None" = None
    ) -> "Figure | dict[str, Figure] | None":
        """Return the figure of a result, several by name, or None when the analysis has none.

        A figure function that wants the inputs draws nothing without them.
        """
        if self._figure is None:
            return None
        if len(_positional(self._figure)) == 1:
            return self._figure(result)  # type: ignore[no-any-return]
        return None if inputs is None else self._figure(result, inputs)

    def make_mock(self, size: int, seed: int) -> "Mock":
        """Return simulated inputs of about `size` objects with their truth; the same for the same seed.

        Raises
        ------
        AnalysisNotFoundError
            If the analysis has no mock.
        """
        if self._mock is None:
            raise AnalysisNotFoundError(
                f"analysis {self.name!r} has no mock",
                hint=f"Give it one: @{self.function.__name__}.mock on a function (size, seed) -> Mock.",
            )
        return self._mock(size, seed)

    @property
    def margin_deg(self) -> float:
        """How far beyond its block the analysis looks [deg]; 0 when it does not."""
        if not self.margin:
            return 0.0
        number, unit = self.margin.split()
        return float(number) * ANGLES[unit]

    def to_json(self) -> dict[str, Any]:
        """Return the description as plain values, for ``--json`` and generated pages."""
        return {
            "name": self.name,
            "summary": self.summary,
            "version": self.version,
            "per_object": self.per_object,
            "inputs": {name: given.to_json() for name, given in self.inputs.items()},
            "parameters": self.json_schema(),
            "produces": {part: dict(units) for part, units in self.produces.items()},
            "references": list(self.references),
            "margin": self.margin,
            "block_rows": self.block_rows,
            "min_objects": self.min_objects,
            "backend": self.backend,
            "has_figure": self.has_figure,
            "has_mock": self.has_mock,
        }


def analysis(
    *,
    produces: Mapping[str, Any],
    references: tuple[str, ...] | str = (),
    version: str = "1",
    per_object: bool = False,
    margin: str | None = None,
    block_rows: int | None = None,
    min_objects: int | str | None = None,
    name: str = "",
    backend: Backend = "numpy",
    **inputs: "Input",
) -> Callable[[Callable[..., Any]], Analysis]:
    """Return a decorator that makes an `Analysis` of a function from Datasets to a Dataset.

    The function's positional arguments are its inputs, its keyword-only arguments its parameters, its docstring (NumPy
    style) its page in the docs, its ``--help`` and its card in a report.

    Parameters
    ----------
    produces
        Units of the result's variables, as ``dict(slope="dex/kpc")``; ``""`` for no unit. For a result of several parts
        (``dict[str, Dataset]``), such a dict for each part.
    references
        arXiv ids, bibcodes or DOIs.
    version
        Change it when results change: those of another version are stale.
    per_object
        Whether objects are independent of each other: the function then gets one block in memory at a time. Otherwise
        it gets whole lazy Datasets.
    margin
        How far beyond its block the analysis looks, as ``"10 arcsec"``; neighbours arrive flagged ``is_margin``.
    block_rows
        Objects in a block at most, for a ``per_object`` analysis that takes long for each or makes much of each (a
        sampler of images, an MCMC of each star): workers share few objects too, and little is lost with one. By
        default blocks are what reads well, up to 65,536 objects.
    min_objects
        How many objects an analysis of everything at once needs at least, such as the number of parameters that it
        fits; or the name of the parameter that says so (``"n_min"``). A run on fewer is refused before the function is
        called, and one in which fewer have all required columns has a caveat. By default any number will do.
    name
        Its name in hven; the function's when empty.
    backend
        The arrays that the function takes: ``"numpy"``, ``"jax"`` or ``"array-api"``.
    **inputs
        One declaration (`Table`, `Spectra`, `Images`, `Cube`, `Model`, `Whole`) for each positional argument.

    Raises
    ------
    DeclarationError
        If the declaration and the function do not fit together.

    Examples
    --------
    >>> import xarray as xr
    >>> from hven.plugins import Table, analysis
    >>> @analysis(stars=Table(feh="dex"), produces=dict(spread="dex"))
    ... def metallicity_spread(stars: xr.Dataset, *, ddof: int = 1) -> xr.Dataset:
    ...     '''Standard deviation of [Fe/H].'''
    ...     return xr.Dataset({"spread": stars.feh.std(ddof=ddof)})
    >>> metallicity_spread.name, metallicity_spread.check({})
    ('metallicity_spread', {'ddof': 1})
    >>> float(metallicity_spread(xr.Dataset({"feh": ("object", [-1.0, 1.0])}), ddof=0).spread)
    1.0
    """

    def declare(function: Callable[..., Any]) -> Analysis:
        return Analysis(
            function,
            name=name or function.__name__,
            inputs=inputs,
            produces=produces,
            references=(references,) if isinstance(references, str) else tuple(references),
            version=version,
            per_object=per_object,
            margin=margin,
            block_rows=block_rows,
            min_objects=min_objects,
            backend=backend,
        )

    return declare


def nearest_analysis(name: str, known: Mapping[str, Analysis]) -> AnalysisNotFoundError:
    """Return (not raise) the error for an analysis that is not there, with the nearest names."""
    return AnalysisNotFoundError(
        f"there is no analysis {name!r}",
        hint=did_you_mean(name, known, f"The analyses are: {', '.join(sorted(known)) or 'none'}."),
    )


def _by_value(
    function: Callable[..., Any], declared: dict[str, Any], figure: Callable[..., Any] | None, mock: Any
) -> Analysis:
    made = Analysis(function, **declared)
    made._figure, made._mock = figure, mock  # noqa: SLF001 - the class's own other half
    return made


def _positional(function: Callable[..., Any]) -> list[str]:
    return [name for name, p in signature(function).parameters.items() if p.kind in (0, 1)]
