"""Clips in JSON, a video or a frame a file: which form it is, of all that pose estimators, cameras and people write.

openpose        OpenPose, AlphaPose in its form, Kinetics-Skeleton
instances       COCO, PoseTrack, AlphaPose, MMPose, MMAction2, ultralytics
mediapipe       MediaPipe Pose
depth_cameras   Azure Kinect, ZED, Nuitrack
arrays          nested lists
"""

from __future__ import annotations

from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import RawFile, ReadError
from ..array_facts import from_lists
from ..raw_clip import RawClip
from ..tables import table_files
from . import depth_cameras, instances, mediapipe, openpose, yolo_labels
from .frame_files import is_series, parsed, read_frames
from .frames import frames_of, is_object, value_of

_POINTS = ("keypoints", "pose_keypoints_2d", "pose_keypoints", "joints")


def is_frame(file: RawFile) -> bool | None:
    """Whether a file holds the people of a single frame, and does not say which; None if there is nobody in it, or it is damaged."""
    if file.suffix == ".txt":
        return yolo_labels.is_frame(file)
    try:
        content = parsed(file)
    except ReadError:
        return None
    if content == [] or mediapipe.is_result(content):
        return None if content == [] else True
    frames = frames_of(content)
    if len(frames) != 1 or not frames[0].single:
        return False
    people = frames[0].people
    return any(is_object(person) and any(key in person for key in _POINTS) for person in people) if people else None


def read(file: RawFile, layout: SkeletonLayout | None = None, axes: str | None = None) -> RawClip:
    """Read a clip in one of the forms above; `layout` is that of the joints if the file does not say which they are.

    Of nested lists `axes` is their order, see `array_facts`.

    Raises ReadError, which names the frame, if it is no JSON of these forms, or damaged.
    """
    if not is_series(file):
        return _read(parsed(file), file.name, layout, axes)
    frames, left_out = read_frames(file, parsed)
    meta = next((found for _, one in frames if is_object(one) and (found := value_of(one, "meta_info"))), {})
    numbered = {str(number): one if isinstance(one, list | dict) else [] for number, one in frames}
    clip = _read({"meta_info": meta, "frames": numbered}, file.name, layout)
    clip.left_out = left_out + clip.left_out
    return clip


def _read(content: object, file: str, layout: SkeletonLayout | None, axes: str | None = None) -> RawClip:
    frames = frames_of(content)
    for form in (openpose.read, instances.read, mediapipe.read, depth_cameras.read):
        if (clip := form(content, frames, file, layout)) is not None:
            return clip
    if (clip := table_files.read_records(content, file, layout)) is not None:
        return clip
    if frames and not any(frame.people for frame in frames):
        raise ReadError(f"{file}: nobody is in any of its {len(frames):,} frames.")
    for frame in frames:
        for person in frame.people:
            if is_object(person) or (frame.content and not isinstance(person, list)):
                held = ", ".join(person)[:80] if is_object(person) else repr(person)[:40]
                raise ReadError(f"{file}: frame {frame.id}: somebody in it has {held}; expected keypoints.")
    return from_lists(content, layout, file, axes)
