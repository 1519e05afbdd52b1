"""The report on a conversion: recordings read, kept, dropped and why, and what a complete data set would have had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..readers import LeftOut, NoClip, ReadError

_SHOWN = _NAMES_KEPT = 20  # of long lists


class StrictError(ValueError):
    """`strict=True`, and something is broken or missing. `report` says what; the output was not made."""

    def __init__(self, message: str, report: ConversionReport) -> None:
        super().__init__(message)
        self.report = report


def shortened(names: Sequence[str], count: int = 0) -> dict[str, Any]:
    """A list of names as `s2i.json` has it: how many there are (`count`, if not all are listed), and the first of them."""
    return {"count": max(len(names), count), "first": list(names[:_NAMES_KEPT])}


def listed(names: Mapping[str, Any]) -> str:
    """The first five of `shortened` names as text."""
    return ", ".join(names["first"][:5]) + (", ..." if names["count"] > 5 else "")


def kind_of(error: ReadError) -> str:
    """What is said before the sentence about something that was left out: "broken", "no clip" or "left out"."""
    return "left out" if isinstance(error, LeftOut) else "no clip" if isinstance(error, NoClip) else "broken"


def left_out_lines(
    broken: Sequence[str] = (),
    no_clips: Sequence[str] = (),
    parts: Sequence[str] = (),
    files: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    rest: str = "",
) -> list[str]:
    """What was left out, as lines of text: the words of every report on recordings.

    Args:
        broken, no_clips, parts: Sentences about recordings that cannot be read, entries that are none, and what of a clip was left out.
        files: Why files are not read -> `shortened` names of them.
        rest: Where those are that are not shown.
    """
    lines: list[str] = []
    for kind, sentences in (("broken", broken), ("no clip", no_clips), ("left out", parts)):
        lines += [f"{kind}: {sentence}" for sentence in sentences[:_SHOWN]]
        if len(sentences) > _SHOWN:
            lines.append(f"{kind}: and {len(sentences) - _SHOWN:,} more{rest}")
    return lines + [f"not read, {why}: {names['count']:,} ({listed(names)})" for why, names in files.items()]


@dataclass
class ConversionReport:
    """What became of the recordings.

    Args:
        meta: Entries of `s2i.json`; of a part, `expected`, `missing`, `left_out` and `videos` are empty.
        done: How many of `meta["shards"]` there are; less than all only after a part.
        notes: Sentences about the conversion itself; `meta` has those about the recordings.
    """

    meta: Mapping[str, Any]
    done: int
    notes: list[str] = field(default_factory=list)

    @property
    def kept(self) -> dict[str, int]:
        """Clips written, for each split."""
        return self.meta["counts"]

    @property
    def broken(self) -> list[str]:
        """Sentences about what cannot be read."""
        return self.meta["broken"]

    @property
    def unexpected(self) -> str:
        """What a strict conversion does not accept, in a few words; "" if it is all well."""
        missing = sum(names["count"] for names in self.meta["missing"].values())
        surplus = sum(
            max(self.kept[split] - (count or self.kept[split]), 0) for split, count in self.meta["expected"].items()
        )
        if not self.broken and not missing and not surplus:
            return ""
        return f"{len(self.broken):,} broken and {missing:,} missing" + (f" and {surplus:,} surplus" if surplus else "")

    def lines(self) -> list[str]:
        """The report as text."""
        kept, broken = sum(self.kept.values()), len(self.broken)
        read = f"{kept + broken:,} recordings read"
        if kept + broken != self.meta["recordings"]:
            read = f"{self.meta['recordings']:,} files with {kept + broken:,} clips read"
        lines = [*self.notes, f"{self.meta['protocol']}: {read}, {kept:,} kept, {broken:,} broken"]
        parts = self.meta.get("parts_left_out", ())
        left_out = left_out_lines(self.broken, self.meta["no_clips"], parts, self.meta["left_out"], ", all in s2i.json")
        lines += [f"  ! {sentence}" for sentence in self.meta.get("warnings", ())]
        lines += [f"  {line}" for line in (*self.meta.get("notes", ()), *(left_out or ["nothing left out"]))]
        return lines + [f"  {split}: {count:,} clips{self._state(split)}" for split, count in self.kept.items()]

    def _state(self, split: str) -> str:
        if split not in self.meta["expected"]:
            return ""
        expected, missing = self.meta["expected"][split], self.meta["missing"].get(split, shortened([]))
        if expected is None and self.meta["protocol"] == "folder":
            return ""  # nobody knows what custom data should hold
        if expected is None:
            words = "the protocol expects no fixed number"
        elif missing["first"]:
            words = f"the protocol expects {expected:,}; missing: {listed(missing)}"
        elif difference := expected - self.kept[split]:
            words = f"the protocol expects {expected:,}, {abs(difference):,} {'more' if difference > 0 else 'fewer'}"
        else:
            words = "as the protocol expects"
        videos = self.meta["videos"].get(split)
        return f", {words}" + (f", from {videos[0]:,} of {videos[1]:,} videos" if videos else "")
