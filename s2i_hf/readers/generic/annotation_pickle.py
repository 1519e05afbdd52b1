"""Annotation pickles of PYSKL and MMAction2 to a folder that `load_skeletons("folder")` reads.

    {"split": {"xsub_train": [frame_dir, ...], "xsub_val": [...]},
     "annotations": [{"frame_dir": "S001...", "label": 0, "total_frames": 103, "keypoint": (M, T, V, 2 or 3),
                      "keypoint_score": (M, T, V)}, ...]}

The files are read by `pickles`, which runs nothing in them. Format from PYSKL's data README; keypoints of score 0, and people
who are zero in a frame, become NaN, for they were not seen.
"""

from __future__ import annotations

import csv
import mmap
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...processing.layouts import get_layout
from ...processing.skeleton_layout import SkeletonLayout
from ...utils.files import replacing
from ..raw_files import ReadError
from .arrays import sound
from .folder_labels import SPLIT_NAMES, listed
from .pickles import load


def convert_pickle(
    path: str | Path, output: str | Path, layout: str | SkeletonLayout | Mapping[str, Any] | None = None
) -> list[str]:
    """Write every annotation as a `.npz` file, and labels and splits as CSV, into a new folder.

    `output` gets `clips/*.npz`, joints (T, M, V, 2 or 3) float32, and `labels.csv`, or one `labels_<rule>.csv` a rule, if the pickle has
    several (xsub, xview). Either all of it is written or nothing. Keypoints of another number of joints than `layout`, if given, are
    an error. Returns lines that say what was done, and what to do next.

    Raises ReadError if the file holds anything but arrays, text, numbers and containers, is damaged, or is no such annotation file
    (nothing in it is run), and ValueError if `output` is there already, or the layout is unknown.
    """
    path, output = Path(path).expanduser(), Path(output).expanduser()
    wanted = None if layout is None else get_layout(layout)
    if not path.is_file():
        raise ReadError(f"{path} is {'a folder' if path.is_dir() else 'not there'}; expected a .pkl of annotations.")
    if output.exists():
        raise ValueError(f"{output} is there already; choose another folder.")
    annotations, splits = _parts(_load(path), path.name)
    with replacing(output) as folder:
        (folder / "clips").mkdir(parents=True)
        names, left_out, joints = _write_clips(annotations, folder, wanted, path.name)
        tables = _write_tables(names, splits, folder, path.name)
    known = wanted.name if wanted else {17: "coco_17", 25: "kinect_v2"}.get(joints, "LAYOUT")
    labels = "" if len(tables) == 1 else f" --labels {output / tables[0]}"
    lines = [f"{path.name}: {len(names):,} clips written to {output}, with {', '.join(tables)}"]
    if left_out:
        lines.append(f"left out, without keypoints: {len(left_out):,} ({listed(left_out)})")
    return [*lines, f"next: s2i convert folder --data-dir {output} --layout {known}{labels} --output OUT"]


def _load(path: Path) -> Any:
    with sound(f"{path.name}: cannot be read"), path.open("rb") as file:
        if not path.stat().st_size:
            raise ReadError(f"{path.name}: the file is empty.")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # lives as long as the arrays that are views of it
    return load(memoryview(data), path.name)


def _parts(content: Any, name: str) -> tuple[list[Any], dict[str, list[Any]]]:
    """The annotations, and the names of the clips in each split."""
    if isinstance(content, list):  # the older form of MMAction2, a file a split
        return content, {}
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise ReadError(f"{name}: no dict with 'annotations'; expected annotations of PYSKL or MMAction2.")
    splits = content.get("split", {})
    if not isinstance(splits, dict) or not all(isinstance(value, list) for value in splits.values()):
        raise ReadError(f"{name}: 'split' is no dict of lists; expected the names of the clips of each split.")
    return content["annotations"], splits


