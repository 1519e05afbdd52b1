"""Skeleton-to-Image Encoding of a padded batch where it lies, on any device: the images of `encoding.encode`, in a few large operations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .encoding import EncodingOptions, affine, as_layouts, bones_of, write_image
from .layouts import LayoutLike, SkeletonLayout
from .resizing import joint_matrix, joint_taps, resize_weights, time_taps


@torch.no_grad()
def encode_padded(
    joints: torch.Tensor,
    num_frames: Sequence[int],
    num_people: Sequence[int],
    layouts: LayoutLike | Sequence[LayoutLike],
    options: EncodingOptions | None = None,
) -> torch.Tensor:
    """Encode a padded batch where it lies: (B, 3, H, W) float32 that equals what `encode` gives to float precision.

    Args:
        joints: (B, T, M, V, 3) float32 on any device, zero-padded to the longest clip, most people and most joints; clips are
            prepared already (`transforms.prepare`).
        num_frames, num_people: Of each clip.
        layouts: One joint format for all clips, or one a clip.
        options: Encoding options; the defaults if None.
    """
    options = options or EncodingOptions()
    layouts = as_layouts(layouts, len(joints))
    people = [1 if options.people == "first" else count for count in num_people]
    with torch.autocast(joints.device.type, enabled=False):  # pixels are float32 whatever the model computes in
        if joints.device.type != "cpu":
            return _encode_groups(joints, num_frames, people, layouts, options)
        images = torch.from_numpy(np.empty((len(joints), 3, *options.size), dtype=np.float32))
        scratch = torch.empty(images.shape[1:])
        for image, clip, frames, count, layout in zip(images, joints, num_frames, people, layouts, strict=True):
            whole = clip[:frames, :count, : layout.num_joints].detach().float().numpy()
            write_image(image, whole, layout, options, scratch)
    return images


def _encode_groups(
    joints: torch.Tensor,
    num_frames: Sequence[int],
    num_people: Sequence[int],
    layouts: Sequence[SkeletonLayout],
    options: EncodingOptions,
) -> torch.Tensor:
    """`encode_padded` in a few large operations, for a device that wants them."""
    height, width = options.size
    images = torch.empty((len(joints), 3, height, width), device=joints.device)
    groups: dict[tuple[SkeletonLayout, int, bool], list[int]] = {}
    for index, (layout, people, frames) in enumerate(zip(layouts, num_people, num_frames, strict=True)):
        mixes = frames > height or time_taps(frames, height, options.interpolation) is None
        groups.setdefault((layout, people, mixes), []).append(index)
    for (layout, people, mixes), members in groups.items():
        lengths = [num_frames[index] for index in members]
        whole = len(members) == len(joints)
        picked = joints if whole else joints[torch.tensor(members, device=joints.device)]
        picked = picked[:, : max(lengths), :people, : layout.num_joints].float()
        encoded = _encode_group(picked, lengths, layout, people, mixes, options)
        if whole:
            return encoded
        images[torch.tensor(members, device=joints.device)] = encoded
    return images


def _encode_group(
    x: torch.Tensor, lengths: list[int], layout: SkeletonLayout, people: int, mixes: bool, options: EncodingOptions
) -> torch.Tensor:
    """Images of clips that share layout, number of people, and whether a row mixes more than two frames.

    (b, T, M, V, 3) -> (b, 3, H, W).
    """
    device = x.device
    height, width = options.size
    batch, frames = x.shape[:2]
    if options.center != "none":
        body = x[:, :1, 0] if options.center == "first_frame" else x[:, :, 0]
        x = x - body[:, :, list(layout.center_indices)].mean(dim=2)[:, :, None, None]
    if "bone" in options.stream:
        child, parent = bones_of(layout)
        bones = x.clone()
        bones[:, :, :, child] -= x[:, :, :, parent]
        x = bones
    if "motion" in options.stream:
        x = torch.cat([torch.zeros_like(x[:, :1]), x[:, 1:] - x[:, :-1]], dim=1)
    if options.value_range == "fixed":
        low = torch.zeros((batch, 3), device=device)
        high = torch.full((batch, 3), options.value_scale, device=device)
    else:
        padded = torch.arange(frames, device=device)[None] >= torch.tensor(lengths, device=device)[:, None]
        padded = padded[:, :, None, None, None]
        over = (1, 2, 3, 4) if options.value_range == "sequence" else (1, 2, 3)
        low = x.masked_fill(padded, torch.inf).amin(dim=over).reshape(batch, -1).expand(batch, 3)
        high = x.masked_fill(padded, -torch.inf).amax(dim=over).reshape(batch, -1).expand(batch, 3)
    scale, shift = affine(low, high, options, torch)
    x = x * scale[:, None, None, None] + shift[:, None, None, None]
    x = x.permute(0, 1, 4, 2, 3).reshape(batch, frames, 3, people * layout.num_joints)
    across = joint_taps(layout, people, width, options.columns)
    if across is not None:  # gather and lerp rather than a matrix product, which TF32 would round to ten bits
        first, second, weight = (part.to(device) for part in across)
        rows = torch.lerp(x[..., first], x[..., second], weight)
    else:
        rows = x @ joint_matrix(layout, people, width, options.columns).to(device)
    if mixes:
        weights = np.zeros((batch, height, frames), dtype=np.float32)
        for index, length in enumerate(lengths):
            weights[index, :, :length] = resize_weights(length, height, options.interpolation)
        return torch.einsum("bht,btcw->bchw", torch.from_numpy(weights).to(device), rows)
    taps = [time_taps(length, height, options.interpolation) for length in lengths]
    first, second, weight = (torch.stack([tap[k] for tap in taps if tap is not None]).to(device) for k in range(3))
    clip = torch.arange(batch, device=device)[:, None]
    return torch.lerp(rows[clip, first], rows[clip, second], weight[:, :, None, None]).permute(0, 2, 1, 3).contiguous()
