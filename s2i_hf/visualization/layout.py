"""A picture of a joint format: one body, its joints numbered, coloured by part, beside their names in image order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..processing.layouts import PARTS, SkeletonLayout

# Okabe and Ito's palette (2008), as in `visualization`: torso, left arm, right arm, left leg, right leg
_COLORS = ("#3a3a3a", "#0072B2", "#D55E00", "#56B4E9", "#E69F00")


def draw_layout(layout: SkeletonLayout, joints: np.ndarray, path: str | Path) -> Path:
    """Draw one body from the front, x to the right and y up, with the index of each joint and the names beside it.

    Args:
        layout: Joint format.
        joints: (V, 3), all finite.
        path: PNG to write.

    Raises:
        ImportError: matplotlib is not installed; the message says which pip line mends it.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Pictures need matplotlib; install it with: pip install 's2i-hf[viz]'") from error
    figure = Figure(figsize=(7.2, max(4.2, 0.19 * layout.num_joints + 1.2)), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    stage = figure.add_axes((0.01, 0.02, 0.62, 0.9))
    stage.set_axis_off()
    stage.set_aspect("equal")
    part_of = {joint: index for index, part in enumerate(PARTS) for joint in layout.parts[part]}
    colors = [_COLORS[part_of[name]] for name in layout.joint_names]
    x, y = joints[:, 0], joints[:, 1]
    for joint, parent in enumerate(layout.parents):
        if parent >= 0:
            stage.plot(
                x[[parent, joint]], y[[parent, joint]], color=colors[joint], linewidth=2.4, solid_capstyle="round"
            )
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
        figure.text(0.68, 0.93 - row * step, part.replace("_", " "), color=_COLORS[index], fontsize=9.5, weight="bold")
        row += 1
        for name in layout.parts[part]:
            number = str(layout.joint_names.index(name))
            figure.text(0.715, 0.93 - row * step, number, fontsize=8.5, color="#222222", ha="right")
            figure.text(0.73, 0.93 - row * step, name, fontsize=8.5, color="#222222")
            row += 1
    figure.text(0.02, 0.95, f"{layout.name}: {layout.num_joints} joints, in image order", fontsize=12, weight="bold")
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    figure.savefig(temporary, format="png", metadata={"Software": None})  # the same joints, the same bytes
    temporary.replace(path)
    return path
