from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from conftest import refused

from s2i_hf.data.skeleton_rows import SkeletonRows, as_rows, row_of_table
from s2i_hf.data.storage import row_features
from s2i_hf.processing.layouts import SkeletonLayout, register_layout
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import PROTOCOLS


def make_rows(count: int = 9) -> list[dict[str, Any]]:
    """Rows of two layouts, one and two people, 1 to `count` frames, some joints NaN."""
    rows = []
    for index in range(count):
        layout, joints = (("kinect_v2", 25), ("kinect_v1", 20))[index % 2]
        values = np.random.default_rng(index).normal(size=(index + 1, 1 + index % 3 // 2, joints, 3)).astype(np.float32)
        values[0, 0, 3] = np.nan
        sequence = SkeletonSequence(
            values, layout=layout, label=index % 4, subject=index % 5, camera=1 + index % 3, sample_id=f"clip{index:03}"
        )
        rows.append(sequence.to_row())
    return rows


def as_dataset(rows: list[dict[str, Any]]) -> datasets.Dataset:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return datasets.Dataset.from_dict(columns, features=row_features(PROTOCOLS["nw_ucla_xview"].class_names))


def assert_same(rows: SkeletonRows, expected: list[dict[str, Any]]) -> None:
    assert len(rows) == len(expected)
    for index, row in enumerate(expected):
        item = rows[index]
        assert item["joints"].dtype == np.float32 and item["joints"].flags.writeable
        np.testing.assert_array_equal(item["joints"], row["joints"].reshape(row["shape"]))
        for name in ("layout", "label", "subject", "camera", "sample_id"):
            assert item[name] == row[name]
    assert rows.labels.tolist() == [row["label"] for row in expected] and rows.labels.dtype == np.int64
    assert rows.subjects.tolist() == [row["subject"] for row in expected]
    assert rows.cameras.tolist() == [row["camera"] for row in expected]
    assert rows.sample_ids == [row["sample_id"] for row in expected]
    assert rows.layouts == [row["layout"] for row in expected]
    assert rows.shapes.tolist() == [row["shape"] for row in expected]


def test_a_dataset_in_memory_in_chunks_and_through_indices() -> None:
    rows = make_rows()
    dataset = as_dataset(rows)
    assert_same(as_rows(dataset), rows)
    order = [5, 2, 2, 8, 0]
    assert_same(as_rows(dataset.select(order)), [rows[i] for i in order])
    assert_same(as_rows(dataset.select(range(3, 7))), rows[3:7])  # a slice of the table, no indices
    joined = datasets.concatenate_datasets([dataset, dataset.select([1, 4]), dataset])
    assert_same(as_rows(joined), [*rows, rows[1], rows[4], *rows])
    shuffled = dataset.shuffle(seed=3)
    assert_same(as_rows(shuffled), [rows[int(name[-3:])] for name in shuffled["sample_id"]])
    assert_same(as_rows(dataset.filter(lambda row: row["label"] == 1)), [row for row in rows if row["label"] == 1])
    assert as_rows(dataset).class_names == list(PROTOCOLS["nw_ucla_xview"].class_names)


def test_an_empty_dataset() -> None:
    for empty in (as_dataset(make_rows(2)).select([]), []):
        rows = as_rows(empty)
        assert len(rows) == 0 and rows.labels.shape == (0,)


def test_any_torch_dataset_of_rows() -> None:
    rows = make_rows()

    class Mine(torch.utils.data.Dataset):
        class_names = ("a", "b", "c", "d")
        name = "mine"

        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int) -> dict[str, Any]:
            return rows[index]

    assert_same(as_rows(Mine()), rows)
    assert as_rows(Mine()).class_names == ["a", "b", "c", "d"] and as_rows(Mine()).name == "mine"
    shaped = [
        {"joints": torch.from_numpy(row["joints"].reshape(row["shape"])), "layout": row["layout"]} for row in rows
    ]
    again = as_rows(shaped)
    np.testing.assert_array_equal(again[4]["joints"], rows[4]["joints"].reshape(rows[4]["shape"]))
    assert again[4]["label"] == -1 and again[4]["sample_id"] == "4"
    one_person = as_rows([{"joints": np.zeros((6, 20, 3)), "layout": "kinect_v1"}])
    assert one_person[0]["joints"].shape == (6, 1, 20, 3)


def test_select_and_negative_indices() -> None:
    rows = make_rows()
    some = as_rows(as_dataset(rows)).select([7, 1, 3])
    assert_same(some, [rows[7], rows[1], rows[3]])
    assert_same(some.select([2, 0]), [rows[3], rows[7]])
    assert some[-1]["sample_id"] == "clip003"
    with pytest.raises(IndexError):
        some[3]
    assert as_rows(some) is some
    some.description = {"held_out": {"nw_ucla_xview": 2}}
    assert some.select([0]).description == {}  # which counts other clips


def test_what_is_returned_may_be_changed() -> None:
    rows = as_rows(as_dataset(make_rows()))
    rows[2]["joints"][:] = 7
    assert not (rows[2]["joints"] == 7).any()


def test_shown_rows_are_short() -> None:
    assert "clip000" not in repr(as_rows(as_dataset(make_rows())))


def test_rows_travel_to_other_processes() -> None:
    rows = as_rows(as_dataset(make_rows()))
    expected = rows[4]["joints"]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(rows))[4]["joints"], expected)
    loader = torch.utils.data.DataLoader(rows, batch_size=3, num_workers=2, collate_fn=list)
    assert [row["sample_id"] for batch in loader for row in batch] == rows.sample_ids


@pytest.mark.parametrize(
    "wrong", [{"joints": 1}, "train", 7, [{"joints": 1}], [{"joints": np.zeros((2, 2)), "layout": "kinect_v1"}]]
)
def test_what_is_no_source_of_clips(wrong: Any) -> None:
    with refused(ValueError):
        as_rows(wrong)


def test_a_dataset_with_other_columns() -> None:
    with pytest.raises(ValueError, match="has no column 'joints'"):
        as_rows(datasets.Dataset.from_dict({"text": ["a"]}))


def test_a_process_started_afresh_learns_custom_layouts(tmp_path: Path) -> None:
    """Loader workers are started so where there is no fork; rows name their joint format only."""
    mine = register_layout(SkeletonLayout("rows_of_my_own", ["head", "spine", "pelvis"], [1, 2, -1]))
    rows = as_rows([{"joints": np.ones((2, 1, 3, 3), np.float32), "layout": mine.name, "sample_id": "a"}])
    (tmp_path / "rows.pickle").write_bytes(pickle.dumps(rows))
    program = (
        "import pickle, pathlib; from s2i_hf.processing.layouts import LAYOUTS, get_layout; assert 'rows_of_my_own' not in LAYOUTS; "
        f"rows = pickle.loads(pathlib.Path({str(tmp_path / 'rows.pickle')!r}).read_bytes()); "
        "print(get_layout(rows[0]['layout']).num_joints)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip() == "3", done.stderr


def test_a_row_of_an_arrow_table() -> None:
    for row in make_rows(4):
        table = as_dataset([row]).with_format("arrow")[:1]
        found = row_of_table(table)
        np.testing.assert_array_equal(found.pop("joints"), row["joints"])
        assert found == {name: value for name, value in row.items() if name != "joints"}
    both = as_dataset(make_rows(4)).with_format("arrow")[:]
    np.testing.assert_array_equal(row_of_table(both.slice(2, 1))["joints"], make_rows(4)[2]["joints"])
