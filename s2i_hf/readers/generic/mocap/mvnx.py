"""Segments in MVNX, the XML format of Xsens MVN: where each begins, in metres with z up.

    <mvnx><subject label="Anna" frameRate="60"><segments><segment id="1" label="Pelvis">...</segments>
      <joints><joint label="jL5S1"><connector1>Pelvis/jL5S1</connector1><connector2>L5/jL5S1</connector2></joint>...</joints>
      <frames><frame type="normal" index="0"><orientation>...</orientation><position>0.1 0.2 0.97 ...</position></frame>...

Frames of other types are poses of calibration and are left alone. Joints say which segment hangs on which. Several subjects are people.
The XML is read piece by piece; a document type, which could declare entities, is refused. Format after the MVN User Manual.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

import numpy as np

from ....processing.skeleton_layout import SkeletonLayout
from ...raw_files import MAX_CLIP, RawFile, ReadError, read_bytes
from ..raw_clip import RawClip
from ..tracks import assemble
from .markers import rate_of

_MAX_SEGMENTS = 1000
_READ = ("position", "connector1", "connector2")


@dataclass
class _Subject:
    rate: str = ""
    segments: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)  # of the joints: parent, child, parent, child ...
    frames: list[int] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)


class _Reader:
    """The subjects of a file, as its elements begin and end."""

    def __init__(self, name: str) -> None:
        self.name, self.subjects = name, list[_Subject]()
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._frame: dict[str, str] = {}

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        above, self._path = self._path[-1:], [*self._path, tag]
        if tag == "subject":
            self.subjects.append(_Subject(attributes.get("frameRate", "")))
        elif len(self._path) > 50:
            raise ReadError(f"{self.name}: elements in elements 50 deep; expected the MVNX of MVN.")
        elif self.subjects and tag == "segment" and above == ["segments"]:
            if len(self.subjects[-1].segments) == _MAX_SEGMENTS:
                raise ReadError(f"{self.name}: more than {_MAX_SEGMENTS} segments; expected a person.")
            self.subjects[-1].segments.append(attributes.get("label", ""))
        elif tag == "frame":
            self._frame = attributes
        elif self.subjects and tag in _READ:
            self._text = []

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def end(self, tag: str) -> None:
        tag = self._path.pop()
        if tag not in _READ or self._text is None:
            return
        subject, words = self.subjects[-1], "".join(self._text).split()
        self._text = None
        if tag != "position":
            subject.ends.append(" ".join(words).partition("/")[0])
        elif self._frame.get("type", "normal") == "normal" and self._path[-1:] == ["frame"]:
            index = self._frame.get("index", "")
            number = int(index) if index.isdecimal() and len(index) < 10 else len(subject.frames)
            try:
                row = np.array([float(word) for word in words])
            except ValueError:
                row = np.empty(0)
            if len(row) != 3 * len(subject.segments) or not len(row):
                problem = f"frame {number}: position has {len(row)} numbers"
                raise ReadError(f"{self.name}: {problem}; expected x y z of {len(subject.segments)} segments.")
            subject.frames.append(number)
            subject.rows.append(row)


def read(file: RawFile, layout: SkeletonLayout | None = None) -> RawClip:
    """Read a clip: all segments of all subjects; `layout` does not matter. Raises ReadError if it is no MVNX, damaged or has entities."""
    data = read_bytes(file, limit=MAX_CLIP)
    reader, parser = _Reader(file.name), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.begin, reader.end
    parser.CharacterDataHandler = reader.text

    def refuse(*declared: object) -> None:
        raise ReadError(f"{file.name}: declares a document type; expected the XML of MVN, which has none.")

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except ReadError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise ReadError(f"{file.name}: no XML ({str(error)[:80]}); the file is truncated or damaged.") from None
    people = [subject for subject in reader.subjects if subject.rows]
    if not people:
        raise ReadError(f"{file.name}: holds no frame of type normal with positions; export positions as well.")
    names = tuple(people[0].segments)
    if any(tuple(subject.segments) != names for subject in people):
        raise ReadError(f"{file.name}: its subjects have other segments; export one subject a file.")
    points = np.concatenate([np.array(subject.rows) for subject in people]).reshape(-1, len(names), 3)
    frames = [number for subject in people for number in subject.frames]
    who = [index for index, subject in enumerate(people) for _ in subject.frames]
    joints, left_out = assemble(frames, who, points, file.name)
    ends = people[0].ends
    above = dict(zip(ends[1::2], ends[::2], strict=False))
    parents = tuple(names.index(above[name]) if above.get(name) in names else -1 for name in names)
    tree = parents if len(names) == 1 or max(parents) >= 0 else None
    return RawClip(joints, names, parents=tree, unit="m", up="z", fps=rate_of(people[0].rate), left_out=left_out)
