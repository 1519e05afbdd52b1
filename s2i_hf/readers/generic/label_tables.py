"""Tables that say what the clips of a folder show: CSV with a header id,label[,split][,subject][,camera].

Labels are names of classes, or numbers from 0. Subjects and cameras are numbers, or names, which are numbered in their order. A table
and the names of files may write accents differently (macOS writes them apart).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from unicodedata import normalize

from ...processing.suggestions import did_you_mean
from ...protocols.folder import FolderSample
from ..raw_files import RawFile, read_bytes, without_gz
from .folder_labels import SPLIT_NAMES, VALIDATION, Labels, listed

_HEADER = "id,label[,split][,subject][,camera]"
_COUNTED = ("subject", "camera")
_WHOLE = re.compile(r"(-1|[0-9]{1,9})(?:\.0+)?")  # 3.0 is what a column of numbers with gaps becomes in pandas
_MAX_LABEL = 1 << 16


def from_table(file: RawFile, ids: Sequence[str]) -> Labels:
    """Read labels from a CSV file with a header.

    Its column id names the clips as `ids` does, or by the last part of these paths alone, with or without extension. Raises
    ValueError, which names the line, if it is no such table, or a row is wrong or names several clips.
    """
    rows = _rows(file)
    known: dict[str, list[str]] = {}  # every way to name a clip: its path, or the last part of it -> what it can be
    for name in ids:
        for text in {normalize("NFC", name), normalize("NFC", name).rpartition("/")[2]}:
            known.setdefault(text, []).append(name)
    found: dict[str, dict[str, str]] = {}  # clip -> its row
    unknown: list[str] = []
    for number, row in rows:
        where = f"{file.name}: line {number}"
        clip = _find(row["id"], known, where)
        if clip is None:
            unknown.append(row["id"])
            continue
        if clip in found:
            raise ValueError(f"{where}: {row['id']!r} is there twice; give each clip one row.")
        if row["split"] and row["split"].lower() not in SPLIT_NAMES:
            raise ValueError(f"{where}: split is {row['split'][:40]!r}; expected train or test.")
        found[clip] = row
    if not found:
        shown = f"{rows[0][1]['id']!r} is none of the clips, such as {ids[0]!r}" if rows else "it has no rows"
        raise ValueError(f"{file.name}: {shown}; expected a column id with the names of the clips.")
    names, classes = _classes(sorted({row["label"] for row in found.values()} - {""}), file.name)
    labels = Labels(names=names)
    numbers = {column: _numbers([row[column] for _, row in rows], column, file.name) for column in _COUNTED}
    labels.notes = [note for _, note in numbers.values() if note]
    splits = {name: row["split"].lower() for name, row in found.items()}  # "" where the table says none
    for name, row in found.items():
        subject, camera = (numbers[column][0].get(row[column], -1) for column in _COUNTED)
        split = SPLIT_NAMES[splits[name] or "train"]
        labels.table[name] = FolderSample(split, classes.get(row["label"], -1), subject, camera)
    without = [name for name, split in splits.items() if not split]
    if 0 < len(without) < len(splits):
        count = f"{len(without):,} of {len(splits):,} clips"
        labels.warnings.append(f"{file.name}: {count} have no split, such as {without[0]}, and are taken to train.")
    aside = [name for name, split in splits.items() if split in VALIDATION]
    if aside and len(aside) < sum(SPLIT_NAMES.get(split) == "test" for split in splits.values()):
        count = f"{len(aside):,} clips are {splits[aside[0]]} and others test"
        labels.warnings.append(f"{file.name}: {count}; all of them are taken to test, such as {aside[0]}.")
    left_out = {f"in {file.name}, but no such file": unknown, f"not in {file.name}": set(ids) - set(found)}
    labels.left_out = {reason: sorted(names) for reason, names in left_out.items() if names}
    return labels


def _rows(file: RawFile) -> list[tuple[int, dict[str, str]]]:
    """The rows with their lines, columns by lower-case name."""
    try:
        text = normalize("NFC", read_bytes(file).decode("utf-8"))
        separator = max(",;\t", key=text.partition("\n")[0].count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file.name}: no CSV text in UTF-8 ({error}).") from None
    if not lines:
        raise ValueError(f"{file.name}: the file is empty; expected a header {_HEADER}.")
    header = [cell.lower() for cell in lines[0][1]]
    if missing := [column for column in ("id", "label") if column not in header]:
        hint = did_you_mean(missing[0], header)
        raise ValueError(f"{file.name}: no column {missing[0]!r}; expected a header {_HEADER}.{hint}")
    for number, cells in lines[1:]:
        where = f"{file.name}: line {number}"
        if len(cells) != len(header):
            raise ValueError(f"{where} has {len(cells)} cells; expected the {len(header)} of the header.")
        if not cells[header.index("id")]:
            raise ValueError(f"{where} has no id; expected the name of a clip.")
    empty = dict.fromkeys(("split", *_COUNTED), "")
    return [(number, empty | dict(zip(header, cells, strict=True))) for number, cells in lines[1:]]


def _find(text: str, known: Mapping[str, list[str]], where: str) -> str | None:
    text = text.replace("\\", "/").removeprefix("./")
    stem = without_gz(text).rpartition(".")[0]
    found = known.get(text) or known.get(stem) or []
    if exact := [name for name in found if normalize("NFC", name) in (text, stem)]:
        return exact[0]
    if len(found) > 1:
        raise ValueError(f"{where}: {text[:80]!r} can be {found[0]!r} or {found[1]!r}; give the folder as well.")
    return found[0] if found else None


def _numbers(texts: Sequence[str], column: str, file: str) -> tuple[dict[str, int], str]:
    """The number of each text in a column, and a sentence that tells the numbers of those that are none themselves."""
    numbers = {text: int(match[1]) for text in texts if (match := _WHOLE.fullmatch(text))}
    names = sorted({*texts} - {""} - numbers.keys())
    if not names:
        return numbers, ""
    first = max(numbers.values(), default=-1) + 1
    given = {name: number for number, name in enumerate(names, first)}
    shown = listed([f"{number} {name}" for name, number in given.items()], 20)
    return numbers | given, f"{file}: every {column} has a number, in the order of their names: {shown}."


def _classes(texts: Sequence[str], file: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of the classes, and the label of each text: numbers stay what they are, names are numbered in their order."""
    if texts and all(text.isascii() and text.isdecimal() for text in texts):
        largest = max(int(text[:9]) for text in texts)
        if largest >= _MAX_LABEL:
            raise ValueError(f"{file}: label {largest}; expected numbers from 0, one a class, or names.")
        return tuple(map(str, range(largest + 1))), {text: int(text) for text in texts}
    return tuple(texts), {text: label for label, text in enumerate(texts)}
