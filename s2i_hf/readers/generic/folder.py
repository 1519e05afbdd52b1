"""Custom data: any folder or archive of clips in a general format, found, labelled and read.

    .npy .npz .json   arrays and nested lists (`arrays`), keypoints of pose estimators (`keypoints_json`)
    .npz .npy         all clips of a data set, of ST-GCN, CTR-GCN, MAMP and others (`clip_arrays`)
    .csv              a row a frame (`tables`), or what Motive and Vicon Nexus export (`mocap`)
    .bvh .amc + .asf  motion capture: angles of a tree (`bvh`, `amc_asf`)
    .c3d .trc .mvnx   motion capture: places of markers or segments (`mocap`)
    .json .txt        a file a frame, as OpenPose and YOLO write them (`frame_files`): together they are one clip

Joints come out as everywhere in this package, in the unit of the layout with y up. In images y points down, as in MediaPipe, Azure Kinect,
CMU Panoptic and MPI-INF-3DHP: for layouts in pixels or normalized coordinates and for theirs y and z change their signs, which turns
the body about the x axis and so keeps left and right. In pixels z is 0.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from ...processing.array_axes import check_axes
from ...processing.layouts import BUILT_IN, LAYOUTS, get_layout, register_layout
from ...processing.skeleton_layout import SkeletonLayout
from ...processing.skeleton_sequence import SkeletonSequence
from ...protocols import SPLITS, Split
from ...protocols.folder import FolderProtocol, FolderSample
from ..raw_files import (
    LeftOut,
    RawFile,
    ReadError,
    SilentFile,
    list_raw_files,
    on_disk,
    why_closed,
    with_suffix,
)
from ..recordings import Recordings, file_id, name_in
from . import array_facts, clip_arrays
from .body_size import body_length, check_extent, check_lengths
from .folder_labels import Labels, doubts_about_classes, from_folders
from .joint_names import find
from .label_tables import from_table
from .mocap import amc_asf, bvh, c3d, mvnx, trc
from .pose_estimators import frame_files, keypoints_json, yolo_labels
from .raw_clip import UPS, RawClip, in_layout, layout_of, metres_per
from .tables import table_files

logger = logging.getLogger(__name__)

SUFFIXES = (".npy", ".npz", ".csv", ".tsv", ".parquet", ".json", ".bvh", ".amc", ".asf", ".c3d", ".trc", ".mvnx")
_MOCAP = (".bvh", ".amc", ".c3d", ".trc", ".mvnx")
_READERS = {
    ".npy": array_facts, ".npz": array_facts, ".json": keypoints_json, ".csv": table_files, ".tsv": table_files, ".parquet": table_files,
    ".bvh": bvh, ".amc": amc_asf, ".c3d": c3d, ".trc": trc, ".mvnx": mvnx, ".txt": yolo_labels,
}  # fmt: skip
_ARRAYS = (array_facts, keypoints_json)  # whose axes may be told
_LOOKED_AT = 8  # files, and clips in each of them, by which the size of bodies is judged
_OFF = 0.02  # 29.97 frames a second may be called 30
_REASONS = 6  # that are named where there is no clip
_TABLE = "labels.csv"  # or labels.tsv
TABLES = re.compile(r"labels(_.*)?\.[ct]sv", re.IGNORECASE)
LayoutOption = str | Path | SkeletonLayout | Mapping[str, Any]


class FolderOptions(TypedDict, total=False):
    """What custom data do not say themselves; see `find_folder`."""

    layout: LayoutOption | None
    labels: str | Path | None
    unit: str | None
    up: str | None
    axes: str | None
    fps: float | None
    any_size: bool


def find_folder(
    data_dir: str | Path,
    layout: LayoutOption | None = None,
    labels: str | Path | None = None,
    unit: str | None = None,
    up: str | None = None,
    fps: float | None = None,
    any_size: bool = False,
    axes: str | None = None,
    default_layout: LayoutOption | None = None,
    labelled: bool = True,
    files: Sequence[RawFile] | None = None,
) -> Recordings:
    """Find the recordings of a folder, with their labels and splits.

    Args:
        data_dir: Folder (looked through at any depth), zip archive, or a single file.
        layout: Joint format: a name in `LAYOUTS`, a `SkeletonLayout`, its `to_dict` form, or a JSON file with that. None: that
            which the first file states by its format, the names of its joints or its tree; a file that is silent is refused. A
            custom layout is made known by its name (`register_layout`).
        labels: CSV file with the columns id and label, and maybe split, subject and camera. None: `labels.csv` in the folder, if
            there is one, else the sub-folders; see `folder_labels`.
        unit: What the coordinates are given in: "m", "cm", "mm", "inch" or metres per unit such as "0.056444". None: what the file
            says, else the unit of the layout, and for AMC files the scale of CMU. Nothing is guessed: bodies that cannot be of this
            size are errors.
        up: The up axis of the files, "y", "z" or "-y". None: what the file says, else -y in pixels and for "mediapipe_33", y otherwise.
        axes: Order of the axes of arrays and nested lists, where their sizes leave it in doubt: the letters T (frames), V (joints), C
            (values a joint), and M (people) or N (clips) if there are any, such as "MTVC"; see `processing.array_axes`.
        fps: Frames a second, where the files do not say it.
        any_size: Read bodies of any size; otherwise those that are, by the median of some clips, below 0.4 m or above 2.6 m from head to
            foot are refused, with the unit that would fit.
        default_layout: Joint format of files that do not say it, if `layout` is None; if it is somebody's own, also of files that name
            all its joints.
        labelled: False: take every recording, in the test split and with label -1, whatever tables and sub-folders say.
        files: What is in a folder or archive, if `raw_files.list_raw_files` was asked before.

    Returns:
        `Recordings` of a `FolderProtocol`. Without any labels all clips train, with label -1.

    Raises:
        ValueError: nothing to read there, no layout, an unknown unit, or labels that do not fit; says what to do.
    """
    folder = Path(data_dir).expanduser()
    if (folder / "s2i.json").is_file():
        raise ValueError(f"{folder} was made by `s2i convert`; load it by its path, without data_dir.")
    metres_per(unit)
    if up not in (None, *UPS):
        raise ValueError(f"up is {up!r}; expected one of {', '.join(UPS)}.")
    axes = None if axes is None else check_axes(axes)
    if fps is not None and not 0 < fps < math.inf:
        raise ValueError(f"fps is {fps}; expected frames a second, above 0.")
    table = None if labels is None else Path(labels).expanduser()
    if table is not None and not table.is_file():
        raise ValueError(f"{table} is not there; expected a CSV file with the columns id and label.")
    found, table_file, left_out = _find(folder, table, Path(layout) if isinstance(layout, Path | str) else None, files)
    skeleton = register_layout(_resolve(layout, found, axes, default_layout))
    if unit is not None and skeleton.unit != "m":
        raise ValueError(f"unit is {unit!r}, but layout {skeleton.name!r} is in {skeleton.unit}; leave unit out.")
    protocol = FolderProtocol(
        layout=skeleton.name,
        skeleton=skeleton,
        unit=unit,
        up=up,
        axes=axes,
        fps=fps,
        any_size=any_size,
        root=str(folder),
    )
    ids: dict[str, RawFile] = {}
    for name, file in sorted(((file_id(protocol, file), file) for file in found), key=lambda pair: pair[0]):
        if name in ids:
            raise ValueError(f"{ids[name]} and {file} would be one clip {name!r}; rename or remove one of them.")
        ids[name] = file
    containers = {name: file for name, file in ids.items() if clip_arrays.is_container(file, axes)}
    if containers:
        if table_file is not None:
            first = next(iter(containers.values()))
            raise ValueError(f"{first.name} has its labels in it; leave out {table_file.name}.")
        known, splits = _contained(containers)
        protocol = replace(protocol, containers=splits)
        known.left_out["beside a file that holds many clips"] = list(ids.keys() - containers.keys())
    elif not labelled:
        known = Labels({name: FolderSample("test") for name in ids})
    else:
        known = from_folders(list(ids)) if table_file is None else from_table(table_file, list(ids))
    protocol = replace(protocol, table=known.table, names=known.names)
    if labelled and not protocol.names:
        advice = (
            f"put each clip in a folder named after its class, or list them in a {_TABLE} with columns id and label"
        )
        logger.warning("%s: nothing says what the clips show, so all labels are -1: %s.", folder, advice)
    protocol = replace(protocol, fps=_looked_at(list(ids.values()), protocol))
    parts: dict[Split, list[RawFile]] = {
        split: [file for name, file in ids.items() if split in protocol.file_splits(name)] for split in SPLITS
    }
    doubts = known.warnings + doubts_about_classes(known.names, known.table.values())
    return Recordings(protocol, parts, left_out | known.left_out, known.notes, doubts if labelled else [])


def _find(
    folder: Path, table: Path | None, layout: Path | None, files: Sequence[RawFile] | None
) -> tuple[list[RawFile], RawFile | None, dict[str, list[str]]]:
    """The clips, the table of labels, and files that are left out."""
    if not folder.exists():
        raise ValueError(f"The data folder {folder} is not there; expected a folder of clips ({', '.join(SUFFIXES)}).")
    if folder.is_dir() or folder.suffix.lower() == ".zip":
        every = list_raw_files(folder) if files is None else files
        found = with_suffix(every, (*SUFFIXES, ".txt"))
    elif with_suffix([RawFile(folder)], (*SUFFIXES, ".txt")):
        every = found = [on_disk(folder)]
    else:
        raise ValueError(f"{folder.name} is none of {', '.join(SUFFIXES)}; expected a clip or a folder of clips.")
    tables = [file for file in found if TABLES.fullmatch(file.name)]
    named = sorted(
        (file for file in tables if file.stem.lower() == "labels"), key=lambda file: (len(file.folders), str(file))
    )
    if table is None and tables and not named:
        names = ", ".join(file.name for file in tables)
        raise ValueError(f"{folder} has several tables of labels; pass one of {names} as labels.")
    table_file = on_disk(table) if table is not None else named[0] if named else None
    given = {path.resolve() for path in (table, layout) if path is not None and path.is_file()}
    used = {
        file for file in every if file == table_file or (given and not file.member and file.path.resolve() in given)
    }
    clips = frame_files.select(
        [file for file in found if file not in tables and file not in used], keypoints_json.is_frame
    )
    known = {one for file in clips for one in (file.with_companions(), *file.companions)} | {*tables, *used}
    clips, given_labels, other_streams = clip_arrays.select(clips, every)
    known |= given_labels
    amc, left_out = amc_asf.select(clips)
    left_out |= {reason: [name_in(file, folder) for file in files] for reason, files in other_streams.items()}
    skeletons = {skeleton for file in amc for skeleton in file.companions}
    left_out["no .amc file belongs to it"] = [
        name_in(file, folder) for file in clips if file.suffix == ".asf" and file not in skeletons
    ]
    left_out["a table of labels that is not used"] = [name_in(file, folder) for file in tables if file not in used]
    for file in (file for file in every if file not in known):
        reason = why_closed(file) or f"no format of clips ({file.suffix or 'without suffix'})"
        left_out.setdefault(reason, []).append(name_in(file, folder))
    clips = [file for file in clips if file.suffix not in (".amc", ".asf")] + amc
    if not clips:
        pickles = any(file.suffix in (".pkl", ".pickle") for file in every)
        hint = " Pickles are read by `s2i convert-pickle` only." if pickles else ""
        hint += "".join(f" {names[0]}: {reason}." for reason, names in [*left_out.items()][:_REASONS] if names)
        raise ValueError(f"No clips in {folder}: looked for {', '.join(SUFFIXES)}.{hint}")
    return clips, table_file, left_out


def may_be_clips(files: Sequence[RawFile]) -> list[RawFile]:
    """The files of general formats: those of `SUFFIXES`, and the first text file of each clip of YOLO's."""
    texts = frame_files.select(with_suffix(files, (".txt",)), keypoints_json.is_frame)
    return with_suffix(files, SUFFIXES) + texts


