"""What the formats of motion capture share: lines of words, and forward kinematics of all frames at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from graphlib import TopologicalSorter

import numpy as np

from ...raw_files import MAX_CLIP, RawFile, ReadError, read_bytes

_BLOCK = 2048  # frames
_LINE_END = re.compile(r"\r\n|\n|\r")  # `splitlines` would split at other marks as well
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?", re.IGNORECASE)


def plain_text(file: RawFile) -> str:
    """The text of a file, in UTF-8 or else latin-1. Raises ReadError as `read_bytes` does."""
    data = read_bytes(file, limit=MAX_CLIP)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


class Lines:
    """The lines of a file that have words on them, one by one; `number` is that of the last one.

    Words are separated by `blanks` as well, `comment` begins what is left alone, and `remarks` lines that are.
    """

    def __init__(self, file: RawFile, blanks: str = "", comment: str = "", remarks: tuple[str, ...] = ()) -> None:
        self.name, self.number, self._remarks = file.name, 0, remarks
        text = plain_text(file)
        for mark in blanks:
            text = text.replace(mark, " ")
        lines = _LINE_END.split(text)
        self._lines = enumerate([line.partition(comment)[0] for line in lines] if comment else lines, 1)

    def __iter__(self) -> Iterator[list[str]]:
        for number, line in self._lines:
            if (words := line.split()) and not words[0].startswith(self._remarks):
                self.number = number
                yield words

    def take(self, expected: str) -> list[str]:
        """The next line. Raises ReadError if there is none."""
        for words in self:
            return words
        raise ReadError(f"{self.name}: ends after line {self.number}; expected {expected}. The file is truncated.")

    def error(self, words: Sequence[str], expected: str) -> ReadError:
        """What is wrong with the line `number`."""
        return ReadError(f"{self.name}: line {self.number}: {' '.join(words)[:60]!r}; expected {expected}.")

    def floats(self, words: Sequence[str], count: int, expected: str) -> np.ndarray:
        """(count,) float64. Raises ReadError if the words are not as many finite numbers."""
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError:
            numbers = np.empty(0)
        if len(numbers) != count or not np.isfinite(numbers).all():
            comma = next((word for word in words if _DECIMAL_COMMA.fullmatch(word)), None)
            raise self.error([comma] if comma else words, "a decimal point, not a comma" if comma else expected)
        return numbers


def rotations(axes: str, degrees: np.ndarray) -> np.ndarray:
    """Rotation matrices, (..., 3, 3) float64, of angles (..., len(axes)) in degrees.

    "ZXY", in upper or lower case, gives Rz @ Rx @ Ry: the last one acts first on a column vector.
    """
    angles = np.radians(degrees)
    matrix = np.tile(np.eye(3), (*angles.shape[:-1], 1, 1))
    for index, axis in enumerate(axes.lower()):
        i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        cos, sin = np.cos(angles[..., index]), np.sin(angles[..., index])
        single = np.zeros((*angles.shape[:-1], 3, 3))
        single[..., 3 - i - j, 3 - i - j] = 1
        single[..., i, i], single[..., i, j] = cos, -sin
        single[..., j, i], single[..., j, j] = sin, cos
        matrix = single if index == 0 else matrix @ single
    return matrix


def positions(parents: Sequence[int], local: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Where the joints are, (T, V, 3) float64, down the tree: p = p_parent + R_parent @ offset, R = R_parent @ local.

    `local`, (T, V, 3, 3), turns each joint relative to its parent; `offsets`, (T, V, 3), are in the frame of the parent, or the world of a
    root, whose parent is -1. Raises ValueError if parents form a cycle.
    """
    turned, placed = local.copy(), offsets.copy()
    for joint in TopologicalSorter({joint: [parent] for joint, parent in enumerate(parents)}).static_order():
        if joint >= 0 and (parent := parents[joint]) >= 0:
            turned[:, joint] = turned[:, parent] @ local[:, joint]
            placed[:, joint] = placed[:, parent] + (turned[:, parent] @ offsets[:, joint, :, None])[..., 0]
    return placed


def in_blocks(pose: Callable[[np.ndarray], np.ndarray], channels: np.ndarray) -> np.ndarray:
    """`pose`, (t, C) -> (t, V, 3), of (T, C) channels, some thousand frames at a time, since rotation matrices take much memory."""
    return np.concatenate([pose(channels[start : start + _BLOCK]) for start in range(0, len(channels), _BLOCK)])
