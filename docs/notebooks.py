"""The tutorials as notebooks without outputs: python docs/notebooks.py FOLDER. Made from the pages, so none is kept in the repository."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig

DOCS = Path(__file__).parent
INSTALL = "# Where the package is missing:\n# %pip install 's2i-hf[viz]'"


def notebook_of(page: Path) -> nbformat.NotebookNode:
    """A page with cells as a notebook; links to other pages, which are not beside it, become their texts."""
    notebook = read_myst_markdown_notebook(page.read_text(encoding="utf-8"), config=MdParserConfig())
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", cell.source)
    notebook.cells.insert(1, nbformat.v4.new_code_cell(INSTALL))
    return notebook


def main(folder: str) -> None:
    """Write one notebook a page."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for page in [*sorted((DOCS / "tutorials").glob("*.md")), DOCS / "gallery.md"]:
        if "{code-cell}" in page.read_text(encoding="utf-8"):
            nbformat.write(notebook_of(page), target / f"{page.stem}.ipynb")
            print(target / f"{page.stem}.ipynb")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
