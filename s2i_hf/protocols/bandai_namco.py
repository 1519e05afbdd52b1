"""Bandai-Namco-Research-Motiondataset: one content in many styles; classes are contents. Two sets, of which names say the first number.

Who acts is not in the names, so no rule is about people. What there is instead:

- `by_index`, set 2: of each content and style the clips that are there take turns, in the order of their index; the second of two tests.
  The same people in the same styles on both sides: the easiest rule. Set 1 has one clip of nearly every content and style, two at
  most, and takes no part in it.
- `style1` to `style7`, set 2, and `set1_style1` to `set1_style15`: one style tests, the others train. A style has the number of its line
  in the `style_label.txt` of its set (`STYLES`). Of set 1 the ten contents that were acted in every style take part: seven others are
  in one style alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .protocol import Dataset, NameParser, Protocol, SampleName
from .resources import read_list

STYLES: Mapping[int, tuple[str, ...]] = {
    1: (
        "normal", "happy", "sad", "angry", "proud", "not-confident", "masculinity", "feminine", "childish", "old", "tired", "active",
        "musical", "giant", "chimpira",
    ),
    2: ("active", "elderly", "exhausted", "feminine", "masculine", "normal", "youthful"),
}  # fmt: skip
_CLASSES = "bandai_namco_classes.txt"  # the contents of set 2, then those that only set 1 has
_SET_2 = tuple(range(1, 11))
_IN_ALL_STYLES = (1, 4, *range(11, 19))  # of set 1
_NAME = re.compile(r"dataset-(?P<set>[12])_(?P<content>[a-z-]+)_(?P<style>[a-z-]+)_(?P<take>\d{3})", re.ASCII)


@lru_cache
def _contents() -> Mapping[str, int]:
    return {content: number for number, content in enumerate(read_list(_CLASSES), 1)}


def _read(match: re.Match[str]) -> SampleName:
    """`dataset-2_walk-turn-left_active_001`; a content or style that its set does not have is 0."""
    number, style = int(match["set"]), match["style"]
    style_number = STYLES[number].index(style) + 1 if style in STYLES[number] else 0
    action = _contents().get(match["content"], 0)
    return SampleName(action, setup=number, style=style_number, take=int(match["take"]))


NAMES: dict[str, NameParser] = {"bandai_namco": (_NAME, _read)}

_BANDAI_NAMCO = Dataset(
    name="bandai_namco", title="Bandai-Namco-Research-Motiondataset", reader="bandai_namco", layout="bandai_namco_22",
    citation="Kobayashi et al., Motion Capture Dataset for Practical Use of AI-based Motion Editing and Stylization, arXiv 2306.08861",
    homepage="https://github.com/BandaiNamcoResearchInc/Bandai-Namco-Research-Motiondataset",
    licence="CC BY-NC 4.0 (the LICENSE files beside the data; some versions of its README say BY-NC-ND)",
    get_it="the public repository itself: `git clone --depth 1`, with Git LFS, which holds its `data.zip`; it is read as it is",
    tree="dataset/Bandai-Namco-Research-Motiondataset-2/data/dataset-2_walk_active_001.bvh",
    size="set 1: 175 clips, 17 contents, 15 styles, 36,673 frames; set 2: 2,902 clips, 10 contents x 7 styles, 384,931 frames; 3 actors",
)  # fmt: skip
DATASETS = (_BANDAI_NAMCO,)


def _set_1_names() -> frozenset[str]:
    """The 165 clips of set 1 whose content was acted in every style: one each, and of "walk" two."""
    contents = [read_list(_CLASSES)[number - 1] for number in _IN_ALL_STYLES]
    once = {f"dataset-1_{content}_{style}_001" for content in contents for style in STYLES[1]}
    return frozenset(once | {f"dataset-1_walk_{style}_002" for style in STYLES[1]})


def _without_style(number: int, style: int) -> Protocol:
    """Clips of one style of a set test, those of its other styles train. How many of set 2 are of which style nobody lists."""
    prefix, others = "set1_" if number == 1 else "", frozenset(range(1, len(STYLES[number]) + 1)) - {style}
    counted: dict[str, Any] = {"expected_clips": (154, 11), "samples": _set_1_names} if number == 1 else {}
    return _BANDAI_NAMCO.protocol(
        f"{prefix}style{style}", _IN_ALL_STYLES if number == 1 else _SET_2, split_by="style", train=others, test=frozenset({style}),
        setups=frozenset({number}), **counted,
    )  # fmt: skip


PROTOCOLS: tuple[Protocol, ...] = (
    _BANDAI_NAMCO.protocol(
        "by_index", _SET_2, split_by="take", train=frozenset(range(1, 1000, 2)), setups=frozenset({2}), in_turns=True,
        expected_clips=(1_468, 1_434),
    ),
    *(_without_style(2, style) for style in range(1, 8)),
    *(_without_style(1, style) for style in range(1, 16)),
)  # fmt: skip
