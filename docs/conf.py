"""Sphinx configuration."""

from importlib.metadata import version as installed_version

project = "dhop"
author = "The dhop developers"
release = version = installed_version("dhop")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build"]
nitpicky = False
html_theme = "furo"
html_title = "dhop"

myst_enable_extensions = ["dollarmath"]
doctest_global_setup = "from importlib.util import find_spec"  # for :skipif: not find_spec("torch")
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "inherited-members": "LinearOperator"}
autosummary_generate = True
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
