"""How the documentation is built: `make docs`."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "Secondsight"
author = "The Secondsight authors"
release = metadata.version("secondsight")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "sphinx_design", "reference"]
exclude_patterns = ["_build", "_extensions", "README.md"]
# Fields that are called as a builtin is (`list`) would be taken for it in annotations.
suppress_warnings = ["ref.python"]

html_theme = "pydata_sphinx_theme"
html_title = "Secondsight"
html_static_path: list[str] = []
html_theme_options = {"navigation_with_keys": False, "show_toc_level": 2, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "dollarmath", "attrs_block"]
myst_heading_anchors = 3

# Notebooks are executed whenever the documentation is built, and an error in one is an error of the build.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
default_role = "code"
# Two hyphens begin an option; they are no dash.
smartquotes = False
