"""The tests that every analysis passes: subclass `AnalysisSuite`, name the analysis, and pytest does the rest."""

import io
import json
import pickle
import tracemalloc
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pytest

from hven.errors import HvenError, MissingColumnError, ParameterError, TooFewObjectsError, UnitError
from hven.plugins import Analysis, Input, bind, call, check_result, evaluate, lazily, named_columns
from hven.schema import Schema
from hven.testing.agreement import differences, misses, stated

if TYPE_CHECKING:
    import xarray as xr

    from hven.mocks import Mock

    Inputs = Mapping[str, xr.Dataset]
    Result = dict[str, xr.Dataset]

_WITHOUT_SCALE = {"", "dex", "mag", "any"}
_SEVERAL, _TWO = 20, 2
_SLACK = 16 * 2**20
"""Bytes that do not count: interpreters and libraries keep some for themselves."""


class AnalysisSuite:
    """Conformance tests of an analysis, on data of its own mock.

    Attributes
    ----------
    analysis
        The analysis under test.
    parameters
        What it is called with.
    size, seed
        Of the mock.
    sigmas
        How many of its own standard deviations a result may be off the truth.
    tolerance
        Standard deviations of results that state none, by name.
    shuffled
        Columns of the first input whose shuffling destroys what the analysis looks for; their ``_err`` go with them.
    null
        What it must find then, by name: ``{"slope": 0.0}``.
    rtol, atol
        How far results may differ between orders, chunkings and units of their input.
    growth
        By how much memory may grow with four times the objects.

    Examples
    --------
    ::

        class TestMetallicityGradients(AnalysisSuite):
            analysis = metallicity_gradients
            shuffled = ("feh",)
            null = {"slope": 0.0}
    """

    analysis: ClassVar[Analysis]
    parameters: ClassVar[Mapping[str, Any]] = {}
    size: ClassVar[int] = 2000
    seed: ClassVar[int] = 1
    sigmas: ClassVar[float] = 5.0
    tolerance: ClassVar[Mapping[str, float]] = {}
    shuffled: ClassVar[tuple[str, ...]] = ()
    null: ClassVar[Mapping[str, Any]] = {}
    rtol: ClassVar[float] = 1e-6
    atol: ClassVar[float] = 1e-12
    growth: ClassVar[float] = 5.0

    def test_it_recovers_the_truth_of_its_mock_within_its_own_errors(self) -> None:
        """The result lies as close to the truth as its errors say."""
        mock, result = self.baseline()
        if not stated(result, mock.truth):
            pytest.skip("the mock states no truth of a result variable")
        assert not misses(result, mock.truth, self.tolerance, self.sigmas)

    def test_it_finds_nothing_in_shuffled_data(self) -> None:
        """What is not there is not found."""
        if not self.shuffled or not self.null:
            pytest.skip("the suite does not say what to shuffle (shuffled) and what to find then (null)")
        mock, _ = self.baseline()
        name, data = next(iter(mock.inputs.items()))
        order = np.random.default_rng(self.seed).permutation(data.sizes["object"])
        moved = [n for column in self.shuffled for n in (column, f"{column}_err") if n in data]
        shuffled = data.assign({n: (data[n].dims, data[n].values[order], data[n].attrs) for n in moved})
        result = self.evaluate({**mock.inputs, name: shuffled})
        assert stated(result, self.null) == list(self.null)
        assert not misses(result, self.null, self.tolerance, self.sigmas)

    def test_it_gives_the_same_for_any_order_of_rows(self) -> None:
        """A result knows nothing of the order of objects."""
        mock, result = self.baseline()
        order = np.random.default_rng(self.seed).permutation(self.objects(mock.inputs))
        self.assert_same(self.evaluate(self.rows(mock.inputs, order)), self.rows(result, order))

    def test_it_gives_the_same_for_any_chunking(self) -> None:
        """Blocks of a per-object analysis, or Dask chunks of any other, do not show in the result."""
        mock, result = self.baseline()
        size = self.objects(mock.inputs)
        if not self.analysis.per_object:
            chunked = {
                name: data.chunk({"object": size // 3 + 1}) if "object" in data.dims else data
                for name, data in mock.inputs.items()
            }
            self.assert_same(self.evaluate(chunked), result)
            return
        import xarray as xr

        cuts = [0, 1, size // 3, size - size // 5, size]
        pieces = [np.arange(a, b) for a, b in pairwise(cuts) if b > a]
        results = [self.evaluate(self.rows(mock.inputs, piece)) for piece in pieces]
        joined = {
            part: xr.concat(
                [r[part] for r in results], "object", data_vars="minimal", coords="minimal", compat="override"
            )
            for part in result
        }
        self.assert_same(joined, result)

    def test_it_computes_nothing_before_it_is_asked(self) -> None:
        """A per-object analysis on lazy data reads no value of them until one of its own is asked for."""
        if not self.analysis.per_object:
            pytest.skip("the analysis sees everything at once, and may compute")
        mock, result = self.baseline()
        touched: list[int] = []
        size = self.objects(mock.inputs)
        lazy = {
            name: watched(data, size // 3 + 1, touched) if self.is_cut(name, data, size) else data
            for name, data in mock.inputs.items()
        }
        parts = lazily(self.analysis, lazy, self.parameters)
        assert not touched, "data were computed before the result was asked for"
        # On threads of this process, even where a Dask client is at hand: `touched` is noted here.
        computed = {part: data.compute(scheduler="threads") for part, data in parts.items()}
        self.assert_same(computed, result)
        assert touched

    def test_its_memory_grows_no_faster_than_its_data(self) -> None:
        """Four times the objects take at most about four times the memory: blocks of any size stay predictable."""
        small, large = (self.analysis.make_mock(size, self.seed).inputs for size in (self.size, 4 * self.size))
        self.evaluate(small)  # What is made once, compiled code and tables, is not counted.
        few, many = self.peak(small), self.peak(large)
        assert many <= self.growth * few + _SLACK, (
            f"{many / 1e6:.0f} MB for {4 * self.size} objects, {few / 1e6:.0f} MB for {self.size}"
        )

    @pytest.mark.gpu
    def test_it_gives_the_same_on_a_gpu(self) -> None:
        """Processor and GPU agree, to the precision of the arrays."""
        if self.analysis.backend != "jax":
            pytest.skip("the analysis does not take JAX arrays")
        jax = pytest.importorskip("jax")
        mock, _ = self.baseline()
        try:
            devices = {kind: jax.devices(kind)[0] for kind in ("cpu", "gpu")}
        except RuntimeError:
            pytest.skip("JAX sees no GPU")
        results = {}
        for kind, device in devices.items():
            with jax.default_device(device):
                results[kind] = self.evaluate(mock.inputs)
        assert not differences(results["gpu"], results["cpu"], rtol=max(self.rtol, 1e-5), atol=max(self.atol, 1e-8))

    def test_it_gives_the_same_when_asked_again(self) -> None:
        """Nothing depends on hidden randomness: neither the mock of a seed, nor the result."""
        mock, result = self.baseline()
        again = self.analysis.make_mock(self.size, self.seed)
        assert not differences(dict(mock.inputs), dict(again.inputs), rtol=0.0)
        assert not differences(result, self.evaluate(again.inputs), rtol=0.0)

    def test_it_does_not_change_its_inputs(self) -> None:
        """An analysis that writes into its inputs spoils them for whoever comes next."""
        mock = self.analysis.make_mock(self.size, self.seed)
        before = {name: data.copy(deep=True) for name, data in mock.inputs.items()}
        self.evaluate(mock.inputs)
        assert not differences(dict(mock.inputs), before, rtol=0.0)

    def test_it_works_with_missing_values(self) -> None:
        """NaN in one in thirty rows harms only what depends on these rows."""
        mock, result = self.baseline()
        size = self.objects(mock.inputs)
        holes = np.random.default_rng(self.seed).random(size) < 1 / 30
        holed = {}
        for name, data in mock.inputs.items():
            floats = [n for n, v in data.data_vars.items() if v.dtype.kind == "f" and v.dims == ("object",)]
            fitting = self.is_cut(name, data, size)
            holed[name] = data.assign({n: data[n].where(~holes) for n in floats}) if fitting else data
        with_holes = self.evaluate(holed)
        if self.analysis.per_object:
            whole = np.flatnonzero(~holes)
            self.assert_same(self.rows(with_holes, whole), self.rows(result, whole))
            return
        for part, data in result.items():
            for column, variable in data.data_vars.items():
                if variable.dtype.kind == "f" and np.isfinite(variable.values).any():
                    left = np.isfinite(with_holes[part][column].values)
                    assert left.any(), f"{column} is lost to a few missing values"

    def test_whole_numbers_with_nulls_give_what_their_float_twins_give(self) -> None:
        """A column may be kept as whole numbers or flags, its nulls beside it: they are no zeros to the analysis."""
        mock, _ = self.baseline()
        pairs = {name: twins(given, mock.inputs[name], self.seed) for name, given in self.analysis.inputs.items()}
        if all(whole is floats for whole, floats in pairs.values()):
            pytest.skip("no input has a column of numbers over object")
        whole, floats = (self.outcome({name: pair[side] for name, pair in pairs.items()}) for side in (0, 1))
        if isinstance(whole, HvenError) or isinstance(floats, HvenError):
            assert str(whole) == str(floats), "whole numbers are refused otherwise than floats"
            return
        self.assert_same(whole, floats)

    def test_it_meets_no_objects_at_all_with_a_named_error_or_an_empty_result(self) -> None:
        """An empty selection is told, not a traceback from the depths."""
        mock, _ = self.baseline()
        try:
            result = self.evaluate(self.rows(mock.inputs, np.arange(0)))
        except HvenError:
            return
        for data in result.values():
            for name, variable in data.data_vars.items():
                if variable.dtype.kind == "f" and variable.size:
                    assert not np.isfinite(variable.values).any(), f"{name} is measured from no objects"

    def test_it_refuses_fewer_objects_than_it_needs(self) -> None:
        """With less than it declares (`min_objects`) it is refused by name; of one object it makes no other error."""
        if self.analysis.per_object:
            pytest.skip("objects are independent of each other")
        mock, _ = self.baseline()
        fewest = self.analysis.fewest(self.analysis.check(self.parameters))
        if fewest > 1:
            few = self.rows(mock.inputs, np.arange(min(fewest - 1, self.objects(mock.inputs))))
            with pytest.raises(TooFewObjectsError, match=f"{fewest:,} at least"):
                self.evaluate(few)
        assert isinstance(self.outcome(self.rows(mock.inputs, np.arange(1))), dict | HvenError)

    def test_it_works_without_its_optional_columns_or_names_the_one_it_then_needs(self) -> None:
        """Each optional column may be absent, and all of them; parameters may make one of them necessary."""
        mock, _ = self.baseline()
        for name, given in self.analysis.inputs.items():
            chosen = {n for group in given.one_of for n in group}
            there = [
                n
                for v in given.variables
                for n in map(str, mock.inputs[name].data_vars)
                if v.matches(n) and not v.is_required and n not in chosen
            ]
            for dropped in [*([n] for n in there), there]:
                refused = None
                try:
                    self.evaluate({**mock.inputs, name: mock.inputs[name].drop_vars(dropped)})
                except MissingColumnError as error:
                    refused = str(error)
                assert refused is None or any(column in refused for column in dropped)

    def test_it_converts_the_units_of_its_inputs(self) -> None:
        """The same quantities in other units give the same result."""
        mock, result = self.baseline()
        converted = {}
        for name, given in self.analysis.inputs.items():
            data = mock.inputs[name]
            scaled = {}
            for column, variable in data.data_vars.items():
                wanted = given.variable(str(column))
                if wanted is None or not wanted.unit or wanted.unit in _WITHOUT_SCALE or variable.dtype.kind != "f":
                    continue
                unit = f"1000 {variable.attrs.get('units', wanted.unit)}"
                scaled[column] = (variable.astype("float64") / 1000).assign_attrs({**variable.attrs, "units": unit})
            converted[name] = data.assign(scaled)
        rtol = max(self.rtol, 1e-5)
        assert not differences(self.evaluate(converted), result, rtol=rtol, atol=self.atol)

    def test_it_names_a_column_that_is_missing(self) -> None:
        """Every required column that is not there is refused by name."""
        mock, _ = self.baseline()
        for name, dropped in self.required(mock.inputs):
            if not dropped:
                continue
            with pytest.raises(MissingColumnError) as refused:
                self.evaluate({**mock.inputs, name: mock.inputs[name].drop_vars(dropped)})
            assert dropped[0] in str(refused.value) or "like" in str(refused.value)

    def test_it_names_a_column_in_a_wrong_unit(self) -> None:
        """Every column in a unit that does not convert is refused by name."""
        mock, _ = self.baseline()
        for name, given in self.analysis.inputs.items():
            for column, variable in mock.inputs[name].data_vars.items():
                wanted = given.variable(str(column))
                if wanted is None or wanted.unit in {None, "any"} or variable.dtype.kind not in "iuf":
                    continue
                wrong = variable.assign_attrs(units="kg" if wanted.unit != "kg" else "s")
                with pytest.raises(UnitError, match=f"{column}") as refused:
                    self.evaluate({**mock.inputs, name: mock.inputs[name].assign({column: wrong})})
                assert name in str(refused.value)

    def test_it_names_a_parameter_that_it_does_not_have(self) -> None:
        """A misspelt parameter is refused by name."""
        with pytest.raises(ParameterError, match="no_such_parameter"):
            self.analysis.check({**self.parameters, "no_such_parameter": 1})

    def test_its_result_is_as_declared(self) -> None:
        """Names and units of the result are those of ``produces``."""
        mock, _ = self.baseline()
        bound = dict(zip(self.analysis.inputs, self.bound(mock.inputs), strict=True))
        check_result(self.analysis, call(self.analysis, bound, self.analysis.check(self.parameters)))

    def test_it_travels_to_a_worker(self) -> None:
        """It pickles by import path, so that a worker runs its own installed version."""
        assert pickle.loads(pickle.dumps(self.analysis)) is self.analysis  # noqa: S301 - what was just written

    def test_its_parameters_survive_json(self) -> None:
        """Parameters come back from JSON as they were, and each is described."""
        checked = self.analysis.check(self.parameters)
        text = json.dumps(self.analysis.parameters_json(self.parameters))
        assert self.analysis.check(json.loads(text)) == checked
        described = self.analysis.json_schema().get("properties", {})
        bare = [name for name, about in described.items() if not about.get("description")]
        assert not bare, f"the docstring does not describe the parameters {bare}"

    def test_its_figure_renders(self) -> None:
        """The figure of its result can be drawn without a screen."""
        if not self.analysis.has_figure:
            pytest.skip("the analysis has no figure")
        mock, result = self.baseline()
        bound = dict(zip(self.analysis.inputs, self.bound(mock.inputs), strict=True))
        drawn = self.analysis.draw(result[""] if list(result) == [""] else result, bound)
        for figure in drawn.values() if isinstance(drawn, dict) else [drawn]:
            assert figure is not None
            page = io.BytesIO()
            figure.savefig(page, format="png")
            assert page.getvalue().startswith(b"\x89PNG")

    def baseline(self) -> "tuple[Mock, Result]":
        """Return the mock and the result on it, made once for all tests of a suite."""
        suite: Any = type(self)
        if "made" not in vars(suite):
            mock = self.analysis.make_mock(self.size, self.seed)
            suite.made = mock, self.evaluate(mock.inputs)
        return cast("tuple[Mock, Result]", suite.made)

    def evaluate(self, inputs: "Inputs") -> "Result":
        """Return the checked result of the analysis on `inputs`, in memory."""
        return {part: data.compute() for part, data in evaluate(self.analysis, inputs, self.parameters).items()}

    def outcome(self, inputs: "Inputs") -> "Result | HvenError":
        """Return the result on `inputs`, or the named error with which they are refused."""
        try:
            return self.evaluate(inputs)
        except HvenError as error:
            return error

    def peak(self, inputs: "Inputs") -> int:
        """Return the most bytes that Python and NumPy held at once while the analysis was at it."""
        tracemalloc.start()
        try:
            self.evaluate(inputs)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def bound(self, inputs: "Inputs") -> "list[xr.Dataset]":
        """Return the inputs as the analysis gets them."""
        checked = self.analysis.check(self.parameters)
        return [
            bind(given, Schema.of_dataset(inputs[name]), named=named_columns(given, checked)).apply(inputs[name])
            for name, given in self.analysis.inputs.items()
        ]

    def required(self, inputs: "Inputs") -> "Iterator[tuple[str, list[str]]]":
        """Give what cannot be left out: an input's name and the columns that are dropped together."""
        for name, given in self.analysis.inputs.items():
            there = [str(n) for n in inputs[name].variables]
            for variable in given.variables:
                if variable.is_required:
                    yield name, [n for n in there if variable.matches(n)]
            for group in given.one_of:
                yield name, [n for n in group if n in there]

    def objects(self, inputs: "Inputs") -> int:
        """Return how many objects the first input has."""
        return int(next(iter(inputs.values())).sizes["object"])

    def is_cut(self, name: str, data: "xr.Dataset", size: int) -> bool:
        """Return whether an input goes by the objects of the first one."""
        given = self.analysis.inputs.get(name)
        return (given is None or not given.is_whole) and data.sizes.get("object") == size

    def rows(self, data: "Inputs", rows: Any) -> "Result":
        """Return inputs or results with some of their rows, in this order; what is not by object stays as it is."""
        mock, _ = self.baseline()
        size = self.objects(mock.inputs)
        return {n: d.isel(object=rows) if self.is_cut(n, d, size) else d for n, d in data.items()}

    def assert_same(self, one: "Result", other: "Result") -> None:
        """Assert that two results agree within the tolerances of the suite."""
        assert not differences(one, other, self.rtol, self.atol)


def twins(given: Input, data: "xr.Dataset", seed: int, several: int = _SEVERAL) -> "tuple[xr.Dataset, xr.Dataset]":
    """Return data with whole numbers and flags for its numbers over objects, some of them null, and the same in floats.

    Quantities become whole millionths of their unit. What has no scale (dex, magnitudes, pure numbers) is rounded
    where that leaves `several` values (two, if there is no such column); other columns are the same in both twins. One
    value in twelve is null.

    Examples
    --------
    >>> import xarray as xr
    >>> from hven.plugins import Table
    >>> stars = xr.Dataset({"r_gal": ("object", np.linspace(4, 9, 50), {"units": "kpc"})})
    >>> whole, floats = twins(Table(r_gal="kpc"), stars, seed=1)
    >>> whole.r_gal.dtype, whole.r_gal.attrs["units"], bool(whole.r_gal_valid.all())
    (dtype('int64'), '1e-06 kpc', False)
    >>> int(floats.r_gal.isnull().sum()) == int((~whole.r_gal_valid).sum()) > 0
    True
    """
    rng = np.random.default_rng(seed)
    whole: dict[str, Any] = {}
    floats: dict[str, Any] = {}
    for key, variable in data.data_vars.items():
        name = str(key)
        wanted = given.variable(name)
        is_named = given.named_by is not None and wanted is None
        if variable.dims != ("object",) or variable.dtype.kind != "f" or given.takes_all:
            continue
        if not is_named and (wanted is None or wanted.unit is None):
            continue
        unit = str(variable.attrs.get("units", (wanted.unit if wanted else "") or ""))
        has_scale = not is_named and wanted is not None and wanted.unit not in _WITHOUT_SCALE
        values = np.asarray(variable.values, dtype=np.float64) * (1e6 if has_scale else 1.0)
        rounded = np.round(values)
        known = np.isfinite(values)
        if len(np.unique(rounded[known])) < (_TWO if np.array_equal(rounded[known], values[known]) else several):
            continue
        known &= rng.random(len(values)) >= 1 / 12
        attrs = {**variable.attrs, **({"units": f"1e-06 {unit}"} if has_scale else {})}
        is_flag = set(np.unique(rounded[known])) <= {0.0, 1.0}
        kept = np.where(known, rounded, 0).astype(bool if is_flag else np.int64)
        whole |= {name: ("object", kept, attrs), f"{name}_valid": ("object", known)}
        floats[name] = ("object", np.where(known, rounded, np.nan), attrs)
    if not whole and several > _TWO:
        return twins(given, data, seed, _TWO)
    return (data.assign(whole), data.assign(floats)) if whole else (data, data)


def watched(data: "xr.Dataset", size: int, touched: list[int]) -> "xr.Dataset":
    """Return data in lazy chunks of `size` objects that note in `touched` when they are computed."""
    import dask.array as da

    def note(values: Any) -> Any:
        touched.append(len(values))
        return values

    lazy = data.chunk({"object": size})
    return lazy.map(
        lambda v: v.copy(data=da.map_blocks(note, v.data, dtype=v.dtype, meta=v.data._meta)),  # noqa: SLF001
        keep_attrs=True,
    )