def _resolve(
    layout: LayoutOption | None, files: Sequence[RawFile], axes: str | None = None, default: LayoutOption | None = None
) -> SkeletonLayout:
    if isinstance(layout, Path) or (isinstance(layout, str) and layout.lower().endswith(".json")):
        path = Path(layout).expanduser()
        try:
            return get_layout(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            expected = "Expected the JSON form of SkeletonLayout.to_dict()."
            raise ValueError(f"{path} is no layout: {error} {expected}") from None
    if layout is not None:
        return get_layout(layout)
    problem: ReadError | None = None
    for file in sorted(files[:_LOOKED_AT], key=lambda file: file.suffix not in _MOCAP):
        try:
            clip = _read(file, None, axes)
        except SilentFile as error:
            if default is not None:
                return _resolve(default, files)
            raise SilentFile(
                file.name, f"Pass layout: {', '.join(LAYOUTS)}, or a SkeletonLayout of your own."
            ) from error
        except ReadError as error:  # another file may be well
            problem = problem or error
            continue
        own = None if default is None else _resolve(default, files)
        if own is not None and BUILT_IN.get(own.name) != own and clip.names and -1 not in find(clip.names, own):
            return own
        return layout_of(clip, file.name)
    if default is not None:  # reading with it will say what is wrong
        return _resolve(default, files)
    assert problem is not None
    raise problem


def _contained(files: Mapping[str, RawFile]) -> tuple[Labels, dict[str, tuple[Split, ...]]]:
    """The labels in files that hold many clips, and the splits that each of them has."""
    known, splits, count = Labels(), {}, 0
    for name, file in files.items():
        labels, classes = clip_arrays.read_labels(file)
        count = max(count, classes)
        splits[name] = tuple(labels)
        for split, found in labels.items():
            if not (found.labels >= 0).any():
                known.warnings.append(
                    f"{file.name}: no labels are in it or beside it; those of its {split} clips are -1."
                )
            for clip, label in zip(found.names, found.labels.tolist(), strict=True):
                known.table[f"{name}_{clip}"] = FolderSample(split, label)
    known.names = tuple(map(str, range(count)))
    return known, splits


def _read(file: RawFile, layout: SkeletonLayout | None, axes: str | None) -> RawClip:
    reader = _READERS[file.suffix]
    return reader.read(file, layout, axes) if reader in _ARRAYS else reader.read(file, layout)


def read_clips(file: RawFile, protocol: FolderProtocol) -> Iterator[SkeletonSequence | ReadError]:
    """Read the clips of a file, as `find_folder` lists it with its protocol; broken ones come out as their errors.

    Raises ReadError if the file is damaged, of another joint format, or in another unit.
    """
    layout = protocol.skeleton
    for sample_id, clip in _raw_clips(file, protocol):
        if isinstance(clip, ReadError):
            yield clip
            continue
        try:
            joints = in_layout(clip, layout, file.name, protocol.unit, protocol.up)
            if layout.unit == "m" and not protocol.any_size:
                check_extent(joints, layout, file.name, protocol.unit)
        except ReadError as error:
            yield error
            continue
        _, label, subject, camera = protocol.table[sample_id]
        yield SkeletonSequence(joints, layout, label, subject, camera, sample_id=sample_id)
        for sentence in clip.left_out:
            called = sample_id.rpartition("/")[2] if file.companions else file.name  # not the first of the frames
            yield LeftOut(f"{called}: {sentence}")


def _raw_clips(file: RawFile, protocol: FolderProtocol) -> Iterator[tuple[str, RawClip | ReadError]]:
    """Id of each clip in a file, and what the file states of it."""
    name = file_id(protocol, file)
    if name in protocol.containers:
        for called, clip in clip_arrays.read_clips(file, protocol.skeleton, protocol.axes):
            yield f"{name}_{called}", clip if isinstance(clip, ReadError) else RawClip(clip)
    else:
        yield name, _read(file, protocol.skeleton, protocol.axes)


def _looked_at(files: Sequence[RawFile], protocol: FolderProtocol) -> float | None:
    """Frames a second of some clips, if they state them. Raises ValueError if bodies are no people, or `protocol.fps` is not theirs."""
    layout, lengths, rates = protocol.skeleton, [], []
    for file in files[:: max(1, len(files) // _LOOKED_AT)][:_LOOKED_AT]:
        try:
            for _, clip in itertools.islice(_raw_clips(file, protocol), _LOOKED_AT):
                if isinstance(clip, RawClip):
                    rates += [] if clip.fps is None else [clip.fps]
                    if layout.unit == "m" and not protocol.any_size:
                        joints = in_layout(clip, layout, file.name, protocol.unit, protocol.up)
                        lengths.append(body_length(joints, layout))
        except ReadError:
            continue  # reading it will say what is wrong
    check_lengths(lengths, protocol.unit, protocol.root)
    steady = bool(rates) and max(rates) <= (1 + _OFF) * min(rates)  # no one number is that of files which differ
    rate = float(np.median(rates)) if steady else None
    if protocol.fps is not None and rate is not None and abs(rate / protocol.fps - 1) > _OFF:
        raise ValueError(
            f"{protocol.root}: the files say {rate:.6g} frames a second, and fps is {protocol.fps:g}; leave fps out."
        )
    return protocol.fps if rate is None else rate
