"""Skeleton-to-Image Encoding (S2I, arXiv 2603.05963): joints -> image, and back.

Height is time, width is joints grouped into five body parts, and the three channels are x, y and z. A clip of T frames and V
joints is a T x V map that is resized to the image, by bilinear interpolation unless told otherwise (`align_corners=False`;
antialiased along an axis that shrinks). A resize is linear in the values and separable, so it is two small constant matrices,
one over joints and one over time, and the joint order, the part widths and the people's blocks are folded into the first one:
they cost nothing. Where an axis grows bilinearly, every pixel mixes two neighbours only, which is a gather and a lerp.

Two ways give the same numbers: `encode` here, for a list of clips on the host, and `encoding_batched.encode_padded` for a padded
batch on any device. `decode` inverts both by least squares, to float precision while T <= H and V <= the width of a person's
block; longer clips come back smoothed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import torch

from .layouts import LayoutLike, SkeletonLayout, get_layout
from .resizing import Columns, joint_inverse, joint_matrix, resize_weights, time_inverse, time_taps
from .skeleton_layout import joint_depths
from .transforms import Center, prepare

Stream = Literal["joint", "bone", "motion", "bone_motion"]
STREAMS: tuple[Stream, ...] = get_args(Stream)


@dataclass(frozen=True)
class EncodingOptions:
    """Everything that changes a pixel.

    Args:
        size: (height, width) of the image, or one number for both.
        people: "adaptive": as many equal blocks in width as people present, actor 1 leftmost; "first": actor 1 alone.
        part_widths: "joints": the plain resize of the T x V map; "equal": part k spans columns round(k W / 5) to
            round((k + 1) W / 5) of each block, in every format.
        value_range: "sequence": one min-max to [0, 1] shared by the axes; "per_axis": one for each axis; "fixed": metres over
            `value_scale`, not clipped.
        value_scale: Length that becomes 1 with `value_range="fixed"`, in the unit of the layout.
        center: What is subtracted: the centre of actor 1 in the "first_frame", in "every_frame", or "none".
        stream: "joint": positions; "bone": each joint minus its parent (a root keeps its centred position); "motion": each frame
            minus the one before (the first is zero); "bone_motion": the motion of the bones.
        image_mean: Subtracted from each channel after `value_range`, or None.
        image_std: Divisor of each channel after `image_mean`, or None.
        joint_order: Joints of a person from left to right: "parts": part by part, top-down; "sensor": as the layout lists them;
            "random": shuffled, in the same way for every clip of a layout.
        order_seed: Which shuffling, with `joint_order="random"`.
        interpolation: "linear", "nearest" or "cubic" resize of the joint map; see `resizing.resize_weights`.

    Raises:
        ValueError: an option has none of its values, or equal part widths are to hold joints in another order than by part.
    """

    size: tuple[int, int] = (224, 224)
    people: Literal["adaptive", "first"] = "adaptive"
    part_widths: Literal["joints", "equal"] = "joints"
    value_range: Literal["sequence", "per_axis", "fixed"] = "sequence"
    value_scale: float = 1.0
    center: Center = "first_frame"
    stream: Stream = "joint"
    image_mean: tuple[float, float, float] | None = None
    image_std: tuple[float, float, float] | None = None
    joint_order: Literal["parts", "sensor", "random"] = "parts"
    order_seed: int = 0
    interpolation: Literal["linear", "nearest", "cubic"] = "linear"

    def __post_init__(self) -> None:
        sides: Any = (self.size, self.size) if np.ndim(self.size) == 0 else self.size
        size = tuple(int(side) for side in sides)
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"size is {self.size}; expected one positive number of pixels, or (height, width).")
        object.__setattr__(self, "size", size)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(allowed)}.")
        if self.part_widths == "equal" and self.joint_order != "parts":
            raise ValueError(f"joint_order {self.joint_order!r} has no parts; use part_widths='joints'.")
        if not self.value_scale > 0:
            raise ValueError(f"value_scale is {self.value_scale}; expected a length above zero.")
        for name in ("image_mean", "image_std"):
            value = getattr(self, name)
            if value is not None:
                value = tuple(float(number) for number in value)
                if len(value) != 3:
                    raise ValueError(f"{name} has {len(value)} numbers; expected one for each of x, y and z.")
                object.__setattr__(self, name, value)
        if self.image_std is not None and min(self.image_std) <= 0:
            raise ValueError(f"image_std is {self.image_std}; expected numbers above zero.")

    @property
    def columns(self) -> Columns:
        """How joints become columns, in the form that the functions of `resizing` take."""
        return Columns(self.part_widths, self.joint_order, self.order_seed, self.interpolation)

    def to_dict(self) -> dict[str, Any]:
        """All options as JSON types."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


