"""Keypoints in YOLO's text files, one a frame, as ultralytics writes them with save_txt: a row a person.

    class x y width height (x y score) * V [confidence] [track id]          all in parts of the image

17 keypoints are COCO's. A frame in which nobody was found has no file. Format: docs.ultralytics.com/datasets/pose, Results.save_txt.
"""

from __future__ import annotations

import numpy as np

from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import MAX_CLIP, RawFile, ReadError, read_bytes
from ..raw_clip import RawClip
from .frame_files import read_frames
from .tracks import Bodies, stated

_BOX = 5  # class x y width height
_COCO = 17
_MORE = 2  # columns that may follow
_LARGEST = 1 << 20  # bytes of a frame


def is_frame(file: RawFile) -> bool | None:
    """Whether a file has rows of this form; None if it is empty."""
    if file.size == 0 or file.size > _LARGEST:
        return None if file.size == 0 else False
    try:
        rows = _rows(file)
    except ReadError:
        return False
    return rows.shape[1] > _BOX + _MORE and bool((np.abs(rows[:, 1 : _BOX + _MORE]) <= 2).all())


def _rows(file: RawFile) -> np.ndarray:
    text = read_bytes(file, limit=MAX_CLIP).decode("ascii", "replace")
    rows = [line.split() for line in text.splitlines() if line.strip()]
    try:
        table = np.array([[float(cell) for cell in row] for row in rows])
    except ValueError:
        raise ReadError(f"{file.name}: has something else than numbers in it, or rows of several lengths.") from None
    if table.ndim != 2 or not (table[:, 0] == table[:, 0].round()).all():
        raise ReadError(f"{file.name}: has no rows of class, box and keypoints.")
    return table


def read(file: RawFile, layout: SkeletonLayout | None = None) -> RawClip:
    """Read a clip; `layout` says how many keypoints there are, if these are not 17. Raises ReadError if its rows are not of this form."""
    frames, left_out = read_frames(file, _rows)
    columns = {rows.shape[1] for _, rows in frames if rows is not None}
    sizes = [(_COCO, 3)] if layout is None else [(_COCO, 3), (layout.num_joints, 3), (layout.num_joints, 2)]
    if len(columns) != 1:
        raise ReadError(
            f"{file.name}: rows of {min(columns)} to {max(columns)} numbers; expected as many in all frames."
        )
    width = columns.pop()
    count, size = next((one for one in sizes if 0 <= width - _BOX - one[0] * one[1] <= _MORE), (0, 0))
    if not count:
        held = f"rows of {width} numbers, which are not a box and {_COCO} keypoints"
        raise ReadError(
            f"{file.name}: {held}; pass a layout of your own with the joints they are, in unit 'normalized'."
        )
    rest = width - _BOX - count * size
    last = np.concatenate([rows[:, -1] for _, rows in frames if rows is not None])
    of_ids = rest == _MORE or (rest == 1 and bool((last > 1).any()))  # a confidence is at most 1
    first = min(rows[:, 0].min() for _, rows in frames if rows is not None)
    bodies, others = Bodies(file.name, [number for number, _ in frames], left_out), 0
    for number, rows in frames:
        for row in rows if rows is not None else ():
            others += int(row[0] != first)
            if row[0] == first:
                points = row[_BOX : _BOX + count * size].reshape(count, size)
                points[(points[:, :2] == 0).all(axis=-1)] = 0 if size == 3 else np.nan  # not found
                bodies.add(number, float(row[-1]) if of_ids else None, points.tolist())
    if others:
        left_out.append(f"bodies of other classes than {first:.0f} are left out: {others:,}.")
    clip = bodies.clip(bodies.points())
    if (count, size) == (_COCO, 3):
        return stated(clip, "coco_17", "normalized")
    clip.unit = "normalized"
    return clip
