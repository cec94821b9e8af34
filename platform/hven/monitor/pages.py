"""Pages that open without a network: of templates that escape all they are given, with style and figures inside."""

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def page(template: str, **told: Any) -> str:
    """Return the page that a template of this package makes of what it is told; everything else it brings itself."""
    style = resources.files("hven.monitor").joinpath("report.css").read_text(encoding="utf-8")
    return _environment().get_template(template).render(style=style, **told)


def inline(figures: Mapping[str, bytes]) -> dict[str, str]:
    """Return figures (PNG by name) as they stand inside a page.

    Examples
    --------
    >>> inline({"map": b"PNG"})
    {'map': 'data:image/png;base64,UE5H'}
    """
    return {name: f"data:image/png;base64,{base64.b64encode(content).decode()}" for name, content in figures.items()}


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # The loader finds templates in the package, wherever that is installed.
    environment = Environment(loader=PackageLoader("hven.monitor", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["prose"] = _prose
    return environment


def _prose(text: str) -> "Markup":
    """Return a paragraph as HTML: what stands between backticks is code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(`{1,2})(.+?)\1", r"<code>\2</code>", str(escape(text))))  # noqa: S704  escaped just before
