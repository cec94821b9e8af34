"""How ``hven ingest --explain`` shows what a file is, who reads it, and how its first rows would be kept."""

from typing import TYPE_CHECKING

from hven.cli.output import print_json, print_table, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hven.ingest import ExplainedFile


def print_explained(explained: "Sequence[ExplainedFile]", *, as_json: bool) -> None:
    """Print what files are, for people or as JSON."""
    if as_json:
        print_json([one.to_json() for one in explained])
        return
    for number, one in enumerate(explained):
        if number:
            print_text("")
        _print_file(one)


def _print_file(one: "ExplainedFile") -> None:
    best = one.explanation.claims[0][1].what if one.explanation.claims else "not known"
    print_text(f"{one.explanation.path}: {best}; {f'read by {one.reader}' if one.reader else 'no reader reads it'}.")
    if one.explanation.claims:
        print_table(
            ["reader", "says it is", "because of", "claim"],
            (
                [name, claim.what, claim.why, f"refuses: {claim.refusal}" if claim.refusal else claim.strength]
                for name, claim in one.explanation.claims
            ),
        )
    if one.rows is not None:
        print_table(
            ["column", "type", "unit", *(f"row {number}" for number in range(1, one.rows.height + 1))],
            (
                [column.name, column.dtype, column.unit, *(_shown(value) for value in one.rows[column.name])]
                for column in one.columns
            ),
        )
    for name, sizes in one.parts.items():
        shown = ", ".join(f"{axis} {size:,}" for axis, size in sizes.items())
        print_text(f"{name or 'arrays beside the table'}: {shown}")
    for note in one.notes:
        print_text(f"{'! ' if note.needs_attention else ''}{note}")
    if one.error is not None:
        print_text(f"Refused [{one.error.code}]: {one.error}")


def _shown(value: object) -> str:
    if value is None:
        return "null"
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:23]}\u2026"
