"""Returns nothing by itself: the exception tree of hven, one class for each thing that can go wrong.

Every error says what is wrong, where, what was expected and the next step, and carries a `code` that is never renamed,
so that scripts and documentation can name it.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar


class HvenError(Exception):
    """Anything that hven refuses or fails to do.

    Parameters
    ----------
    what
        What is wrong, in the user's terms, as a clause without a full stop.
    where
        The dataset, column, object, block or file it was found in.
    expected
        What would have been right.
    hint
        The next step.

    Examples
    --------
    >>> error = MissingColumnError("no column 'fe_h'", where="dataset 'stars'", hint="Did you mean 'feh'?")
    >>> error.code, str(error)
    ('missing-column', "no column 'fe_h' (dataset 'stars'). Did you mean 'feh'?")
    """

    code: ClassVar[str] = "hven-error"

    def __init__(self, what: str, *, where: str = "", expected: str = "", hint: str) -> None:
        self.what, self.where, self.expected, self.hint = what, where, expected, hint
        place = f" ({where})" if where else ""
        wanted = f" Expected: {expected}." if expected else ""
        super().__init__(f"{what}{place}.{wanted} {hint}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.what, self.where, self.expected, self.hint)

    def to_json(self) -> dict[str, Any]:
        """Return the error as plain text fields, for run records and ``--json``."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "expected": self.expected,
            "hint": self.hint,
        }


def _rebuild(kind: type[HvenError], what: str, where: str, expected: str, hint: str) -> HvenError:
    return kind(what, where=where, expected=expected, hint=hint)


class LakeNotFoundError(HvenError):
    """There is no lake at an address."""

    code = "lake-not-found"


class LakeExistsError(HvenError):
    """A lake is to be created where something already is."""

    code = "lake-exists"


class LakeFormatError(HvenError):
    """A lake, or a file of it, is not in a format that this hven reads."""

    code = "lake-format"


class ReadOnlyError(HvenError):
    """A pinned or foreign lake is to be changed."""

    code = "read-only"


class VersionNotFoundError(HvenError):
    """A catalog number, release or dataset version does not exist."""

    code = "version-not-found"


class ReleaseExistsError(HvenError):
    """A release name is taken."""

    code = "release-exists"


class DatasetNotFoundError(HvenError):
    """A lake has no dataset of that name."""

    code = "dataset-not-found"


class NameRefusedError(HvenError):
    """A name for a dataset, release or column is not one that hven can keep."""

    code = "name-refused"


class ConflictError(HvenError):
    """Somebody else changed, or is changing, what a transaction touches."""

    code = "conflict"


class StorageError(HvenError):
    """The store (disk, object store) failed: full, not writable, out of reach."""

    code = "storage-failed"


class SeveralObjectsError(HvenError):
    """An id is that of several objects, and nobody said which is meant."""

    code = "several-objects"


class DataRefusedError(HvenError):
    """Data cannot be kept: wrong shape, type, unit, duplicate or missing ids."""

    code = "data-refused"


class MissingColumnError(HvenError):
    """A column that is asked for does not exist."""

    code = "missing-column"


class UnitError(HvenError):
    """A unit is unknown, or cannot be converted to the one that is wanted."""

    code = "wrong-unit"


class WhereError(HvenError):
    """A where-expression cannot be understood or does not give true or false."""

    code = "bad-where"


class RegionError(HvenError):
    """A region on the sky is malformed."""

    code = "bad-region"


class QueryError(HvenError):
    """A question to a catalog cannot be understood: an unknown condition or kind, a reversed range, a malformed UCD."""

    code = "bad-query"


class UnreadableFileError(HvenError):
    """A survey file cannot be read, or holds nothing of what its reader expects."""

    code = "unreadable-file"


class ReaderNotFoundError(HvenError):
    """No reader or exporter of that name, or none for that kind of file."""

    code = "unknown-reader"


class AnalysisNotFoundError(HvenError):
    """No analysis of that name."""

    code = "unknown-analysis"


class DeclarationError(HvenError):
    """A plugin declares something that does not fit together."""

    code = "bad-declaration"


class PluginLoadError(HvenError):
    """A plugin could not be loaded."""

    code = "plugin-not-loaded"


class PluginNotFoundError(HvenError):
    """No installed plugin of that name."""

    code = "unknown-plugin"


