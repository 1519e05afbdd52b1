"""The clips of a converted folder one after the other, straight from its files: no cache, memory for a few clips.

`load_skeletons` is for training; this is for looking at data that may be damaged, so what is broken comes out as its error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..processing.layouts import SkeletonLayout
from ..processing.skeleton_sequence import SkeletonSequence
from ..readers import ReadError
from ..utils.hub_errors import first_line
from .columns import NEEDED
from .skeleton_rows import SkeletonRows
from .storage import META_FILE, read_meta, shard_files

Wanted = Callable[[int], bool]


def is_converted(folder: Path) -> bool:
    """Whether a folder was made by `s2i convert`, or holds tables of rows like its."""
    if (folder / META_FILE).is_file():
        return True
    files = [files[0] for files in shard_files(folder).values()]
    try:
        known = [path.suffix == ".npz" or set(_parquet(path).schema_arrow.names) >= NEEDED for path in files]
    except ReadError:
        return False
    return bool(known) and all(known)


def custom_layouts(folder: Path) -> dict[str, SkeletonLayout]:
    """The joint formats that s2i.json describes because they are not in `LAYOUTS`."""
    if not (folder / META_FILE).is_file():
        return {}
    return {name: SkeletonLayout.from_dict(values) for name, values in read_meta(folder).get("layouts", {}).items()}


def count_rows(path: Path) -> int:
    """Clips in one shard, from its header or index. Raises ReadError if it is damaged."""
    return sum(count for count, _ in _blocks(path))


def read_rows(
    path: Path, layouts: dict[str, SkeletonLayout], wanted: Wanted = lambda index: True
) -> Iterator[SkeletonSequence | ReadError]:
    """The clips of one shard for whose place in it `wanted` holds; a broken row comes out as its error.

    Raises ReadError if the file is damaged from here on.
    """
    start = 0
    for count, read in _blocks(path):
        inside = [index for index in range(count) if wanted(start + index)]
        if inside:
            with _damage(path):
                rows = read()
        for index in inside:
            try:
                row = rows[index]
                yield SkeletonSequence(**{**row, "layout": layouts.get(row["layout"]) or row["layout"]})
            except (ValueError, TypeError) as error:
                yield ReadError(f"{path.name}: row {start + index + 1} is no clip ({first_line(error)})")
        start += count


def _blocks(path: Path) -> Iterator[tuple[int, Callable[[], SkeletonRows]]]:
    """Number of rows and a way to read them, for one part of a shard after the other."""
    if path.suffix == ".npz":
        with _damage(path):
            rows = SkeletonRows.of_npz([path])
        yield len(rows), lambda: rows
        return
    file = _parquet(path)
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        yield count, lambda group=group: SkeletonRows.of_table(SimpleNamespace(table=file.read_row_group(group)))  # type: ignore[misc]


def read_facts(path: Path) -> Iterator[dict[str, Any]]:
    """shape, layout, label, subject and camera of every row of a shard, without its joints. Raises ReadError if it is damaged."""
    names = ["shape", "layout", "label", "subject", "camera"]
    with _damage(path):
        if path.suffix == ".parquet":
            for batch in _parquet(path).iter_batches(columns=names):
                yield from batch.to_pylist()
            return
        rows = SkeletonRows.of_npz([path])
    for values in zip(*(getattr(rows, f"{name}s") for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _parquet(path: Path) -> Any:
    import pyarrow.parquet as pq

    with _damage(path):
        return pq.ParquetFile(path)


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What is said of a damaged file, as a ReadError."""
    try:
        yield
    except Exception as error:  # pyarrow has a dozen of its own
        raise ReadError(f"{path.name}: damaged ({first_line(error)}); convert again.") from None
