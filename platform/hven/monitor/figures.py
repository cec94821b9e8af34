"""The figures of a run: drawn from its result as the analysis says, and kept beside its record."""

import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from hven.compute import Run

_LARGEST = 2_000_000
"""Values up to which a result is brought into memory for its figure; of more, some of the objects are drawn."""


def draw_figures(run: "Run") -> dict[str, bytes]:
    """Return the figures of a run as PNG, by name; none when the analysis draws none or the run has no result.

    A figure that fails becomes a caveat of the run and a line of its log, and never ends it.
    """
    analysis = run.definition
    if analysis is None or not analysis.has_figure or run.commit is None:
        return {}
    figures: dict[str, bytes] = {}
    try:
        parts = {part: _in_memory(run, handle.dataset()) for part, handle in run.results.items()}
        drawn: Any = analysis.draw(parts if set(parts) != {""} else parts[""], run.inputs)
        for name, figure in (drawn if isinstance(drawn, dict) else {run.analysis: drawn}).items():
            if figure is not None:
                figures[re.sub(r"[^\w.-]+", "_", str(name)).strip(".") or "figure"] = to_png(figure)
    except Exception as error:  # noqa: BLE001  somebody else's drawing: its failure is told, and the result stands
        run.caveat(f"A figure could not be drawn: {type(error).__name__}: {error}")
        run.log("figure-failed", error=f"{type(error).__name__}: {error}")
    return figures


def _in_memory(run: "Run", data: "xr.Dataset") -> "xr.Dataset":
    size = sum(variable.size for variable in data.variables.values())
    if size > _LARGEST and "object" in data.dims:
        # Evenly over the whole: the first ones would all be in one corner of the sky.
        step = -(-size // _LARGEST)
        run.caveat(f"Figures show one in {step:,} of {data.sizes['object']:,} objects.")
        data = data.isel(object=slice(None, None, step))
    return data.compute()


def to_png(figure: "Figure") -> bytes:
    """Return a figure as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight")
    return buffer.getvalue()
