"""Converted Parquet as a stream: the same rows, each once over nodes and workers, and resumed where it stopped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from datasets.distributed import split_dataset_by_node

from s2i_hf.data.collator import SkeletonCollator
from s2i_hf.data.loading import as_rows, load_skeletons
from s2i_hf.data.storage import FolderWriter, ShardWriter
from s2i_hf.processing.augmentation import Augmentation
from s2i_hf.processing.layouts import get_layout
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import PROTOCOLS

COUNT = 47
PROTOCOL = PROTOCOLS["nw_ucla_xview"]


def clip(index: int) -> SkeletonSequence:
    """Of one of two joint formats, one or two people, 3 to 8 frames; one joint in three clips is missing."""
    rng = np.random.default_rng(index)
    layout = get_layout(("kinect_v1", "kinect_v2")[index % 2])
    shape = (3 + index % 6, 1 + index % 3 // 2, layout.num_joints, 3)
    joints = rng.normal((0, 0, 3), 0.3, shape).astype(np.float32)
    if index % 3 == 0:
        joints[1, 0, 4] = np.nan
    return SkeletonSequence(joints, layout, index % 10, index % 7, index % 3, sample_id=f"clip{index:02}")


def write(folder: Path, format: Any, test_clips: int = 3) -> Path:
    folder.mkdir()
    writer = FolderWriter(folder, PROTOCOL, format, ("train", "test"))
    for index in range(COUNT + test_clips):
        writer.write("train" if index < COUNT else "test", clip(index))
    writer.close({})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """47 training clips in eight files, each of several row groups."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("s2i_hf.data.storage._GROUP_ROWS", 2)
        made = write(tmp_path_factory.mktemp("streaming") / "out", "parquet")
        (made / "data" / "train-00000-of-00001.parquet").unlink()
        for number in range(8):
            shard = ShardWriter(made / "data", f"{number:05}-of-00008", "parquet", PROTOCOL.class_names)
            for index in range(6 * number, min(6 * number + 6, COUNT)):
                shard.write("train", clip(index).to_row())
            shard.close()
    yield made


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` waits five seconds after each shuffled pass over Parquet, for threads of Arrow that some systems keep."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0.02, raising=False)


@pytest.fixture
def stream(folder: Path) -> Any:
    return load_skeletons(folder, streaming=True)["train"]


def ids(rows: Any) -> list[str]:
    return [str(row["sample_id"]) for row in rows]


def batch_ids(loader: Any) -> list[list[str]]:
    return [batch["sample_ids"] for batch in loader]


EVERY = [f"clip{index:02}" for index in range(COUNT)]


# -- rows --------------------------------------------------------------------------------------------------------------


def test_rows_are_those_that_were_written(folder: Path) -> None:
    data = load_skeletons(folder, streaming=True)
    assert isinstance(data, datasets.IterableDatasetDict) and set(data) == {"train", "test"}
    assert (
        data["train"].num_shards == len(list((folder / "data").glob("train-*")))
        and data["train"].info.config_name == PROTOCOL.name
    )
    assert data["train"].features["label"].names == list(PROTOCOL.class_names)
    for index, row in enumerate(itertools.chain(data["train"], data["test"])):
        expected = clip(index)
        assert isinstance(row["joints"], np.ndarray) and row["joints"].dtype == np.float32
        np.testing.assert_array_equal(row["joints"].reshape(row["shape"]), expected.joints)
        assert (row["sample_id"], row["label"], row["layout"]) == (expected.sample_id, index % 10, expected.layout.name)
        assert (row["subject"], row["camera"]) == (index % 7, index % 3)
        assert row["body_ids"].tolist() == expected.body_ids.tolist()


def test_plain_load_dataset_reads_the_folder(folder: Path) -> None:
    plain = datasets.load_dataset(str(folder), streaming=True)
    rows = list(plain["train"])
    assert ids(rows) == EVERY and len(list(plain["test"])) == 3
    assert plain["train"].features["label"].int2str(rows[3]["label"]) == PROTOCOL.class_names[3]
    np.testing.assert_array_equal(np.array(rows[5]["joints"], np.float32).reshape(rows[5]["shape"]), clip(5).joints)


@pytest.mark.parametrize("rows_as", ["numpy", "python", "arrow"])
def test_the_collator_takes_rows_of_a_stream(folder: Path, rows_as: str) -> None:
    """However the stream hands them out, a batch is that of rows read by index."""
    stream = load_skeletons(folder, streaming=True)["train"]
    if rows_as == "python":
        stream = datasets.load_dataset(str(folder), streaming=True)["train"]
    elif rows_as == "arrow":
        stream = stream.with_format("arrow")
    collator = SkeletonCollator(Augmentation(yaw=1.0, crop=(0.5, 1.0)), seed=3)
    collator.set_epoch(2)
    found = collator(list(stream.take(9)))
    mapped = as_rows(load_skeletons(folder)["train"])
    expected = collator([mapped[index] for index in range(9)])
    assert torch.equal(found.pop("joints"), expected.pop("joints"))
    assert torch.equal(found.pop("labels"), expected.pop("labels"))
    assert found == expected and expected["num_missing"] > 0 and set(found["layouts"]) == {"kinect_v1", "kinect_v2"}


# -- nodes and workers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world_size", [1, 2, 3, 8, 11])
@pytest.mark.parametrize("shuffled", [False, True])
def test_every_clip_comes_once_over_the_nodes(stream: Any, world_size: int, shuffled: bool) -> None:
    if shuffled:
        stream = stream.shuffle(seed=1, buffer_size=10)
    nodes = [ids(split_dataset_by_node(stream, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert sorted(itertools.chain(*nodes)) == EVERY
    assert all(nodes)


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_clip_comes_once_over_nodes_and_workers(stream: Any, world_size: int) -> None:
    stream, seen = stream.shuffle(seed=1, buffer_size=10), []
    for rank in range(world_size):
        node = split_dataset_by_node(stream, rank=rank, world_size=world_size)
        loader = torch.utils.data.DataLoader(node, batch_size=5, num_workers=2, collate_fn=SkeletonCollator())
        seen += [sample_id for batch in batch_ids(loader) for sample_id in batch]
    assert sorted(seen) == EVERY


def test_an_epoch_has_an_order_of_its_own(stream: Any) -> None:
    assert ids(stream) == EVERY
    shuffled = stream.shuffle(seed=1, buffer_size=10)
    orders = []
    for epoch in (0, 1, 0):
        shuffled.set_epoch(epoch)
        orders.append(ids(shuffled))
        assert sorted(orders[-1]) == EVERY and orders[-1] != EVERY
    assert orders[0] == orders[2] != orders[1]
    assert ids(stream.shuffle(seed=2, buffer_size=10)) != orders[0]


# -- resuming ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_state_resumes_exactly_without_a_buffer(folder: Path, world_size: int) -> None:
    """Stopped after every single clip, in a stream of another process: JSON of the state is all that is kept."""
    import json

    def fresh() -> Any:
        return split_dataset_by_node(load_skeletons(folder, streaming=True)["train"], 0, world_size)

    whole, stream = ids(fresh()), fresh()
    states = []
    for row in stream:
        states.append(json.dumps(stream.state_dict()))
        assert row["sample_id"] == whole[len(states) - 1]
    for place in range(0, len(whole), 3):
        again = fresh()
        again.load_state_dict(json.loads(states[place]))
        assert ids(again) == whole[place + 1 :], place


def test_skipping_resumes_exactly_with_a_buffer(folder: Path) -> None:
    def fresh() -> Any:
        stream = load_skeletons(folder, streaming=True)["train"].shuffle(seed=4, buffer_size=10)
        stream.set_epoch(3)
        return split_dataset_by_node(stream, rank=1, world_size=2)

    whole = ids(fresh())
    for done in (0, 1, 7, 20, len(whole)):
        assert ids(fresh().skip(done)) == whole[done:], done


def test_skipping_batches_resumes_exactly_with_workers(folder: Path) -> None:
    def fresh() -> Any:
        stream = load_skeletons(folder, streaming=True)["train"].shuffle(seed=4, buffer_size=10)
        return torch.utils.data.DataLoader(stream, batch_size=4, num_workers=2, collate_fn=SkeletonCollator())

    whole = batch_ids(fresh())
    for done in (0, 3):
        assert batch_ids(itertools.islice(fresh(), done, None)) == whole[done:]


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_a_split_without_clips_is_not_there(tmp_path: Path) -> None:
    data = load_skeletons(write(tmp_path / "out", "parquet", test_clips=0), streaming=True)
    assert list(data) == ["train"] and len(list(data["train"])) == COUNT


def test_what_cannot_be_streamed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    lost = write(tmp_path / "lost", "parquet")
    for path in (lost / "data").iterdir():
        path.unlink()
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (write(tmp_path / "npz", "npz"), {}, "--format parquet"),
        ("nw_ucla_xview", {"data_dir": tmp_path}, "s2i convert nw_ucla_xview --format parquet"),
        ("folder", {"data_dir": tmp_path}, "s2i convert folder"),
        (tmp_path / "empty", {}, "s2i.json"),
        (lost, {}, "incomplete"),
        ("no_such_thing", {}, "neither a protocol nor a folder"),
        ("nobody/nothing-at-all", {}, "Hub"),
        ([lost], {}, "mixture or holdout needs clips by index"),
        (lost, {"holdout": "ntu60_xsub"}, "mixture or holdout needs clips by index"),
    ]
    for source, options, words in cases:
        with pytest.raises(ValueError) as caught:
            load_skeletons(source, streaming=True, **options)
        assert words in str(caught.value) and "\n" not in str(caught.value), source
