"""NTU RGB+D `.skeleton` files (Kinect v2, 25 joints, metres, 30 fps): from the bodies of each frame to the actors.

The text itself is read by `ntu_text`. A sensor reports more bodies than there are people: chairs, reflections, and
a person who was lost and found again under a new id. The denoising here is that of SGN (github.com/microsoft/SGN, MIT),
which CTR-GCN, MAMP and MacDiff share, so that results compare; where it differs, the function says so, and
`contiguous=True` follows SGN there, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...processing.skeleton_sequence import SkeletonSequence
from ..raw_files import FileLike, RawFile, ReadError, check_metres, read_bytes
from . import named_sequence
from .ntu_text import NUM_JOINTS, BodyFrames, parse_text

_SHORT_TRACK = 11  # frames: a body seen no longer is noise
_WIDE_BODY = 0.8  # a body wider than this times its height is noise in this frame (chairs, tables)
_NOISY_RATIO = 0.69754  # a body with this share of such frames is noise
_MAX_DENSE_BYTES = 1 << 30  # of joints with denoise=False: frames x bodies, which only a corrupt file fills


def read(file: FileLike, denoise: bool = True, contiguous: bool = False) -> SkeletonSequence:
    """Read one recording: joints (T, M, 25, 3) in metres, neither centred nor scaled; NaN where a person is absent.

    `body_ids` are the sensor's tracking ids; an actor put together from several bodies has the id of the one that moves most.
    Label, subject and camera come from the name (S001C002P003R002A013: label 12, subject 3, camera 2), and are -1 if it is another.

    Args:
        file: A `.skeleton` file.
        denoise: One or two actors, the one who moves most first, without the frames in which neither is present; else all
            tracked bodies in the order they appear, and all frames.
        contiguous: Denoise with the defect of SGN, for arrays like those of CTR-GCN, MAMP and MacDiff: a body that
            leaves and returns is moved to the frames right after those in which it left, as if it had never been away,
            and who is who is decided by first and last frames. Without effect if `denoise` is False.

    Raises ReadError, which names line or frame, if the file is truncated, corrupt, in millimetres or without any body.
    """
    file = RawFile.of(file)
    return parse(read_bytes(file), file.stem, denoise, contiguous)


def parse(data: bytes, sample_id: str, denoise: bool = True, contiguous: bool = False) -> SkeletonSequence:
    """`read` for the contents of a recording; `sample_id` is its name without folder and extension."""
    file = f"{sample_id}.skeleton"
    bodies = parse_text(data, file)
    if len(bodies.frame) == 0:
        raise ReadError(f"{file}: none of its {bodies.num_frames} frames has a body in it; there is nothing to read.")
    by_joint = np.ascontiguousarray(
        bodies.joints.swapaxes(0, 1)
    )  # a maximum over the first axis takes whole rows at once
    extents = by_joint.max(axis=0).astype(np.float64) - by_joint.min(axis=0)
    if extents.max() > 4:  # of smaller bodies nobody need ask whether they are in millimetres
        check_metres(bodies.joints, file)
    tracks = _tracks(bodies, extents, file)
    if denoise:
        tracks = _drop_noise(tracks)
        tracks = _merge_spans(tracks, bodies.frame) if contiguous else _merge(tracks, bodies.num_frames)
        present = np.zeros(bodies.num_frames, dtype=bool)
        for track in tracks:
            present[track.frames] = True
        kept = np.flatnonzero(present)
    else:
        if bodies.num_frames * len(tracks) * NUM_JOINTS * 12 > _MAX_DENSE_BYTES:
            raise ReadError(f"{file}: {len(tracks):,} bodies in {bodies.num_frames:,} frames, which no sensor tracks.")
        kept = np.arange(bodies.num_frames)
    joints = np.full((len(kept), len(tracks), NUM_JOINTS, 3), np.nan, dtype=np.float32)
    for person, track in enumerate(tracks):
        joints[np.searchsorted(kept, track.frames), person] = track.joints
    body_ids = np.array([track.body_id for track in tracks], dtype=np.int64)
    return named_sequence("ntu_rgbd", sample_id, joints, body_ids=body_ids)


@dataclass
class _Track:
    """One body over time."""

    body_id: int
    frames: np.ndarray  # (n,) int64, ascending
    joints: np.ndarray  # (n, 25, 3) float32
    wide: np.ndarray  # (n,) bool: noise in this frame

    def motion(self, without_noise: bool = False) -> float:
        """Variance of x, y and z over all joints and frames, summed; optionally of the frames without noise alone."""
        joints = self.joints[~self.wide] if without_noise else self.joints
        return float(np.array(joints.reshape(-1, 3).T, dtype=np.float64, order="C").var(axis=1).sum())


def _tracks(bodies: BodyFrames, extents: np.ndarray, file: str) -> list[_Track]:
    """One track a body id, in the order of first appearance; `extents`, (N, 3), are width, height and depth of the bodies."""
    wide = extents[:, 0] > _WIDE_BODY * extents[:, 1]
    order = np.argsort(bodies.body_id, kind="stable")  # the frames of one body stay in their order
    ids, frames = bodies.body_id[order], bodies.frame[order]
    same = ids[1:] == ids[:-1]
    twice = np.flatnonzero(same & (frames[1:] == frames[:-1]))
    if len(twice):
        at = order[twice[0]]
        raise ReadError(f"{file}: frame {bodies.frame[at] + 1} has body {bodies.body_id[at]} twice; expected it once.")
    spans = np.split(order, np.flatnonzero(~same) + 1)
    spans.sort(key=lambda span: int(span[0]))
    return [_Track(int(bodies.body_id[span[0]]), bodies.frame[span], bodies.joints[span], wide[span]) for span in spans]


def _drop_noise(tracks: list[_Track]) -> list[_Track]:
    """Drop bodies that are no people; at least one stays, where SGN would be left with nobody."""
    long = [track for track in tracks if len(track.frames) > _SHORT_TRACK] or tracks
    return [track for track in long if track.wide.mean() < _NOISY_RATIO] or long[-1:]


def _merge(tracks: list[_Track], num_frames: int) -> list[_Track]:
    """Put bodies together to one or two actors: each, in the order of motion, continues the first with whom it shares no frame."""
    if len(tracks) == 1:
        return tracks
    # the frames an actor is in, and the bodies it is made of
    actors: list[tuple[np.ndarray, list[_Track]]] = [(np.zeros(num_frames, dtype=bool), []) for _ in range(2)]
    for track in sorted(tracks, key=lambda track: -track.motion()):  # stable: ties keep the order of appearance
        for present, parts in actors:
            if not present[track.frames].any():
                present[track.frames] = True
                parts.append(track)
                break
    return [_join(parts) for _, parts in actors if parts]


def _merge_spans(tracks: list[_Track], frame: np.ndarray) -> list[_Track]:
    """`_merge` as SGN does it, which loses time where a body was away; `frame`, (N,) int64, is that of every body in the file.

    Only frames with a body are counted. A body has as many frames as it was seen in, one after the other from its first
    one on: what comes after a gap moves forward. Bodies belong to one actor if the spans from first to last frame share
    one frame at most, which the later one then gets; the span of actor 2 begins at the first frame whenever it was seen.
    The motion that orders them leaves out noise.
    """
    counted = np.unique(frame)
    for track in tracks:
        track.frames = np.searchsorted(counted, track.frames[0]) + np.arange(len(track.frames))
    if len(tracks) == 1:
        return tracks
    most, *others = sorted(tracks, key=lambda track: -min(track.motion(), track.motion(without_noise=True)))
    actors: list[tuple[list[int], list[_Track]]] = [([int(most.frames[0]), int(most.frames[-1])], [most]), ([0, 0], [])]
    for track in others:
        first, last = int(track.frames[0]), int(track.frames[-1])
        for span, parts in actors:
            if min(span[1], last) - max(span[0], first) <= 0:
                span[:] = min(span[0], first), max(span[1], last)
                parts.append(track)
                break
    return [_join(parts) for _, parts in actors if parts]


def _join(parts: list[_Track]) -> _Track:
    """Several bodies as one, with the id of the first; a frame that two of them have goes to the later one."""
    if len(parts) == 1:
        return parts[0]
    frames = np.concatenate([part.frames for part in parts])
    order = np.argsort(frames, kind="stable")
    last = np.append(frames[order][1:] != frames[order][:-1], True)
    order = order[last]
    joints, wide = (np.concatenate(arrays)[order] for arrays in zip(*((p.joints, p.wide) for p in parts), strict=True))
    return _Track(parts[0].body_id, frames[order], joints, wide)
