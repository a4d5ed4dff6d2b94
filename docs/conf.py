"""The documentation as a site: `make docs` builds it into build/docs, and takes every warning for an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import frontrunner
from frontrunner.settings import Settings

project = "Frontrunner"
release = version = frontrunner.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md"]
html_theme = "furo"
html_title = f"Frontrunner {release}"
# Notebooks are shown with the outputs that they hold; a test runs them.
nb_execution_mode = "off"
# Links to headings of a page, as the repository's own pages have them.
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
napoleon_use_rtype = False
# Docstrings name types of other libraries, whose own sites are not asked.
nitpicky = False
suppress_warnings = ["misc.highlighting_failure"]

_SETTINGS = Path(__file__).with_name("settings.md")


def settings_page() -> str:
    """A table of every setting, from the model that reads them."""
    lines = [
        "# Settings",
        "",
        "Environment variables, each with a default that works on one machine. This page is made from the code.",
        "",
        "| variable | default | what it says |",
        "|---|---|---|",
    ]
    for name, field in sorted(Settings.model_fields.items()):
        default = "" if field.is_required() or field.default_factory is not None else field.default
        shown = f"`{default}`" if default not in ("", None, ()) else ""
        lines.append(f"| `FRONTRUNNER_{name.upper()}` | {shown} | {' '.join((field.description or '').split())} |")
    return "\n".join(lines) + "\n"


def setup(app: Any) -> None:
    """Writes the pages that are made from the code."""
    page = settings_page()
    if not _SETTINGS.exists() or _SETTINGS.read_text() != page:
        _SETTINGS.write_text(page)
