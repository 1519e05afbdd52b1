from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeClip

from s2i_hf.data.collator import SkeletonCollator
from s2i_hf.data.skeleton_rows import as_rows
from s2i_hf.processing.augmentation import Augmentation
from s2i_hf.processing.layouts import SkeletonLayout

AUGMENTATION = Augmentation(crop=(0.5, 1.0), yaw=1.0, mirror=0.5, jitter=0.01)


def row(joints: np.ndarray, layout: Any = "kinect_v2", label: int = 0, sample_id: str = "clip") -> dict[str, Any]:
    return {"joints": joints, "layout": layout, "label": label, "sample_id": sample_id}


def test_a_batch_is_padded_with_zeros(make_clip: MakeClip) -> None:
    clips = [make_clip("kinect_v2", 7, 2), make_clip("kinect_v1", 9, 1), make_clip("kinect_v2", 1, 1)]
    layouts = ["kinect_v2", "kinect_v1", "kinect_v2"]
    names = [f"clip{index}" for index in range(3)]
    rows = [row(clip, layouts[index], index + 3, names[index]) for index, clip in enumerate(clips)]
    batch = SkeletonCollator()(rows)
    assert batch["joints"].shape == (3, 9, 2, 25, 3) and batch["joints"].dtype == torch.float32
    assert (batch["num_frames"], batch["num_people"]) == ([7, 9, 1], [2, 1, 1])
    assert (batch["layouts"], batch["sample_ids"]) == (layouts, names)
    assert batch["labels"].tolist() == [3, 4, 5] and batch["labels"].dtype == torch.int64 and batch["num_missing"] == 0
    expected = np.zeros((3, 9, 2, 25, 3), dtype=np.float32)
    for index, clip in enumerate(clips):
        frames, people, joints = clip.shape[:3]
        expected[index, :frames, :people, :joints] = clip
    np.testing.assert_array_equal(batch["joints"].numpy(), expected)
    assert "labels" not in SkeletonCollator(with_labels=False)(rows)


def test_rows_as_they_are_stored(make_clip: MakeClip) -> None:
    clip = make_clip("kinect_v2", 5, 1)
    stored = {**row(clip), "joints": clip.reshape(-1).tolist(), "shape": list(clip.shape)}
    assert torch.equal(SkeletonCollator()([stored])["joints"], SkeletonCollator()([row(clip)])["joints"])


def test_absent_people_and_missing_joints(make_clip: MakeClip) -> None:
    clip = make_clip("kinect_v2", 6, 2)
    clip[:, 1] = np.nan
    clip[2, 0, 4] = np.nan
    batch = SkeletonCollator()([row(clip)])
    assert batch["num_people"] == [1] and batch["num_missing"] == 1 and batch["joints"].isfinite().all()


def test_a_layout_of_ones_own(make_clip: MakeClip) -> None:
    mine = SkeletonLayout(
        "mine", ["head", "spine", "left_hand", "right_hand", "left_foot", "right_foot"], [1, -1, 1, 1, 1, 1]
    )
    batch = SkeletonCollator()([row(make_clip(mine, 4), mine), row(make_clip(mine, 3), mine.to_dict())])
    assert batch["layouts"] == [mine, mine] and batch["joints"].shape == (2, 4, 1, 6, 3)


def test_a_row_may_bring_its_own_epoch(make_clip: MakeClip) -> None:
    rows = [row(make_clip("kinect_v2", 30, 1, seed=index), sample_id=f"clip{index}") for index in range(3)]
    mixed = SkeletonCollator(AUGMENTATION, seed=5)([{**rows[i], "epoch": epoch} for i, epoch in enumerate((4, 0, 7))])
    for index, epoch in enumerate((4, 0, 7)):
        collator = SkeletonCollator(AUGMENTATION, seed=5)
        collator.set_epoch(epoch)
        alone = collator([rows[index]])
        assert mixed["num_frames"][index] == alone["num_frames"][0]
        assert torch.equal(mixed["joints"][index, : alone["num_frames"][0]], alone["joints"][0])


def test_augmentation_depends_on_seed_epoch_and_id_alone(make_clip: MakeClip) -> None:
    rows = [row(make_clip("kinect_v2", 30, 1, seed=index), sample_id=f"clip{index}") for index in range(4)]

    def clips(collator: SkeletonCollator, some: list[dict[str, Any]]) -> list[np.ndarray]:
        batch = collator(some)
        return [joints[:frames].numpy() for joints, frames in zip(batch["joints"], batch["num_frames"], strict=True)]

    collator = SkeletonCollator(AUGMENTATION, seed=5)
    together = clips(collator, rows)
    for index in (3, 1):
        np.testing.assert_array_equal(clips(SkeletonCollator(AUGMENTATION, seed=5), [rows[index]])[0], together[index])
    collator.set_epoch(1)
    assert collator.epoch == 1
    other_epoch, other_seed = clips(collator, rows), clips(SkeletonCollator(AUGMENTATION, seed=6), rows)
    for index in range(4):
        for changed in (other_epoch[index], other_seed[index]):
            assert changed.shape != together[index].shape or not np.array_equal(changed, together[index])


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_the_epoch_reaches_running_workers(context: str) -> None:
    rows = as_rows([row(np.random.default_rng(i).normal(size=(20, 1, 25, 3)), sample_id=str(i)) for i in range(6)])
    collator = SkeletonCollator(AUGMENTATION)
    loader = torch.utils.data.DataLoader(
        rows, batch_size=2, num_workers=1, persistent_workers=True, collate_fn=collator, multiprocessing_context=context
    )
    for epoch in (0, 1, 4):
        collator.set_epoch(epoch)
        alone = SkeletonCollator(AUGMENTATION)
        alone.set_epoch(epoch)
        for index, batch in enumerate(loader):
            assert torch.equal(batch["joints"], alone([rows[2 * index], rows[2 * index + 1]])["joints"])


def test_a_bad_clip_is_named(make_clip: MakeClip) -> None:
    for clip, words in ((make_clip("kinect_v1"), "25"), (make_clip() * 1000, "metres"), (make_clip()[:0], "frame")):
        with pytest.raises(ValueError, match=words) as caught:
            SkeletonCollator()([row(make_clip()), row(clip, sample_id="the_bad_one")])
        assert "the_bad_one" in str(caught.value)
