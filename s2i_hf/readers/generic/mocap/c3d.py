"""Markers in C3D, the binary format of Vicon, Qualisys, Motive and others: named points in every frame, with their unit and rate.

Blocks of 512 bytes: a header, parameters in groups (POINT:LABELS, POINT:UNITS, POINT:RATE ...), then frames of x, y, z and a residual,
which is negative where the marker was not seen, with the analog samples of the frame behind them, which are left alone. Numbers are
integers times a scale, or floats where the scale is negative; of Intel, DEC or MIPS. POINT:Y_SCREEN says which axis is up.
Format after "The C3D File Format, User Guide" (Motion Lab Systems, 2021).

It is read here rather than by ezc3d, which can end the process on a damaged file, and reads no archives; tests compare the two.
"""

from __future__ import annotations

import math
import struct

import numpy as np

from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import MAX_CLIP, RawFile, ReadError, read_bytes
from ..raw_clip import RawClip
from .markers import by_person, unit_of

_BLOCK = 512
_INTEL, _DEC, _MIPS = 84, 85, 86
_COMPUTED = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS", "REACTIONS")  # lists of points that are no places
_UPS = {"Y": "y", "+Y": "y", "-Y": "-y", "Z": "z", "+Z": "z"}
_Parameters = dict[tuple[str, str], "list[str] | list[float]"]


def read(file: RawFile, layout: SkeletonLayout | None = None) -> RawClip:
    """Read a clip: all named markers, of everybody; `layout` does not matter. Raises ReadError if it is no C3D, or damaged."""
    data = read_bytes(file, text=False, limit=MAX_CLIP)
    start = (data[0] - 1) * _BLOCK
    if len(data) < _BLOCK or data[1] != 0x50:
        raise ReadError(f"{file.name}: does not begin as a C3D file does; expected one.")
    try:
        processor = data[start + 3]
        if processor not in (_INTEL, _DEC, _MIPS):
            raise ReadError(f"{file.name}: is of processor {processor}; expected 84 (Intel), 85 (DEC) or 86 (MIPS).")
        parameters = _parameters(data, start + 4, processor)
        points = _points(data, parameters, processor, file.name)
    except ReadError:
        raise
    except (IndexError, struct.error, ValueError, OverflowError):
        raise ReadError(f"{file.name}: its parameters or frames are damaged; export it again.") from None
    texts = {key: [str(text) for text in values] for key, values in parameters.items()}
    series = ("", *map(str, range(2, 100)))  # a list of names holds 255; LABELS2 goes on
    labels = [label for more in series for label in texts.get(("POINT", f"LABELS{more}"), [])][: points.shape[1]]
    labels += [""] * (points.shape[1] - len(labels))
    computed = {label for kind in _COMPUTED for label in texts.get(("POINT", kind), []) if label}
    kept = [index for index, label in enumerate(labels) if label not in computed]
    names, joints, left_out = by_person([labels[index] for index in kept], points[:, kept], file.name)
    if len(kept) < len(labels):
        left_out.append(f"angles, forces and other computed values are left out: {len(labels) - len(kept)}.")
    unit = unit_of((texts.get(("POINT", "UNITS")) or [""])[0], file.name)
    up = _UPS.get((texts.get(("POINT", "Y_SCREEN")) or [""])[0].upper(), "")
    rate = _number(parameters, "POINT", "RATE") or float(_floats(data[20:24], processor)[0])
    fps = rate if 0 < rate < math.inf else None
    return RawClip(joints, names, unit=unit, usual_unit="mm", up=up, fps=fps, left_out=left_out)


def _order(processor: int) -> str:
    return ">" if processor == _MIPS else "<"


def _floats(data: bytes, processor: int) -> np.ndarray:
    """Numbers of four bytes, as float32; those of DEC have their halves swapped and are four times as large."""
    if processor != _DEC:
        return np.frombuffer(data, f"{_order(processor)}f4")
    return np.ascontiguousarray(np.frombuffer(data, "<u2").reshape(-1, 2)[:, ::-1]).view("<f4").ravel() / np.float32(4)


