"""Files that hold all clips of a data set in one array, padded with zeros, as training code of others keeps them.

    .npz of CTR-GCN, MAMP         x_train (N, T, 150): two people x 25 joints x 3, and y_train (N, classes), one-hot; x_test and y_test
    .npy of ST-GCN, 2s-AGCN,      train_data.npy, train_data_joint.npy, val_data.npy, data.npy: (N, C, T, V, M), or clips of another order
    MS-G3D, Shift-GCN, CTR-GCN    of `array_axes`; beside it train_label.pkl = (names, labels), or .npy with numbers or one-hot rows

Files are read clip by clip, so those of 20 GB need no memory to speak of. Padding is taken off again, and who is zero in a frame is NaN.
Formats from the preparation scripts of these projects; not checked against a real file.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...processing.array_axes import arrange, coordinates, find_axes
from ...processing.skeleton_layout import SkeletonLayout
from ...protocols import Split
from ..raw_files import RawFile, ReadError, on_disk, read_bytes
from .arrays import NUMBERS, open_npy, open_npz, read_array, read_header, read_rows
from .folder_labels import SPLIT_NAMES
from .pickles import load

_ARRAYS: dict[Split, tuple[str, str]] = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
_MAX_CLIPS = 10_000_000
_MAX_LABELS = 256 << 20  # bytes of one-hot labels: twice those of NTU-120
_DATA = re.compile(r"(.*?)(?:^|(?<=_))data(_.*)?", re.IGNORECASE)
_OTHER_STREAMS = re.compile(r".*_data_(.*_)?(bone|motion|vel\w*|acc\w*)", re.IGNORECASE)
_LABEL_FILES = ("label.pkl", "labels.pkl", "label.npy", "labels.npy")


class Labelled(NamedTuple):
    """The clips of one split: labels (N,) int64, -1 where nothing says it, and what each is called in the file."""

    labels: np.ndarray
    names: list[str]


def select(
    clips: Sequence[RawFile], every: Sequence[RawFile]
) -> tuple[list[RawFile], set[RawFile], dict[str, list[RawFile]]]:
    """Give arrays of many clips the file with their labels, among `every` file that is there; of a single one its folder is looked at, too.

    Returns `clips` without files of labels and without arrays of bones or motions; the files of labels; and those arrays, by reason.
    """
    places = {_place(file, file.name): file for file in every}
    chosen, labels, streams = [], set(), []
    for file in clips:
        match = _DATA.fullmatch(file.stem) if file.suffix == ".npy" else None
        if match and _OTHER_STREAMS.fullmatch(file.stem):
            streams.append(file)
        elif match and is_container(file):
            names = [f"{match[1]}{name}" for name in _LABEL_FILES]
            found = [places[place] for name in names if (place := _place(file, name)) in places]
            if len(every) == 1 and not file.member:
                found = [on_disk(path) for name in names if (path := file.path.with_name(name)).is_file()]
            labels |= set(found[:1])
            chosen.append(file.with_companions(*found[:1]))
        else:
            chosen.append(file)
    reason = "bones or motions of the joints, which are computed from these"
    return [file for file in chosen if file not in labels], labels, {reason: streams} if streams else {}


def _place(file: RawFile, name: str) -> tuple[Path | None, tuple[str, ...], str]:
    """Where a file called `name` beside `file` is."""
    return file.path if file.member else None, file.folders, name.lower()


def is_container(file: RawFile, axes: str | None = None) -> bool:
    """Whether a file holds many clips: a `.npz` of the form above, or a `.npy` of five axes or of those that `axes` names, with N."""
    with contextlib.suppress(ReadError):  # reading it will say what is wrong
        if file.suffix == ".npz":
            with open_npz(file) as arrays:
                return any(clips in arrays.keys for clips, _ in _ARRAYS.values())
        whole = file.member or file.name.lower().endswith(".gz")  # must be unpacked to be looked at
        if file.suffix == ".npy" and (not whole or _DATA.fullmatch(file.stem)):
            several = len(axes) if axes and "N" in axes.upper() else 5
            with open_npy(file) as stream:
                return len(read_header(stream, file.name).shape) == several
    return False


def split_of(file: RawFile) -> Split:
    """The split that a `.npy` is, by its name or that of its folder; "train" if neither says it."""
    found = [SPLIT_NAMES[word] for word in re.split(r"[\W\d_]+", file.stem.lower()) if word in SPLIT_NAMES]
    folder = file.folders[-1].lower() if file.folders else ""
    return found[0] if found else SPLIT_NAMES.get(folder, "train")


def read_labels(file: RawFile) -> tuple[dict[Split, Labelled], int]:
    """Labels and names of all clips, without reading these, for each split that is there; and the number of classes.

    Raises ReadError if they are damaged, neither one-hot nor whole numbers, or not as many as clips.
    """
    if file.suffix == ".npy":
        return _labels_beside(file)
    labels: dict[Split, Labelled] = {}
    classes = 0
    with open_npz(file) as arrays:
        for split, (clips, key) in _ARRAYS.items():
            if clips not in arrays.keys:
                continue
            shape = arrays.header(clips).shape
            if not shape or shape[0] > _MAX_CLIPS:
                raise ReadError(f"{file.name}: {clips} has shape {shape}; expected (N, T, M * V * 3).")
            labels[split] = _unlabelled(split, shape[0])
            if key in arrays.keys:
                numbers, count = _labels(arrays.array(key, _MAX_LABELS), f"{file.name}: {key}")
                if len(numbers) != shape[0]:
                    raise ReadError(f"{file.name}: {len(numbers)} labels in {key} for {shape[0]} clips in {clips}.")
                labels[split], classes = labels[split]._replace(labels=numbers), max(classes, count)
    return labels, classes


def _unlabelled(split: Split, count: int) -> Labelled:
    return Labelled(np.full(count, -1, dtype=np.int64), [f"{split}_{index:06}" for index in range(count)])


def _labels_beside(file: RawFile) -> tuple[dict[Split, Labelled], int]:
    with open_npy(file) as stream:
        count = read_header(stream, file.name).shape[0]
    if count > _MAX_CLIPS:
        raise ReadError(f"{file.name}: {count:,} clips; expected at most {_MAX_CLIPS:,}.")
    split, classes = split_of(file), 0
    found = _unlabelled(split, count)
    for beside in file.companions:
        names, numbers = _pickled(beside) if beside.suffix == ".pkl" else ([], _stored(beside))
        labels, classes = _labels(numbers, beside.name)
        if names and len(names) != len(labels):
            raise ReadError(f"{beside.name}: {len(labels):,} labels for {len(names):,} names.")
        if len(labels) != count:
            raise ReadError(f"{beside.name}: {len(labels):,} labels for {count:,} clips in {file.name}.")
        found = Labelled(labels, names if len(set(names)) == count else found.names)
    return {split: found}, classes


def _stored(file: RawFile) -> np.ndarray:
    with open_npy(file) as stream:
        return read_array(stream, file.name, _MAX_LABELS)


def _pickled(file: RawFile) -> tuple[list[str], np.ndarray]:
    """What a pickle (names, labels), or of labels alone, holds."""
    content = load(memoryview(read_bytes(file, text=False, limit=_MAX_LABELS)), file.name)
    several = isinstance(content, tuple | list) and len(content) == 2
    first, second = content if several and isinstance(content[0], list | tuple | np.ndarray) else ([], content)
    try:
        numbers = np.asarray(second)
    except ValueError:
        numbers = np.empty(0, dtype=object)
    if numbers.dtype.kind not in NUMBERS or not all(isinstance(name, str) for name in first):
        raise ReadError(f"{file.name}: holds no labels; expected (names of clips, labels) as numbers from 0.")
    return [re.sub(r"\.(skeleton|npy|json)$", "", name) for name in first], numbers


def _labels(array: np.ndarray, where: str) -> tuple[np.ndarray, int]:
    if array.ndim == 2 and array.shape[1] > 1:
        bad = np.flatnonzero(((array != 0) & (array != 1)).any(axis=1) | ((array != 0).sum(axis=1) != 1))
        if len(bad):
            raise ReadError(f"{where} is not one-hot in row {bad[0] + 1} of {len(array)}; expected a single 1.")
        return array.argmax(axis=1).astype(np.int64), array.shape[1]
    array = array[:, 0] if array.ndim == 2 and array.shape[1] else array
    if array.ndim == 1 and (array.dtype.kind in "iu" or (array == np.rint(array)).all()):
        if len(array) and not 0 <= array.min() <= array.max() < 1 << 16:
            raise ReadError(f"{where} goes from {array.min()} to {array.max()}; expected labels from 0.")
        return array.astype(np.int64), int(array.max()) + 1 if len(array) else 0
    raise ReadError(f"{where} has shape {array.shape} of {array.dtype}; expected one-hot rows or whole numbers.")


def read_clips(
    file: RawFile, layout: SkeletonLayout, axes: str | None = None
) -> Iterator[tuple[str, np.ndarray | ReadError]]:
    """Read all clips: name, as in `read_labels`, and (T, M, V, 2 or 3) float64 without the padding, or what is wrong with this clip.

    People who are zero in a frame are NaN there, those who are zero throughout are left out. Raises ReadError if the file is damaged,
    or its clips are not of the joints of the layout, or may be read in two ways.
    """
    labels, _ = read_labels(file)
    if file.suffix == ".npy":
        (known,) = labels.values()
        with open_npy(file) as stream:
            shape = read_header(stream, file.name).shape
        try:
            order = find_axes(shape, layout, axes, batches=True)
        except ValueError as error:
            raise ReadError(f"{file.name}: {error}") from None
        if order[0] != "N":
            raise ReadError(f"{file.name}: its axes are {order}; expected those of the clips, N, first.")
        with open_npy(file) as stream:
            for index, row in enumerate(read_rows(stream, file.name)):
                yield known.names[index], _without_padding(arrange(row, layout, order[1:]), layout, file.name, index)
        return
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
                yield labels[split].names[index], _without_padding(joints, layout, f"{file.name}: {key}", index)


def _without_padding(joints: np.ndarray, layout: SkeletonLayout, where: str, index: int) -> np.ndarray | ReadError:
    there = (joints != 0).any(axis=(2, 3))  # (T, M); NaN counts as there
    if not there.any():
        return ReadError(f"{where}: clip {index + 1} is all zero; nobody is in it.")
    last, people = np.flatnonzero(there.any(axis=1))[-1] + 1, there.any(axis=0)
    try:
        with np.errstate(invalid="ignore"):  # a damaged NaN is one
            clip = np.array(coordinates(joints[:last], layout.unit), dtype=np.float64)
    except ValueError as error:
        return ReadError(f"{where}: clip {index + 1}: {error}")
    clip[~there[:last]] = np.nan
    return clip[:, people]
