"""UTKinect-Action3D (Kinect v1, 20 joints, metres, y up): untrimmed recordings, cut by `actionLabel.txt`.

`joints_s01_e01.txt` has a line a frame: the number of the colour frame and 20 x (x, y, z). Frame numbers have gaps, and 542 lines
repeat the number of the line before: the skeleton differs, as it does between neighbours, so it is a frame of its own and kept.
`actionLabel.txt` lists the ten actions of each recording, with the first and the last frame number:

    s01_e01
    walk: 252 390

One label is `NaN NaN` (carry of s10_e02). `actionLabel_modified.txt`, which some copies have, is not the original, and not used.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import takewhile

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ...protocols import parse_name
from ..number_text import read_table
from ..raw_files import FileLike, NoClip, RawFile, ReadError, check_metres, read_bytes
from . import Selected, named_sequence

LABELS = "actionLabel.txt"
ACTIONS = ("walk", "sitDown", "standUp", "pickUp", "carry", "throw", "push", "pull", "waveHands", "clapHands")
_NUM_JOINTS = 20
_MAX_LABEL_LINES = 10_000  # there are 220


def select(files: Sequence[RawFile]) -> Selected:
    """Recordings, each with the label file that shares most folders with it."""
    labels = [file for file in files if file.name == LABELS]
    other = [file.name for file in files if file.name.startswith("actionLabel") and file.name != LABELS]
    recordings = [file for file in files if not file.name.startswith("actionLabel")]

    def shared(file: RawFile, label: RawFile) -> tuple[int, int]:
        same = takewhile(lambda pair: pair[0] == pair[1], zip(file.folders, label.folders, strict=False))
        return len(list(same)), -len(label.folders)

    if labels:
        recordings = [file.with_companions(max(labels, key=partial(shared, file))) for file in recordings]
    return recordings, {"changed labels, not the original ones": other}


def read_clips(file: FileLike, denoise: bool = True) -> Iterator[SkeletonSequence | ReadError]:
    """Read a recording, such as `joints_s01_e01.txt`, once and cut it into its actions, in the order of the labels: joints (T, 1, 20, 3).

    `actionLabel.txt` is its companion, or beside it, or one folder above. An action that cannot be cut out comes out as its error.
    Raises ReadError if the lines are no 61 finite numbers each, not metres, or there are no labels for the recording.
    """
    file = RawFile.of(file)
    name = parse_name("utkinect", file.stem)
    if name is None:
        raise ReadError(f"{file.name}: not named like a recording of UTKinect (joints_s01_e01.txt).")
    labels = file.companions[0] if file.companions else _beside(file)
    table = read_table(file, 1 + 3 * _NUM_JOINTS, "a frame number and x y z of 20 joints")
    frames = table[:, 0]
    joints = table[:, 1:].reshape(-1, _NUM_JOINTS, 3).astype(np.float32)
    check_metres(joints, file.name)
    seen: set[int] = set()
    for where, line in _label_lines(labels, name.video):
        try:
            action, first, last = _segment(line, f"{where} ({name.video})")
            if action in seen:
                raise NoClip(f"{where}: {line[:40]!r} labels an action of {name.video} twice.")
            seen.add(action)
            inside = (frames >= first) & (frames <= last)
            if not inside.any():
                raise ReadError(f"{file.name}: no frame of {ACTIONS[action - 1]}, {first} to {last} in {labels.name}.")
        except ReadError as error:
            yield error
        else:
            yield named_sequence("utkinect", f"{name.video}_a{action:02}", joints[inside])


def _beside(file: RawFile) -> RawFile:
    for folder in (file.path.parent, file.path.parent.parent):
        if (folder / LABELS).is_file():
            return RawFile(folder / LABELS)
    raise ReadError(f"{file.name}: no {LABELS} with it, which says where its actions begin and end.")


def _label_lines(labels: RawFile, video: str) -> Iterator[tuple[str, str]]:
    """Where the labels of a recording are, and what they say. Raises ReadError if there are none."""
    inside, found = False, False
    for number, raw in enumerate(io.BytesIO(read_bytes(labels)), 1):
        if number > _MAX_LABEL_LINES:
            raise ReadError(f"{labels.name}: more than {_MAX_LABEL_LINES:,} lines; expected the labels of UTKinect.")
        line = raw.decode("ascii", "replace").strip()
        if line and ":" not in line:
            inside = line == video
            found = found or inside
        elif line and inside:
            yield f"{labels.name}: line {number}", line
    if not found:
        raise ReadError(f"{labels.name}: no labels of {video}; expected a line with its name above them.")


def _segment(line: str, where: str) -> tuple[int, int, int]:
    """Action (from 1), first and last frame number."""
    word, _, span = line.partition(":")
    word, numbers = word.strip(), span.split()
    if word not in ACTIONS:
        raise ReadError(f"{where}: unknown action {word[:40]!r}; expected one of {', '.join(ACTIONS)}.")
    if len(numbers) != 2 or not all(text.isdecimal() and len(text) < 10 for text in numbers):
        raise NoClip(f"{where}: {line[:60]!r} has no first and last frame; the action is left out.")
    first, last = map(int, numbers)
    if first > last:
        raise NoClip(f"{where}: {line[:60]!r} ends before it begins; the action is left out.")
    return ACTIONS.index(word) + 1, first, last
