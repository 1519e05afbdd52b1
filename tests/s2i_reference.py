"""S2I written once more, as plain loops in double precision, from the description of the method and not from the package.

Height is time, width is joints part by part, channels are x y z; the order of the steps is: centre, stream, value range, resize.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Taps = list[list[tuple[int, float]]]


def taps(size_in: int, size_out: int, antialias: bool) -> Taps:
    """For each output pixel the (input, weight) pairs of `F.interpolate(mode="bilinear", align_corners=False)`."""
    ratio = size_in / size_out
    table: Taps = []
    for i in range(size_out):
        if antialias and size_in > size_out:
            middle = (i + 0.5) * ratio
            first, last = max(int(middle - ratio + 0.5), 0), min(int(middle + ratio + 0.5), size_in)
            pairs = [(j, max(0.0, 1 - abs(j + 0.5 - middle) / ratio)) for j in range(first, last)]
            total = sum(weight for _, weight in pairs)
            table.append([(j, weight / total) for j, weight in pairs])
        else:
            source = max((i + 0.5) * ratio - 0.5, 0.0)
            low = min(int(source), size_in - 1)
            table.append([(low, 1 - (source - low)), (min(low + 1, size_in - 1), source - low)])
    return table


def streamed(clip: np.ndarray, parents: Sequence[int], centre: Sequence[int], center: str, stream: str) -> np.ndarray:
    """Centre and stream. (T, M, V, 3) -> the same, float64."""
    clip = clip.astype(np.float64)
    frames, people, joints, _ = clip.shape
    centred = np.empty_like(clip)
    for t in range(frames):
        origin = np.zeros(3)
        if center != "none":
            for joint in centre:  # of actor 1
                origin = origin + clip[t if center == "every_frame" else 0, 0, joint] / len(centre)
        for m in range(people):
            for v in range(joints):
                centred[t, m, v] = clip[t, m, v] - origin
    for step in {"joint": [], "bone_motion": ["bone", "motion"]}.get(stream, [stream]):
        before, centred = centred, np.empty_like(centred)
        for t in range(frames):
            for m in range(people):
                for v in range(joints):
                    if step == "bone":
                        centred[t, m, v] = before[t, m, v] - (before[t, m, parents[v]] if parents[v] >= 0 else 0.0)
                    else:
                        centred[t, m, v] = before[t, m, v] - before[t - 1, m, v] if t else 0.0
    return centred


def reference_image(
    clip: np.ndarray,
    parts: Sequence[Sequence[int]],
    parents: Sequence[int],
    centre: Sequence[int],
    size: tuple[int, int],
    part_widths: str = "joints",
    value_range: str = "sequence",
    value_scale: float = 1.0,
    center: str = "first_frame",
    stream: str = "joint",
) -> np.ndarray:
    """(T, M, V, 3) of people who are all there -> (3, H, W) float64, before mean/std. The width must divide by M."""
    height, width = size
    frames, people, joints, _ = clip.shape
    values = streamed(clip, parents, centre, center, stream)
    unscaled = values.copy()
    for axis in range(3):
        measured = unscaled if value_range == "sequence" else unscaled[..., axis]
        low, high = (0.0, value_scale) if value_range == "fixed" else (measured.min(), measured.max())
        for t in range(frames):
            for m in range(people):
                for v in range(joints):
                    values[t, m, v, axis] = (values[t, m, v, axis] - low) / (high - low)
    block = width // people
    assert block * people == width, "this reference wants equal blocks"
    columns: list[tuple[int, list[tuple[int, float]]]] = []  # of each pixel column: the person and its joints' weights
    for m in range(people):
        if part_widths == "joints":
            order = [joint for part in parts for joint in part]
            columns += [(m, [(order[j], w) for j, w in pairs]) for pairs in taps(joints, block, joints > block)]
        else:
            for k, part in enumerate(parts):
                span = round((k + 1) * block / 5) - round(k * block / 5)
                columns += [(m, [(part[j], w) for j, w in pairs]) for pairs in taps(len(part), span, len(part) > span)]
    rows = taps(frames, height, frames > height)
    image = np.zeros((3, height, width))
    for y in range(height):
        for x, (m, across) in enumerate(columns):
            for t, down in rows[y]:
                for v, weight in across:
                    image[:, y, x] += down * weight * values[t, m, v]
    return image
