"""The verdict on a generator, for the report of a run: what was looked at, its value, its limit."""

from typing import TYPE_CHECKING

import hven

if TYPE_CHECKING:
    from hven import ReportSection, Run

_COLUMNS = ("looked at", "value", "limit", "flagged")


def evaluation_sections(run: "Run") -> "list[ReportSection]":
    """Return the verdict of a run of ``generative_evaluation`` that has a result, and nothing for any other."""
    if run.analysis != "generative_evaluation" or run.commit is None:
        return []
    told = run.result.dataset()[["finding", "finding_value", "finding_limit", "is_flagged", "verdict"]].compute()
    columns = (told[name].values for name in ("finding", "finding_value", "finding_limit", "is_flagged"))
    rows = [
        (str(text), f"{float(value):.4g}", f"{float(limit):.4g}", "yes" if flagged else "no")
        for text, value, limit, flagged in zip(*columns, strict=True)
    ]
    return [hven.ReportSection("Verdict", str(told.verdict.values), _COLUMNS, rows)]
