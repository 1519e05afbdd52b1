"""Clips of one file a frame, NAME_000000000012_keypoints.json of OpenPose, NAME_12.txt of YOLO and the like: which belong together.

The first frame's file stands for the clip, with the others as its companions, in the order of their numbers. A frame whose file is empty
or damaged is one in which nobody was seen; empty files at the end, of a run that was stopped, are no frames. What is left out is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from ...raw_files import MAX_CLIP, RawFile, ReadError, read_json

_NAME = re.compile(r"(.*?)(\d{1,18})?(_keypoints)?", re.DOTALL | re.IGNORECASE)
FRAME_SUFFIXES = (".json", ".txt")
_OPENPOSE = "_keypoints"
_PROBES = 5  # files of a name that are looked into: the first may be empty
T = TypeVar("T")


def select(files: Sequence[RawFile], is_frame: Callable[[RawFile], bool | None]) -> list[RawFile]:
    """The files, of frames that belong together only the first, with the others as companions; text files of other kinds are not there.

    Args:
        files: What is in a folder.
        is_frame: Whether a file holds a single frame; None if it does not say.
    """
    groups: dict[tuple[object, ...], list[RawFile]] = {}
    found = [file for file in files if file.suffix not in FRAME_SUFFIXES]
    for file in (file for file in files if file.suffix in FRAME_SUFFIXES):
        prefix, number, mark = _parts(file)
        folder = file.path if file.member else file.path.parent
        alone = number is None and file.stem
        groups.setdefault((folder, file.folders, prefix, mark, alone, file.suffix), []).append(file)
    for group in groups.values():
        group.sort(key=lambda file: (_number(file), file.name))
        _, number, mark = _parts(group[0])
        asked = [] if number is None else group[:_PROBES]
        if mark or next((known for file in asked if (known := is_frame(file)) is not None), False):
            found.append(group[0].with_companions(*group[1:]))
        elif group[0].suffix != ".txt":
            found += group
    return found


def _parts(file: RawFile) -> tuple[str, str | None, str]:
    match = _NAME.fullmatch(file.stem)
    assert match is not None  # it matches anything
    return match[1], match[2], (match[3] or "").lower()


def _number(file: RawFile) -> int:
    return int(_parts(file)[1] or 0)


def clip_name(stem: str, grouped: bool) -> str:
    """What a clip is called whose first frame is in a file of this name: without the number; "" if that is all there is."""
    if not grouped and not stem.lower().endswith(_OPENPOSE):
        return stem
    match = _NAME.fullmatch(stem)
    return match[1].rstrip("_-. ") if match is not None else stem


def is_series(file: RawFile) -> bool:
    """Whether a file holds one frame of a clip, by its name or by those that go with it."""
    return bool(file.companions) or bool(_parts(file)[2])


def read_frames(file: RawFile, parse: Callable[[RawFile], T]) -> tuple[list[tuple[int, T | None]], list[str]]:
    """What is in the files of the frames of a clip, with their numbers, None where one cannot be read; and how many that are.

    Raises ReadError if none can be read, or two are of one frame.
    """
    files = [file, *file.companions]
    found: list[tuple[int, T | None]] = []
    problems: list[tuple[RawFile, str]] = []
    for one in files:
        try:
            found.append((_number(one), parse(one)))
        except ReadError as error:
            found.append((_number(one), None))
            problems.append((one, str(error)))
    if len(problems) == len(files):
        raise ReadError(problems[0][1] + (f" None of the {len(files):,} frames can be read." if len(files) > 1 else ""))
    for (before, _), (after, _) in pairwise(found):
        if before == after:
            raise ReadError(f"{file.name}: two files are of frame {before}; expected one of each.")
    ended = len(found)
    while found[ended - 1][1] is None and files[ended - 1].size == 0:
        ended -= 1
    left_out = []
    if (damaged := len(problems) - len(found) + ended) > 0:
        left_out.append(f"{damaged:,} of {ended:,} frames cannot be read, such as {problems[0][0].name}.")
    if ended < len(found):
        left_out.append(f"empty files at its end are no frames: {len(found) - ended:,}, such as {files[ended].name}.")
    return found[:ended], left_out


def parsed(file: RawFile) -> object:
    """The JSON in a file. Raises ReadError as `read_json` does."""
    content: object = read_json(file, MAX_CLIP)
    return content
