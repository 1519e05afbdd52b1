"""Readers of benchmark data sets, one module a format.

A module has `read(file, denoise=True)`, if a file holds one clip, or `read_clips(file, denoise=True)`, which yields the
clips of a file and the errors of those that are broken. It may have `select(files)`, which picks and pairs the files to read.
Readers neither centre nor scale nor pad: they return what the sensor saw, in metres. Label, subject and camera come from the name
and are -1 if a file is named otherwise. `denoise` chooses the actors; it changes nothing where files hold one person and nothing
to remove.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from ...processing.layouts import LAYOUTS
from ...processing.skeleton_sequence import SkeletonSequence
from ...protocols import DATASETS, SampleName, parse_name
from ..raw_files import RawFile, ReadError, check_metres, with_suffix

Selected = tuple[list[RawFile], dict[str, list[str]]]
"""Files to read, and the names of those that are left out, by reason."""


@dataclass(frozen=True)
class Reader:
    """What the files of a format are called."""

    example: str  # name of one of them
    suffixes: tuple[str, ...]  # of their names, without `.gz`
    ending: str = ""  # what follows the id of a recording in the stem of its file
    folders: int = 0  # how many folders above a file are its id, where the files are all called alike


# The module here and the builder in dataset_scripts are called alike; `ui_prmd` holds two readers.
READERS: dict[str, Reader] = {
    "nw_ucla": Reader("a01_s01_e00_v01.json", (".json",)),
    "ntu_rgbd": Reader("S001C001P001R001A001.skeleton", (".skeleton",)),
    "pku_mmd": Reader("0002-L.txt", (".txt",)),
    "smarthome": Reader("Cook.Cleandishes_p02_r00_v03_c03.json", (".json",)),
    "utd_mhad": Reader("a1_s1_t1_skeleton.mat", (".mat",), "_skeleton"),
    "msr_action3d": Reader("a01_s01_e01_skeleton3D.txt", (".txt",), "_skeleton3D"),
    "utkinect": Reader("joints_s01_e01.txt", (".txt",)),
    "ui_prmd_kinect": Reader("m01_s01_e01_positions.txt", (".txt",), "_positions"),
    "ui_prmd_vicon": Reader("m01_s01_e01_positions.txt", (".txt",), "_positions"),
    "irds": Reader("217_18_0_7_1_wheelchair.txt", (".txt",)),
    "florence3d": Reader("Florence_dataset_WorldCoordinates.txt", (".txt",)),
    "sbu": Reader("skeleton_pos.txt", (".txt",), folders=3),
    "bandai_namco": Reader("dataset-2_walk_active_001.bvh", (".bvh",)),
}


def get_reader(name: str) -> ModuleType:
    """The module of a reader, or what stands for it in a module of several. Raises ValueError if there is no such reader."""
    if name not in READERS:
        raise ValueError(f"Unknown reader {name!r}; known: {', '.join(READERS)}.")
    if name.startswith("ui_prmd"):
        return getattr(import_module(f"{__name__}.ui_prmd"), name)
    return import_module(f"{__name__}.{name}")


def recording_name(reader: str, file: RawFile) -> str:
    """Id of a recording: `a1_s1_t1_skeleton.mat` is "a1_s1_t1", and `s01s02/01/001/skeleton_pos.txt` is "s01s02_01_001"."""
    facts = READERS[reader]
    if facts.folders and parse_name(reader, name := "_".join(file.folders[-facts.folders :])) is not None:
        return name
    return file.stem.removesuffix(facts.ending)


def select(reader: str, files: Iterable[RawFile]) -> Selected:
    """The files that a reader reads, with what belongs to them as companions."""
    found, module = with_suffix(files, READERS[reader].suffixes), get_reader(reader)
    return module.select(found) if hasattr(module, "select") else (found, {})


def named_sequence(
    reader: str, sample_id: str, joints: np.ndarray, label: int | None = None, body_ids: np.ndarray | None = None
) -> SkeletonSequence:
    """A clip in the layout of its data set, with what its name says of subject, camera and action; -1 where it is named otherwise.

    `joints` are (T, M, V, 3) in metres, or (T, V, 3) of one person; `body_ids`, (M,), those of the sensor, else 0..M-1. `label` is for
    clips whose label is not the action of the name (from 1) - 1.
    """
    name = parse_name(reader, sample_id) or SampleName()
    layout = LAYOUTS[next(dataset.layout for dataset in DATASETS.values() if dataset.reader == reader)]
    people = joints[:, None] if joints.ndim == 3 else joints
    label = max(-1, name.action - 1) if label is None else label
    return SkeletonSequence(people, layout, label, name.subject, name.camera, body_ids, sample_id)  # type: ignore[arg-type]


def only_clip(
    reader: str,
    file: RawFile,
    joints: np.ndarray,
    label: int | None = None,
    body_ids: np.ndarray | None = None,
    millimetres: bool = False,
) -> SkeletonSequence:
    """`named_sequence` of a file that holds one clip, NaN where nobody was seen.

    Raises ReadError if nobody is in any frame, or those who are there do not fit metres (`check_metres`, which explains `millimetres`).
    """
    if np.isnan(joints).all():
        raise ReadError(f"{file.name}: nobody is seen in any of its {len(joints)} frames.")
    check_metres(joints, file.name, millimetres)
    return named_sequence(reader, recording_name(reader, file), joints, label, body_ids)
