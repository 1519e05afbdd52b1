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
_OURS = frozenset({"samples", "spread", "filled"})  # beside joints that `s2i infill` filled
_BODY_MODEL = frozenset(
    {"poses", "pose_body", "root_orient", "smpl_poses", "fullpose", "body_pose", "global_orient", "betas"}
)
_MAX_FACT = 1 << 20  # bytes of names and the like


def read(file: RawFile, layout: SkeletonLayout | None = None, axes: str | None = None) -> RawClip:
    """Read a clip from a `.npy` or `.npz` file.

    Args:
        file: The file.
        layout: The joints that it holds, if it does not say so itself.
        axes: The order of the axes of its array, see `array_axes`; None: as the file says, or told by the sizes.

    Raises ReadError if there is no array of numbers that can be joints, if it says nothing about which ones, or what it says does not fit.
    """
    if file.suffix.lower() == ".npy":
        array = read_array(io.BytesIO(read_bytes(file, text=False, limit=MAX_CLIP)), file.name)
        return as_clip(array, _known(layout, array, file.name), file.name, axes)
    with open_npz(file) as arrays:

        def get(key: str) -> np.ndarray:
            joints = key.lower() in _JOINTS or _fact(key) in (None, "scores", "missing", "mask")
            return arrays.array(key, MAX_CLIP if joints else _MAX_FACT, NUMBERS if _fact(key) is None else FACTS)

        def depth(key: str) -> int:
            try:
                return len(arrays.header(key, FACTS).shape)
            except ReadError:
                return 1  # whoever wants it will say what is wrong

        return _assemble(arrays.keys, get, depth, layout, axes, file.name)


def from_lists(content: Any, layout: SkeletonLayout | None, name: str, axes: str | None = None) -> RawClip:
    """A clip from nested lists, or from an object that holds them under "joints" or a like name, beside what it says of them.

    Raises ReadError as `read` does, or if they are ragged or not numbers.
    """
    if not isinstance(content, dict):
        array = number_array(content, name)
        return as_clip(array, _known(layout, array, name), name, axes)
    own = content.get("layout")
    if isinstance(own, dict):
        try:
            stated = SkeletonLayout.from_dict(own)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ReadError(f"{name}: its layout cannot be read: {error}") from None
        content = {**content, "names": list(stated.joint_names), "parents": list(stated.parents), "layout": None}

    def get(key: str) -> np.ndarray:
        value = content[key]
        first = value
        while isinstance(first, list) and first:
            first = first[0]
        if isinstance(first, str | bool) and _fact(key) is not None and _is_even(value):
            return np.asarray(value)
        return number_array(value, f"{name}: {key}" if _fact(key) else name)

    keys = [key for key, value in content.items() if isinstance(value, list) or (value is not None and _fact(key))]
    return _assemble(keys, get, lambda key: _depth(content[key]), layout, axes, name)


