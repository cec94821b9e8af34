"""A run described in a file: what ``hven run`` takes as options, kept, shared and run again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hven.compute.selection import Selection, select
from hven.errors import ParameterError, RunFileError, did_you_mean

if TYPE_CHECKING:
    from hven.plugins import Analysis

_TEXTS = ("analysis", "output", "cluster")
_BY_INPUT = ("inputs", "where", "region")
KEYS = ("analysis", *_BY_INPUT, "columns", "parameters", "output", "cluster", "workers")


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
    parameters
        Of the analysis, not yet checked.
    """

    path: str
    analysis: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    region: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""
    cluster: str = ""
    workers: int | None = None

    def by_input(self, key: str, analysis: "Analysis") -> dict[str, Any]:
        """Return one of ``inputs``, ``where``, ``region`` and ``columns`` by the names of the inputs of `analysis`.

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
                    where=f"{self.path}, {key}",
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
        where, region, columns = (self.by_input(key, analysis) for key in ("where", "region", "columns"))
        return {
            name: select(dataset, where.get(name), region.get(name), columns.get(name))
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
    said = _yaml(Path(path))
    for key in said:
        if key not in KEYS:
            raise RunFileError(
                f"there is no key {key!r}",
                where=str(path),
                hint=did_you_mean(str(key), KEYS, f"The keys are: {', '.join(KEYS)}."),
            )
    told: dict[str, Any] = {}
    for key in _TEXTS:
        if said.get(key) is not None:
            told[key] = _text(said[key], key, path)
    for key in _BY_INPUT:
        if said.get(key) is not None:
            given = said[key] if isinstance(said[key], dict) else {"": said[key]}
            told[key] = {str(name): _text(value, f"{key}.{name}", path) for name, value in given.items()}
    told["columns"] = _columns(_mapping(said, "columns", path), path)
    told["parameters"] = {str(name): value for name, value in _mapping(said, "parameters", path).items()}
    workers = said.get("workers")
    if workers is not None and (type(workers) is not int or workers < 1):
        raise _refusal("workers", workers, "a whole number of at least 1", path)
    return RunFile(str(path), **told, workers=workers)


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFileError(f"the file cannot be read: {error.strerror}", where=str(path), hint="Check it.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise RunFileError(f"this is not YAML: {problem}", where=str(path), hint="Correct the file.") from error
    if not isinstance(said, dict):
        raise _refusal("the file", said, f"'key: value' lines, with the keys {', '.join(KEYS)}", path)
    return said


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


def _mapping(said: Mapping[str, Any], key: str, path: str | Path) -> dict[str, Any]:
    value = said.get(key)
    if value is not None and not isinstance(value, dict):
        raise _refusal(key, value, "'name: value' lines", path)
    return value or {}


def _text(value: object, key: str, path: str | Path) -> str:
    if not isinstance(value, str):
        raise _refusal(key.rstrip("."), value, "text", path)
    return value


def _refusal(key: str, value: object, expected: str, path: str | Path) -> RunFileError:
    return RunFileError(f"{key} is {value!r}", where=str(path), expected=expected, hint="Correct the file.")
