"""Custom data, recordings in a general format: which joint format are they in, and in which unit?

Formats with as many joints are told apart by geometry: 25 joints are Kinect v2 or OpenPose, but only under the right tree are
bones short, steady and as long on the left as on the right (`body_checks.layout_misfit`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..processing.layouts import LAYOUTS, SkeletonLayout
from ..processing.skeleton_sequence import SkeletonSequence
from ..readers import RawFile, ReadError
from ..readers.discovery import read_file
from ..readers.generic import folder
from ..readers.generic.folder import find_folder
from .body_checks import CLEAR, check_body, layout_misfit
from .file_types import npz_headers

Item = TypeVar("Item")
LayoutLike = str | Path | SkeletonLayout  # as `find_folder` takes it

_UNITS = (None, "mm", "cm")  # as `find_folder` takes them; None: that of the layout
_MOTION = (".bvh", ".amc", ".asf")  # they name their joints themselves
_PROBES = 3  # files that are opened to see whether a layout fits
_CLIPS = 4  # clips looked at in each of them


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, evenly spread."""
    if not items:
        return []
    places = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    return [items[int(place)] for place in places]


def fit_layouts(
    path: Path, files: Sequence[RawFile], layout: LayoutLike | None = None
) -> tuple[dict[str, float], str | None, str]:
    """Try layouts on some clips.

    Args:
        path: Folder, archive or file with custom data.
        files: Those recordings.
        layout: The one to try; None: all of `LAYOUTS`, or what motion capture files say themselves.

    Returns:
        Name -> misfit of the layouts that the recordings can be read by, the best first; the unit of the best (None: that of
        the layout); and a sentence about what kept the first layout from fitting, if none does.
    """
    motion = files[0].name.removesuffix(".gz").endswith(_MOTION)
    places: list[tuple[Path, Sequence[RawFile] | None]] = [(path, files)]
    if not motion and not files[0].member:
        places = [(file.path, None) for file in spread(files, _PROBES)]
    candidates: Sequence[LayoutLike | None] = [layout] if layout is not None or motion else list(LAYOUTS)
    problem = ""
    fits: dict[str, tuple[float, str | None]] = {}
    for candidate in candidates:
        readable: list[tuple[float, str | None, list[SkeletonSequence]]] = []
        for unit in _UNITS:
            try:
                clips = [clip for place in places for clip in _some_clips(*place, candidate, unit)]
            except (ValueError, ImportError) as error:
                problem = problem or str(error)
                continue
            if clips:
                readable.append((_right_size(clips), unit, clips))
        if readable:
            _, unit, clips = max(readable, key=lambda one: one[0])  # the first of equals
            misfit = float(np.median([layout_misfit(clip.joints, clip.layout) for clip in clips]))
            fits[clips[0].layout.name] = (math.inf if math.isnan(misfit) else misfit, unit)
    ordered = sorted(fits.items(), key=lambda item: item[1][0])
    return {name: misfit for name, (misfit, _) in ordered}, ordered[0][1][1] if ordered else None, problem


def _right_size(clips: Sequence[SkeletonSequence]) -> float:
    """Share of the clips whose bodies have the size that the unit of their layout lets expect."""
    return float(np.mean([check_body(clip.joints, clip.layout).unit == clip.layout.unit for clip in clips]))


def _some_clips(
    path: Path, files: Sequence[RawFile] | None, layout: LayoutLike | None, unit: str | None
) -> list[SkeletonSequence]:
    """Some clips, read by a layout. Raises ValueError if one cannot be."""
    with quietly():
        recordings = find_folder(path, layout=layout, unit=unit, files=files)
    clips: list[SkeletonSequence] = []
    for file in spread(recordings.all_files, _PROBES):
        for clip in islice(read_file(file, recordings.protocol), _CLIPS):
            if isinstance(clip, ReadError):
                raise clip
            clips.append(clip.sequence)
    return clips


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings of `find_folder`, which would come once a try; reports say the same."""
    before, folder.logger.disabled = folder.logger.disabled, True
    try:
        yield
    finally:
        folder.logger.disabled = before


def compare_layouts(misfits: dict[str, float]) -> str:
    """How sure the choice between layouts with equally many joints is, as a sentence."""
    (best, low), (second, high) = list(misfits.items())[:2]
    shown = ", ".join(f"{name} {value:.2f}" for name, value in misfits.items())
    if low < CLEAR * high:
        sure = f"bones are short, steady and alike on both sides under the tree of {best}"
    else:
        sure = f"{best} and {second} fit about as well, so look up the joint order"
    joints = f"{LAYOUTS[best].num_joints} joints" if best in LAYOUTS else "They"
    return f"{joints} could be {' or '.join(misfits)}: {sure} (misfit {shown})."


def ctr_gcn_shapes(files: Sequence[RawFile]) -> str:
    """Shapes of the arrays, if the first file is an .npz such as CTR-GCN's preparation writes (x_train, y_train ...); else nothing."""
    first = next((file for file in files if file.name.endswith(".npz")), None)
    try:
        headers = npz_headers(first) if first is not None else {}
    except ReadError:
        return ""
    names = [name for name in ("x_train", "y_train", "x_test", "y_test") if name in headers]
    return ", ".join(f"{name} {headers[name][0]}" for name in names) if "x_train" in names else ""
