"""What stands beside the joints in a `.npz` file or a JSON object: names, scores, frames a second, layout, unit, order of the axes.

    joints (T, M, V, 3)     or keypoints, positions, ...: see `_JOINTS`
    names (V,)              what the file calls them; layout, a name in `LAYOUTS`; parents (V,)
    visibility (T, M, V)    or scores, confidence, ...: 0 was not seen; missing (T, M, V): True was not
    fps, unit, up, axes     numbers and text; ids (M,): of the people

Files of rotations alone, as AMASS keeps them, need a body model and are refused by name.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...processing.array_axes import arrange, check_axes, coordinates, find_axes
from ...processing.layouts import BUILT_IN
from ...processing.skeleton_layout import SkeletonLayout
from ..raw_files import MAX_CLIP, RawFile, ReadError, read_bytes
from .arrays import FACTS, NUMBERS, as_clip, number_array, open_npz, read_array, refuse_features
from .raw_clip import UNITS, UPS, RawClip, layout_of

_JOINTS = (
    "joints", "keypoints", "keypoint", "skeletons", "skeleton", "data", "positions", "landmarks", "world_landmarks", "joints3d",
    "joints_3d", "keypoints3d", "keypoints_3d", "positions_3d", "kpts",
)  # fmt: skip
# fact -> what files call it
_NAMES: Mapping[str, Sequence[str]] = {
    "names": ("names", "joint_names", "joints_names", "keypoint_names", "keypoints_names", "landmark_names"),
    "scores": (
        "visibility", "scores", "score", "confidence", "confidences", "conf", "keypoint_scores", "keypoint_score", "keypoints_score",
        "tracking_state", "tracked", "valid", "presence",
    ),
    "missing": ("missing", "masked"),
    "mask": ("mask",),
    "fps": ("fps", "frame_rate", "framerate", "mocap_framerate", "mocap_frame_rate", "sampling_rate"),
    "layout": ("layout",),
    "parents": ("parents",),
    "ids": ("ids", "person_ids", "track_ids", "body_ids"),
    "unit": ("unit", "units"),
    "up": ("up", "up_axis"),
    "axes": ("axes",),
}  # fmt: skip
_UNITS = {
    **{unit: unit for unit in (*UNITS, "px", "normalized")}, "metres": "m", "meters": "m", "metre": "m", "meter": "m", "pixels": "px",
    "pixel": "px", "centimetres": "cm", "centimeters": "cm", "millimetres": "mm", "millimeters": "mm", "inches": "inch", "in": "inch",
    "normalised": "normalized",
}  # fmt: skip
_MARKS = ("scores", "missing")  # facts of each joint in each frame
_OURS = ("samples", "spread", "filled")  # beside joints that `s2i infill` filled
_BODY_MODEL = {"poses", "pose_body", "root_orient", "smpl_poses", "fullpose", "body_pose", "global_orient", "betas"}
_MAX_FACT = 1 << 20  # bytes of names and the like


def read(file: RawFile, layout: SkeletonLayout | None = None, axes: str | None = None) -> RawClip:
    """A clip from a `.npy` or `.npz` file, of `layout` and `axes` (see `array_axes`) if it does not say so itself.

    Raises ReadError if there is no array of numbers that can be joints, if it says nothing about which ones, or what it says does not fit.
    """
    if file.suffix == ".npy":
        array = read_array(io.BytesIO(read_bytes(file, text=False, limit=MAX_CLIP)), file.name)
        return as_clip(array, layout, file.name, axes)
    with open_npz(file) as arrays:

        def get(key: str) -> np.ndarray:
            joints = key.lower() in _JOINTS or _fact(key) in (None, "mask", *_MARKS)
            return arrays.array(key, MAX_CLIP if joints else _MAX_FACT, _kinds(key))

        def depth(key: str) -> int:
            try:
                return len(arrays.header(key, FACTS).shape)
            except ReadError:
                return 1  # whoever wants it will say what is wrong

        return _assemble({key: depth(key) for key in arrays.keys}, get, layout, axes, file.name)


def from_lists(content: Any, layout: SkeletonLayout | None, name: str, axes: str | None = None) -> RawClip:
    """A clip from nested lists, or from an object that holds them under "joints" or a like name, beside what it says of them.

    Raises ReadError as `read` does, or if they are ragged or not numbers.
    """
    if not isinstance(content, dict):
        return as_clip(number_array(content, name), layout, name, axes)
    if isinstance(own := content.get("layout"), dict):
        try:
            stated = SkeletonLayout.from_dict(own)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ReadError(f"{name}: its layout cannot be read: {error}") from None
        content = {**content, "names": list(stated.joint_names), "parents": list(stated.parents), "layout": None}

    def get(key: str) -> np.ndarray:
        return number_array(content[key], f"{name}: {key}" if _fact(key) else name, _kinds(key))

    held = {key: _depth(value) for key, value in content.items() if value is not None}
    return _assemble({key: depth for key, depth in held.items() if depth or _fact(key)}, get, layout, axes, name)


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, value[0] if value else None
    return depth


def _fact(key: str) -> str | None:
    return next((fact for fact, names in _NAMES.items() if key.lower() in names), None)


def _kinds(key: str) -> str:
    return FACTS if _fact(key) else NUMBERS


def _key(depths: Mapping[str, int], name: str) -> str:
    """The array that holds the joints."""
    lower = {key.lower(): key for key in reversed([*depths])}
    if found := [lower[key] for key in _JOINTS if key in lower and depths[lower[key]]]:
        return found[0]
    if rotations := [key for key in depths if key.lower() in _BODY_MODEL]:
        held = f"holds rotations of a body model ({', '.join(rotations)[:80]}), as AMASS does, and needs SMPL to become joints"
        advice = "export these with the body model as an array (T, 22, 3) for layout smpl_22, or a BVH file"
        raise ReadError(f"{name}: {held}; {advice}.")
    others = [key for key, depth in depths.items() if depth and not _fact(key)]
    if len(others) == 1:
        return others[0]
    held = f"the arrays {', '.join(others)[:200]}" if others else "no arrays"
    raise ReadError(f"{name}: holds {held}; expected one, or one called {_JOINTS[0]!r}.")


def _assemble(
    depths: Mapping[str, int],
    get: Callable[[str], np.ndarray],
    layout: SkeletonLayout | None,
    axes: str | None,
    name: str,
) -> RawClip:
    """The clip that these arrays are: how many axes each of them has, and what reads it."""
    key = _key(depths, name)
    beside = {one: _fact(one) for one in depths if one != key}
    facts = {fact: _decoded(get(one)) for one, fact in beside.items() if fact and fact not in _MARKS}
    if "mask" in facts:
        advice = "call it missing (True was not seen) or visibility (0 was not seen)"
        raise ReadError(f"{name}: its mask may say where joints are or where none are; {advice}.")
    clip = _stated(facts, name)
    if clip.layout and clip.layout not in BUILT_IN:
        if layout is None or layout.name != clip.layout:
            known = f"pass that layout as a file or a SkeletonLayout. It is none of {', '.join(BUILT_IN)}"
            raise ReadError(f"{name}: says that its joints are those of layout {clip.layout[:60]!r}; {known}.")
        clip.layout = ""
    base = layout_of(clip, name) if clip.layout or layout is None else layout
    count = len(clip.names) or base.num_joints
    array, said = get(key), _word(facts, "axes", name)
    refuse_features(array, count, name)
    try:
        said = check_axes(said) if said else ""
        if axes and said and check_axes(axes) != said:
            raise ValueError(f"it says that its axes are {said}, and axes is {axes!r}; leave axes out.")
        order = axes or said or _by_ids(array.shape, facts.get("ids"), count)
        joints = coordinates(arrange(array, base, order, count), base.unit).astype(np.float64)
        found = "TMVC" if array.ndim == 2 else find_axes(array.shape, base, order, count)
    except ValueError as error:
        raise ReadError(f"{name}: {error}") from None
    for one, fact in beside.items():
        if fact in _MARKS:
            seen = _per_joint(get(one), joints.shape[:3], found, name, one) > 0
            joints[seen if fact == "missing" else ~seen] = np.nan
    clip.joints = joints
    if unread := [one for one, fact in beside.items() if not fact and one not in _OURS and depths[one] > 1]:
        clip.left_out.append(f"what it holds beside {key} is not read ({', '.join(unread)[:120]}).")
    return clip


def _decoded(array: np.ndarray) -> np.ndarray:
    return np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array


def _stated(facts: Mapping[str, np.ndarray], name: str) -> RawClip:
    """What the facts say, without joints."""
    clip = RawClip(np.empty(0), layout=_word(facts, "layout", name), up=_word(facts, "up", name).lower())
    if "names" in facts:
        names = facts["names"]
        if names.dtype.kind != "U" or names.ndim != 1 or len(set(names.tolist())) != names.size:
            raise ReadError(f"{name}: its names are {names.dtype} of shape {names.shape}; expected one text a joint.")
        clip.names = tuple(names.tolist())
    if "parents" in facts and clip.names:
        parents = facts["parents"].reshape(-1)
        if len(parents) != len(clip.names) or parents.dtype.kind not in NUMBERS:
            raise ReadError(f"{name}: {len(parents)} parents for {len(clip.names)} names; expected one for each joint.")
        clip.parents = tuple(-1 if not 0 <= parent < len(parents) else int(parent) for parent in parents.tolist())
    if "fps" in facts:
        fps = facts["fps"]
        if fps.size != 1 or fps.dtype.kind not in NUMBERS or not 0 < fps.item() < 100_000:
            raise ReadError(f"{name}: its fps is {str(fps)[:40]}; expected one number above 0.")
        clip.fps = float(fps.item())
    if unit := _word(facts, "unit", name):
        if unit.lower() not in _UNITS:
            raise ReadError(f"{name}: its unit is {unit[:40]!r}; expected {', '.join((*UNITS, 'px', 'normalized'))}.")
        clip.unit = _UNITS[unit.lower()]
    if clip.up not in ("", *UPS):
        raise ReadError(f"{name}: says that {clip.up[:40]!r} is up; expected one of {', '.join(UPS)}.")
    return clip


def _word(facts: Mapping[str, np.ndarray], fact: str, name: str) -> str:
    """One text; "" if the file has none."""
    value = facts.get(fact, np.array(""))
    if value.size != 1 or value.dtype.kind != "U":
        raise ReadError(f"{name}: its {fact} is {str(value)[:40]}; expected one text.")
    return str(value.item())


def _by_ids(shape: tuple[int, ...], ids: np.ndarray | None, joints: int) -> str | None:
    """The order that the number of ids leaves, where one axis alone is as long."""
    if ids is None or ids.ndim != 1 or len(shape) != 4 or shape[2] != joints or shape[0] == shape[1]:
        return None
    return {shape[0]: "MTVC", shape[1]: "TMVC"}.get(len(ids))


def _per_joint(marks: np.ndarray, sizes: tuple[int, ...], axes: str, name: str, key: str) -> np.ndarray:
    """(T, M, V) from marks that have the axes of the joints without C, or that and one."""
    order = axes.replace("C", "")
    wanted = tuple(sizes["TMV".index(letter)] for letter in order)
    if marks.shape == (*wanted, 1) or (marks.ndim < 3 and marks.size == np.prod(wanted)):
        marks = marks.reshape(wanted)
    if marks.shape != wanted or marks.dtype.kind not in "fiub":
        expected = f"expected one of each joint, {wanted}"
        raise ReadError(f"{name}: its {key} are {marks.dtype} of shape {marks.shape}; {expected}.")
    return marks.transpose([order.index(letter) for letter in "TMV" if letter in order]).reshape(sizes)
