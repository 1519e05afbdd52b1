"""NTU RGB+D `.skeleton` files (Kinect v2, 25 joints, metres, 30 fps): from the bodies of each frame to the actors.

The text itself is read by `skeleton_text`. A sensor reports more bodies than there are people: chairs, reflections, and
a person who was lost and found again under a new id. The denoising here is that of SGN (github.com/microsoft/SGN, MIT),
which CTR-GCN, MAMP and MacDiff share, so that results compare; where it differs, the function says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..layouts import LAYOUTS
from ..protocols import parse_name
from ..sequence import SkeletonSequence
from . import ReadError, check_metres, read_bytes
from .skeleton_text import NUM_JOINTS, BodyFrames, parse_text

_SHORT_TRACK = 11  # frames: a body seen no longer is noise
_WIDE_BODY = 0.8  # a body wider than this times its height is noise in this frame (chairs, tables)
_NOISY_RATIO = 0.69754  # a body with this share of such frames is noise
_MAX_DENSE_BYTES = 1 << 30  # of joints with denoise=False: frames x bodies, which only a corrupt file fills


def read(path: str | Path, denoise: bool = True) -> SkeletonSequence:
    """Read one recording.

    Args:
        path: A `.skeleton` file. Label, subject and camera come from its name (S001C002P003R002A013: label 12, subject
            3, camera 2) and are -1 if it is named otherwise.
        denoise: True: one or two actors, the one who moves most first, without the frames in which neither is present.
            False: all tracked bodies in the order they appear, and all frames.

    Returns:
        joints (T, M, 25, 3) in metres, neither centred nor scaled; NaN where a person is absent. `body_ids` are the
        sensor's tracking ids; an actor put together from several bodies has the id of the one that moves most.

    Raises:
        ReadError: the file is truncated, corrupt, in millimetres or without any body; the message names line or frame.
    """
    path = Path(path)
    return parse(read_bytes(path), path.stem, denoise)


def parse(data: bytes, sample_id: str, denoise: bool = True) -> SkeletonSequence:
    """`read` for a recording that is in memory already, such as a member of a zip archive.

    Args:
        data: Contents of a `.skeleton` file.
        sample_id: Name of the recording without folder and extension.
        denoise: As in `read`.

    Raises:
        ReadError: as in `read`.
    """
    file = f"{sample_id}.skeleton"
    bodies = parse_text(data, file)
    if len(bodies.frame) == 0:
        raise ReadError(f"{file}: none of its {bodies.num_frames} frames has a body in it; there is nothing to read.")
    check_metres(bodies.joints, file)
    tracks = _tracks(bodies, file)
    if denoise:
        tracks = _merge(_drop_noise(tracks), bodies.num_frames)
        kept = np.unique(np.concatenate([track.frames for track in tracks]))
    else:
        if bodies.num_frames * len(tracks) * NUM_JOINTS * 12 > _MAX_DENSE_BYTES:
            raise ReadError(f"{file}: {len(tracks):,} bodies in {bodies.num_frames:,} frames, which no sensor tracks.")
        kept = np.arange(bodies.num_frames)
    joints = np.full((len(kept), len(tracks), NUM_JOINTS, 3), np.nan, dtype=np.float32)
    for person, track in enumerate(tracks):
        joints[np.searchsorted(kept, track.frames), person] = track.joints
    name = parse_name("ntu_rgbd", sample_id)
    return SkeletonSequence(
        joints=joints,
        layout=LAYOUTS["kinect_v2"],
        label=name.action - 1 if name else -1,
        subject=name.subject if name else -1,
        camera=name.camera if name else -1,
        body_ids=np.array([track.body_id for track in tracks], dtype=np.int64),
        sample_id=sample_id,
    )


@dataclass
class _Track:
    """One body over time."""

    body_id: int
    frames: np.ndarray  # (n,) int64, ascending
    joints: np.ndarray  # (n, 25, 3) float32

    @property
    def motion(self) -> float:
        """Variance of x, y and z over all joints and frames, summed."""
        return float(self.joints.reshape(-1, 3).astype(np.float64).var(axis=0).sum())


def _tracks(bodies: BodyFrames, file: str) -> list[_Track]:
    """One track a body id, in the order of first appearance."""
    ids, first, which = np.unique(bodies.body_id, return_index=True, return_inverse=True)
    order = np.lexsort((bodies.frame, which))
    frames, which = bodies.frame[order], which[order]
    twice = np.flatnonzero((frames[1:] == frames[:-1]) & (which[1:] == which[:-1]))
    if len(twice):
        at = order[twice[0]]
        raise ReadError(f"{file}: frame {bodies.frame[at] + 1} has body {bodies.body_id[at]} twice; expected it once.")
    ends = np.searchsorted(which, np.arange(len(ids) + 1))
    spans = [order[ends[i] : ends[i + 1]] for i in np.argsort(first)]
    return [_Track(int(bodies.body_id[span[0]]), bodies.frame[span], bodies.joints[span]) for span in spans]


def _drop_noise(tracks: list[_Track]) -> list[_Track]:
    """Drop bodies that are no people; at least one stays.

    Where every body of a clip is short, length says nothing about noise and drops none (SGN would be left with nobody).
    """
    if len(tracks) > 1:
        tracks = [track for track in tracks if len(track.frames) > _SHORT_TRACK] or tracks
    left = len(tracks)
    people = []
    for track in tracks:
        x, y = (np.ptp(track.joints[:, :, axis].astype(np.float64), axis=1) for axis in (0, 1))
        if left > 1 and np.mean(x > _WIDE_BODY * y) >= _NOISY_RATIO:
            left -= 1
        else:
            people.append(track)
    return people


def _merge(tracks: list[_Track], num_frames: int) -> list[_Track]:
    """Put bodies together to one or two actors, because a person who is lost and found again gets a new id.

    In the order of motion, each body continues actor 1 if the two share no frame, else actor 2 if those share none,
    else it is dropped. SGN compares spans from first to last frame, so that there a person who leaves and returns
    counts as present throughout; here it is decided frame by frame. (SGN also lowers a body's motion to that of its
    frames without noise, where that is less.)
    """
    actors: list[tuple[np.ndarray, list[_Track]]] = []  # the frames an actor is in, and the bodies it is made of
    for track in sorted(tracks, key=lambda track: -track.motion):  # stable: ties keep the order of appearance
        for present, parts in actors:
            if not present[track.frames].any():
                present[track.frames] = True
                parts.append(track)
                break
        else:
            if len(actors) < 2:
                present = np.zeros(num_frames, dtype=bool)
                present[track.frames] = True
                actors.append((present, [track]))
    merged = []
    for _, parts in actors:
        frames = np.concatenate([part.frames for part in parts])
        order = np.argsort(frames)
        merged.append(_Track(parts[0].body_id, frames[order], np.concatenate([part.joints for part in parts])[order]))
    return merged
