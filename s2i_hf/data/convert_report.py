"""What became of the recordings: read, kept, dropped and why, and what a complete data set would have had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..readers.recordings import Recordings
from .convert_plans import Names, Plan

_SHOWN = 20


class StrictError(ValueError):
    """`strict=True`, and something is broken or missing. `report` says what; the output was not made."""

    def __init__(self, message: str, report: ConversionReport) -> None:
        super().__init__(message)
        self.report = report


@dataclass
class ConversionReport:
    """What became of the recordings.

    Args:
        name: The protocol.
        files: Recordings found.
        kept: Clips written, for each split.
        expected: Clips that each split has when the data set is complete, None if not fixed; empty for a shard.
        broken: Sentences about what cannot be read.
        no_clips: Sentences about entries of the data set that stand for no clip, such as a label without frames.
        left_out: Why other files were left out -> their names.
        missing: Ids that the complete data set has beyond those kept, for each split.
        videos: Videos found and expected for each split, where clips are cut from videos.
        notes: Sentences about the conversion itself.
        pieces: How many of how many pieces are done; less than all only after a shard.
    """

    name: str
    files: int
    kept: dict[str, int]
    expected: dict[str, int | None]
    broken: list[str] = field(default_factory=list)
    no_clips: list[str] = field(default_factory=list)
    left_out: dict[str, Names] = field(default_factory=dict)
    missing: dict[str, Names] = field(default_factory=dict)
    videos: dict[str, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    pieces: tuple[int, int] = (0, 0)

    @classmethod
    def of(
        cls, plan: Plan, ids: Mapping[str, list[str]], broken: Sequence[str] = (), no_clips: Sequence[str] = ()
    ) -> ConversionReport:
        """The report on a conversion that kept the clips called `ids` of each split."""
        return cls(
            name=plan.name,
            files=plan.files,
            kept={split: len(found) for split, found in ids.items()},
            expected=dict(plan.expected),
            broken=list(broken),
            no_clips=list(no_clips),
            left_out=dict(plan.left_out),
            missing={split: _missing(plan, split, found) for split, found in ids.items()},
            videos=dict(plan.videos),
            pieces=(plan.pieces, plan.pieces),
        )

    def to_meta(self) -> dict[str, Any]:
        """Its part of `s2i.json`."""
        return {
            "recordings": self.files,
            "expected": self.expected,
            "videos": self.videos,
            "broken": self.broken,
            "no_clips": self.no_clips,
            "left_out": {reason: asdict(names) for reason, names in self.left_out.items()},
            "missing": {split: asdict(names) for split, names in self.missing.items()},
        }

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> ConversionReport:
        """The report on a converted folder, from its `s2i.json`."""
        return cls(
            name=meta["protocol"],
            files=meta["recordings"],
            kept=dict(meta["counts"]),
            expected=dict(meta["expected"]),
            broken=list(meta["broken"]),
            no_clips=list(meta["no_clips"]),
            left_out={reason: Names(**names) for reason, names in meta["left_out"].items()},
            missing={split: Names(**names) for split, names in meta["missing"].items()},
            videos=dict(meta["videos"]),
        )

    @property
    def unexpected(self) -> str:
        """What a strict conversion does not accept, in a few words; "" if it is all well."""
        missing = sum(names.count for names in self.missing.values())
        surplus = sum(max(self.kept[split] - (count or self.kept[split]), 0) for split, count in self.expected.items())
        if not self.broken and not missing and not surplus:
            return ""
        return f"{len(self.broken):,} broken and {missing:,} missing" + (f" and {surplus:,} surplus" if surplus else "")

    def lines(self) -> list[str]:
        """The report as text."""
        kept, broken = sum(self.kept.values()), len(self.broken)
        read = f"{kept + broken:,} recordings read"
        if kept + broken != self.files:
            read = f"{self.files:,} files with {kept + broken:,} clips read"
        lines = [*self.notes, f"{self.name}: {read}, {kept:,} kept, {broken:,} broken"]
        for kind, sentences in (("broken", self.broken), ("no clip", self.no_clips)):
            lines += [f"  {kind}: {sentence}" for sentence in sentences[:_SHOWN]]
            if len(sentences) > _SHOWN:
                lines.append(f"  {kind}: and {len(sentences) - _SHOWN:,} more, all in s2i.json")
        for reason, names in self.left_out.items():
            lines.append(f"  not read, {reason}: {names.count:,} ({names})")
        if not (self.left_out or self.broken or self.no_clips):
            lines.append("  nothing left out")
        return lines + [f"  {split}: {count:,} clips{self._state(split)}" for split, count in self.kept.items()]

    def _state(self, split: str) -> str:
        if split not in self.expected:
            return ""
        expected, missing = self.expected[split], self.missing.get(split, Names(0, []))
        videos = ""
        if split in self.videos:
            found, wanted = self.videos[split]
            videos = f", from {found:,} of {wanted:,} videos"
        if expected is None:
            return ", the protocol expects no fixed number" + videos
        if not missing.count and self.kept[split] == expected:
            return ", as the protocol expects" + videos
        words = f", the protocol expects {expected:,}"
        if missing.first:
            return f"{words}; missing: {missing}{videos}"
        difference = expected - self.kept[split]
        return f"{words}, {abs(difference):,} {'more' if difference > 0 else 'fewer'}{videos}"


def _missing(plan: Plan, split: str, found: list[str]) -> Names:
    expected, protocol = plan.expected[split], plan.protocol
    if expected is None or expected == len(found):
        return Names(0, [])
    listed = Recordings(protocol, {}).missing(split, found) if protocol else []  # type: ignore[arg-type]
    return Names(max(expected - len(found), len(listed)), Names.of(listed).first)
