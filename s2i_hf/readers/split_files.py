"""Lists of training and test videos that come with a dataset (PKU-MMD).

Training videos:
0002-L, 0002-M, 0002-R, ...,
Validataion videos:                   (spelled like this)
0291-L, ...
"""

from __future__ import annotations

import re

from . import ReadError

_MAX_BYTES = 1 << 20  # the longest has 10 kB
_VIDEO = re.compile(r"[A-Za-z0-9_]+-[LMR]")


def read_split_file(data: bytes, name: str) -> tuple[frozenset[str], frozenset[str]]:
    """Videos that train and videos that test, such as "0002-L".

    Args:
        data: Contents of the file.
        name: Its name, for errors.

    Raises:
        ReadError: it is not such a list, a video is in both parts, or a part is empty; the message names the line.
    """
    if len(data) > _MAX_BYTES:
        raise ReadError(f"{name}: {len(data) >> 10:,} kB large; expected two lists of videos.")
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise ReadError(f"{name}: holds bytes that are no ASCII text; expected two lists of videos.") from None
    parts: dict[str, set[str]] = {"train": set(), "test": set()}
    part = ""
    for number, line in enumerate(lines, start=1):
        header, colon, rest = line.rpartition(":")
        words = re.split(r"[,\s]+", rest.strip(" ,\t"))
        if colon or not all(_VIDEO.fullmatch(word.removesuffix(".txt")) for word in words if word):
            header = header if colon else rest
            part = _part_of(header)
            if not part:
                raise ReadError(
                    f"{name}: line {number} is {line[:40]!r}; expected a list of videos, or a header such as 'Training videos:'."
                )
            words = words if colon else []
        for word in filter(None, words):
            video = word.removesuffix(".txt")
            if not part:
                raise ReadError(
                    f"{name}: line {number} lists videos before any header; expected 'Training videos:' first."
                )
            if not _VIDEO.fullmatch(video):
                raise ReadError(f"{name}: line {number}: {word[:40]!r} is no video; expected names such as 0002-L.")
            parts[part].add(video)
    for part, videos in parts.items():
        if not videos:
            raise ReadError(f"{name}: lists no video that {part}s; the file is cut off, or no split file.")
    both = sorted(parts["train"] & parts["test"])
    if both:
        raise ReadError(f"{name}: {both[0]} is in both lists; expected every video in one of them.")
    return frozenset(parts["train"]), frozenset(parts["test"])


def _part_of(header: str) -> str:
    words = header.lower()
    return "train" if "train" in words else "test" if "val" in words or "test" in words else ""
