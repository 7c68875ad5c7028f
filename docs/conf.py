"""Configure Sphinx: `make docs` builds build/docs from this folder (decision 16)."""

import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = PROJECT["name"]
version = release = metadata.version(project)
copyright = "the leftfold authors"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
]
exclude_patterns = ["build"]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 88

myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"leftfold {version}"
html_show_sphinx = False
html_copy_source = False
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"
