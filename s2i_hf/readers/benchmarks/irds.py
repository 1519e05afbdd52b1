"""IntelliRehabDS (Kinect v2, 25 joints, metres, y up), raw format: a line `Version0.1`, then a line a body and frame.

    8028,5,18432,(SpineBase,Tracked,-0.38,0.01,2.15,193.3,205.4),(SpineMid,...  # frame, body, milliseconds, 25 joints

A joint is its name, tracking state, x, y, z and its place in the depth image. Joints are put in order by their names, and
are NaN where the sensor says NotTracked; Inferred ones are kept.
"""

from __future__ import annotations

import io

import numpy as np

from ...processing.layouts import LAYOUTS
from ...processing.skeleton_sequence import SkeletonSequence
from ...protocols import parse_name
from ..number_text import is_number
from ..raw_files import FileLike, RawFile, ReadError, read_bytes
from . import only_clip

_INDEX = {name: index for index, name in enumerate(LAYOUTS["kinect_v2"].joint_names)}
_NUM_JOINTS = len(_INDEX)
_STATES = {"Tracked": True, "Inferred": True, "NotTracked": False}
_MAX_LINE = 8_192  # characters; real lines have 1,800
_MAX_FRAMES = 100_000  # the longest gesture has 1,586
_MAX_BODIES = 6  # that a Kinect v2 tracks


def read(file: FileLike, denoise: bool = True) -> SkeletonSequence:
    """Read one repetition of a gesture: joints (T, M, 25, 3).

    `217_18_0_7_1_wheelchair.txt` is subject, date, gesture (from 0), repetition, correctness (1 correct, 2 incorrect, 3 poorly executed),
    position. `denoise` keeps the body that is there most of the time, and the frames it is in; else all bodies, NaN where absent.
    Raises ReadError, which names the line, for one that is none of this format, for other than metres, or nobody in it.
    """
    file = RawFile.of(file)
    rows: dict[tuple[int, int], np.ndarray] = {}
    for number, raw in enumerate(io.BytesIO(read_bytes(file)), 1):
        line = raw.decode("ascii", "replace").strip()
        if line and not (number == 1 and line.startswith("Version")):
            where = f"{file.name}: line {number}"
            key, positions = _row(line, where)
            if key in rows:
                raise ReadError(f"{where}: body {key[1]} is in frame {key[0]} twice.")
            rows[key] = positions
    frames = {frame: place for place, frame in enumerate(dict.fromkeys(frame for frame, _ in rows))}
    bodies = {body: place for place, body in enumerate(dict.fromkeys(body for _, body in rows))}
    if not 1 <= len(bodies) <= _MAX_BODIES or len(frames) > _MAX_FRAMES:
        found = f"{len(bodies)} bodies in {len(frames):,} frames"
        raise ReadError(f"{file.name}: {found}; expected 1 to {_MAX_BODIES} bodies in one gesture.")
    joints = np.full((len(frames), len(bodies), _NUM_JOINTS, 3), np.nan, dtype=np.float32)
    for (frame, body), row in rows.items():
        joints[frames[frame], bodies[body]] = row
    there = np.logical_not(np.isnan(joints).all(axis=(2, 3)))
    body_ids = np.array(list(bodies))
    if denoise and there.any():
        actor = int(there.sum(axis=0).argmax())
        joints, body_ids = joints[there[:, actor], actor : actor + 1], body_ids[[actor]]
    name = parse_name("irds", file.stem)
    return only_clip("irds", file, joints, name.action if name else -1, body_ids)


def _row(line: str, where: str) -> tuple[tuple[int, int], np.ndarray]:
    """(frame, body) and (25, 3) float32 of a line."""
    if len(line) > _MAX_LINE:
        raise ReadError(f"{where}: {len(line):,} characters; expected frame, body, time and {_NUM_JOINTS} joints.")
    head, *parts = line.split("(")
    words = head.split(",")[:2]
    if len(words) != 2 or not all(word.strip().isdecimal() and len(word) < 19 for word in words) or not head.isascii():
        raise ReadError(f"{where}: begins with {head[:40]!r}; expected frame, body and time, in whole numbers.")
    joints = np.full((_NUM_JOINTS, 3), np.nan, dtype=np.float32)
    seen = set()
    for part in parts:
        name, state, *numbers = (word.strip() for word in f"{part.partition(')')[0]},,".split(",", 7))
        # the layout says ShoulderL, the file ShoulderLeft
        index = _INDEX.get(name.replace("Left", "L").replace("Right", "R"))
        if index is None or index in seen or len(numbers) < 5:
            raise ReadError(f"{where}: {part[:60]!r} is no joint, or there twice; expected (name,state,x,y,z,u,v).")
        seen.add(index)
        if state not in _STATES:
            raise ReadError(f"{where}: state {state[:20]!r} of {name}; expected one of {', '.join(_STATES)}.")
        if _STATES[state]:
            for axis, text in enumerate(numbers[:3]):
                if not is_number(text) or not abs(float(text)) < 1e6:
                    raise ReadError(f"{where}: {name}: {text[:40]!r} is no coordinate; expected a number of metres.")
                joints[index, axis] = float(text)
    if len(seen) != _NUM_JOINTS:
        raise ReadError(f"{where}: {len(seen)} joints; expected the {_NUM_JOINTS} of Kinect v2 (truncated?).")
    return (int(words[0]), int(words[1])), joints
