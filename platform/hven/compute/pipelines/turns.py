"""One after the other: what depends on others waits for them, and what failed stops only what depends on it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hven.errors import HvenError, RunCancelledError, RunFailedError

if TYPE_CHECKING:
    from hven.compute.records import Run

UP_TO_DATE, FAILED, CANCELLED, NOT_RUN = "up to date", "failed", "cancelled", "not run"


@dataclass(frozen=True)
class StepRun:
    """How a step of a pipeline went.

    Attributes
    ----------
    name
        The step: what its result is called.
    state
        That of its run (``succeeded``, ``partial`` and so on); ``up to date``; ``failed`` when there is no result,
        ``cancelled`` when somebody stopped just this run, or ``not run`` because one that it depends on was either.
    run
        The run that it took, whichever way it ended, or that had made the result before; None without one.
    error
        Why there is no result.
    because
        The steps that failed or were cancelled, for one that was not run.
    """

    name: str
    state: str
    run: "Run | None" = None
    error: HvenError | None = None
    because: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether its result is there, and whole."""
        return self.state == UP_TO_DATE or (self.run is not None and self.run.is_complete)

    def to_json(self) -> dict[str, Any]:
        """Return how it went as plain values, for ``--json``."""
        return {
            "name": self.name,
            "state": self.state,
            "run": self.run.id if self.run is not None else None,
            "error": self.error.to_json() if self.error is not None else None,
            "because": list(self.because),
        }


def in_turn(needs: Mapping[str, Sequence[str]], do: Callable[[str], StepRun]) -> Iterator[StepRun]:
    """Give how each went, those first that others need, else in the order given; no circle is among them.

    An error of hven fails one of them; those that need it, directly or not, are not run, and all others are.

    Examples
    --------
    >>> needs = {"map": ["distances"], "distances": [], "spectra": []}
    >>> [(ended.name, ended.state) for ended in in_turn(needs, lambda name: StepRun(name, UP_TO_DATE))]
    [('distances', 'up to date'), ('map', 'up to date'), ('spectra', 'up to date')]
    """
    broken: dict[str, tuple[str, ...]] = {}
    for name in in_order(needs):
        because = tuple(dict.fromkeys(root for need in needs[name] for root in broken.get(need, ())))
        if because:
            broken[name] = because
            yield StepRun(name, NOT_RUN, because=because)
            continue
        try:
            yield do(name)
        except HvenError as error:
            broken[name] = (name,)
            yield StepRun(name, CANCELLED if isinstance(error, RunCancelledError) else FAILED, error=error)


def check_ended(ended: Sequence[StepRun]) -> None:
    """Refuse when some failed.

    Raises
    ------
    HvenError
        That of the one that failed; a `RunFailedError` that names each when several did.
    """
    errors = [(one.name, one.error) for one in ended if one.error is not None]
    if len(errors) == 1:
        raise errors[0][1]
    if errors:
        told = "; ".join(f"{name!r}, because {error.what}" for name, error in errors)
        raise RunFailedError(
            f"{len(errors)} results could not be made: {told}",
            hint="Those that do not depend on them are made. Correct what is wrong, and do it again.",
        )


def in_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names so that each comes after those that it needs, else as they are given."""
    ordered: dict[str, None] = {}

    def place(name: str) -> None:
        if name not in ordered:
            for need in needs[name]:
                place(need)
            ordered[name] = None

    for name in needs:
        place(name)
    return list(ordered)