def _write_clips(
    annotations: Sequence[Any], folder: Path, layout: SkeletonLayout | None, name: str
) -> tuple[dict[str, tuple[str, int | str]], list[str], int]:
    """Write the clips. Returns frame_dir -> (file, label), the frame_dir of those without keypoints, and the joints of the last one."""
    names: dict[str, tuple[str, int | str]] = {}
    left_out: list[str] = []
    joints = 0
    for number, item in enumerate(annotations, 1):
        where = f"{name}: annotation {number} of {len(annotations):,}"
        if not isinstance(item, dict) or not isinstance(item.get("frame_dir"), str):
            raise ReadError(f"{where}: no dict with a 'frame_dir'; expected an annotation of PYSKL or MMAction2.")
        if "keypoint" not in item:
            left_out.append(item["frame_dir"][:80])
            continue
        clip = _clip(item, where)
        joints = clip.shape[2]
        if layout is not None and joints != layout.num_joints:
            raise ReadError(f"{where}: {joints} joints; layout {layout.name!r} has {layout.num_joints}.")
        label = item.get("label", -1)
        if type(label) is not int or not -1 <= label < 1 << 16:
            raise ReadError(f"{where}: its label is no whole number from 0; expected the number of a class.")
        file = re.sub(r"[^\w.-]+", "_", item["frame_dir"])[:150].lstrip(".") or "clip"
        path = folder / "clips" / f"{file}.npz"
        if item["frame_dir"] in names or path.exists():
            raise ReadError(f"{where}: {file!r} is there twice; every clip needs a name of its own.")
        np.savez(path, joints=clip, axes=np.array("TMVC"))
        names[item["frame_dir"]] = file, label if label >= 0 else ""
    if not names:
        raise ReadError(f"{name}: none of its {len(annotations):,} annotations has keypoints.")
    return names, left_out, joints


def _clip(item: Mapping[str, Any], where: str) -> np.ndarray:
    """(T, M, V, 2 or 3) float32."""
    keypoint, score = item["keypoint"], item.get("keypoint_score")
    shape: tuple[int, ...] = keypoint.shape if isinstance(keypoint, np.ndarray) else ()
    if len(shape) != 4 or shape[3] not in (2, 3):
        held = shape or type(keypoint).__name__
        raise ReadError(f"{where}: 'keypoint' is {held}; expected an array (people, frames, joints, 2 or 3).")
    if 0 in shape:
        raise ReadError(f"{where}: 'keypoint' has shape {shape}, without a person, frame or joint in it.")
    clip = np.array(keypoint.swapaxes(0, 1), dtype=np.float32)
    clip[~(clip != 0).any(axis=(2, 3))] = np.nan
    if score is not None:
        if not isinstance(score, np.ndarray) or score.shape != shape[:3]:
            expected = f"expected a score for each of {shape[:3]}"
            raise ReadError(f"{where}: 'keypoint_score' does not fit 'keypoint'; {expected}.")
        clip[~(score.swapaxes(0, 1) > 0)] = np.nan
    there = ~np.isnan(clip).all(axis=(0, 2, 3))  # people; keep one, so that the file says what is wrong
    return np.ascontiguousarray(clip[:, there] if there.any() else clip[:, :1])


def _write_tables(
    names: Mapping[str, tuple[str, int | str]], splits: Mapping[str, Sequence[Any]], folder: Path, source: str
) -> list[str]:
    """Write the CSV files: one a rule of splitting. Returns their names."""
    rules: dict[str, dict[str, str]] = {}
    for split, members in splits.items():
        match = re.fullmatch(r"(.*?)_?(train|validation|valid|val|test)(\d*)", split)
        if match is None:
            raise ReadError(f"{source}: a split called {split[:40]!r}; expected names such as xsub_train and xsub_val.")
        side, sides = SPLIT_NAMES[match[2]], rules.setdefault(match[1] + match[3], {})
        for member in members:
            if not isinstance(member, str):
                raise ReadError(f"{source}: split {split[:40]!r} holds something else than names of clips.")
            if sides.setdefault(member, side) != side:
                raise ReadError(f"{source}: {member[:80]!r} trains and tests under one rule; expected one of the two.")
    tables = []
    for rule, sides in (rules or {"": dict.fromkeys(names, "train")}).items():
        suffix = re.sub(r"[^\w-]+", "_", rule)[:50]
        tables.append(f"labels_{suffix}.csv" if suffix and len(rules) > 1 else "labels.csv")
        with (folder / tables[-1]).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "label", "split"])
            writer.writerows([*names[name], sides[name]] for name in names if name in sides)
    return tables
