"""The same walk in every format of motion capture is the same layout and the same metres, from a folder, an archive or gzip."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from mocap_files import c3d_file, motive_text, mvnx_file, mvnx_text, trc_text, vicon_text

from s2i_hf.readers.discovery import read_file
from s2i_hf.readers.generic.folder import find_folder

TRUNK = ["Hips", "Spine", "Neck", "Head"]
NAMES = [
    *TRUNK,
    *(side + one for side in ("Left", "Right") for one in ("Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot")),
]
PARENTS = (
    -1,
    0,
    1,
    2,
    *(parent + 6 * side if parent > 3 else parent for side in (0, 1) for parent in (1, 4, 5, 0, 7, 8)),
)
UP = [[0, 1, 0], [0, 0.3, 0], [0, 0.25, 0], [0, 0.15, 0]]
LEFT = [[0.2, 0.1, 0], [0.3, 0, 0], [0.25, 0, 0], [0.1, -0.05, 0], [0, -0.4, 0], [0, -0.4, 0.1]]
BONES = np.array([*UP, *LEFT, *([-x, y, z] for x, y, z in LEFT)])  # metres, from parent to joint


def walk() -> np.ndarray:
    """(T, V, 3) in metres with y up."""
    placed = np.zeros((3, len(NAMES), 3))
    for joint, parent in enumerate(PARENTS):
        placed[:, joint] = BONES[joint] + (placed[:, parent] if parent >= 0 else 0)
    return placed + np.arange(3)[:, None, None] * 0.1


def files() -> dict[str, bytes]:
    metres = walk()
    x, y, z = np.moveaxis(metres, -1, 0)
    upright = np.stack([x, -z, y], axis=-1)  # with z up
    parents = ["Root" if parent < 0 else f"A:{NAMES[parent]}" for parent in PARENTS]
    owned = [f"A:{name}" for name in NAMES]
    return {
        "mark.c3d": c3d_file(owned, (upright * 1000).astype(np.float32)),
        "mark.trc": trc_text(NAMES, metres * 100, "cm").encode(),
        "xsens.MVNX": mvnx_file(mvnx_text(NAMES, PARENTS, upright)).encode(),
        "vicon.csv": vicon_text(owned, upright * 1000).encode(),
        "motive.csv": motive_text(owned, metres, parents=parents).encode(),
        "markers.csv": motive_text(owned, metres * 1000, "Marker", unit="Millimeters").encode(),
    }


@pytest.mark.parametrize("name", files())
@pytest.mark.parametrize("packed", ["", "gz", "zip"])
def test_one_walk_in_every_format(tmp_path: Path, name: str, packed: str) -> None:
    content, folder = files()[name], tmp_path / "walk"
    folder.mkdir()
    if packed == "zip":
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            archive.writestr(f"walk/{name}", content)
    else:
        (folder / f"{name}{packed and '.gz'}").write_bytes(gzip.compress(content) if packed else content)
    found = find_folder(tmp_path)
    layout = found.protocol.skeleton  # type: ignore[attr-defined]
    assert layout.joint_names == tuple(NAMES) and layout.parents == PARENTS
    clips = [clip for file in found.all_files for clip in read_file(file, found.protocol)]
    assert len(clips) == 1
    np.testing.assert_allclose(clips[0].sequence.joints[:, 0], walk(), atol=2e-5)  # type: ignore[union-attr]
