"""Pictures exist, show what they should and do without matplotlib where it is missing."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from bodies import pose

from s2i_hf.models.building import build_mae
from s2i_hf.processing.image_processing_skeleton import SkeletonProcessor
from s2i_hf.processing.layouts import LAYOUTS
from s2i_hf.visualization import figures
from s2i_hf.visualization.figures import MissingExtra, confusion_picture, curve_picture, draw_layout, y_points_down
from s2i_hf.visualization.reconstruction import reconstruction_picture


def pixels(path):
    from matplotlib import image

    return image.imread(path)[..., :3]


def clips(count, layout="kinect_v1", frames=12, people=1):
    generator = np.random.default_rng(0)
    body = generator.normal(scale=0.5, size=(count, 1, people, LAYOUTS[layout].num_joints, 3))
    walk = generator.normal(scale=0.03, size=(count, frames, people, 1, 3)).cumsum(axis=1)
    return [
        {"joints": j.astype(np.float32), "layout": layout, "sample_id": f"clip{i}"} for i, j in enumerate(body + walk)
    ]


@pytest.fixture(scope="module")
def model():
    return build_mae("config:micro", image_size=64, seed=0)


def test_only_image_formats_are_turned_upright():
    standing = np.zeros((2, 1, 17, 3), dtype=np.float32)
    names = LAYOUTS["coco_17"].joint_names
    standing[..., names.index("nose"), 1], standing[..., names.index("left_ankle"), 1] = 10, 200
    standing[..., names.index("right_ankle"), 1], standing[..., names.index("left_ear"), 1] = 200, 9
    assert y_points_down(standing, LAYOUTS["coco_17"])
    assert not y_points_down(-standing, LAYOUTS["coco_17"])
    assert not y_points_down(np.zeros((2, 1, 20, 3)), LAYOUTS["kinect_v1"])


def write_metrics(folder, rows, tail=""):
    lines = [json.dumps(row) for row in [{"event": "start", "config": {}, "num_processes": 1}, *rows]]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n" + tail)


def test_curve_reads_resumed_and_cut_files(tmp_path, monkeypatch):
    assert curve_picture(tmp_path) is None  # nothing logged
    rows = [{"step": step, "epoch": step / 4, "loss": 1 / step, "lr": 1e-3} for step in (1, 2, 3, 3, 2, 4)]
    write_metrics(tmp_path, rows, '{"step": 5, "lo')
    path = curve_picture(tmp_path)
    assert path == tmp_path / "curve.png" and pixels(path).std() > 0.01
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: figure)
    assert curve_picture(tmp_path).axes[0].lines[0].get_xdata().tolist() == [1, 2, 3, 4]


def test_long_curve(tmp_path):
    write_metrics(tmp_path, [{"step": step, "loss": 1.0 + step % 3} for step in range(500)])
    assert pixels(curve_picture(tmp_path, tmp_path / "other.png")).std() > 0.01


@pytest.mark.parametrize("size", [2, 10, 25, 61])
def test_confusion_picture(tmp_path, size):
    names = [f"a class with a rather long name, number {index}" for index in range(size)]
    path = confusion_picture(np.eye(size, dtype=int) * 5, names, tmp_path / "confusion.png", "title")
    assert (pixels(path)[..., 2] - pixels(path)[..., 0] > 0.2).sum() > 100  # the diagonal is blue


def test_names_must_fit_the_matrix(tmp_path):
    with pytest.raises(ValueError, match="2 class names"):
        confusion_picture(np.eye(3), ["a", "b"], tmp_path / "confusion.png")


def test_without_matplotlib_one_sentence_says_what_to_install(tmp_path, model, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # makes `import matplotlib` fail
    with pytest.raises(MissingExtra, match=r"pip install 's2i-hf\[viz\]'") as caught:
        confusion_picture(np.eye(2), ["a", "b"], tmp_path / "confusion.png")
    assert isinstance(caught.value, ImportError)
    with pytest.raises(MissingExtra):
        reconstruction_picture(model, SkeletonProcessor(size=64), clips(2), tmp_path / "reconstruction.png")
    assert [path.name for path in tmp_path.iterdir()] == ["reconstruction.json"]  # the error in millimetres is kept


def test_matplotlib_is_imported_late():
    code = "import sys; import s2i_hf.visualization.figures, s2i_hf.hub.model_card; print('matplotlib' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )


@pytest.mark.parametrize("name", ["kinect_v1", "kinect_v2", "mediapipe_33", "zed_38", "bandai_namco_22"])
def test_layout_picture(tmp_path, name):
    pytest.importorskip("matplotlib")
    layout = LAYOUTS[name]
    body = pose(name) if name.startswith("kinect") else np.random.default_rng(0).normal(size=(layout.num_joints, 3))
    path = draw_layout(layout, body, tmp_path / "layout.png")
    image = pixels(path)
    assert image.shape[1] == 792 and image.shape[0] >= 460
    assert (image < 0.9).any(axis=-1).mean() > 0.01  # something is drawn
    first = path.read_bytes()
    assert draw_layout(layout, body, path).read_bytes() == first and [*tmp_path.iterdir()] == [path]
