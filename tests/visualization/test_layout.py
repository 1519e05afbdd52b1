"""The picture of a joint format is a PNG, the same each time, for every format."""

from __future__ import annotations

import numpy as np
import pytest
from bodies import pose

from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.visualization.layout import draw_layout


@pytest.mark.parametrize("name", ["kinect_v1", "kinect_v2", "mediapipe_33"])
def test_a_picture(tmp_path, name):
    matplotlib_image = pytest.importorskip("matplotlib.image")
    layout = LAYOUTS[name]
    body = pose(name) if name.startswith("kinect") else np.random.default_rng(0).normal(size=(33, 3))
    path = draw_layout(layout, body, tmp_path / "layout.png")
    pixels = matplotlib_image.imread(path)
    assert pixels.shape[1] == 792 and pixels.shape[0] >= 460
    assert (pixels[..., :3] < 0.9).any(axis=-1).mean() > 0.01  # something is drawn
    first = path.read_bytes()
    assert draw_layout(layout, body, path).read_bytes() == first and [*tmp_path.iterdir()] == [path]
