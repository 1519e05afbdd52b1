"""The clips of a converted folder one after the other, straight from its files: no cache, memory for a few clips.

`load_skeletons` is for training; this is for looking at data that may be damaged, so what is broken comes out as its error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..processing.layouts import SkeletonLayout, get_layout
from ..processing.skeleton_sequence import SkeletonSequence
from ..readers import ReadError
from ..utils.hub_errors import first_line
from .storage import META_FILE, read_meta

if TYPE_CHECKING:
    from .skeleton_rows import SafetensorsColumns

Wanted = Callable[[int], bool]
COLUMNS = {"joints", "shape", "layout", "label", "sample_id"}  # what a row must have


def stored_files(folder: Path) -> dict[str, list[Path]]:
    """Data files of a converted folder for each split, in order; also of one whose s2i.json is gone. Empty if it has none."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("data/*.parquet")) + sorted(folder.glob("*.safetensors")):
        found.setdefault(path.stem.partition("-")[0], []).append(path)
    for path in sorted(folder.glob("*/data-*.arrow")):
        found.setdefault(path.parent.name, []).append(path)
    return found


def is_converted(folder: Path) -> bool:
    """Whether a folder was made by `s2i convert`, or holds tables of rows like its."""
    if (folder / META_FILE).is_file():
        return True
    files = [files[0] for files in stored_files(folder).values()]
    try:
        return bool(files) and all(set(_names(path)) >= COLUMNS for path in files)
    except ReadError:
        return False


def custom_layouts(folder: Path) -> dict[str, SkeletonLayout]:
    """The joint formats that s2i.json describes because they are not in `LAYOUTS`."""
    if not (folder / META_FILE).is_file():
        return {}
    return {name: SkeletonLayout.from_dict(values) for name, values in read_meta(folder).get("layouts", {}).items()}


def count_rows(path: Path) -> int:
    """Clips in one data file, from its header or index.

    Raises:
        ReadError: it is damaged.
    """
    if path.suffix == ".safetensors":
        return len(_tensors(path))
    if path.suffix == ".parquet":
        return int(_parquet(path).metadata.num_rows)
    with _damage(path):
        return sum(rows for rows, _ in _tables(path))  # mapped, so only the headers of batches are read


def read_rows(
    path: Path, layouts: dict[str, SkeletonLayout], wanted: Wanted = lambda index: True
) -> Iterator[SkeletonSequence | ReadError]:
    """The clips of one data file for whose place in it `wanted` holds; a broken row comes out as its error.

    Raises:
        ReadError: the file is damaged from here on.
    """
    if path.suffix == ".safetensors":
        yield from _read_tensors(path, layouts, wanted)
        return
    start = 0
    with _damage(path):
        for count, read in _tables(path):
            inside = [index for index in range(count) if wanted(start + index)]
            if inside:
                batch = read()
                for index in inside:
                    yield _row(path, batch, index, start + index, layouts)
            start += count


def _tables(path: Path) -> Iterator[tuple[int, Callable[[], Any]]]:
    """Number of rows and a way to read them, for one piece of a table after the other."""
    if path.suffix == ".parquet":
        file = _parquet(path)
        for group in range(file.num_row_groups):
            yield file.metadata.row_group(group).num_rows, partial(file.read_row_group, group)
    else:
        with _Stream(path) as batches:
            for batch in batches:
                yield batch.num_rows, partial(_itself, batch)


def _itself(batch: Any) -> Any:
    return batch


def _row(
    path: Path, batch: Any, index: int, number: int, layouts: dict[str, SkeletonLayout]
) -> SkeletonSequence | ReadError:
    try:
        row = {name: batch.column(name)[index] for name in batch.schema.names}
        values = {name: value.as_py() for name, value in row.items() if name != "joints"}
        joints = row["joints"].values.to_numpy(zero_copy_only=False)
        values["layout"] = layouts.get(values["layout"]) or get_layout(values["layout"])
        return SkeletonSequence.from_row({**values, "joints": joints})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return ReadError(f"{path.name}: row {number + 1} is no clip ({first_line(error)})")


def _read_tensors(
    path: Path, layouts: dict[str, SkeletonLayout], wanted: Wanted
) -> Iterator[SkeletonSequence | ReadError]:
    columns = _tensors(path)
    for index in range(len(columns)):
        if not wanted(index):
            continue
        try:
            name = columns.layouts[index]
            yield SkeletonSequence(
                np.array(columns.joints(index)).reshape(columns.shapes[index]),
                layouts.get(name) or get_layout(name),
                label=int(columns.labels[index]),
                subject=int(columns.subjects[index]),
                camera=int(columns.cameras[index]),
                sample_id=columns.sample_ids[index],
            )
        except ValueError as error:
            yield ReadError(f"{path.name}: row {index + 1} is no clip ({first_line(error)})")


def _tensors(path: Path) -> SafetensorsColumns:
    from .skeleton_rows import SafetensorsColumns  # imports torch, which raw files can do without

    try:
        return SafetensorsColumns(path)
    except ValueError as error:
        raise ReadError(f"{path.name}: damaged ({first_line(error)}); convert again.") from None


def _parquet(path: Path) -> Any:
    import pyarrow.parquet as pq

    with _damage(path):
        return pq.ParquetFile(path)


class _Stream:
    """The record batches of an Arrow file, in either of its forms, mapped from disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Iterator[Any]:
        import pyarrow as pa

        with _damage(self.path):
            self.source = pa.memory_map(str(self.path))
            return iter(pa.ipc.open_stream(self.source))

    def __exit__(self, *error: object) -> None:
        self.source.close()


def _names(path: Path) -> list[str]:
    if path.suffix == ".safetensors":
        return list(COLUMNS) if _tensors(path).layouts is not None else []
    if path.suffix == ".parquet":
        return list(_parquet(path).schema_arrow.names)
    with _Stream(path) as batches:
        first = next(batches, None)
        return list(first.schema.names) if first is not None else list(COLUMNS)


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What pyarrow says of a damaged file, as a ReadError."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise ReadError(f"{path.name}: damaged ({first_line(error)}); convert again.") from None


def read_facts(path: Path) -> Iterator[dict[str, Any]]:
    """shape, layout, label, subject and camera of every row of a data file, without its joints.

    Raises:
        ReadError: the file is damaged.
    """
    if path.suffix == ".safetensors":
        columns = _tensors(path)
        numbers = zip(columns.labels.tolist(), columns.subjects.tolist(), columns.cameras.tolist(), strict=True)
        for shape, layout, (label, subject, camera) in zip(columns.shapes, columns.layouts, numbers, strict=True):
            yield {"shape": shape, "layout": layout, "label": label, "subject": subject, "camera": camera}
        return
    names = ["shape", "layout", "label", "subject", "camera"]
    with _damage(path):
        if path.suffix == ".parquet":
            for batch in _parquet(path).iter_batches(columns=names):
                yield from batch.to_pylist()
        else:
            with _Stream(path) as batches:
                for batch in batches:
                    yield from batch.select(names).to_pylist()
