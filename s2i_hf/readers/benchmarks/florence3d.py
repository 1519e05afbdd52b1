"""Florence 3D Actions (Kinect v1, 15 joints, millimetres): all clips in one file, or a file a clip.

    Florence_dataset_WorldCoordinates.txt    a line a frame: video, actor, category and 15 x (x, y, z)
    v001_s01_a01.txt, a01_s01_e01.txt        a line a frame of 45 numbers, or 15 lines a frame of three

Not checked against real files: the columns are those the authors document, the files of single clips those that were seen
in public code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ...protocols import parse_name
from ...protocols.single_person_sets import NUM_FLORENCE_ACTIONS
from ..number_text import read_table
from ..raw_files import FileLike, RawFile, ReadError, check_metres, read_bytes
from . import Selected, named_sequence, only_clip

_NUM_JOINTS = 15
_KEYS = ("video", "actor", "category")


def select(files: Sequence[RawFile]) -> Selected:
    """The file with all clips where it is there, else the files of single clips."""
    named = [(file, parse_name("florence3d", file.stem)) for file in files]
    together = [file for file, name in named if name is not None and name.action < 0]
    single = [file for file, name in named if name is not None and name.action >= 0]
    also = [file.name for file in single if together]
    unnamed = [file.name for file, name in named if name is None]
    return together or single, {"not named like a recording": unnamed, "also in the file of all clips": also}


def read_clips(file: FileLike, denoise: bool = True) -> Iterator[SkeletonSequence | ReadError]:
    """Read all clips of a file, or the only one, in their order: joints (T, 1, 15, 3).

    A clip whose actor or category changes, is none of the dataset's, or that is there twice comes out as its error. Raises ReadError,
    which names the line, if the file is not in the format, or not in millimetres.
    """
    path = RawFile.of(file)
    name = parse_name("florence3d", path.stem)
    if name is not None and name.action >= 0:
        yield only_clip("florence3d", path, _metres(_single_clip(path)), millimetres=True)
        return
    table = read_table(path, len(_KEYS) + 3 * _NUM_JOINTS, "video, actor, category and 15 x (x, y, z)")
    bad = np.argwhere((table[:, :3] != np.floor(table[:, :3])) | (table[:, :3] < 0) | (table[:, :3] > 9_999))
    if len(bad):
        row, column = bad[0]
        problem = f"{path.name}: row {row + 1}: the {_KEYS[column]} is {table[row, column]:g}"
        raise ReadError(f"{problem}; expected a whole number.")
    joints = _metres(table[:, len(_KEYS) :])
    check_metres(joints, path.name, millimetres=True)
    keys = table[:, : len(_KEYS)].astype(np.int64)
    starts = np.flatnonzero(np.diff(keys[:, 0], prepend=-1))
    seen: set[int] = set()
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        video, actor, category = keys[start].tolist()
        where = f"{path.name}: video {video}, from row {start + 1} on"
        if video in seen:
            yield ReadError(f"{where}, is there for the second time; it is left out.")
        elif (keys[start:end] != keys[start]).any():
            yield ReadError(f"{where}, changes its actor or category; expected one of each in a video.")
        elif not 1 <= category <= NUM_FLORENCE_ACTIONS:
            yield ReadError(f"{where}, has category {category}; expected 1 to {NUM_FLORENCE_ACTIONS}.")
        else:
            yield named_sequence("florence3d", f"v{video:03}_s{actor:02}_a{category:02}", joints[start:end])
        seen.add(video)


def _single_clip(path: RawFile) -> np.ndarray:
    """The numbers of a file, a line a frame, or 15 lines a frame."""
    first = read_bytes(path).split(b"\n", 1)[0].split(None, 4)
    if len(first) > 3:
        return read_table(path, 3 * _NUM_JOINTS, "15 x (x, y, z)")
    table = read_table(path, 3, "x y z of a joint")
    if len(table) % _NUM_JOINTS:
        raise ReadError(f"{path.name}: {len(table)} lines; expected {_NUM_JOINTS} for each frame.")
    return table


def _metres(millimetres: np.ndarray) -> np.ndarray:
    return (millimetres.reshape(-1, _NUM_JOINTS, 3) / 1000).astype(np.float32)
