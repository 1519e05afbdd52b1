"""Markers in TRC, the text format of OpenSim and Cortex, which Pose2Sim, Sports2D and OpenCap write as well.

    PathFileType  4  (X/Y/Z)  walk.trc
    DataRate  CameraRate  NumFrames  NumMarkers  Units  OrigDataRate  OrigDataStartFrame  OrigNumFrames
    100.00    100.00      250        2           mm     100.00        1                   250
    Frame#    Time        R.ASIS                 L.ASIS
                          X1      Y1      Z1     X2     Y2     Z2

    1         0.000       612.1   1020.5  75.2   ...

Cells are separated by tabs; an empty one was not seen. The format does not say which axis is up: OpenSim's is y, that of a laboratory
often z. Format after OpenSim's documentation, "Marker (.trc) Files".
"""

from __future__ import annotations

from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import RawFile, ReadError
from ..raw_clip import RawClip
from .kinematics import plain_text
from .markers import by_person, rate_of, trajectories, unit_of


def read(file: RawFile, layout: SkeletonLayout | None = None) -> RawClip:
    """Read a clip: all named markers, of everybody; `layout` does not matter. Raises ReadError if it is no TRC file, or damaged."""
    lines = [(number, line) for number, line in enumerate(plain_text(file).splitlines(), 1) if line.strip()]
    if len(lines) < 5 or not lines[0][1].lstrip().startswith("PathFileType"):
        raise ReadError(f"{file.name}: does not begin with PathFileType and four more lines; expected a TRC file.")
    stated = dict(zip(lines[1][1].split(), lines[2][1].split(), strict=False))
    separator = "\t" if "\t" in lines[3][1] else None
    cells = [[cell.strip() for cell in line.split(separator)] for _, line in lines[3:5]]
    names = [cell for cell in cells[0][2:] if cell]
    axes = [cell for cell in cells[1] if cell]
    in_threes = all(axis[0].upper() == "XYZ"[place % 3] for place, axis in enumerate(axes))
    if cells[0][0].rstrip("#").lower() != "frame" or not in_threes or len(axes) != 3 * len(names) or not names:
        found = f"{len(names)} names above {len(axes)} columns"
        expected = "expected Frame#, Time and names, above X1 Y1 Z1 of each"
        raise ReadError(f"{file.name}: line {lines[3][0]}: {found}; {expected}.")
    columns = [("", "frame"), ("", "")] + [(name, axis) for name in names for axis in "XYZ"]
    rows = [(number, line.split(separator)) for number, line in lines[5:]]
    if (count := stated.get("NumFrames", "")).isdecimal() and len(rows) < int(count):
        raise ReadError(f"{file.name}: ends after {len(rows)} of {count} frames; the file is truncated.")
    labels, points = trajectories(rows, columns, file.name)
    markers, joints, left_out = by_person(labels, points, file.name)
    unit, fps = unit_of(stated.get("Units", ""), file.name), rate_of(stated.get("DataRate", ""))
    return RawClip(joints, markers, unit=unit, usual_unit="mm", fps=fps, left_out=left_out)