def _parameters(data: bytes, at: int, processor: int) -> _Parameters:
    """Values by the names of group and parameter, in capitals. Raises IndexError or ValueError if they are damaged."""
    groups: dict[int, str] = {}
    found: list[tuple[int, str, list[str] | list[float]]] = []
    while data[at]:
        length, group = struct.unpack_from("bb", data, at)
        link = at + 2 + abs(length)
        name = data[at + 2 : link].decode("latin-1").strip().upper()
        (ahead,) = struct.unpack_from(f"{_order(processor)}h", data, link)
        if group < 0:
            groups[-group] = name
        else:
            found.append((group, name, _values(data, link + 2, processor)))
        if ahead == 0:
            break
        if ahead < 0:
            raise ValueError("parameters go backwards")
        at = link + ahead
    return {(groups.get(group, ""), name): values for group, name, values in found}


def _values(data: bytes, at: int, processor: int) -> list[str] | list[float]:
    kind, count = struct.unpack_from("bB", data, at)
    sizes = list(data[at + 2 : at + 2 + count])
    begin = at + 2 + count
    held = data[begin : begin + abs(kind) * math.prod(sizes)]
    if len(held) < abs(kind) * math.prod(sizes) or kind not in (-1, 1, 2, 4):
        raise ValueError("a parameter is longer than the file")
    if kind == -1:
        width = sizes[0] if sizes else 1
        texts = [held[start : start + width] for start in range(0, len(held), width)] if width else []
        return [text.decode("latin-1").strip(" \0") for text in texts]
    if kind == 4:
        return [float(number) for number in _floats(held, processor)]
    return [float(number) for number in np.frombuffer(held, f"{_order(processor)}u{kind}")]


def _number(parameters: _Parameters, group: str, name: str) -> float:
    """The first number of a parameter, 0 without one."""
    first = (parameters.get((group, name)) or [0.0])[0]
    return first if isinstance(first, float) and math.isfinite(first) else 0.0


def _points(data: bytes, parameters: _Parameters, processor: int, file: str) -> np.ndarray:
    """(T, N, 3) float64 of all points, NaN where they were not seen."""
    words = np.frombuffer(data[:_BLOCK], f"{_order(processor)}u2").astype(int)
    count, analog, first, last, block = (int(words[index]) for index in (1, 2, 3, 4, 8))
    count = int(_number(parameters, "POINT", "USED")) or count
    scale = float(_floats(data[12:16], processor)[0])
    frames = last - first + 1
    ends = [parameters.get(("TRIAL", name)) or [] for name in ("ACTUAL_START_FIELD", "ACTUAL_END_FIELD")]
    if all(len(end) == 2 for end in ends):  # halves of a number that may be larger than 65,535
        begun, ended = (float(low) + 65536 * float(high) for low, high in ends)
        frames = int(ended - begun) + 1
    elif last == 65535:
        frames = int(max(_number(parameters, "POINT", name) for name in ("LONG_FRAMES", "FRAMES"))) or frames
    if count < 1 or frames < 1:
        raise ReadError(f"{file}: holds {count} points in {max(frames, 0)} frames; expected markers.")
    if block < 2 or not scale:
        raise ValueError("no data")
    size = 4 if scale < 0 else 2
    width = (4 * count + analog) * size
    held = data[(block - 1) * _BLOCK :][: frames * width]
    if len(held) < frames * width:
        raise ReadError(f"{file}: ends in frame {len(held) // width + 1} of {frames}; the file is truncated.")
    numbers = _floats(held, processor) if scale < 0 else np.frombuffer(held, f"{_order(processor)}i2")
    values = numbers.reshape(frames, -1)[:, : 4 * count].reshape(frames, count, 4).astype(float)
    with np.errstate(invalid="ignore"):
        unseen = values[..., 3:] < 0
    return np.where(unseen, np.nan, values[..., :3] * (1.0 if scale < 0 else scale))
