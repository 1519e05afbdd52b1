"""PKU-MMD I and II: clips cut out of untrimmed Kinect v2 videos by their label files.

    skeletons   0002-L.txt    a line a frame: 2 bodies x 25 joints x (x, y, z) in metres; who is not there is all zero
    labels      0002-L.txt    (in another folder) rows `action,start,end,confidence`, actions from 1

The skeletons were checked against a real file of part II, the labels and part I only against what public code does with
them. A clip has the frames start..end-1 counted from 0, as the preparation scripts of MAMP, MacDiff and others cut them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ...protocols import parse_name
from ...protocols.pku_mmd import NUM_ACTIONS
from ..number_text import read_rows
from ..raw_files import FileLike, NoClip, RawFile, ReadError, check_metres, read_bytes
from . import Selected, named_sequence

_PEOPLE, _NUM_JOINTS = 2, 25
_MAX_ROWS = 10_000  # a video has about twenty actions
_LABEL_BYTES = 64 << 10  # a label file has one kilobyte, a video of ten seconds a hundred
_Found = SkeletonSequence | ReadError


def select(files: Sequence[RawFile]) -> Selected:
    """Pair every video with the label file of the same name.

    Which one is which is told by the folder ("label" or "skel" in its name), else by size, else by a look inside.
    """
    unnamed, second = [], []
    videos: list[RawFile] = []
    labels: dict[str, RawFile] = {}
    for file in files:
        name = parse_name("pku_mmd", file.stem)
        if name is None or name.action >= 0:
            unnamed.append(file.name)
        elif not _is_label_file(file):
            videos.append(file)
        elif file.stem in labels:
            second.append(str(file))
        else:
            labels[file.stem] = file
    paired = [video.with_companions(labels[video.stem]) for video in videos if video.stem in labels]
    return paired, {
        "not named like a recording": unnamed,
        "second label file of a video": second,
        "without a label file": [video.name for video in videos if video.stem not in labels],
        "label file without a video": [labels[stem].name for stem in labels.keys() - {video.stem for video in videos}],
    }


def _is_label_file(file: RawFile) -> bool:
    folder = file.folders[-1].lower() if file.folders else ""
    if "label" in folder or "skel" in folder:
        return "label" in folder
    try:
        return file.size <= _LABEL_BYTES and b"," in read_bytes(file).split(b"\n", 1)[0]
    except ReadError:
        return False  # reading it as a video will say what is wrong


class _Segment(NamedTuple):
    row: int
    action: int
    start: int
    end: int


def read_clips(file: FileLike, denoise: bool = True) -> Iterator[_Found]:
    """Read a video once and cut out all its actions: joints (T, M, 25, 3), M = 1 or 2, NaN in frames where somebody was not seen.

    The label file is the video's companion, as `select` pairs them. An action that goes on after the end of the video is cut there.
    Rows of labels that cannot be used come out as errors: start not before end, start after the video, an action that is not 1..51,
    nobody seen, a row for the second time. `denoise` orders the people by motion, as is done for NTU RGB+D; nobody is dropped either
    way: a body 2 that the sensor saw in an action of one person is returned, too.

    Raises ReadError, which names the line, if there is no label file, or one of the two files is not in the format.
    """
    video = RawFile.of(file)
    if not video.companions:
        expected = "pass RawFile(video).with_companions(RawFile(labels)), or read the whole folder, where they are paired by name"
        raise ReadError(f"{video.name}: no label file is given; {expected}.")
    label_file = video.companions[0]
    segments = _read_labels(read_bytes(label_file), f"{label_file.name} (labels)")
    rows = read_rows(read_bytes(video), video.name, _PEOPLE * _NUM_JOINTS * 3)
    bodies = rows.reshape(-1, _PEOPLE, _NUM_JOINTS, 3)
    present: np.ndarray = (bodies != 0).any(axis=(2, 3))
    if present.any():
        check_metres(bodies[present], video.name)
    bodies[~present] = np.nan
    seen: set[_Segment] = set()
    for segment in segments:
        if isinstance(segment, ReadError):
            yield segment
        elif (same := segment._replace(row=0)) in seen:
            yield NoClip(f"{label_file.name} (labels): row {segment.row} is there for the second time; it is left out.")
        else:
            seen.add(same)
            yield _cut(bodies, present, segment, video, denoise)


def _cut(bodies: np.ndarray, present: np.ndarray, segment: _Segment, video: RawFile, denoise: bool) -> _Found:
    where = f"{video.name} (labels): row {segment.row}"
    if segment.start >= len(bodies):
        return NoClip(f"{where} starts at frame {segment.start}, but the video has {len(bodies)} frames.")
    frames = slice(segment.start, segment.end)
    people = np.flatnonzero(present[frames].any(axis=0))
    if len(people) == 0:
        return NoClip(f"{where}: nobody is seen in frames {segment.start} to {segment.end} of the video.")
    if denoise and len(people) > 1:
        motion = [np.nanvar(bodies[frames, body].reshape(-1, 3), axis=0).sum() for body in people]
        people = people[np.argsort([-amount for amount in motion], kind="stable")]
    sample_id = f"{video.stem}_A{segment.action:02}_{segment.start:05}-{segment.end:05}"
    return named_sequence("pku_mmd", sample_id, bodies[frames, people], segment.action - 1, people)


_ROW = re.compile(rb"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*(?:,\s*\d{1,9}\s*)?")


def _read_labels(data: bytes, name: str) -> list[_Segment | ReadError]:
    """What each row says, or what is wrong with it. Raises ReadError if none is a row of labels."""
    lines = data.rstrip().split(b"\n")
    if len(lines) > _MAX_ROWS:
        raise ReadError(f"{name}: {len(lines):,} rows; expected the few actions of one video.")
    rows = [(row, line.strip()) for row, line in enumerate(lines, start=1) if line.strip()]
    segments = [_segment(row, line, f"{name}: row {row}") for row, line in rows]
    if not any(_ROW.fullmatch(line) for _, line in rows) and isinstance(segments[0], ReadError):
        raise segments[0]
    return segments


def _segment(row: int, line: bytes, where: str) -> _Segment | ReadError:
    match = _ROW.fullmatch(line)
    if match is None:
        shown = line[:40].decode("ascii", errors="backslashreplace")
        return ReadError(f"{where} is {shown!r}; expected action,start,end,confidence.")
    action, start, end = map(int, match.groups())
    if not 1 <= action <= NUM_ACTIONS:
        return ReadError(f"{where} has action {action}; expected 1 to {NUM_ACTIONS}.")
    if start >= end:
        return NoClip(f"{where} goes from frame {start} to {end}; expected the start before the end.")
    return _Segment(row, action, start, end)
