"""Rows as lines of text: numbers to the right with equal decimals, texts to the left, units in the heading."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_LONGEST_TEXT = 40
_GAP = "  "
_NULL = "null"


def rows_text(frame: "pl.DataFrame", units: Mapping[str, str] | None = None, width: int = 500) -> str:
    """Return rows as aligned lines under a heading; columns that do not fit into `width` letters are counted.

    Parameters
    ----------
    frame
        The rows.
    units
        Column -> unit, shown in the heading.
    width
        Letters of a line at most; one column is always shown.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"id": [7, 12], "name": ["a", None], "feh": [-1.25, None]})
    >>> print(rows_text(frame, {"feh": "dex"}))
    id  name  feh [dex]
    --  ----  ---------
     7  a         -1.25
    12  null       null
    """
    told = units or {}
    blocks: list[list[str]] = []
    taken = 0
    for series in frame.iter_columns():
        heading = f"{series.name} [{told[series.name]}]" if told.get(series.name) else series.name
        is_number = series.dtype.is_numeric()
        cells = [_one_line(heading), *_cells(series)]
        wide = max(map(len, cells))
        if blocks and taken + wide > width:
            break
        taken += wide + len(_GAP)
        blocks.append(
            [cell.rjust(wide) if is_number else cell.ljust(wide) for cell in [cells[0], "-" * wide, *cells[1:]]]
        )
    lines = [_GAP.join(line).rstrip() for line in zip(*blocks, strict=True)]
    left = frame.width - len(blocks)
    if left:
        names = ", ".join(frame.columns[len(blocks) :][:8]) + (", ..." if left > 8 else "")
        lines.append(f"{left:,} more {'column' if left == 1 else 'columns'}: {names}")
    return "\n".join(lines)


def rows_json(frame: "pl.DataFrame") -> list[dict[str, Any]]:
    """Return rows as JSON has them: NaN and null are null, infinities are texts, whole numbers stay exact.

    Examples
    --------
    >>> import polars as pl
    >>> rows_json(pl.DataFrame({"id": [2**62], "feh": [float("nan")], "snr": [float("inf")]}))
    [{'id': 4611686018427387904, 'feh': None, 'snr': 'inf'}]
    """
    return [{name: _json_value(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]


def _json_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _json_value(item) for key, item in value.items()}
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _cells(series: "pl.Series") -> list[str]:
    if series.dtype.is_float():
        return _float_cells(series.to_list(), 9 if str(series.dtype) == "Float64" else 7)
    return [_NULL if value is None else _text_cell(value) for value in series.to_list()]


def _float_cells(values: Sequence[float | None], digits: int) -> list[str]:
    """Return numbers with as many decimals as all of them need, at most 6; very large and small ones with exponents."""
    finite = [abs(value) for value in values if value is not None and math.isfinite(value) and value != 0]
    if finite and (max(finite) >= 10**digits or min(finite) < 1e-4):
        return [_NULL if value is None else f"{value:.6g}" for value in values]
    whole = len(str(int(max(finite, default=0.0))))
    decimals = max(min(6, digits - whole), 0)
    texts = [_NULL if value is None else f"{value:.{decimals}f}" for value in values]
    numbers = [text for text in texts if "." in text]
    spare = min((len(text) - len(text.rstrip("0")) for text in numbers), default=0)
    spare = min(spare, max(decimals - 1, 0))
    return [text[: len(text) - spare] if "." in text else text for text in texts]


def _text_cell(value: Any) -> str:
    text = _one_line(value if isinstance(value, str) else json.dumps(_json_value(value), ensure_ascii=False))
    text = text if isinstance(value, str) or not text.startswith('"') else text[1:-1]
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."


def _one_line(text: str) -> str:
    """Return a text in one line, with what would steer a terminal written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
