"""Settings of the documentation site; `make docs` builds it, without anything from the network."""

import logging
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "docs" / "site"), str(ROOT / "src")]

import dina  # after its path is known

os.environ.setdefault("DINA_FEATURES", "off")  # examples leave no features in the cache of whoever builds the site
logging.getLogger("dina").propagate = False  # the colours of the theme turn on the log of every package

project = "dina"
author = "The dina developers"
copyright = f"2026, {author}"
version = release = dina.__version__
html_title = f"dina {version}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "page_links",  # docs/site
    "mathml",  # docs/site
]
templates_path = ["site/templates"]
exclude_patterns = ["site", "_build", "gallery/*.ipynb", "gallery/*.zip"]

html_theme = "furo"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": False}

# Markdown as a code-hosting site shows it
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
suppress_warnings = ["myst.header"]  # CHANGELOG repeats the headings of each version

# the reference: signatures without types, since every docstring gives axes and units
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
autosummary_context = {"top": [name for name in dina.__all__ if not name.startswith("_")]}  # described under `dina` alone
numpydoc_show_class_members = False
default_role = "autolink"
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # docstrings name arrays by their axes and link to inner modules, too

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("shown_figures.scrape",),
    "ignore_repr_types": r"matplotlib\.figure",
    "abort_on_example_error": True,
    "reset_modules": (),
    "backreferences_dir": None,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,  # times belong to the machine that built the site
    "remove_config_comments": True,
}
