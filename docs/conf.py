"""Settings of Sphinx: `make docs`. `pages.py` beside this file writes the pages that are made of the code."""

import os
import re
import subprocess
import sys
import tempfile
from functools import partialmethod
from importlib.metadata import version
from pathlib import Path

from nbclient import NotebookClient

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import pages  # noqa: E402

# Cells run the `s2i` of this environment, ask nobody on the network, and leave nothing in the caches of whoever builds.
SCRATCH = tempfile.TemporaryDirectory(prefix="s2i_docs_")
PROFILE = Path(SCRATCH.name, "ipython", "profile_default")
PROFILE.mkdir(parents=True)
PROFILE.joinpath("ipython_kernel_config.json").write_text('{"IPKernelApp": {"log_level": 40}}')  # no warning a kernel
os.environ.update(
    IPYTHONDIR=str(PROFILE.parent),
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    HF_HOME=SCRATCH.name,
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_DATASETS_DISABLE_PROGRESS_BARS="1",
    OMP_NUM_THREADS="1",  # pages are built beside each other
    PYTHONWARNINGS="ignore",
)

project = "s2i-hf"
author = "The s2i-hf contributors"
version = release = version("s2i-hf")
commit = subprocess.run(
    ["git", "rev-parse", "--short", "HEAD"], cwd=DOCS, capture_output=True, text=True
).stdout.strip()

extensions = [
    "myst_nb",  # Markdown, and pages whose cells run
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "jupyter_execute"]
suppress_warnings = ["mystnb.unknown_mime_type"]

# Pages with cells run when they are built: in a folder of their own, and a cell that fails fails the build.
nb_execution_mode = "off" if os.environ.get("S2I_DOCS_RUN") == "0" else "auto"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
# What a command writes comes in pieces of a hundred letters, which are put together again as they were.
NotebookClient.__init__ = partialmethod(NotebookClient.__init__, coalesce_streams=True)
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# A reference to a name of this package that leads nowhere is a warning; what other packages define is not looked up.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!s2i_hf).*"),
    ("py:class", r"s2i_hf\..*(Mixin|\._\w+|Arguments|PreTrainedModel|ImageKwargs)"),  # bases that nobody calls
]
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True
add_module_names = False

smartquotes = False  # it would make one dash of the two of a flag
html_theme = "furo"
html_title = "s2i-hf"
html_static_path = ["_static"]
html_css_files = ["cells.css"]
html_show_sphinx = False
html_last_updated_fmt = None
html_theme_options = {"footer_icons": [], "top_of_page_buttons": []}
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True


def _plain_property(app, what, name, obj, options, lines):
    """Napoleon takes what stands before a colon in the docstring of a property for its type; ours are sentences."""
    if what == "property" and lines:
        lines[0] = re.sub("`([^`]+)`", r"``\1``", lines[0]).replace(": ", " – ")


def setup(app):
    """Write the pages that are made of the code before Sphinx looks for pages."""
    app.connect("autodoc-process-docstring", _plain_property, priority=400)  # before napoleon
    pages.write(DOCS)
