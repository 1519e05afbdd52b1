"""`RawClip`: a clip as its file states it, and how it becomes joints of a layout, in its unit, with y up.

Whatever a file says of itself wins: names pick the joints, a format that fixes its joints is read as nothing else, a unit or an up axis
that a file states cannot be overruled. What it does not say the caller does: layout, unit and up axis.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...processing.layouts import BUILT_IN
from ...processing.skeleton_layout import SkeletonLayout
from ..raw_files import ReadError, SilentFile
from .joint_names import known_layouts, nearest_layout, pick, tree_of

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
UPS = ("y", "z", "-y")
_OFF_CENTRE = 0.1  # metres
# layouts in metres whose makers let the y axis point down, and z away from the camera
_DOWN = frozenset({"mediapipe_33", "azure_kinect_32", "panoptic_19", "3dhp_17"})


@dataclass
class RawClip:
    """A clip as its file states it.

    Args:
        joints: (T, M, V, 2 or 3) float64, coordinates alone; NaN where a joint was not measured (score or state 0).
        names: What the file calls its V joints; () if it does not name them.
        layout: The layout in `BUILT_IN` that the format itself fixes ("openpose_25"); "" if the format leaves it open.
        parents: Their tree, where the file has one, as in `SkeletonLayout`.
        unit: What the file says its coordinates are in: a key of `UNITS`, metres per unit as text, "px" or "normalized"; "" if it does not.
        usual_unit: What files of this format are in by custom, if neither they nor anybody else says so.
        up: Its up axis if it states one, one of `UPS`; else "".
        usual_up: What is up in files of this format by custom, if neither they nor anybody else says so.
        fps: Frames a second, if it states them.
        left_out: Sentences about what of the file is not in `joints`: damaged frames, people who did not fit. They name no file.
    """

    joints: np.ndarray
    names: tuple[str, ...] = ()
    layout: str = ""
    parents: tuple[int, ...] | None = None
    unit: str = ""
    usual_unit: str = ""
    up: str = ""
    usual_up: str = ""
    fps: float | None = None
    left_out: list[str] = field(default_factory=list)


def metres_per(unit: str | None) -> float:
    """Metres a unit: "m", "cm", "mm", "inch", or a number such as "0.056444". Raises ValueError for anything else."""
    if unit is None or unit in UNITS:
        return UNITS[unit or "m"]
    try:
        scale = float(unit)
    except ValueError:
        scale = 0.0
    if not 1e-6 < scale < 1e6:
        raise ValueError(f"unit is {unit!r}; expected {', '.join(UNITS)}, or metres per unit such as 0.056444.")
    return scale


def layout_of(clip: RawClip, file: str) -> SkeletonLayout:
    """The layout that a file states: that of its format, the well-known one that it names, or that of its own names and tree.

    Raises ReadError if it says too little.
    """
    if clip.layout:
        return BUILT_IN[clip.layout]
    kind, parents = _kind(clip), clip.parents
    if parents is None and clip.names and clip.joints.shape[-1] == 3 and kind in ("", "m"):
        parents = tree_of(clip.names)
    known = [BUILT_IN[name] for name in known_layouts(clip.names)]
    if known:
        best = next((layout for layout in known if layout.unit == kind), known[0])
        return best if kind in ("", best.unit) else replace(best, name=f"{best.name}_{kind}", unit=kind)
    if parents is not None:
        return _named_layout(clip.names, parents, file)
    if clip.names:
        shown = ", ".join(clip.names[:4]) + (", ..." if len(clip.names) > 4 else "")
        near = nearest_layout(clip.names)
        advice = "pass a layout of your own with the joints you want, by these names, and their parents"
        raise ReadError(f"{file}: its {len(clip.names)} joints ({shown}) are those of no known layout{near}; {advice}.")
    raise SilentFile(file)


def _kind(clip: RawClip) -> str:
    """What kind of unit a clip is in, as a layout has it: "m", "px" or "normalized"; "" if nothing says so."""
    unit = clip.unit or clip.usual_unit or ("m" if clip.parents is not None else "")  # bones have a length
    return unit if unit in ("", "px", "normalized") else "m"


def _named_layout(names: Sequence[str], parents: Sequence[int], file: str) -> SkeletonLayout:
    """A layout named after what is in it, so that the same skeleton is called the same wherever it is found."""
    digest = hashlib.sha256(repr((tuple(names), tuple(parents))).encode()).hexdigest()[:8]
    try:
        return SkeletonLayout(
            f"mocap_{len(names)}_{digest}", tuple(names), tuple(parents), source="joints that motion capture files name"
        )
    except ValueError as error:
        raise ReadError(f"{file}: {error} Or pass layout=, a layout with joints of this file.") from None


def _is_in_image(landmarks: np.ndarray) -> bool:
    """Whether MediaPipe's landmarks, (T, M, 33, 3), are image coordinates: those of the world are metres from the middle of the hips."""
    x_y = landmarks[..., :2]
    hips = x_y[:, :, 23:25].mean(axis=2).reshape(-1, 2)
    hips = hips[~np.isnan(hips).any(axis=1)]
    return bool(len(hips) and np.median(hips, axis=0).min() > _OFF_CENTRE and np.nanmax(np.abs(x_y)) <= 1.5)


