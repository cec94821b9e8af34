"""Settings of Sphinx: the pages are Markdown (MyST), and nothing is fetched from a network."""

from pathlib import Path

import hven

project = "hven"
author = "the hven developers"
copyright = "2026, the hven developers"  # noqa: A001
release = hven.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = False
autodoc_typehints = "none"

html_theme = "furo"
html_title = "hven"
html_show_sphinx = False

SHORT = {"image_diffusion_train": {"steps": 300}, "image_gan_train": {"steps": 300}}
"""Parameters of analyses that would train for an hour."""


def write_analysis_pages(app):
    """Write a page for every built-in analysis, with the figures of its result on its own mock."""
    import logging

    import matplotlib as mpl

    from hven.plugins import analysis_page, evaluate, plugins

    mpl.use("agg")
    folder = Path(app.srcdir) / "analyses/generated"
    folder.mkdir(parents=True, exist_ok=True)
    for page in folder.iterdir():
        page.unlink()
    for name, analysis in plugins().analyses.items():
        logging.getLogger("sphinx.hven").info("analysis %s", name)
        figures = []
        if analysis.has_figure and analysis.has_mock:
            mock = analysis.make_mock(4000, 1)
            parts = {part: data.compute() for part, data in evaluate(analysis, mock.inputs, SHORT.get(name)).items()}
            drawn = analysis.draw(parts[""] if list(parts) == [""] else parts, mock.inputs)
            for title, figure in (drawn if isinstance(drawn, dict) else {"": drawn}).items():
                file = f"{name}-{title}.png" if title else f"{name}.png"
                figure.savefig(folder / file, dpi=110)
                figures.append((file, f"{title.replace('_', ' ') or 'The result'}, simulated data".capitalize()))
        (folder / f"{name}.md").write_text(analysis_page(analysis, figures))


def skip_aliases(_app, _what, _name, member, _skip, _options):
    """Leave out the fields of a named tuple: its docstring tells them."""
    return True if (getattr(member, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app):
    """Let Sphinx write the generated pages before it reads any."""
    app.connect("builder-inited", write_analysis_pages)
    app.connect("autodoc-skip-member", skip_aliases)
