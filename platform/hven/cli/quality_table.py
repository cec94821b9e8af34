"""The quality sheet of a dataset as a table in the terminal."""

from typing import TYPE_CHECKING

from hven.cli.output import print_table, print_text

if TYPE_CHECKING:
    from hven.schema import Quality
    from hven.schema.quality import ColumnQuality


def print_quality(sheet: "Quality") -> None:
    """Print what the values of each column look like, and below what needs attention."""
    from hven.schema.quality import SHOWN

    print_table(
        [
            "quality of",
            "nulls",
            "infinite",
            "distinct",
            "min",
            *(f"{share:.0%}" for share in SHOWN),
            "max",
            "most often",
        ],
        ([*_counts(c), *_values(c, SHOWN), _most(c)] for c in sheet.columns),
        right=["nulls", "infinite", "distinct", "min", *(f"{share:.0%}" for share in SHOWN), "max"],
    )
    for note in sheet.notes():
        print_text(f"! {note}")


def _counts(column: "ColumnQuality") -> list[str]:
    sign = {"exact": "", "about": "~", "at least": ">="}[column.distinct_is]
    return [
        column.name,
        *(f"{n:,}" if n else "" for n in (column.nulls, column.infinite)),
        f"{sign}{column.distinct:,}",
    ]


def _values(column: "ColumnQuality", shares: tuple[float, ...]) -> list[str]:
    if not column.smallest:
        return [""] * (len(shares) + 2)
    return [f"{value:.4g}" for value in (column.smallest[0], *map(column.quantile, shares), column.largest[-1])]


def _most(column: "ColumnQuality") -> str:
    if not column.repeated or column.repeated[0][1] < 2:
        return ""
    value, count = column.repeated[0]
    return f"{value if isinstance(value, str) else f'{value:g}'} ({count:,})"
