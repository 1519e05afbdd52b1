"""A picture of a joint format: one body, its joints numbered, coloured by part, beside their names in image order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..processing.layouts import PARTS, SkeletonLayout
from .figures import PART_COLORS, draw_bones, new_figure, part_colors, save_figure


def draw_layout(layout: SkeletonLayout, joints: np.ndarray, path: str | Path) -> Path:
    """Draw one body from the front, x to the right and y up, with the index of each joint and the names beside it.

    Args:
        layout: Joint format.
        joints: (V, 3), all finite.
        path: PNG to write.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure = new_figure(7.2, max(4.2, 0.19 * layout.num_joints + 1.2))
    stage = figure.add_axes((0.01, 0.02, 0.62, 0.9))
    stage.set_axis_off()
    stage.set_aspect("equal")
    colors = part_colors(layout)
    x, y = joints[:, 0], joints[:, 1]
    draw_bones(stage, joints[None, :, :2], layout, colors, lw=2.4)
    stage.scatter(x, y, s=26, c=colors, zorder=3)
    size = max(float(np.ptp(x)), float(np.ptp(y)), 1e-6)
    middle = float(np.median(x))
    for joint in range(layout.num_joints):
        side = 1 if x[joint] >= middle else -1
        place = (x[joint] + 0.018 * size * side, y[joint] + 0.008 * size)
        stage.text(*place, str(joint), fontsize=8, color="#333333", ha="left" if side > 0 else "right")
    stage.margins(0.12)
    row = 0.0
    step = 0.88 / (layout.num_joints + len(PARTS))
    for index, part in enumerate(PARTS):
        figure.text(
            0.68, 0.93 - row * step, part.replace("_", " "), color=PART_COLORS[index], fontsize=9.5, weight="bold"
        )
        row += 1
        for name in layout.parts[part]:
            number = str(layout.joint_names.index(name))
            figure.text(0.715, 0.93 - row * step, number, fontsize=8.5, color="#222222", ha="right")
            figure.text(0.73, 0.93 - row * step, name, fontsize=8.5, color="#222222")
            row += 1
    figure.text(0.02, 0.95, f"{layout.name}: {layout.num_joints} joints, in image order", fontsize=12, weight="bold")
    return save_figure(figure, path)
