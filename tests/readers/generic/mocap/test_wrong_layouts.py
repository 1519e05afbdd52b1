"""A file that names its joints is read as no layout but its own, whichever is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import one_sentence
from mocap_files import LABELS, c3d_file, motive_text, mvnx_file, mvnx_text, trc_text, vicon_text
from own_files import AMC, ASF, BVH, raw

from s2i_hf.processing.layouts import BUILT_IN
from s2i_hf.readers import RawFile, ReadError
from s2i_hf.readers.generic.mocap import amc_asf, bvh, c3d, mvnx, trc
from s2i_hf.readers.generic.raw_clip import in_layout, layout_of
from s2i_hf.readers.generic.tables import table_files

READERS = {".bvh": bvh, ".amc": amc_asf, ".c3d": c3d, ".trc": trc, ".mvnx": mvnx, ".csv": table_files}
PLUG_IN_GAIT = [f"Anna:{name}" for name in BUILT_IN["vicon_39"].joint_names]
SEGMENTS = ["Pelvis", "L5", "L3", "T12", "T8", "Neck", "Head"]


def places(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(0, 0.5, (3, count, 3)).astype(np.float32)


def numbered(count: int) -> str:
    """A BVH of as many joints, which are those of no known layout."""
    tree = "ROOT j0\n{\nOFFSET 0 0 0\nCHANNELS 3 Xposition Yposition Zposition\n"
    tree += "".join(f"JOINT j{joint}\n{{\nOFFSET 0 0.1 0\n" for joint in range(1, count)) + "}\n" * count
    return f"HIERARCHY\n{tree}MOTION\nFrames: 1\nFrame Time: 0.01\n0 0 0\n"


FILES: dict[str, bytes | str] = {
    "own.bvh": BVH,
    "own.amc": AMC,
    "hands.c3d": c3d_file(),
    "gait.c3d": c3d_file(PLUG_IN_GAIT, places(39)),
    "hands.trc": trc_text(LABELS, places(4)),
    "gait.trc": trc_text(PLUG_IN_GAIT, places(39)),
    "gait.csv": vicon_text(PLUG_IN_GAIT, places(39)),
    "markers.csv": motive_text([f"A:m{index}" for index in range(25)], places(25), "Marker"),
    "bones.csv": motive_text(["A:Hip", "A:Ab", "A:Chest", "A:Neck", "A:Head"], places(5)),
    "xsens.mvnx": mvnx_file(mvnx_text(SEGMENTS, range(-1, 6), places(7))),
    "coco.trc": trc_text(BUILT_IN["coco_17"].joint_names, places(17), "m"),
} | {f"numbered_{count}.bvh": numbered(count) for count in sorted({layout.num_joints for layout in BUILT_IN.values()})}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RawFile]:
    folder = tmp_path_factory.mktemp("files")
    skeleton = raw(folder, "own.asf", ASF)
    return {
        name: raw(folder, name, content, *([skeleton] if name == "own.amc" else [])) for name, content in FILES.items()
    }


@pytest.mark.parametrize("name", FILES)
def test_another_layout_is_refused(files: dict[str, RawFile], name: str) -> None:
    reader = READERS[Path(name).suffix]
    own = "vicon_39" if name.startswith("gait") else ""
    for asked, layout in BUILT_IN.items():
        if asked == own:
            assert in_layout(reader.read(files[name], layout), layout, name).shape == (3, 1, 39, 3)
            assert layout_of(reader.read(files[name]), name) == layout
            continue
        with pytest.raises(ReadError) as caught:
            in_layout(reader.read(files[name], layout), layout, name)
        assert one_sentence(caught.value) and name in str(caught.value), (asked, str(caught.value))
