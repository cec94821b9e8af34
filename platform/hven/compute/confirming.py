"""Results that stay as they are though the data have another version: which run found that, and of what.

A run that finds that nothing an analysis takes in has changed makes no commit, so that what is made of its result stays
up to date. It leaves a note beside the run that made the result; status, plans and the next run look there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hven.compute.records import Run
    from hven.lake import Lake

_NOTE = "confirmed.json"


@dataclass(frozen=True)
class Confirmation:
    """What the newest run found that left a result as it is.

    Attributes
    ----------
    run
        Its id.
    inputs
        As its record has them: the versions of which the result is as good.
    """

    run: str
    inputs: Mapping[str, Mapping[str, Any]]


def confirm(run: "Run", made_by: str) -> None:
    """Note that a run found the result of another one to be what it would make itself.

    Parameters
    ----------
    run
        The run that made nothing new.
    made_by
        The id of the run that published the result.
    """
    run.record["confirms"] = made_by
    told = {"run": run.id, "inputs": run.record["inputs"]}
    run.lake.store.put(_key(made_by), json.dumps(told, ensure_ascii=False).encode())


def confirmation_of(lake: "Lake", made_by: str) -> Confirmation | None:
    """Return what was found last about the result of a run; None when no run has left it as it is."""
    text = lake.store.get_or_none(_key(made_by))
    if text is None:
        return None
    try:
        told = json.loads(text)
        return Confirmation(str(told["run"]), told["inputs"])
    except (ValueError, KeyError, TypeError):
        return None  # Torn: it only saved work.


def _key(run_id: str) -> str:
    return f"runs/{run_id}/{_NOTE}"
