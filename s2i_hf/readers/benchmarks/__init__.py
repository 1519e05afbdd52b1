"""Readers of benchmark data sets, one module a format.

A module has `read(file, denoise=True)`, if a file holds one clip, or `read_clips(file, denoise=True)`, which yields the
clips of a file and the errors of those that are broken. It may have `select(files)`, which picks and pairs the files to read,
and `sample_id(file)`, where the file name alone is no id. Readers neither centre nor scale nor pad: they return what the
sensor saw, in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

__all__ = ["READERS", "Reader", "get_reader"]


@dataclass(frozen=True)
class Reader:
    """What the files of a format are called.

    Args:
        example: Name of one of its files.
        suffixes: Endings of their names, without `.gz`.
    """

    example: str
    suffixes: tuple[str, ...]


# The module here and the builder in dataset_scripts are called alike.
READERS: dict[str, Reader] = {
    "nw_ucla": Reader("a01_s01_e00_v01.json", (".json",)),
    "ntu_rgbd": Reader("S001C001P001R001A001.skeleton", (".skeleton",)),
    "pku_mmd": Reader("0002-L.txt", (".txt",)),
    "smarthome": Reader("Cook.Cleandishes_p02_r00_v03_c03.json", (".json",)),
    "utd_mhad": Reader("a1_s1_t1_skeleton.mat", (".mat",)),
    "msr_action3d": Reader("a01_s01_e01_skeleton3D.txt", (".txt",)),
    "utkinect": Reader("joints_s01_e01.txt", (".txt",)),
    "ui_prmd_kinect": Reader("m01_s01_e01_positions.txt", (".txt",)),
    "ui_prmd_vicon": Reader("m01_s01_e01_positions.txt", (".txt",)),
    "irds": Reader("217_18_0_7_1_wheelchair.txt", (".txt",)),
    "florence3d": Reader("Florence_dataset_WorldCoordinates.txt", (".txt",)),
    "sbu": Reader("skeleton_pos.txt", (".txt",)),
}


def get_reader(name: str) -> ModuleType:
    """The module of the reader called `name`.

    Raises:
        ValueError: there is no such reader.
    """
    if name not in READERS:
        raise ValueError(f"Unknown reader {name!r}; known: {', '.join(READERS)}.")
    return import_module(f"{__name__}.{name}")
