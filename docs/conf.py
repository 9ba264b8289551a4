"""How the site is made of these pages: `make docs` writes build/site, whose pages open from the disk.

Sphinx, since it reads docstrings by itself and its search needs no server; Furo, since it loads nothing from elsewhere
and follows the light or dark of whoever reads it.
"""

import pathlib
import re

from sphinx.application import Sphinx

HERE = pathlib.Path(__file__).parent

project = "coarsefine"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["pictures"]
html_theme = "furo"
default_role = "code"  # single backticks, as in Markdown
html_title = "coarsefine"
html_copy_source = False
html_show_copyright = False
highlight_language = "none"
pygments_style = "friendly"
pygments_dark_style = "monokai"
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
napoleon_custom_sections = [("Yields", "params_style")]  # the reports of a trainer, one metric a line


def folders_as_text(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the words in the place of links to folders of the checkout, which are no part of the site."""
    source[0] = re.sub(r"\[([^]]+)\]\((\.\./[^)#]+)\)", lambda m: m[1] if (HERE / m[2]).is_dir() else m[0], source[0])


def examples_as_code(app: Sphinx, context: object, lines: list[str]) -> None:
    """Make a code block of the lines that a verb's help keeps apart: its examples."""
    begin = next((i for i, line in enumerate(lines) if line.startswith("| ")), len(lines))
    if begin < len(lines):
        lines[begin:] = ["::", "", *("    " + line.removeprefix("| ") for line in lines[begin:])]


def setup(app: Sphinx) -> None:
    """Hook in what is above."""
    app.connect("source-read", folders_as_text)
    app.connect("sphinx-click-process-description", examples_as_code)