def in_layout(
    clip: RawClip, layout: SkeletonLayout, file: str, unit: str | None = None, up: str | None = None
) -> np.ndarray:
    """The joints of a layout, (T, M, V, 3) float32 in its unit with y up; z is 0 where the file has none.

    Args:
        clip: What the file states.
        layout: The joint format that is asked for.
        file: Name of the file, for errors.
        unit: What its coordinates are in, see `metres_per`; None: as the file says, else the unit of the layout.
        up: Its up axis, one of `UPS`; None: as the file says, else -y in pixels and for `_DOWN`, y otherwise.

    Raises ReadError if what is asked for is not what the file states, or a coordinate is infinite.
    """
    joints = clip.joints
    if clip.layout and clip.layout != layout.name and (layout.name in BUILT_IN or not clip.names):
        raise ReadError(f"{file}: holds joints of {clip.layout}, not of {layout.name!r}; pass that layout, or none.")
    if clip.names:
        joints = joints[:, :, pick(clip.names, layout, file)]
    elif joints.shape[2] != layout.num_joints:
        raise ReadError(f"{file}: has {joints.shape[2]} joints; layout {layout.name!r} has {layout.num_joints}.")
    if (kind := _kind(clip)) not in ("", layout.unit):
        stated = f"{file}: its coordinates are in {clip.unit or kind}, those of layout {layout.name!r} in {layout.unit}"
        raise ReadError(f"{stated}; pass {'no layout, or ' if clip.layout or clip.names else ''}one in {kind}.")
    if unit and clip.unit and metres_per(unit) != metres_per(clip.unit):
        raise ReadError(f"{file}: says that it is in {clip.unit}, and unit is {unit!r}; leave unit out.")
    if up and clip.up and up != clip.up:
        raise ReadError(f"{file}: says that {clip.up} is up, and up is {up!r}; leave up out.")
    if joints.shape[-1] == 2:
        if layout.unit == "m":
            raise ReadError(
                f"{file}: has x and y of each joint; layout {layout.name!r} is in metres and needs x, y and z."
            )
        joints = np.concatenate([joints, np.where(np.isnan(joints[..., :1]), np.nan, 0.0)], axis=-1)
    elif layout.unit == "px":
        joints = np.where(np.isnan(joints), np.nan, joints * (1.0, 1.0, 0.0))
    if layout == BUILT_IN["mediapipe_33"] and not (unit or clip.unit) and _is_in_image(joints):
        asked = "pass unit='m' if they are metres, or export world landmarks"
        raise ReadError(
            f"{file}: its landmarks look like parts of an image (0 to 1), as their hips are not at 0 0 0; {asked}."
        )
    joints = joints * metres_per(unit or clip.unit or clip.usual_unit or None if layout.unit == "m" else None)
    up = up or clip.up or clip.usual_up or ("-y" if layout.unit != "m" or layout.name in _DOWN else "y")
    x, y, z = np.moveaxis(joints, -1, 0)
    joints = np.stack({"y": (x, y, z), "-y": (x, -y, -z), "z": (x, z, -y)}[up], axis=-1)
    with np.errstate(over="ignore"):
        positive = joints.astype(np.float32) + np.float32(0)  # no negative zeros
        joints = np.where(np.isnan(joints), np.float32(np.nan), positive)
    bad = np.argwhere(np.isinf(joints))
    if len(bad):
        frame, _, joint, axis = (int(index) for index in bad[0])
        where = f"{file}: frame {frame + 1} of {len(joints)}: {'xyz'[axis]} of {layout.joint_names[joint]}"
        raise ReadError(f"{where} is no finite number; mark joints that were not seen with NaN.")
    if np.isnan(joints).any(axis=-1).all():
        raise ReadError(f"{file}: nobody is seen in any of its {len(joints):,} frames.")
    return joints