_HINTS = get_type_hints(EncodingOptions)
_CHOICES = {name: get_args(hint) for name, hint in _HINTS.items() if get_origin(hint) is Literal}


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class ClipMetadata:
    """What `decode` needs beside the image.

    Args:
        num_frames: T.
        num_people: M, people in the image.
        layout: Joint format.
        options: Options the image was made with.
        offset: (1, 3) or (T, 3) float32, the centre that was subtracted, in the unit of the layout.
        low: (3,) float32, value that became 0 before mean/std.
        high: (3,) float32, value that became 1 before mean/std.
        anchor: (M, V, 3) float32, first frame, centred, of joints ("motion") or bones ("bone_motion"); else None.
        num_missing: Joints that were filled along time before encoding.
    """

    num_frames: int
    num_people: int
    layout: SkeletonLayout
    options: EncodingOptions
    offset: np.ndarray
    low: np.ndarray
    high: np.ndarray
    anchor: np.ndarray | None = None
    num_missing: int = 0


def affine(low: Any, high: Any, options: EncodingOptions, xp: Any) -> tuple[Any, Any]:
    """Value range and mean/std as one `x * scale + shift`."""
    span = high - low
    scale = 1.0 / xp.where(span > 1e-8, span, xp.ones_like(span))  # a clip without extent becomes a constant image
    shift = -low * scale
    if options.image_mean is not None:
        shift = shift - _constant(options.image_mean, shift, xp)
    if options.image_std is not None:
        std = _constant(options.image_std, shift, xp)
        scale, shift = scale / std, shift / std
    return scale, shift


def _constant(values: Sequence[float], like: Any, xp: Any) -> Any:
    if xp is torch:
        return torch.tensor(values, dtype=torch.float32, device=like.device)
    return np.asarray(values, dtype=np.float32)


def bones_of(layout: SkeletonLayout) -> tuple[list[int], list[int]]:
    joints = [joint for joint, parent in enumerate(layout.parents) if parent >= 0]
    return joints, [layout.parents[joint] for joint in joints]


def _measure(joints: np.ndarray, layout: SkeletonLayout, options: EncodingOptions) -> tuple[np.ndarray, ClipMetadata]:
    """Centre one clip, turn it into its stream and measure its value range. (T, M, V, 3) -> the same, and its metadata."""
    offset = np.zeros((1, 3), dtype=np.float32)
    if options.center != "none":
        body = joints[:1, 0] if options.center == "first_frame" else joints[:, 0]
        center = layout.center_indices
        offset = body[:, center[0]].copy() if len(center) == 1 else body[:, list(center)].mean(axis=1)
        # numpy is slow at a last axis of three: subtract from whole frames
        everywhere = np.tile(offset, (1, joints.shape[1] * layout.num_joints))
        joints = (joints.reshape(len(joints), -1) - everywhere).reshape(joints.shape)
    anchor = None
    if "bone" in options.stream:
        child, parent = bones_of(layout)
        bones = joints.copy()
        bones[:, :, child] -= joints[:, :, parent]
        joints = bones
    if "motion" in options.stream:
        anchor = joints[0].copy()
        joints = np.concatenate([np.zeros_like(joints[:1]), np.diff(joints, axis=0)])
    if options.value_range == "fixed":
        low, high = np.zeros(3, dtype=np.float32), np.full(3, options.value_scale, dtype=np.float32)
    elif options.value_range == "per_axis":
        low, high = (np.array([find(joints[..., axis]) for axis in range(3)]) for find in (np.min, np.max))
    else:
        low, high = np.full(3, joints.min()), np.full(3, joints.max())
    return joints, ClipMetadata(len(joints), joints.shape[1], layout, options, offset, low, high, anchor)


def as_layouts(layouts: LayoutLike | Sequence[LayoutLike], count: int) -> list[SkeletonLayout]:
    if isinstance(layouts, str | SkeletonLayout | Mapping):
        return [get_layout(layouts)] * count
    if len(layouts) != count:
        raise ValueError(f"{len(layouts)} layouts for {count} clips; give one layout for all clips, or one a clip.")
    return [get_layout(layout) for layout in layouts]


