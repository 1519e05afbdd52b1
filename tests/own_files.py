"""Small valid recordings in every general format, and ways to damage them, for the tests of the readers of own skeletons."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import one_sentence
from hypothesis import strategies as st

from s2i_hf.processing.skeleton_layout import SkeletonLayout
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols.folder import FolderProtocol
from s2i_hf.readers import LeftOut, RawFile, ReadError, discovery
from s2i_hf.readers.generic import folder
from s2i_hf.readers.generic.joint_names import pick
from s2i_hf.readers.generic.raw_clip import layout_of

STAR = SkeletonLayout(
    "test_star", ["pelvis", "head", "left_hand", "right_hand"], [None, "pelvis", "pelvis", "pelvis"], center="pelvis"
)
FLAT_STAR = SkeletonLayout(
    "test_flat_star", ["pelvis", "head", "left_hand", "right_hand"], [None, "pelvis", "pelvis", "pelvis"], unit="px"
)

BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0.0 0.0 0.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT LeftArm
  {
    OFFSET 0.2 0.5 0.0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT LeftHand
    {
      OFFSET 0.3 0.0 0.0
      CHANNELS 3 Yrotation Zrotation Xrotation
      End Site
      {
        OFFSET 0.1 0.0 0.0
      }
    }
  }
  JOINT RightArm
  {
    OFFSET -0.2 0.5 0.0
    CHANNELS 3 Zrotation Xrotation Yrotation
    JOINT RightHand
    {
      OFFSET -0.3 0.0 0.0
      CHANNELS 3 Zrotation Xrotation Yrotation
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.0333333
0 0.9 0  0 0 0  0 0 0  0 0 0  0 0 0  0 0 0
0.1 0.9 0  0 0 90  90 0 0  0 0 0  0 0 0  10 20 30
0.2 0.9 -1.5e-1  10 20 30  40 50 60  70 80 90  -10 -20 -30  0 0 0
"""

ASF = """# skeleton of a subject
:version 1.10
:name VICON
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   written for a test
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name lhipjoint
     direction 0.6 -0.8 0
     length 2.5
     axis 0 0 0  XYZ
  end
  begin
     id 2
     name lfemur
     direction 0.34202 -0.939693 0
     length 7.2
     axis 0 0 20  XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
     id 3
     name ltibia
     direction 0.34202 -0.939693 0
     length 7.9
     axis -90 7.62852e-016 20  XYZ
    dof rx rz
    limits (-10.0 170.0)
           (-10.0 10.0)
  end
  begin
     id 4
     name rhipjoint
     direction -0.6 -0.8 0
     length 2.5
     axis 0 0 0  XYZ
  end
  begin
     id 5
     name rfemur
     direction -0.34202 -0.939693 0
     length 7.2
     axis 0 0 -20  XYZ
    dof rx ry rz
  end
  begin
     id 6
     name rtibia
     direction -0.34202 -0.939693 0
     length 7.9
     axis 0 0 -20  XYZ
    dof rx
  end
  begin
     id 7
     name upperback
     direction 0 1 0
     length 5
     axis 0 0 0  XYZ
    dof rx ry rz
  end
:hierarchy
  begin
    root lhipjoint rhipjoint upperback
    lhipjoint lfemur
    lfemur ltibia
    rhipjoint rfemur
    rfemur rtibia
  end
"""

AMC = """#!OML:ASF X:\\f\u00fcr Bonn\\subject.ASF
:FULLY-SPECIFIED
:DEGREES
1
root 0 17.9 1.5 0 0 0
upperback 0 0 0
lfemur 0 0 0
ltibia 0 0
rfemur 0 0 0
rtibia 0
2
root -0.18 17.9 1.59 -182.894 0.779209 -179.281
upperback 4.7 1.5 -4.6
lfemur -7.0576 -15.9149 -16.3524
ltibia 30.6868 9.8e-016
rfemur 90 0 0
rtibia 45
"""


def npy(array: np.ndarray) -> bytes:
    """A `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    """A `.npz` file."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def raw(folder: Path, name: str, content: bytes | str | Any, *companions: RawFile) -> RawFile:
    """Write a file; anything but bytes and text as JSON."""
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode("latin-1")
    path = folder / name
    path.write_bytes(content)
    return RawFile(path, size=len(content)).with_companions(*companions)


def joints(frames: int = 5, people: int = 1, layout: SkeletonLayout = STAR, seed: int = 0) -> np.ndarray:
    """(T, M, V, 3) float64 of about a metre, and as long along the bones as a person where there are many."""
    return (
        np.random.default_rng(seed)
        .normal(0, 0.4 if layout.num_joints < 10 else 0.1, (frames, people, layout.num_joints, 3))
        .round(5)
    )


def damages(data: bytes) -> st.SearchStrategy[bytes]:
    """Truncations, swapped pieces, overwritten and inserted bytes of a valid file."""
    place = st.integers(0, len(data))
    inserted = st.sampled_from(
        [b"", b"\x00", b"nan", b"inf", b"-1", b"1e999", b"9" * 40, b"null", b"[", b"}", b",", b"\n", b" ", b"\xff\xfe", b"x", b'"', b"{}"]
    ) | st.binary(max_size=8)  # fmt: skip
    return st.one_of(
        place.map(lambda at: data[:at]),
        st.tuples(place, st.integers(0, 12), inserted).map(lambda c: data[: c[0]] + c[2] + data[c[0] + c[1] :]),
        st.tuples(place, place, place).map(
            lambda c: (lambda a, b, d: data[:a] + data[b:d] + data[a:b] + data[d:])(*sorted(c))
        ),
        st.binary(max_size=64),
    )


def reads_or_refuses(read: Callable[[], Any], name: str) -> None:
    """`read` works, or says in one sentence what is wrong with the file called `name`."""
    try:
        read()
    except ReadError as error:
        assert one_sentence(error) and name in str(error), str(error)


def leave_frames_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the reader of own skeletons say of each clip, after it, that a frame was left out."""

    def read(file: RawFile, protocol: FolderProtocol) -> Iterator[SkeletonSequence | ReadError]:
        yield from folder.read_clips(file, protocol)
        yield LeftOut(f"{file.name}: frame 3 of 5 cannot be read; it is left out.")

    monkeypatch.setattr(discovery, "read_clips", read)


def joints_in(reader: ModuleType, file: RawFile, layout: SkeletonLayout) -> np.ndarray:
    """(T, M, V, 2 or 3): the joints of a layout as a reader finds them, in the unit and axes of the file."""
    clip = reader.read(file, layout)
    return clip.joints[:, :, pick(clip.names, layout, file.name)] if clip.names else clip.joints


def layout_in(reader: ModuleType, file: RawFile) -> SkeletonLayout:
    """The layout that a file states."""
    return layout_of(reader.read(file), file.name)
