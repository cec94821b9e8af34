"""A run described in a file: what ``hven run`` takes as options, kept, shared and run again."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hven.compute.selection import Selection, select
from hven.errors import ParameterError, RunFileError, did_you_mean

if TYPE_CHECKING:
    from hven.plugins import Analysis

_TEXTS = ("analysis", "output", "cluster")
_BY_INPUT = ("inputs", "where", "region")
KEYS = ("analysis", *_BY_INPUT, "columns", "with", "parameters", "output", "cluster", "workers")
_NOWHERE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class RunFile:
    """What a file says of a run.

    Attributes
    ----------
    path
        The file.
    analysis, output, cluster, workers
        As `hven.run` takes them; empty or None when the file does not say.
    inputs, where, region
        Dataset, condition and region by input; under ``""`` what is meant for the first.
    columns
        Name in the analysis -> column, by input.
    derived
        Derived columns by input, of the key ``with``: name, with or without its unit in brackets -> expression.
    parameters
        Of the analysis, not yet checked.
    """

    path: str
    analysis: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    region: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    derived: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""
    cluster: str = ""
    workers: int | None = None

    def by_input(self, key: str, analysis: "Analysis") -> dict[str, Any]:
        """Return ``inputs``, ``where``, ``region``, ``columns`` or ``derived`` by the names of the analysis's inputs.

        Raises
        ------
        ParameterError
            If the analysis has no such input.
        """
        names = list(analysis.inputs)
        told: dict[str, Any] = {}
        for given, value in getattr(self, key).items():
            name = given or names[0]
            told[name] = {**told.get(name, {}), **value} if isinstance(value, Mapping) else value
            if name not in names:
                raise ParameterError(
                    f"analysis {analysis.name!r} has no input {name!r}",
                    where=f"{self.path}, {'with' if key == 'derived' else key}",
                    hint=did_you_mean(name, names, f"It has: {', '.join(names)}."),
                )
        return told

    def selections(self, analysis: "Analysis") -> dict[str, Selection]:
        """Return the selections of the inputs of `analysis`, as `hven.run` takes them.

        Raises
        ------
        ParameterError
            If something is said of an input that the analysis does not have.
        RegionError, NameRefusedError
            If a region or a dataset cannot be understood.
        """
        keys = ("where", "region", "columns", "derived")
        where, region, columns, derived = (self.by_input(key, analysis) for key in keys)
        return {
            name: select(dataset, where.get(name), region.get(name), columns.get(name), derived.get(name))
            for name, dataset in self.by_input("inputs", analysis).items()
        }


def read_run_file(path: str | Path) -> RunFile:
    r"""Return what a YAML (or JSON) file says of a run.

    Raises
    ------
    RunFileError
        If it cannot be read, or says something that it should not; the nearest right key is named.

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> with NamedTemporaryFile("w", suffix=".yaml") as file:
    ...     _ = file.write("analysis: metallicity_gradients\ninputs: {stars: apogee}\nwhere: logg > 2.3")
    ...     file.flush()
    ...     told = read_run_file(file.name)
    >>> told.analysis, dict(told.inputs), dict(told.where)
    ('metallicity_gradients', {'stars': 'apogee'}, {'': 'logg > 2.3'})
    """
    told, misfits = run_told(read_yaml(path), str(path))
    if misfits:
        raise misfits[0]
    return told


def run_told(
    said: Mapping[str, Any], where: str, keys: Collection[str] = KEYS, not_here: Mapping[str, str] = _NOWHERE
) -> tuple[RunFile, list[RunFileError]]:
    """Return what a mapping says of a run, as far as it can be understood, and everything in it that cannot.

    Parameters
    ----------
    said
        Key -> what is said.
    where
        What errors call it.
    keys
        The keys that may stand in it.
    not_here
        Keys that belong elsewhere, with a hint that says where.
    """
    told: dict[str, Any] = {"parameters": {}, "columns": {}, "derived": {}}
    misfits: list[RunFileError] = unknown_keys(said, keys, where, not_here)

    def take(key: str, read: Callable[[], Any]) -> None:
        if key in keys and said.get(key) is not None:
            try:
                told["derived" if key == "with" else key] = read()
            except RunFileError as error:
                misfits.append(error)

    for key in _TEXTS:
        take(key, partial(_text, said.get(key), key, where))
    for key in _BY_INPUT:
        take(key, partial(_by_input, said.get(key), key, where))
    take("columns", lambda: _columns(_mapping(said, "columns", where), where))
    take("with", lambda: _derived(_mapping(said, "with", where), where))
    take("parameters", lambda: {str(name): value for name, value in _mapping(said, "parameters", where).items()})
    take("workers", lambda: _count(said["workers"], "workers", where))
    return RunFile(where, **told), misfits


def unknown_keys(
    said: Mapping[str, Any], keys: Collection[str], where: str, not_here: Mapping[str, str] = _NOWHERE
) -> list[RunFileError]:
    """Return an error for each key that is none of `keys`, with the nearest, or where it belongs."""
    return [
        RunFileError(
            f"there is no key {key!r}",
            where=where,
            hint=not_here.get(str(key)) or did_you_mean(str(key), keys, f"The keys are: {', '.join(keys)}."),
        )
        for key in said
        if key not in keys
    ]


def read_yaml(path: str | Path, expected: Collection[str] = KEYS) -> dict[str, Any]:
    """Return the 'key: value' lines of a YAML (or JSON) file; `expected` are the keys that an error names.

    Raises
    ------
    RunFileError
        If it cannot be read, is something else, or says one thing twice.
    """
    try:
        said = _load_once(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFileError(f"the file cannot be read: {error.strerror}", where=str(path), hint="Check it.") from error
    except RecursionError as error:
        raise RunFileError(
            "brackets stand too deep in one another", where=str(path), hint="Correct the file."
        ) from error
    except (ValueError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise RunFileError(f"this is not YAML: {problem}", where=str(path), hint="Correct the file.") from error
    if not isinstance(said, dict):
        raise refusal("the file", said, f"'key: value' lines, with the keys {', '.join(expected)}", path)
    return said


def _load_once(text: str) -> Any:
    """Return what a YAML text says; a key that stands twice in one place is refused, where YAML takes the last."""
    import yaml

    class Once(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen: list[Any] = []
            for key, _ in node.value:
                if key.tag != "tag:yaml.org,2002:merge":
                    name = self.construct_object(key, deep=True)
                    if name in seen:
                        raise ValueError(f"key {name!r} is given twice, again in line {key.start_mark.line + 1}")
                    seen.append(name)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Once)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _by_input(said: Any, key: str, where: str) -> dict[str, str]:
    given = said if isinstance(said, dict) else {"": said}
    return {str(name): _text(value, f"{key}.{name}", where) for name, value in given.items()}


def _columns(said: Mapping[str, Any], path: str | Path) -> dict[str, dict[str, str]]:
    """Return columns by input of ``{feh: m_h}``, ``{stars.feh: m_h}`` and ``{stars: {feh: m_h}}``."""
    told: dict[str, dict[str, str]] = {}
    for name, value in said.items():
        if isinstance(value, dict):
            inner = {str(wanted): _text(column, f"columns.{name}.{wanted}", path) for wanted, column in value.items()}
            told.setdefault(str(name), {}).update(inner)
        else:
            given, _, wanted = str(name).rpartition(".")
            told.setdefault(given, {})[wanted] = _text(value, f"columns.{name}", path)
    return told


def _derived(said: Mapping[str, Any], path: str | Path) -> dict[str, dict[str, str]]:
    """Return derived columns by input of ``{abs_g: ...}`` and ``{stars: {"abs_g [mag]": ...}}``."""
    told: dict[str, dict[str, str]] = {}
    for name, value in said.items():
        if isinstance(value, dict):
            inner = {str(key): _text(text, f"with.{name}.{key}", path) for key, text in value.items()}
            told.setdefault(str(name), {}).update(inner)
        else:
            told.setdefault("", {})[str(name)] = _text(value, f"with.{name}", path)
    return told


def _mapping(said: Mapping[str, Any], key: str, path: str | Path) -> dict[str, Any]:
    value = said.get(key)
    if value is not None and not isinstance(value, dict):
        raise refusal(key, value, "'name: value' lines", path)
    return value or {}


def _text(value: object, key: str, path: str | Path) -> str:
    if not isinstance(value, str):
        raise refusal(key.rstrip("."), value, "text", path)
    return value


def _count(value: object, key: str, path: str | Path) -> int:
    if type(value) is not int or value < 1:
        raise refusal(key, value, "a whole number of at least 1", path)
    return value


def refusal(key: str, value: object, expected: str, path: str | Path) -> RunFileError:
    """Return the error for a value that is not what its key takes."""
    return RunFileError(f"{key} is {value!r}", where=str(path), expected=expected, hint="Correct the file.")
