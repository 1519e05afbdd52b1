"""Fails on a module flat in `s2i_hf/`, a folder of more than 16 modules, a module over 450 lines, or folders that import in a circle.

Imports under TYPE_CHECKING and inside functions count as any other. The order of the folders is import-linter's business.
"""

from __future__ import annotations

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "s2i_hf"
MAX_MODULES = 16
MAX_LINES = {"modeling_diffmae.py": 520}


def folders_of(path: Path) -> set[str]:
    """Folders of the package that a module imports from."""
    package = ["s2i_hf", *path.relative_to(PACKAGE).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        found |= {name[1] for name in names if name[0] == "s2i_hf" and len(name) > 1 and (PACKAGE / name[1]).is_dir()}
    return found


def main() -> int:
    """Print what is wrong; returns the exit status."""
    modules = [path for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    wrong = [f"{path.name} lies flat in s2i_hf/; give it a room." for path in modules if path.parent == PACKAGE]
    graph: dict[str, set[str]] = {}
    for folder in {path.parent for path in modules}:
        count = sum(path.parent == folder for path in modules)
        if count > MAX_MODULES:
            wrong.append(f"{folder.relative_to(PACKAGE)}/ has {count} modules; at most {MAX_MODULES} fit in a room.")
    for path in modules:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_LINES.get(path.name, 450):
            wrong.append(f"{path.relative_to(PACKAGE)} has {lines} lines; at most {MAX_LINES.get(path.name, 450)}.")
    for path in PACKAGE.rglob("*.py"):
        if path.parent != PACKAGE:
            room = path.relative_to(PACKAGE).parts[0]
            graph.setdefault(room, set()).update(folders_of(path) - {room})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        wrong.append(f"folders import in a circle: {' -> '.join(error.args[1])}.")
    print("\n".join(wrong) or f"{len(graph)} folders, {len(modules)} modules: no circle, none too full.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