def _is_even(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in "bU"
    except ValueError:
        return False


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, value[0] if value else None
    return depth


def _known(layout: SkeletonLayout | None, array: np.ndarray, name: str) -> SkeletonLayout:
    if layout is None:
        refuse_features(array, 25, name)
    return layout_of(RawClip(array), name) if layout is None else layout


def _fact(key: str) -> str | None:
    return next((fact for fact, names in _NAMES.items() if key.lower() in names), None)


def _key(keys: Sequence[str], depth: Callable[[str], int], name: str) -> str:
    """The array that holds the joints."""
    lower = {key.lower(): key for key in reversed(keys)}
    if found := [lower[key] for key in _JOINTS if key in lower and depth(lower[key])]:
        return found[0]
    if _BODY_MODEL & set(lower):
        rotations = ", ".join(key for key in keys if key.lower() in _BODY_MODEL)[:80]
        raise ReadError(
            f"{name}: holds rotations of a body model ({rotations}), as AMASS does, and needs SMPL to become joints; export these with the "
            "body model as an array (T, 22, 3) for layout smpl_22, or a BVH file."
        )
    others = [key for key in keys if _fact(key) is None and depth(key)]
    if len(others) == 1:
        return others[0]
    held = f"the arrays {', '.join(others)[:200]}" if others else "no arrays"
    raise ReadError(f"{name}: holds {held}; expected one, or one called {_JOINTS[0]!r}.")


def _assemble(
    keys: Sequence[str],
    get: Callable[[str], np.ndarray],
    depth: Callable[[str], int],
    layout: SkeletonLayout | None,
    axes: str | None,
    name: str,
) -> RawClip:
    """The clip that these arrays are."""
    key = _key(keys, depth, name)
    stated = [one for one in keys if one != key and _fact(one) not in (None, "scores", "missing")]
    facts = {str(_fact(one)): get(one) for one in stated}
    if "mask" in facts:
        advice = "call it missing (True was not seen) or visibility (0 was not seen)"
        raise ReadError(f"{name}: its mask may say where joints are or where none are; {advice}.")
    clip = _stated(facts, name)
    base = layout
    if clip.layout or clip.names or layout is None:
        base = _base(clip, layout, name)
    assert base is not None
    count = len(clip.names) or base.num_joints
    array, said = get(key), _word(facts, "axes", name)
    refuse_features(array, count, name)
    try:
        said = check_axes(said) if said else ""
        if axes and said and check_axes(axes) != said:
            raise ValueError(f"it says that its axes are {said}, and axes is {axes!r}; leave axes out.")
        order = axes or said or _by_ids(array.shape, facts.get("ids"), count) or None
        joints = coordinates(arrange(array, base, order, count), base.unit).astype(np.float64)
        found = "TMVC" if array.ndim == 2 else find_axes(array.shape, base, order, count)
    except ValueError as error:
        raise ReadError(f"{name}: {error}") from None
    for one in (one for one in keys if one != key and _fact(one) in ("scores", "missing")):
        marks = _per_joint(get(one), joints.shape[:3], found, name, one)
        joints[marks > 0 if _fact(one) == "missing" else ~(marks > 0)] = np.nan
    clip.joints = joints
    beside = [one for one in keys if one != key and _fact(one) is None and one not in _OURS and depth(one) > 1]
    if beside:
        clip.left_out.append(f"what it holds beside {key} is not read ({', '.join(beside)[:120]}).")
    return clip


def _stated(facts: Mapping[str, np.ndarray], name: str) -> RawClip:
    """What the facts say, without joints."""
    clip = RawClip(np.empty(0))
    if "names" in facts:
        names = facts["names"]
        if names.dtype.kind not in "US" or names.ndim != 1 or len(set(names.tolist())) != names.size:
            raise ReadError(f"{name}: its names are {names.dtype} of shape {names.shape}; expected one text a joint.")
        clip.names = tuple(_text(one) for one in names.tolist())
    if "parents" in facts and clip.names:
        parents = facts["parents"].reshape(-1)
        if len(parents) != len(clip.names) or parents.dtype.kind not in "fiu":
            raise ReadError(f"{name}: {len(parents)} parents for {len(clip.names)} names; expected one for each joint.")
        clip.parents = tuple(-1 if not 0 <= parent < len(parents) else int(parent) for parent in parents.tolist())
    clip.layout = _word(facts, "layout", name)
    if "fps" in facts:
        fps = facts["fps"]
        if fps.size != 1 or fps.dtype.kind not in "fiu" or not 0 < float(fps.reshape(-1)[0]) < 100_000:
            raise ReadError(f"{name}: its fps is {str(fps)[:40]}; expected one number above 0.")
        clip.fps = float(fps.reshape(-1)[0])
    if unit := _word(facts, "unit", name):
        if unit.lower() not in _UNITS:
            raise ReadError(f"{name}: its unit is {unit[:40]!r}; expected {', '.join((*UNITS, 'px', 'normalized'))}.")
        clip.unit = _UNITS[unit.lower()]
    clip.up = _word(facts, "up", name).lower()
    if clip.up not in ("", *UPS):
        raise ReadError(f"{name}: says that {clip.up[:40]!r} is up; expected one of {', '.join(UPS)}.")
    return clip


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _word(facts: Mapping[str, np.ndarray], fact: str, name: str) -> str:
    """One text; "" if the file has none."""
    if fact not in facts:
        return ""
    value = facts[fact]
    if value.size != 1 or value.dtype.kind not in "US":
        raise ReadError(f"{name}: its {fact} is {str(value)[:40]}; expected one text.")
    return _text(value.reshape(-1).tolist()[0])


def _base(clip: RawClip, layout: SkeletonLayout | None, name: str) -> SkeletonLayout:
    """The layout whose unit the joints have; refuses one that nobody knows."""
    if clip.layout and clip.layout not in BUILT_IN:
        if layout is None or layout.name != clip.layout:
            known = f"pass that layout as a file or a SkeletonLayout. It is none of {', '.join(BUILT_IN)}"
            raise ReadError(f"{name}: says that its joints are those of layout {clip.layout[:60]!r}; {known}.")
        clip.layout = ""
        return layout
    if clip.layout:
        return BUILT_IN[clip.layout]
    return layout_of(clip, name) if layout is None else layout


def _by_ids(shape: tuple[int, ...], ids: np.ndarray | None, joints: int) -> str:
    """The order that the number of ids leaves, where one axis alone is as long."""
    if ids is None or ids.ndim != 1 or len(shape) != 4 or shape[2] != joints:
        return ""
    fits = [order for order, people in (("TMVC", shape[1]), ("MTVC", shape[0])) if people == len(ids)]
    return fits[0] if len(fits) == 1 else ""


def _per_joint(marks: np.ndarray, sizes: tuple[int, ...], axes: str, name: str, key: str) -> np.ndarray:
    """(T, M, V) from marks that have the axes of the joints without C, or that and one."""
    order = axes.replace("C", "")
    wanted = tuple(dict(zip("TMV", sizes, strict=True))[letter] for letter in order)
    if marks.shape == (*wanted, 1) or (marks.ndim < 3 and marks.size == np.prod(wanted)):
        marks = marks.reshape(wanted)
    if marks.shape != wanted or marks.dtype.kind not in "fiub":
        expected = f"expected one of each joint, {wanted}"
        raise ReadError(f"{name}: its {key} are {marks.dtype} of shape {marks.shape}; {expected}.")
    marks = marks.transpose([order.index(letter) for letter in "TMV" if letter in order])
    return marks.reshape(sizes)
