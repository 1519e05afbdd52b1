"""The table of results.csv against numbers worked out by hand, and README's copy of it."""

from __future__ import annotations

import re
from pathlib import Path

from s2i_hf.hub.tables import main, summary_table
from s2i_hf.runs.results import read_results_csv

ROOT = Path(__file__).parents[2]


def row(encoder, value, seed, metric="top1", setting="linear_probe"):
    return {
        "dataset": "nw_ucla", "protocol": "xview", "setting": setting, "encoder": encoder, "method": "mae", "metric": metric,
        "value": value, "seed": seed,
    }  # fmt: skip


def test_mean_spread_and_standard_errors():
    rows = [row("pretrained", value, seed) for seed, value in enumerate((0.70, 0.72, 0.74))]
    rows += [row("untrained", value, seed) for seed, value in enumerate((0.50, 0.51, 0.52))]
    rows += [
        row("raw_joints", 0.6, 0),
        row("pretrained", 0.1, 0, metric="top5"),
        row("pretrained", 0.3, 0, setting="knn"),
    ]
    lines = summary_table(rows).splitlines()
    # variances 4e-4 and 1e-4 over three seeds: sqrt(5e-4 / 3) = 0.01291; the means are 0.21 apart
    assert lines[2] == "| nw_ucla_xview | mae | linear probe | 3 | 72.0 ± 2.0 | 51.0 ± 1.0 | 60.0 | 16.3 SE |"
    assert lines[3] == "| nw_ucla_xview | mae | knn | 1 | 30.0 | not measured | not measured | not measured |"
    assert len(lines) == 4


def test_missing_file_is_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "none.csv")]) == 2
    assert "is not there or has no rows" in capsys.readouterr().err


def test_the_page_of_results_shows_the_table_of_results_csv():
    rows = read_results_csv(ROOT / "model_cards" / "results.csv")
    assert rows and summary_table(rows) in (ROOT / "model_cards" / "results.md").read_text(encoding="utf-8")


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
