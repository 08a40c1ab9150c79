"""Sphinx configuration."""

import inspect
from importlib.metadata import version as installed_version
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util.inspect import stringify_signature

project = "dhop"
author = copyright = "The dhop developers"
release = version = installed_version("dhop")

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
nitpicky = False
html_theme = "furo"
html_title = "dhop"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {  # lines of a hundred characters fit
    name: {"code-font-size": "76%"} for name in ("light_css_variables", "dark_css_variables")
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
plot_basedir = str(Path(__file__).parent)
plot_formats = [("png", 110)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = True
INK = "#7b858f"  # is seen on light and on dark pages, which both show through
plot_rcparams = {
    "figure.facecolor": "none", "axes.facecolor": "none", "text.color": INK,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
}  # fmt: skip

myst_enable_extensions = ["dollarmath"]
doctest_global_setup = "from importlib.util import find_spec"  # for :skipif: not find_spec("torch")
autodoc_typehints = "none"
autodoc_default_options = {
    "members": True,
    "inherited-members": "LinearOperator",
    # what operators ask each other, see CONTRIBUTING
    "exclude-members": "apply, apply_gram, blocks, bounds, columns, multiply, of_one_image, rows, "
    "settings, strengths, terms",
}
autosummary_generate = True
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False


def mathml(self, node):
    """Formulas as MathML, which browsers draw without a script from elsewhere."""
    tag, display = ("span", "inline") if isinstance(node, nodes.math) else ("div", "block")
    self.body.append(self.starttag(node, tag, "", CLASS="math"))
    self.body.append(convert(node.astext(), display=display) + f"</{tag}>")
    raise nodes.SkipNode


def signature(app, what, name, obj, options, found, returned):
    """That of a class's `__init__`, where Sphinx takes the `__new__` of `LinearOperator`."""
    if what == "class":
        return stringify_signature(inspect.signature(obj), show_annotation=False), None
    return None


def setup(app):
    app.connect("autodoc-process-signature", signature)
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
