"""The pages of results.csv: matrices and links against hand-made rows, and that the pages in the repository are of its rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import refused

from s2i_hf.hub.result_pages import Measured, matrices_page, measured, rows_page, write_pages
from s2i_hf.runs.results import RESULT_COLUMNS, read_results_csv, result_row, write_table

MODEL_CARDS = Path(__file__).parents[2] / "model_cards"


def row(
    method: str, setting: str, value: float, encoder: str = "pretrained", seed: int = 0, **more: Any
) -> dict[str, Any]:
    facts = {
        "dataset": "nw_ucla",
        "protocol": "xview",
        "metric": "top1",
        "train_clips": 9,
        "test_clips": 5,
        "seconds": 1.0,
        "commit": "c",
    }
    facts |= {"command": f"s2i {method} --seed {seed}", "hardware": "h", **more}
    return result_row(method=method, setting=setting, value=value, encoder=encoder, seed=seed, **facts)


def section(page: str, title: str) -> list[str]:
    """The lines of the first table below a heading, links as their text."""
    lines = page[page.index(f"{title}\n") :].splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("|"))
    table = [line for line in lines[start:] if line.startswith("|") or not line.strip()]
    table = table[: table.index("")] if "" in table else table
    return [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line) for line in table]


def test_mean_standard_error_and_number_of_seeds() -> None:
    (one,) = measured([row("mae", "knn", value, seed=seed) for seed, value in enumerate((0.70, 0.72, 0.74))])
    assert str(one) == "72.0 ± 1.2 (3)"  # s = 0.02, over sqrt(3): 0.01155
    assert str(measured([row("mae", "knn", 0.5), row("mae", "knn", 0.9, metric="top5")])[0]) == "50.0"


def test_start_and_pretraining_are_a_matrix_with_what_there_is() -> None:
    rows = [row("photographs+open", "semi_10", value, seed=seed) for seed, value in enumerate((0.6, 0.7))]
    rows += [row("new+none", "linear_probe", 0.4, "untrained"), row("photographs+open", "linear_probe", 0.8)]
    rows += [row("photographs+open", "linear_probe", 0.3, "raw_joints"), row("noise+none", "knn", 0.2)]
    rows.append(row("photographs.patch+open", "linear_probe", 0.7))
    assert section(matrices_page(rows), "### nw_ucla_xview") == [
        "| start | skeleton pretraining | linear probe | kNN | 10 % of the labels |",
        "| --- | --- | --- | --- | --- |",
        "| new weights | none | 40.0 |  |  |",
        "| noise | none |  | **20.0** |  |",
        "| photographs | open sets | **80.0** |  | **65.0 ± 5.0 (2)** |",
        "| photographs, patch | open sets | 70.0 |  |  |",
    ]
    assert "## Start x setting" not in matrices_page([row("joint+bone", "fusion", 0.5)])  # streams, no start


def test_the_best_known_stand_side_by_side() -> None:
    rows = [
        row("raw_joints", "knn", 0.5, "raw_joints"),
        row("untrained", "knn", 0.4, "untrained"),
        row("mae", "knn", 0.6),
    ]
    rows += [
        row("mae_universal", "knn", 0.7),
        row("scratch", "fine_tune", 0.3, "untrained"),
        row("mae", "fine_tune_9_epochs", 0.9),
    ]
    rows += [row("stgcn", "supervised", 0.8, "untrained"), row("mae", "knn", 0.1, dataset="utd_mhad", protocol="xsub")]
    page = matrices_page(rows)
    assert section(page, "## Data set x setting, the best known") == [
        "| setting | start | nw_ucla_xview | utd_mhad_xsub |",
        "| --- | --- | --- | --- |",
        "| kNN | raw joints | 50.0 |  |",
        "| kNN | new weights | 40.0 |  |",
        "| kNN | pretrained | 70.0 | 10.0 |",
        "| all labels | new weights | 30.0 |  |",
        "| all labels | pretrained | 90.0 |  |",
        "| all labels | graph network | 80.0 |  |",
    ]
    assert section(page, "### all labels") == [
        "| method | nw_ucla_xview |", "| --- | --- |", "| scratch | 30.0 |", "| mae, 9 epochs | **90.0** |", "| stgcn | 80.0 |",
    ]  # fmt: skip


def test_streams_damage_and_joint_formats() -> None:
    rows = [
        row("mae", "fine_tune_9_epochs", 0.9),
        row("mae", "fine_tune_bone_9_epochs", 0.8),
        row("mae", "fusion", 0.95),
    ]
    rows += [row("mae", "fine_tune_9_epochs_drop_joints_10_zero", 0.6), row("mae", "knn_kinect_v1_to_lcrnet_13", 0.5)]
    rows += [row("mae", "knn_lcrnet_13", 0.4, "untrained"), row("mae", "something_else", 0.3)]
    page = matrices_page(rows)
    assert section(page, "## Streams")[2:] == ["| nw_ucla_xview | mae | 9 epochs | 90.0 | 80.0 | **95.0** |"]
    assert section(page, "## Lost joints and frames")[0].endswith("| 0 % | 10 % |")
    assert section(page, "## Lost joints and frames")[2].endswith("| drop joints, zero | 90.0 | 60.0 |")
    assert section(page, "## Joint formats")[2:] == [
        "| nw_ucla_xview | kNN | kinect_v1 | lcrnet_13 | mae |  | **50.0** |",
        "| nw_ucla_xview | kNN | lcrnet_13, all clips | lcrnet_13 | mae | **40.0** |  |",
    ]
    assert section(page, "## Other settings")[2:] == ["| nw_ucla_xview | mae | something else | 30.0 |"]


def links(page: str) -> set[str]:
    return set(re.findall(r"\(results_rows\.md#([^)]*)\)", page))


def test_each_cell_leads_to_its_rows() -> None:
    rows = [row("photographs+open", "knn", 0.6, seed=1), row("photographs+open", "knn", 0.7, metric="top5", seed=1)]
    rows.append(row("photographs+open", "knn", 0.4, "untrained", seed=1))
    assert links(matrices_page(rows)) == {"nw_ucla_xview-photographs-open-knn"}
    lines = rows_page(rows).partition("## nw_ucla_xview-photographs-open-knn\n")[2].splitlines()
    assert lines[3:] == [
        "| pretrained | 1 | 60.0 | 70.0 |  | 9 / 5 | c | h | `s2i photographs+open --seed 1` |",
        "| untrained | 1 | 40.0 |  |  | 9 / 5 | c | h | `s2i photographs+open --seed 1` |",
    ]


def test_how_far_pretraining_is_ahead_in_standard_errors() -> None:
    rows = [row("mae", "knn", value, seed=seed) for seed, value in enumerate((0.70, 0.72, 0.74))]
    rows += [row("mae", "knn", value, "untrained", seed) for seed, value in enumerate((0.50, 0.51, 0.52))]
    # variances 4e-4 and 1e-4 over three seeds: sqrt(5e-4 / 3) = 0.01291; the means are 0.21 apart
    assert "Pretrained minus untrained: 21.0, 16.3 standard errors." in rows_page(rows)


def test_an_anchor_is_the_same_in_every_viewer() -> None:
    assert re.fullmatch(r"[a-z0-9_-]+", Measured("a_b", "Joint+Bone (x)", "fine tune", "pretrained", (0.5,)).anchor)


def test_pages_are_written_between_the_marks(tmp_path: Path) -> None:
    table = tmp_path / "results.csv"
    with refused(ValueError, "is not there or has no rows"):
        write_pages(table)
    write_table(table, RESULT_COLUMNS, [row("mae", "knn", 0.5)])
    page, _ = write_pages(table)
    first = page.read_text(encoding="utf-8")
    page.write_text(first.replace("# Results", "# My results").replace("50.0", "99.0") + "\nEnd.\n", encoding="utf-8")
    write_pages(table)
    assert page.read_text(encoding="utf-8") == first.replace("# Results", "# My results") + "\nEnd.\n"
    page.write_text("no marks", encoding="utf-8")
    with refused(ValueError, "has no lines"):
        write_pages(table)


@pytest.mark.parametrize("name", ["results.md", "results_rows.md"])
def test_the_pages_in_the_repository_are_of_its_rows(name: str) -> None:
    rows = read_results_csv(MODEL_CARDS / "results.csv")
    wanted = matrices_page(rows) if name == "results.md" else rows_page(rows)
    page = (MODEL_CARDS / name).read_text(encoding="utf-8")
    assert rows and wanted in page, "python -m s2i_hf.hub.tables model_cards/results.csv"
    assert "not measured" not in page


def test_no_link_of_the_repository_leads_nowhere_and_no_experiment_is_left_out() -> None:
    rows = read_results_csv(MODEL_CARDS / "results.csv")
    anchors = set(re.findall(r"^## ([a-z0-9_-]+)$", rows_page(rows), re.MULTILINE))
    assert links(matrices_page(rows)) == anchors == {one.anchor for one in measured(rows)}
