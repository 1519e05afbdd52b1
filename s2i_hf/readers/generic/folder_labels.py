"""What the clips of a folder show: labels and splits from the folders they lie in; `label_tables` reads them from a table.

    wave/clip_01.npy                    the folder is the class; classes are numbered in the order of their names
    train/wave/clip_01.npy              train and test (or val) folders around the classes
    wave/train/clip_01.npy              or below them

A folder that everything lies in says nothing and is left out of account, so archives that unpack into one are read alike. Names that
differ only in how Unicode writes an accent are one: macOS writes them apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from unicodedata import normalize

from ...protocols import Split
from ...protocols.folder import FolderSample

SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test", "val": "test", "valid": "test",
    "validation": "test",
}  # fmt: skip
VALIDATION = ("val", "valid", "validation", "eval")
# train_set, 01-test, walk_val
_LIKE_SPLITS = re.compile(r"(.*[\W\d_])?(train|test|val|eval|dev)(ing|id|idation|set)?([\W\d_].*)?", re.IGNORECASE)
# Names of subjects, cameras and takes rather than of actions: s01, cam_2, P07, take3, 2024-05-01
_NUMBERED = re.compile(
    r"(?i)(s|sub|subj|subject|p|person|actor|performer|user|id|c|cam|camera|k|kinect|v|view|session|take|t|trial|e|ep|rep|r|set|scene|day"
    r"|fold|part|g|group)?[\W_]*\d[\W\d_]*"
)


@dataclass
class Labels:
    """What is known of the files."""

    table: dict[str, FolderSample] = field(default_factory=dict)  # id of each file that is read -> what it shows
    names: tuple[str, ...] = ()  # of the classes, in the order of the labels
    left_out: dict[str, list[str]] = field(default_factory=dict)  # why other files are not read -> their names
    notes: list[str] = field(default_factory=list)  # sentences about how it was read
    warnings: list[str] = field(default_factory=list)  # and about what looks wrong


_Paths = dict[str, list[str]]  # id of a file -> the folders it lies in


def from_folders(ids: Sequence[str]) -> Labels:
    """Read splits and classes off the paths of files: `ids`, in the data folder, without extension, with / between their parts."""
    labels = Labels()
    paths = _without_shared({name: normalize("NFC", name).split("/")[:-1] for name in ids})
    places = _split_folders(paths, labels.warnings)
    splits = {name: paths[name][place].lower() for name, place in places.items()}
    paths = {name: [part for at, part in enumerate(path) if at != places.get(name)] for name, path in paths.items()}
    if splits:
        paths = _without_shared(paths, left=1)
    labels.names = tuple(sorted({path[0] for path in paths.values() if path}))
    number = {name: label for label, name in enumerate(labels.names)}
    tested = {SPLIT_NAMES[split] for split in splits.values() if split not in VALIDATION}
    for name, path in paths.items():
        split = splits.get(name, "train")
        if split in VALIDATION and "test" in tested:
            labels.left_out.setdefault(f"in a {split} folder beside the test folder", []).append(name)
        elif labels.names and not path:
            labels.left_out.setdefault("in none of the folders that are the classes", []).append(name)
        else:
            labels.table[name] = FolderSample(SPLIT_NAMES[split], number[path[0]] if path else -1)
    labels.warnings += _doubts_about_levels(paths, labels.names)
    return labels


def _without_shared(paths: _Paths, left: int = 0) -> _Paths:
    """The paths without the outermost folders that all of them lie in, unless these are split folders; `left` stay in any case."""
    levels = zip(*(path[: len(path) - left] for path in paths.values()), strict=False)
    shared = takewhile(lambda level: len(set(level)) == 1 and level[0].lower() not in SPLIT_NAMES, levels)
    depth = len(list(shared))
    return {name: path[depth:] for name, path in paths.items()}


def _split_folders(paths: _Paths, doubts: list[str]) -> dict[str, int]:
    """Where in its path each clip has its split folder; a clip without one trains."""
    marks = {name: [at for at, part in enumerate(path) if part.lower() in SPLIT_NAMES] for name, path in paths.items()}
    if not any(marks.values()):
        return {}
    everywhere = set.intersection(*map(set, marks.values()))
    places = {name: min(everywhere) if everywhere else min(found) for name, found in marks.items() if found}
    classes = any(len(path) > (name in places) for name, path in paths.items())
    without = [name for name, path in paths.items() if name not in places and (path or not classes)]
    alone = all(len(paths[name]) == 1 for name in places)  # clips lie in them, and no classes
    if alone and any(paths[name] for name in without):
        names = listed(sorted({paths[name][0] for name in places}))
        advice = "for a test set make train and test folders around all classes, or below each"
        doubts.append(
            f"Clips lie directly in {names}, beside folders of other classes, so it is taken for a class; {advice}."
        )
        return {}
    if without:
        count = f"{len(without):,} of {len(paths):,} clips"
        doubts.append(f"{count} lie in no train or test folder, such as {without[0]}, and are taken to train.")
    one_each = {place: name for name, place in places.items()}
    if len(one_each) > 1:
        shown = ", ".join(list(one_each.values())[:2])
        doubts.append(f"Train and test folders lie at several levels, such as those of {shown}; each is taken.")
    if inner := next((name for name, found in marks.items() if len(found) > 1), ""):
        chosen = paths[inner][places[inner]]
        doubts.append(f"There are several train and test folders in the path of {inner}; {chosen!r} is taken.")
    return places


def _doubts_about_levels(paths: _Paths, names: Sequence[str]) -> list[str]:
    """A sentence if the classes are rather subjects or cameras, or splits in other words, with what must be classes below them."""
    if len(names) < 2:
        return []
    if all(map(_LIKE_SPLITS.fullmatch, names)):
        return [f"The classes are {listed(names)}; if these are splits, call the folders train and test."]
    outer = all(map(_NUMBERED.fullmatch, names))
    for level in range(1, max(map(len, paths.values()))):
        below: dict[str, set[str]] = {}
        for path in paths.values():
            if len(path) > level:
                below.setdefault(path[level], set()).add(path[0])
        repeated = any(len(above) > 1 for above in below.values())
        numbered = all(map(_NUMBERED.fullmatch, below))  # subjects or cameras below the classes, as it should be
        if not numbered and (outer or (repeated and len(below) > 1)):
            found = f"The classes are {listed(names)}, the outermost folders, while {listed(sorted(below))}"
            advice = "if those are the classes, put them outermost, or list the clips in a labels.csv"
            return [f"{found} {'repeat' if repeated else 'lie'} below them; {advice}."]
    return []


def doubts_about_classes(names: Sequence[str], samples: Collection[FolderSample]) -> list[str]:
    """Sentences about classes that are spelled alike, that are tested and never trained, or trained and never tested."""
    train, test = (Counter(sample.label for sample in samples if sample.split == split) for split in ("train", "test"))
    doubts: list[str] = []
    spellings: dict[str, list[str]] = {}
    for name in names:
        apart = " " if re.search(r"\d", name) else ""  # 1-0 is not 10
        spellings.setdefault(re.sub(r"[\s_-]+", apart, name.casefold().strip()) or name, []).append(name)
    if alike := [" and ".join(map(repr, group)) for group in spellings.values() if len(group) > 1]:
        doubts.append(f"Classes differ only in spelling: {listed(alike)}; give one class one name.")
    for here, kind, there, other in ((test, "test", train, "training"), (train, "training", test, "test")):
        lonely = [repr(names[label]) for label in sorted(here) if label >= 0 and not there[label]]
        if lonely and there:
            what = f"Class {lonely[0]} has" if len(lonely) == 1 else f"Classes {listed(lonely)} have"
            doubts.append(f"{what} {kind} clips and no {other} clip.")
    return doubts


def listed(names: Sequence[str], count: int = 3) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - count:,} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