class PluginExistsError(HvenError):
    """A new plugin package is to be written where something already is."""

    code = "plugin-exists"


class SettingsError(HvenError):
    """The user's settings cannot be understood."""

    code = "bad-settings"


class RunFileError(HvenError):
    """A file that describes a run cannot be understood."""

    code = "bad-run-file"


class PipelineError(HvenError):
    """A pipeline cannot be run: everything in it that does not fit is told at once.

    Parameters
    ----------
    what, where, expected, hint
        As for every error.
    misfits
        What does not fit, each with the name of its step; empty for what is said of the pipeline itself.

    Examples
    --------
    >>> wrong = ParameterError("there is no parameter 'bin'", hint="Did you mean 'bins'?")
    >>> print(PipelineError("1 thing does not fit", hint="Nothing was run.", misfits=[("gradients", wrong)]))
    1 thing does not fit. Nothing was run.
      gradients: [bad-parameter] there is no parameter 'bin'. Did you mean 'bins'?
    """

    code = "bad-pipeline"

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        expected: str = "",
        hint: str,
        misfits: Iterable[tuple[str, HvenError]] = (),
    ) -> None:
        super().__init__(what, where=where, expected=expected, hint=hint)
        self.misfits = tuple(misfits)
        lines = (f"{f'{step}: ' if step else ''}[{error.code}] {error}" for step, error in self.misfits)
        self.args = ("\n  ".join([str(self), *lines]),)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_pipeline_error, (self.what, self.where, self.expected, self.hint, self.misfits)

    def to_json(self) -> dict[str, Any]:
        """Return the error with all that does not fit, as plain values."""
        return super().to_json() | {"misfits": [{"step": step, **error.to_json()} for step, error in self.misfits]}


def _rebuild_pipeline_error(
    what: str, where: str, expected: str, hint: str, misfits: Iterable[tuple[str, HvenError]]
) -> PipelineError:
    return PipelineError(what, where=where, expected=expected, hint=hint, misfits=misfits)


class ParameterError(HvenError):
    """A parameter of an analysis is unknown, missing or outside its range."""

    code = "bad-parameter"


class TooFewObjectsError(HvenError):
    """Too few objects are left for an analysis to say anything."""

    code = "too-few-objects"


class TooLittleMemoryError(HvenError):
    """A worker has not the memory that the smallest block needs."""

    code = "too-little-memory"


class TooMuchDataError(HvenError):
    """More data would be brought into memory than was allowed."""

    code = "too-much-data"


class ResultRefusedError(HvenError):
    """An analysis returned something that is not what it declared."""

    code = "result-refused"


class RecipeError(HvenError):
    """How a result was made cannot be followed again."""

    code = "recipe-not-kept"


class RunNotFoundError(HvenError):
    """No run of that id."""

    code = "run-not-found"


class RunBusyError(HvenError):
    """The same run is under way in another process."""

    code = "run-busy"


class RunFailedError(HvenError):
    """A run ended without a result."""

    code = "run-failed"


class RunStateError(HvenError):
    """A run does not stand so that what is asked of it could be done: it has ended, or is replaced."""

    code = "run-state"


class RunCancelledError(HvenError):
    """Somebody cancelled the run from elsewhere."""

    code = "run-cancelled"


class ClusterError(HvenError):
    """A cluster cannot be started or reached."""

    code = "no-cluster"


class MissingDependencyError(HvenError):
    """A package that this needs is not installed."""

    code = "missing-dependency"


class ScheduleError(HvenError):
    """A schedule is malformed or unknown."""

    code = "bad-schedule"


class CatalogFormatError(HvenError):
    """A catalog file lacks a key, or has one that is unknown or wrong."""

    code = "bad-catalog"


class UntrustedCatalogError(HvenError):
    """A catalog from elsewhere names something other than a reader that only reads."""

    code = "catalog-untrusted"


class SourceUnreachableError(HvenError):
    """A public source does not answer, or a file is not where it is said to be."""

    code = "source-unreachable"


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return the hint for a misspelt name: the nearest known ones, or `otherwise` when none is near.

    Examples
    --------
    >>> did_you_mean("fe_h", ["feh", "teff"], "There are no columns.")
    "Did you mean 'feh'?"
    """
    near = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else otherwise
