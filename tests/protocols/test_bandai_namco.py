"""Names, styles and splits of the Bandai-Namco sets, and the rule by which the clips that are there take turns."""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from s2i_hf.protocols import DATASETS, PROTOCOLS, SampleName, parse_name
from s2i_hf.protocols.bandai_namco import STYLES
from s2i_hf.readers.discovery import find_recordings
from s2i_hf.readers.recordings import Recordings, file_id

WORDS = (
    "walk walk-turn-left walk-turn-right run wave-both-hands wave-left-hand wave-right-hand raise-up-both-hands "
    "raise-up-left-hand raise-up-right-hand"
)
CONTENTS = WORDS.split()  # of set 2, in the order of its content_label.txt
ONLY_NORMAL = ["respond", "call", "punch", "kick", "slash", "dance-long", "dance-short"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dataset-2_walk_active_001", SampleName(1, setup=2, style=1, take=1)),
        ("dataset-2_raise-up-right-hand_youthful_061", SampleName(10, setup=2, style=7, take=61)),
        ("dataset-1_run_not-confident_001", SampleName(4, setup=1, style=6, take=1)),
        ("dataset-1_dance-short_normal_001", SampleName(25, setup=1, style=1, take=1)),
        ("dataset-2_walk_giant_001", SampleName(1, setup=2, style=0, take=1)),  # a style of set 1
        ("dataset-2_fly_active_001", SampleName(0, setup=2, style=1, take=1)),
        ("dataset-3_walk_active_001", None),
        ("dataset-2_walk_active_1", None),
        ("dataset-2_walk_001", None),
        ("dataset-2_walk_active_001.bvh", None),
    ],
)
def test_names(name: str, expected: SampleName | None) -> None:
    assert parse_name("bandai_namco", name) == expected


def test_by_index_is_of_set_2_and_odd_clips_train_where_none_is_missing() -> None:
    rule = PROTOCOLS["bandai_namco_by_index"]
    assert rule.class_names == tuple(CONTENTS)
    names = [f"dataset-2_wave-left-hand_normal_{index:03}" for index in range(1, 9)]
    assert [rule.split(name) for name in names] == ["train", "test"] * 4
    assert {rule.label(name) for name in names} == {5}
    for other in ("dataset-1_walk_normal_001", "dataset-2_fly_normal_001", "dataset-1_walk_normal_002"):
        assert rule.split(other) is None
    assert sum(rule.expected_clips or ()) == 2_902


@pytest.mark.parametrize("number", [1, 2])
def test_each_style_tests_once(number: int) -> None:
    prefix = "set1_style" if number == 1 else "style"
    rules = {name: rule for name, rule in PROTOCOLS.items() if rule.rule.rstrip("0123456789") == prefix}
    assert list(rules) == [f"bandai_namco_{prefix}{style}" for style in range(1, len(STYLES[number]) + 1)]
    for tested, rule in zip(STYLES[number], rules.values(), strict=True):
        for style in STYLES[number]:
            name = f"dataset-{number}_walk_{style}_001"
            assert rule.split(name) == ("test" if style == tested else "train") and rule.label(name) == 0
            assert rule.split(name.replace(f"dataset-{number}", f"dataset-{3 - number}")) is None
        assert rule.split(f"dataset-{number}_walk_unheard-of_001") is None


def test_set_1_keeps_the_contents_that_are_in_every_style() -> None:
    rule = PROTOCOLS["bandai_namco_set1_style15"]
    assert len(rule.class_names) == 10 and not set(rule.class_names) & set(ONLY_NORMAL)
    train, test = rule.expected_ids("train") or [], rule.expected_ids("test") or []
    assert (len(train), len(test)) == (154, 11) == rule.expected_clips
    assert test[-2:] == ["dataset-1_walk_chimpira_001", "dataset-1_walk_chimpira_002"]
    assert len(train) + len(test) + len(ONLY_NORMAL) + 3 == 175  # call, punch and slash are there twice


def write(folder: Path, names: list[str]) -> Recordings:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.bvh").touch()
    return find_recordings("bandai_namco_by_index", folder)


