"""What the Kinect and the Vicon files of UI-PRMD share: folders and names.

    Segmented Movements/Kinect/Positions/m01_s01_e01_positions.txt    comma-separated, a line a frame
    Segmented Movements/Kinect/Angles/m01_s01_e01_angles.txt
    Segmented Movements/Vicon/...                                     files of the same names
    Incorrect Segmented Movements/.../m01_s01_e01_positions_inc.txt   exercises done wrong on purpose

Exercise m01-m10, subject, repetition (episode). The incorrect executions are left out: they are for judging quality, and
share their numbers with the correct ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..raw_files import RawFile

Sensor = Literal["kinect", "vicon"]
_SENSORS: tuple[Sensor, ...] = ("kinect", "vicon")


def sample_id(file: RawFile) -> str:
    """`m01_s01_e01_positions.txt` -> "m01_s01_e01"."""
    return file.stem.removesuffix("_positions")


def positions(files: Sequence[RawFile], sensor: Sensor) -> tuple[list[RawFile], list[RawFile], dict[str, list[str]]]:
    """Files of one sensor, with positions and with angles, and what was left out.

    Where no folder is named after a sensor, all files are taken to be of the one that is asked for.
    """
    found: list[RawFile] = []
    angles: list[RawFile] = []
    left_out: dict[str, list[str]] = {}
    for file in files:
        folders = {folder.lower() for folder in file.folders}
        if file.stem.endswith("_inc") or any(folder.startswith("incorrect") for folder in folders):
            left_out.setdefault("incorrect executions of the exercises", []).append(file.name)
        elif sensor not in folders and folders & set(_SENSORS):
            left_out.setdefault("of the other sensor", []).append(file.name)
        elif file.stem.endswith("_angles"):
            angles.append(file)
        else:
            found.append(file)
    return found, angles, left_out