@torch.no_grad()
def encode(
    clips: Sequence[Any],
    layouts: LayoutLike | Sequence[LayoutLike],
    options: EncodingOptions | None = None,
    out: torch.Tensor | None = None,
    **changes: Any,
) -> tuple[torch.Tensor, list[ClipMetadata]]:
    """Encode clips of any length and format on the host.

    Args:
        clips: (T, V, 3) or (T, M, V, 3) arrays or tensors, in the unit of their layout; missing joints are NaN or zero.
        layouts: One joint format for all clips, or one a clip.
        options: Encoding options; the defaults if None.
        out: (B, 3, H, W) float32 to write into; reusing one buffer saves the page faults of fresh memory.
        **changes: Single options by name, such as `stream="bone"`.

    Returns:
        (B, 3, H, W) float32 images, and one `ClipMetadata` a clip for `decode`.

    Raises:
        ValueError: a clip does not fit its layout (see `transforms.prepare`), or `out` has another shape.
    """
    options = replace(options or EncodingOptions(), **changes)
    if getattr(clips, "ndim", 5) != 5:
        raise ValueError(f"clips is one array of shape {tuple(clips.shape)}; pass a list of clips, such as [clip].")  # type: ignore[attr-defined]
    layouts = as_layouts(layouts, len(clips))
    shape = (len(clips), 3, *options.size)
    if out is None:
        # memory from numpy, which asks for huge pages: a third of the cost of touching torch's
        out = torch.from_numpy(np.empty(shape, dtype=np.float32))
    elif tuple(out.shape) != shape or out.dtype != torch.float32:
        raise ValueError(f"out is {tuple(out.shape)} {out.dtype}; expected {shape} torch.float32.")
    scratch, metadata = torch.empty(shape[1:]), []
    with torch.autocast("cpu", enabled=False):  # pixels are float32 whatever the model computes in
        for image, clip, layout in zip(out, clips, layouts, strict=True):
            joints, num_missing = prepare(clip, layout, options.people)
            clip_metadata = write_image(image, joints, layout, options, scratch)
            metadata.append(replace(clip_metadata, num_missing=num_missing) if num_missing else clip_metadata)
    return out, metadata


def write_image(
    image: torch.Tensor, joints: np.ndarray, layout: SkeletonLayout, options: EncodingOptions, scratch: torch.Tensor
) -> ClipMetadata:
    """Encode one prepared clip (T, M, V, 3) into `image` (3, H, W); `scratch` is memory of the same shape."""
    values, metadata = _measure(joints, layout, options)
    (num_frames, num_people), (height, width) = values.shape[:2], options.size
    scale, shift = affine(metadata.low, metadata.high, options, np)
    planes = np.empty((3, num_frames, num_people * layout.num_joints), dtype=np.float32)
    np.multiply(values.reshape(num_frames, -1, 3).transpose(2, 0, 1), scale[:, None, None], out=planes)
    planes += shift[:, None, None]
    rows = torch.from_numpy(planes) @ joint_matrix(layout, num_people, width, options.columns)  # (3, T, W)
    taps = None if num_frames > height else time_taps(num_frames, height, options.interpolation)
    if taps is None:
        weights = resize_weights(num_frames, height, options.interpolation).astype(np.float32)
        torch.matmul(torch.from_numpy(weights), rows, out=image)
    else:
        first, second, weight = taps
        torch.index_select(rows, 1, first, out=image)
        torch.index_select(rows, 1, second, out=scratch)
        image.lerp_(scratch, weight[:, None])
    return metadata


@torch.no_grad()
def decode(images: torch.Tensor | np.ndarray, metadata: Sequence[ClipMetadata]) -> list[torch.Tensor]:
    """Invert `encode`: the joints whose image comes closest to each image, by least squares.

    Args:
        images: (B, 3, H, W), of the same options as `metadata`; model outputs are fine.
        metadata: What `encode` returned beside the images.

    Returns:
        B tensors (T, M, V, 3) float32 in the unit of the layout, in absolute position. M counts the people in the image. They equal
        what was encoded to float precision while T <= H and each person's V joints fit the width of a block; longer clips come back
        smoothed, interpolated between the rows of the image.

    Raises:
        ValueError: the number or the size of the images does not fit `metadata`.
    """
    pixels = torch.as_tensor(images).detach().to("cpu", torch.float64).numpy()
    if pixels.ndim != 4 or len(pixels) != len(metadata):
        raise ValueError(f"images are {pixels.shape} for {len(metadata)} clips; expected (B, 3, H, W), one a clip.")
    clips = []
    for image, clip in zip(pixels, metadata, strict=True):
        options, layout = clip.options, clip.layout
        if image.shape != (3, *options.size):
            raise ValueError(f"an image has shape {image.shape}, but its metadata says {(3, *options.size)}.")
        from_columns = joint_inverse(layout, clip.num_people, options.size[1], options.columns)
        from_rows = time_inverse(clip.num_frames, options.size[0], options.interpolation)
        values = from_rows @ image @ from_columns.T  # (3, T, M V)
        scale, shift = affine(clip.low.astype(np.float64), clip.high.astype(np.float64), options, np)
        values = (values - shift[:, None, None]) / scale[:, None, None]
        joints = values.transpose(1, 2, 0).reshape(clip.num_frames, clip.num_people, layout.num_joints, 3)
        if "motion" in options.stream:
            joints[0] = 0.0
            joints = np.cumsum(joints, axis=0) + clip.anchor
        if "bone" in options.stream:
            for joint in np.argsort(joint_depths(layout.parents), kind="stable"):
                if layout.parents[joint] >= 0:
                    joints[:, :, joint] += joints[:, :, layout.parents[joint]]
        joints = joints + clip.offset[:, None, None]
        clips.append(torch.from_numpy(joints.astype(np.float32)))
    return clips
