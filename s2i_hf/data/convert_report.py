"""The report on a conversion: recordings read, kept, dropped and why, and what a complete data set would have had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..readers.recordings import Recordings
from .storage import protocol_of

_SHOWN = 20
_NAMES_KEPT = 20  # of long lists


class StrictError(ValueError):
    """`strict=True`, and something is broken or missing. `report` says what; the output was not made."""

    def __init__(self, message: str, report: ConversionReport) -> None:
        super().__init__(message)
        self.report = report


def shortened(names: Sequence[str], count: int = 0) -> dict[str, Any]:
    """A list of names as `s2i.json` has it: how many there are (`count`, if not all are listed), and the first of them."""
    return {"count": max(len(names), count), "first": list(names[:_NAMES_KEPT])}


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names["first"][:5]) + (", ..." if names["count"] > 5 else "")


def described(
    plan: Mapping[str, Any], ids: Mapping[str, Sequence[str]], broken: Sequence[str] = (), no_clips: Sequence[str] = ()
) -> dict[str, Any]:
    """Entries of `s2i.json` for a conversion that kept the clips called `ids` of each split."""
    return {
        **plan,
        "counts": {split: len(found) for split, found in ids.items()},
        "broken": list(broken),
        "no_clips": list(no_clips),
        "missing": {split: _missing(plan, split, found) for split, found in ids.items()},
    }


def _missing(plan: Mapping[str, Any], split: Any, found: Sequence[str]) -> dict[str, Any]:
    """Ids that the complete data set has beyond those found."""
    expected, protocol = plan["expected"].get(split), protocol_of(plan)
    if expected is None or expected == len(found):
        return shortened([])
    return shortened(Recordings(protocol, {}).missing(split, found) if protocol else [], expected - len(found))


@dataclass
class ConversionReport:
    """What became of the recordings.

    Args:
        name: The protocol.
        files: Recordings found.
        kept: Clips written, for each split.
        expected: Clips that each split has when the data set is complete, None if not fixed; empty for a part.
        broken: Sentences about what cannot be read.
        no_clips: Sentences about entries of the data set that stand for no clip, such as a label without frames.
        left_out: Why other files were left out -> their names, as `shortened` has them.
        missing: Ids that the complete data set has beyond those kept, for each split, as `shortened` has them.
        videos: Videos found and expected for each split, where clips are cut from videos.
        notes: Sentences about the conversion itself.
        shards: How many of how many shards are done; less than all only after a part.
    """

    name: str
    files: int
    kept: dict[str, int]
    expected: dict[str, int | None]
    broken: list[str] = field(default_factory=list)
    no_clips: list[str] = field(default_factory=list)
    left_out: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, dict[str, Any]] = field(default_factory=dict)
    videos: dict[str, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    shards: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> ConversionReport:
        """The report on a converted folder, from its `s2i.json`."""
        same = ("expected", "broken", "no_clips", "left_out", "missing", "videos")
        report = cls(meta["protocol"], meta["recordings"], meta["counts"], **{name: meta[name] for name in same})
        report.shards = meta["shards"], meta["shards"]
        return report

    @property
    def unexpected(self) -> str:
        """What a strict conversion does not accept, in a few words; "" if it is all well."""
        missing = sum(names["count"] for names in self.missing.values())
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
            lines.append(f"  not read, {reason}: {names['count']:,} ({_listed(names)})")
        if not (self.left_out or self.broken or self.no_clips):
            lines.append("  nothing left out")
        return lines + [f"  {split}: {count:,} clips{self._state(split)}" for split, count in self.kept.items()]

    def _state(self, split: str) -> str:
        if split not in self.expected:
            return ""
        expected, missing = self.expected[split], self.missing.get(split, shortened([]))
        videos = ""
        if split in self.videos:
            found, wanted = self.videos[split]
            videos = f", from {found:,} of {wanted:,} videos"
        if expected is None:
            return ", the protocol expects no fixed number" + videos
        if not missing["count"] and self.kept[split] == expected:
            return ", as the protocol expects" + videos
        words = f", the protocol expects {expected:,}"
        if missing["first"]:
            return f"{words}; missing: {_listed(missing)}{videos}"
        difference = expected - self.kept[split]
        return f"{words}, {abs(difference):,} {'more' if difference > 0 else 'fewer'}{videos}"
