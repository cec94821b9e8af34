"""Settings of Sphinx: the pages are Markdown (MyST), and nothing is fetched from a network."""

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
