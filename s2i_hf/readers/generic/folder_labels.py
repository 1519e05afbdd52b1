"""What the clips of a folder show: labels and splits from the folders they lie in, or from a table.

    wave/clip_01.npy                    the folder is the class; classes are numbered in the order of their names
    train/wave/clip_01.npy              train and test (or val) folders around the classes
    labels.csv                          id,label[,split][,subject][,camera]: names of classes, or numbers from 0

A folder that everything lies in says nothing and is left out of account, so archives that unpack into one are read alike.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from ...processing.suggestions import did_you_mean
from ...protocols import Split
from ...protocols.folder import FolderSample
from ..raw_files import RawFile, read_bytes

SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "eval": "test", "val": "test", "valid": "test",
    "validation": "test",
}  # fmt: skip
_VALIDATION = ("val", "valid", "validation", "eval")
_HEADER = "id,label[,split][,subject][,camera]"
_MAX_LABEL = 1 << 16


@dataclass
class Labels:
    """What is known of the files.

    Args:
        table: Id of each file that is read -> its split, label, subject and camera.
        names: Names of the classes, in the order of the labels.
        left_out: Why other files are not read -> their names.
    """

    table: dict[str, FolderSample] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    left_out: dict[str, list[str]] = field(default_factory=dict)


def from_folders(ids: Sequence[str]) -> Labels:
    """Read splits and classes off the paths of files: `ids`, in the data folder, without extension, with / between their parts."""
    folders = [name.split("/")[:-1] for name in ids]
    shared = takewhile(
        lambda level: len(set(level)) == 1 and level[0].lower() not in SPLIT_NAMES, zip(*folders, strict=False)
    )
    depth = len(list(shared))  # how many folders everything lies in, one inside the other
    paths = {name: path[depth:] for name, path in zip(ids, folders, strict=True)}
    splits: dict[str, str] = {}
    if all(path and path[0].lower() in SPLIT_NAMES for path in paths.values()):
        splits = {name: path[0].lower() for name, path in paths.items()}
        paths = {name: path[1:] for name, path in paths.items()}
    labels = Labels(names=tuple(sorted({path[0] for path in paths.values() if path})))
    number = {name: label for label, name in enumerate(labels.names)}
    tested = {SPLIT_NAMES[split] for split in splits.values() if split not in _VALIDATION}
    for name, path in paths.items():
        split = splits.get(name, "train")
        if split in _VALIDATION and "test" in tested:
            labels.left_out.setdefault(f"in a {split} folder beside the test folder", []).append(name)
        elif labels.names and not path:
            labels.left_out.setdefault("in none of the folders that are the classes", []).append(name)
        else:
            labels.table[name] = FolderSample(SPLIT_NAMES[split], number[path[0]] if path else -1)
    return labels


def from_table(file: RawFile, ids: Sequence[str]) -> Labels:
    """Read labels from a CSV file with a header.

    Its column id names the clips as `ids` does, or by the last part of these paths alone, with or without extension. Raises
    ValueError, which names the line, if it is no such table, or a row is wrong or names several clips.
    """
    rows = _rows(file)
    known: dict[str, list[str]] = {}  # every way to name a clip: its path, or the last part of it -> what it can be
    for name in ids:
        for text in {name, name.rpartition("/")[2]}:
            known.setdefault(text, []).append(name)
    labels = Labels()
    texts: dict[str, str] = {}
    unknown: list[str] = []
    for number, row in rows:
        where = f"{file.name}: line {number}"
        found = _find(row["id"], known, where)
        if found is None:
            unknown.append(row["id"])
            continue
        if found in texts:
            raise ValueError(f"{where}: {row['id']!r} is there twice; give each clip one row.")
        split = row.get("split", "").lower() or "train"
        if split not in SPLIT_NAMES:
            raise ValueError(f"{where}: split is {row['split'][:40]!r}; expected train or test.")
        subject, camera = (_whole(row.get(column, ""), column, where) for column in ("subject", "camera"))
        labels.table[found] = FolderSample(SPLIT_NAMES[split], -1, subject, camera)
        texts[found] = row["label"]
    if not texts:
        shown = f"{rows[0][1]['id']!r} is none of the clips, such as {ids[0]!r}" if rows else "it has no rows"
        raise ValueError(f"{file.name}: {shown}; expected a column id with the names of the clips.")
    labels.names, numbers = _classes(sorted({*texts.values()} - {""}), file.name)
    for name, text in texts.items():
        labels.table[name] = labels.table[name]._replace(label=numbers.get(text, -1))
    left_out = {f"in {file.name}, but no such file": unknown, f"not in {file.name}": set(ids) - set(texts)}
    labels.left_out = {reason: sorted(names) for reason, names in left_out.items() if names}
    return labels


def _rows(file: RawFile) -> list[tuple[int, dict[str, str]]]:
    """The rows with their lines, columns by lower-case name."""
    try:
        text = read_bytes(file).decode("utf-8")
        separator = max(",;\t", key=text.partition("\n")[0].count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file.name}: no CSV text in UTF-8 ({error}).") from None
    if not lines:
        raise ValueError(f"{file.name}: the file is empty; expected a header {_HEADER}.")
    header = [cell.lower() for cell in lines[0][1]]
    for column in ("id", "label"):
        if column not in header:
            hint = did_you_mean(column, header)
            raise ValueError(f"{file.name}: no column {column!r}; expected a header {_HEADER}.{hint}")
    for number, cells in lines[1:]:
        where = f"{file.name}: line {number}"
        if len(cells) != len(header):
            raise ValueError(f"{where} has {len(cells)} cells; expected the {len(header)} of the header.")
        if not cells[header.index("id")]:
            raise ValueError(f"{where} has no id; expected the name of a clip.")
    return [(number, dict(zip(header, cells, strict=True))) for number, cells in lines[1:]]


def _find(text: str, known: Mapping[str, list[str]], where: str) -> str | None:
    text = text.replace("\\", "/").removeprefix("./")
    stem, dot, _ = text.removesuffix(".gz").rpartition(".")
    found = known.get(text) or (known.get(stem) if dot and stem else None) or []
    if text in found:
        return text
    if len(found) > 1:
        raise ValueError(f"{where}: {text[:80]!r} can be {found[0]!r} or {found[1]!r}; give the folder as well.")
    return found[0] if found else None


def _whole(text: str, column: str, where: str) -> int:
    if not text:
        return -1
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise ValueError(f"{where}: {column} is {text[:40]!r}; expected a whole number.")
    return int(text)


def _classes(texts: Sequence[str], file: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of the classes, and the label of each text: numbers stay what they are, names are numbered in their order."""
    if texts and all(text.isascii() and text.isdecimal() for text in texts):
        largest = max(int(text[:9]) for text in texts)
        if largest >= _MAX_LABEL:
            raise ValueError(f"{file}: label {largest}; expected numbers from 0, one a class, or names.")
        return tuple(map(str, range(largest + 1))), {text: int(text) for text in texts}
    return tuple(texts), {text: label for label, text in enumerate(texts)}