def ids(recordings: Recordings, split: str) -> list[str]:
    return [file_id(recordings.protocol, file) for file in recordings.files[split]]  # type: ignore[index]


def test_clips_that_are_there_take_turns(tmp_path: Path) -> None:
    """Where some are missing, every second one of those that are there tests."""
    walk, run = "dataset-2_walk_active_{:03}", "dataset-2_run_active_{:03}"
    found = write(tmp_path, [walk.format(n) for n in (1, 3, 5, 7, 8)] + [run.format(n) for n in (2, 10, 100)])
    assert ids(found, "train") == [run.format(2), run.format(100), *(walk.format(n) for n in (1, 5, 8))]
    assert ids(found, "test") == [run.format(10), walk.format(3), walk.format(7)]
    assert found.protocol.split(walk.format(3)) == "test" and found.protocol.split(walk.format(2)) is None
    other = tmp_path / "other"
    before = write(other, [walk.format(n) for n in (1, 2, 3)]).content
    (other / f"{walk.format(2)}.bvh").rename(other / f"{walk.format(4)}.bvh")
    assert write(other, []).content != before


_GROUPS = st.tuples(st.sampled_from(CONTENTS), st.sampled_from(STYLES[2]))
_INDICES = st.sets(st.integers(1, 30), min_size=1, max_size=9)


@settings(deadline=None, max_examples=40)
@given(there=st.dictionaries(_GROUPS, _INDICES, min_size=1, max_size=5))
def test_every_second_clip_of_each_content_and_style_tests(
    tmp_path_factory: pytest.TempPathFactory, there: dict[tuple[str, str], set[int]]
) -> None:
    names = {key: [f"dataset-2_{key[0]}_{key[1]}_{n:03}" for n in sorted(group)] for key, group in there.items()}
    found = write(tmp_path_factory.mktemp("turns"), [name for group in names.values() for name in group])
    assert ids(found, "train") == sorted(name for group in names.values() for name in group[::2])
    assert ids(found, "test") == sorted(name for group in names.values() for name in group[1::2])


def test_where_it_comes_from_is_said() -> None:
    data = DATASETS["bandai_namco"]
    assert data.licence.startswith("CC BY-NC 4.0") and data.fps == 30 and "175" in data.size and "2,902" in data.size


def test_the_real_names(real_data: Path) -> None:
    """One clip of set 1 and every even index of set 2 are not there; the counts of the whole sets fit what is."""
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for archive in sorted((real_data / "Bandai-Namco").glob("*.zip")):
        for name in zipfile.ZipFile(archive).namelist():
            if match := re.fullmatch(r".*/dataset-([12])_([a-z-]+)_([a-z-]+)_(\d{3})\.bvh", name):
                groups[match.groups()[:3]].append(int(match[4]))
    assert {style for number, _, style in groups if number == "1"} == set(STYLES[1])
    assert {style for number, _, style in groups if number == "2"} == set(STYLES[2])
    assert {content for number, content, _ in groups if number == "2"} == set(CONTENTS)
    one = {(content, style): indices for (number, content, style), indices in groups.items() if number == "1"}
    assert sum(map(len, one.values())) == 174 and {c for c, _ in one} | {"dance-long"} >= set(ONLY_NORMAL)
    listed = set(PROTOCOLS["bandai_namco_set1_style1"].samples())  # type: ignore[misc]
    names = {f"dataset-1_{content}_{style}_{index:03}" for (content, style), found in one.items() for index in found}
    assert listed == {name for name in names if name.split("_")[1] not in ONLY_NORMAL}
    two = [indices for (number, *_), indices in groups.items() if number == "2"]
    assert len(two) == 70 and all(sorted(indices) == list(range(1, 2 * len(indices), 2)) for indices in two)
    odd = sum(map(len, two))
    assert PROTOCOLS["bandai_namco_by_index"].expected_clips == (odd, 2_902 - odd)
    assert odd - 70 <= 2_902 - odd <= odd  # each content and style has as many even clips as odd ones, or one fewer
    found = find_recordings("bandai_namco_by_index", real_data / "Bandai-Namco")
    assert (len(found.files["train"]), len(found.files["test"])) == (750, 718)
    assert sum(-(-len(indices) // 2) for indices in two) == 750
