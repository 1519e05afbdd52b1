"""The `.npz` that CTR-GCN, MAMP and others train from: all clips of a data set in one file, padded with zeros.

    x_train (N, T, 150)   two people x 25 joints x 3, zeros after the last frame and where the second person is absent
    y_train (N, classes)  one-hot labels; x_test and y_test likewise

Files are read clip by clip, so those of 20 GB need no memory to speak of. Padding is taken off again.
Format from the preparation scripts of CTR-GCN (Chen et al., ICCV 2021); not checked against a real file.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...processing.skeleton_layout import SkeletonLayout
from ...protocols import Split
from ..raw_files import RawFile, ReadError
from .arrays import Npz, open_npz

_ARRAYS: dict[Split, tuple[str, str]] = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
_MAX_CLIPS = 10_000_000
_MAX_LABELS = 256 << 20  # bytes of one-hot labels: twice those of NTU-120


def is_container(file: RawFile) -> bool:
    """Whether a `.npz` holds many clips, as this format does."""
    if not file.name.lower().endswith(".npz"):
        return False
    try:
        with open_npz(file) as arrays:
            return any(clips in arrays.keys for clips, _ in _ARRAYS.values())
    except ReadError:
        return False  # reading it will say what is wrong


def clip_id(file_id: str, split: Split, index: int) -> str:
    """Id of a clip: those of file and split, and its place there from 0."""
    return f"{file_id}_{split}_{index:06}"


def read_labels(file: RawFile) -> tuple[dict[Split, np.ndarray], int]:
    """Labels of all clips, without reading these: for each split that is there (N,) int64, -1 if it has none; and the number of classes.

    Raises ReadError if they are damaged, neither one-hot nor whole numbers, or not as many as clips.
    """
    labels: dict[Split, np.ndarray] = {}
    classes = 0
    with open_npz(file) as arrays:
        for split, (clips, key) in _ARRAYS.items():
            if clips not in arrays.keys:
                continue
            shape = arrays.header(clips).shape
            if not shape or shape[0] > _MAX_CLIPS:
                raise ReadError(f"{file.name}: {clips} has shape {shape}; expected (N, T, M * V * 3).")
            if key not in arrays.keys:
                labels[split] = np.full(shape[0], -1, dtype=np.int64)
                continue
            labels[split], count = _labels(arrays, key, file.name)
            classes = max(classes, count)
            if len(labels[split]) != shape[0]:
                raise ReadError(f"{file.name}: {len(labels[split])} labels in {key} for {shape[0]} clips in {clips}.")
    return labels, classes


def _labels(arrays: Npz, key: str, name: str) -> tuple[np.ndarray, int]:
    array = arrays.array(key, _MAX_LABELS)
    if array.ndim == 2 and array.shape[1]:
        bad = np.flatnonzero(((array != 0) & (array != 1)).any(axis=1) | ((array != 0).sum(axis=1) != 1))
        if len(bad):
            raise ReadError(f"{name}: {key} is not one-hot in row {bad[0] + 1} of {len(array)}; expected a single 1.")
        return array.argmax(axis=1).astype(np.int64), array.shape[1]
    if array.ndim == 1 and (array.dtype.kind in "iu" or (array == np.rint(array)).all()):
        if len(array) and not 0 <= array.min() <= array.max() < 1 << 16:
            raise ReadError(f"{name}: {key} goes from {array.min()} to {array.max()}; expected labels from 0.")
        return array.astype(np.int64), int(array.max()) + 1 if len(array) else 0
    raise ReadError(f"{name}: {key} has shape {array.shape} of {array.dtype}; expected one-hot rows or whole numbers.")


def read_clips(file: RawFile, layout: SkeletonLayout) -> Iterator[tuple[Split, int, np.ndarray | ReadError]]:
    """Read all clips: split, index in it from 0, and (T, M, V, 3) float64 without the padding, or what is wrong with this clip.

    People who are zero in a frame are NaN there, those who are zero throughout are left out. Raises ReadError if the file is damaged,
    or its rows are not made of V * 3 numbers a person.
    """
    person = layout.num_joints * 3
    with open_npz(file) as arrays:
        for split, (key, _) in _ARRAYS.items():
            if key not in arrays.keys:
                continue
            shape = arrays.header(key).shape
            if len(shape) != 3 or shape[1] == 0 or shape[2] == 0 or shape[2] % person:
                expected = f"expected (N, T, M * {person}) for layout {layout.name!r}"
                raise ReadError(f"{file.name}: {key} has shape {shape}; {expected}.")
            for index, row in enumerate(arrays.rows(key)):
                joints = row.reshape(shape[1], -1, layout.num_joints, 3)
                there = (joints != 0).any(axis=(2, 3))  # (T, M); NaN counts as there
                if there.any():
                    last, people = np.flatnonzero(there.any(axis=1))[-1] + 1, there.any(axis=0)
                    clip = joints[:last].astype(np.float64)
                    clip[~there[:last]] = np.nan
                    yield split, index, clip[:, people]
                else:
                    where = f"{file.name}: clip {index + 1} of {key}"
                    yield split, index, ReadError(f"{where} is all zero; nobody is in it.")
