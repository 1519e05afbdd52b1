"""The command that writes pages of results.csv, and README's copy of the table of the accuracy benchmark."""

from __future__ import annotations

import re
from pathlib import Path

from s2i_hf.hub.tables import main
from s2i_hf.runs.results import read_results_csv

ROOT = Path(__file__).parents[2]


def test_missing_file_is_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "none.csv")]) == 2
    assert "is not there or has no rows" in capsys.readouterr().err


def test_readme_shows_the_table_of_the_accuracy_benchmark():
    page = (ROOT / "model_cards" / "accuracy.md").read_text(encoding="utf-8")
    table = page[page.index("| protocol |") :].partition("\n\n")[0]
    assert len(table.splitlines()) == 8 and table in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_accuracy_table_is_of_rows_of_results_csv():
    """Each number of one seed stands in results.csv too, as a row of its own."""
    found = {
        f"{100 * float(row['value']):.1f}" for row in read_results_csv(ROOT / "model_cards" / "results.csv")
        if row["metric"] == "top1"
    }  # fmt: skip
    page = (ROOT / "model_cards" / "accuracy.md").read_text(encoding="utf-8")
    lines = page[page.index("| protocol |") :].partition("\n\n")[0].splitlines()[2:]
    alone = [re.sub(r"[\d.]+ ± [\d.]+", "", line) for line in lines]  # means over draws are left out
    shown = {number for line in alone for number in re.findall(r"\b\d+\.\d\b", line)}
    assert len(shown) > 20 and not shown - found, shown - found
