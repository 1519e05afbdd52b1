"""Small recordings in the formats of motion capture, written byte by byte and line by line, for the tests of their readers."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

LABELS = ("LFHD", "RFHD", "LHAND", "RHAND")
PLACES = np.array(
    [[[f * 10.5 + m, 1 - 3.25 * m, 1000 + 2 * f] for m in range(4)] for f in range(5)], dtype=np.float32
)  # millimetres


def number(value: float, processor: int) -> bytes:
    """A float of four bytes as the processor writes it."""
    if processor == 85:
        low_high = struct.pack("<f", value * 4)
        return low_high[2:] + low_high[:2]
    return struct.pack(">f" if processor == 86 else "<f", value)


def record(group: int, name: str, content: bytes, order: str, last: bool = False) -> bytes:
    head = struct.pack("bb", len(name), group) + name.encode()
    return head + struct.pack(order + "h", 0 if last else len(content) + 2) + content


def texts(values: Sequence[str]) -> bytes:
    width = max(map(len, values), default=0)
    return (
        struct.pack("bBBB", -1, 2, width, len(values))
        + "".join(value.ljust(width) for value in values).encode()
        + b"\0"
    )


def c3d_file(
    labels: Sequence[str] = LABELS,
    places: np.ndarray = PLACES,
    unseen: Sequence[tuple[int, int]] = (),
    processor: int = 84,
    integers: bool = False,
    unit: str = "mm",
    screen: str = "+Z",
    analog: int = 2,  # with any, ezc3d wants more parameters and else crashes
    more: Sequence[tuple[str, Sequence[str]]] = (),
) -> bytes:
    """A C3D file, byte by byte after the user guide: a header, a block or more of parameters, frames."""
    order = ">" if processor == 86 else "<"
    frames, count = places.shape[:2]
    scale = 0.25 if integers else -0.25
    integer = lambda value: struct.pack(order + "h", int(value))  # noqa: E731
    records = record(-1, "POINT", b"\0", order) + record(
        1, "USED", struct.pack("bB", 2, 0) + integer(count) + b"\0", order
    )
    records += record(1, "LABELS", texts(labels), order) + record(1, "UNITS", texts([unit]), order)
    records += record(1, "SCALE", struct.pack("bB", 4, 0) + number(scale, processor) + b"\0", order)
    for name, values in more:
        records += record(1, name, texts(values), order)
    records += record(1, "Y_SCREEN", texts([screen]), order) + record(-2, "ANALOG", b"\0", order)
    records += record(2, "USED", struct.pack("bB", 2, 0) + integer(analog) + b"\0", order)
    records += record(2, "RATE", struct.pack("bB", 4, 0) + number(120, processor) + b"\0", order)
    records += record(1, "RATE", struct.pack("bB", 4, 0) + number(120, processor) + b"\0", order, last=True)
    blocks = -(-(len(records) + 4) // 512)
    section = (bytes([1, 80, blocks, processor]) + records).ljust(blocks * 512, b"\0")
    words = [count, analog, 1, frames, 10]
    header = (
        bytes([2, 80]) + b"".join(map(integer, words)) + number(scale, processor) + integer(2 + blocks) + integer(1)
    )
    header = (header + number(120, processor)).ljust(512, b"\0")
    data = b""
    for frame in range(frames):
        for marker in range(count):
            values = [*places[frame, marker], -1 if (frame, marker) in unseen else 0]
            if integers:
                data += b"".join(integer(value / scale) for value in values[:3]) + integer(values[3])
            else:
                data += b"".join(number(float(value), processor) for value in values)
        data += (integer(7) if integers else number(7, processor)) * analog
    return header + section + data.ljust(-(-len(data) // 512) * 512, b"\0")


def spread(names: Sequence[str], blanks: int = 2) -> list[str]:
    return [cell for name in names for cell in (name, *[""] * blanks)]


def cells(row: np.ndarray) -> list[str]:
    """Numbers as text; what was not seen is an empty cell."""
    return ["" if np.isnan(value) else f"{value:.6f}" for value in np.ravel(row)]


def trc_text(names: Sequence[str], places: np.ndarray, unit: str = "mm", rate: str = "100.00") -> str:
    """TRC as OpenSim and Pose2Sim write it; (T, N, 3) places."""
    axes = [f"{axis}{number}" for number in range(1, len(names) + 1) for axis in "XYZ"]
    lines = [
        "PathFileType\t4\t(X/Y/Z)\twalk.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        "\t".join([rate, rate, str(len(places)), str(len(names)), unit, rate, "1", str(len(places))]),
        "\t".join(["Frame#", "Time", *spread(names)]),
        "\t".join(["", "", *axes]),
        "",
        *("\t".join([str(frame), f"{frame / 100:.3f}", *cells(row)]) for frame, row in enumerate(places, 1)),
    ]
    return "\n".join(lines) + "\n"


def vicon_text(names: Sequence[str], places: np.ndarray, unit: str = "mm", before: str = "", after: str = "") -> str:
    """A section of trajectories as Nexus writes it."""
    lines = [
        "Trajectories",
        "100",
        ",".join(["", "", *spread(names)]).rstrip(","),
        "Frame,Sub Frame" + ",X,Y,Z" * len(names),
        "," + f",{unit}" * 3 * len(names),
        *(",".join([str(frame), "0", *cells(row)]) for frame, row in enumerate(places, 101)),
    ]
    return before + "\n".join(lines) + "\n" + after


def motive_text(
    names: Sequence[str],
    places: np.ndarray,
    kinds: Sequence[str] | str = "Bone",
    unit: str = "Meters",
    space: str = "Global",
    parents: Sequence[str] | None = None,
) -> str:
    """A take as Motive exports it: bones with a rotation before their position; with parents in the newer form."""
    kinds = [kinds] * len(names) if isinstance(kinds, str) else kinds
    parts: list[tuple[int, str, str]] = []
    for index, kind in enumerate(kinds):
        turned = [(index, "Rotation", axis) for axis in "XYZW"] if kind in ("Bone", "Rigid Body") else []
        parts += turned + [(index, "Position", axis) for axis in "XYZ"]
    labels = ["Type", "Name", "ID", "Parent"] if parents is not None else ["", "", ""]
    rows = [kinds, names, [f"{index:02X}:99" for index in range(len(names))], parents or []]
    facts = ["Format Version", "1.25" if parents is not None else "1.23", "Take Name", "walk", "Capture Frame Rate", "240.000000",
             "Export Frame Rate", "120.000000", "Rotation Type", "Quaternion", "Length Units", unit, "Coordinate Space", space]  # fmt: skip
    lines = [",".join(facts), ""]
    lines += [
        ",".join(["", label, *(row[index] for index, _, _ in parts)]) for label, row in zip(labels, rows, strict=False)
    ]
    lines += [",".join(["", "", *(part for _, part, _ in parts)])]
    lines += [",".join(["Frame", "Time (Seconds)", *(axis for _, _, axis in parts)])]
    for frame, row in enumerate(places):
        values = [
            "0.5" if part == "Rotation" else cells(row[index, "XYZ".index(axis)])[0] for index, part, axis in parts
        ]
        lines.append(",".join([str(frame), f"{frame / 120:.6f}", *values]))
    return "\n".join(lines) + "\n"


def mvnx_text(names: Sequence[str], parents: Sequence[int], places: np.ndarray, label: str = "Anna") -> str:
    """A subject as MVN writes it, with two poses of calibration before the frames; the root element is not written."""
    segments = "".join(f'<segment id="{i}" label="{name}"><points/></segment>' for i, name in enumerate(names, 1))
    joints = "".join(
        f'<joint label="j{name}"><connector1>{names[parent]}/j{name}</connector1><connector2>{name}/j{name}</connector2></joint>'
        for name, parent in zip(names, parents, strict=True)
        if parent >= 0
    )
    zeros = " ".join(["0 0 0"] * len(names))
    frames = "".join(
        f'<frame time="{17 * i}" index="{i}" type="normal"><orientation>1 0 0 0</orientation>'
        f"<position>{' '.join(f'{value:.6f}' for value in row.ravel())}</position><velocity>{zeros}</velocity></frame>\n"
        for i, row in enumerate(places)
    )
    calibration = "".join(
        f'<frame time="0" index="" type="{kind}"><position>{zeros}</position></frame>' for kind in ("identity", "tpose")
    )
    return (
        f'<subject label="{label}" frameRate="60" segmentCount="{len(names)}"><segments>{segments}</segments>'
        f"<joints>{joints}</joints><frames>{calibration}{frames}</frames></subject>"
    )


def mvnx_file(*subjects: str) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<mvnx xmlns="http://www.xsens.com/mvn/mvnx" version="4"><mvn version="2021.0"/>'
    return head + "".join(subjects) + "</mvnx>\n"
