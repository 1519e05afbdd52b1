"""One data set from where it is: raw files of a protocol or custom data, a folder made by `s2i convert`, or the Hub."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..processing.layouts import get_layout, register_layout
from ..processing.suggestions import did_you_mean
from ..protocols import PROTOCOLS, SPLITS, Protocol, parse_name, short_names
from ..protocols.folder import FolderProtocol
from ..readers import get_reader
from ..readers.recordings import Recordings, file_id
from ..utils.hub_errors import explained, hub_file, is_offline
from .recorded_rows import CUSTOM, check_options, code_hash, find_source
from .skeleton_rows import SkeletonRows
from .storage import (
    FORMATS,
    META_FILE,
    arrow_schema,
    protocol_of,
    read_meta,
    row_features,
    shard_files,
)

logger = logging.getLogger(__name__)
logger.addFilter(lambda record: os.environ.get("RANK", "0") == "0")  # every process of a run loads; the main one tells


class Source(NamedTuple):
    """A data set that was found and opened.

    Args:
        splits: A `datasets.DatasetDict`, or a dict of `SkeletonRows`.
        protocol: How it was split, with what a file beside the data decided; None if that is not known.
        data_dir: Folder of the raw files, if it was read from them.
    """

    splits: Mapping[str, Any]
    protocol: Protocol | None = None
    data_dir: Path | None = None


def open_source(
    name: str,
    data_dir: str | Path | None = None,
    *,
    layout: Any = None,
    labels: str | Path | None = None,
    unit: str | None = None,
    cache_dir: str | Path | None = None,
    num_proc: int | None = None,
) -> Source:
    """Find a data set, build or load it, and say what is missing. The arguments are those of `data.load_skeletons`.

    Raises:
        ValueError: there is no such protocol or folder, or nothing to read in it; the message says what was looked for.
    """
    options = {"layout": layout, "labels": labels, "unit": unit}
    if name == CUSTOM or name in PROTOCOLS:
        return _build(find_source(name, data_dir, **options), Path(str(data_dir)), cache_dir, num_proc)
    check_options(name, options)
    folder = Path(name).expanduser()
    if folder.exists():
        meta = folder_meta(folder)
        return Source(_load_folder(folder, meta, cache_dir), protocol_of(meta))
    if is_repository(name):
        data, meta = _load_from_hub(name, cache_dir)
        return Source(data, protocol_of(meta))
    raise unknown_source(name)


def unknown_source(name: str) -> ValueError:
    """The error for a name that stands for nothing."""
    return ValueError(
        f"{name!r} is neither a protocol nor a folder here.{did_you_mean(name, PROTOCOLS)} Protocols: {', '.join(short_names())}; "
        f"folders are made by `s2i convert`; {CUSTOM!r} with data_dir stands for custom data."
    )


def is_repository(name: str) -> bool:
    """Whether a name can be that of a Hub repository."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


# -- raw files ---------------------------------------------------------------------------------------------------------


def _build(recordings: Recordings, data_dir: Path, cache_dir: str | Path | None, num_proc: int | None) -> Source:
    protocol, data_dir = recordings.protocol, data_dir.expanduser()
    custom = isinstance(protocol, FolderProtocol)
    builder_class: Any
    if custom:
        from .builders import FolderSkeletons as builder_class
    else:
        scripts = import_module(f"{__package__.rpartition('.')[0]}.dataset_scripts")
        module, name = scripts.BUILDERS[protocol.reader]
        builder_class = getattr(import_module(f"{scripts.__name__}.{module}.{module}"), name)
    builder = builder_class(
        config_name=protocol.name,
        data_dir=str(data_dir.resolve()),
        fingerprint=recordings.fingerprint,
        hash=code_hash(),
        cache_dir=str(cache_dir) if cache_dir is not None else None,
        **({"features": row_features(protocol.class_names)} if custom else {}),
    )
    builder.recordings = recordings
    count = len(recordings.all_files)
    builder.download_and_prepare(num_proc=num_proc if num_proc is not None and 1 < num_proc < count else None)
    parts = {split: builder.as_dataset(split) for split in protocol.splits if builder.info.splits[split].num_examples}
    if not parts:
        raise ValueError(
            f"None of the {count} recordings in {data_dir} can be read; the warnings say why, first of "
            f"{recordings.all_files[0]}."
        )
    data = _complete(parts, protocol.name, protocol.class_names, protocol.splits)
    for split in protocol.splits:
        _report_gaps(recordings, split, data[split]["sample_id"])
    return Source(data, protocol, data_dir)


def _complete(parts: Mapping[Any, Any], protocol: str, class_names: Sequence[str], splits: Sequence[str]) -> Any:
    """A DatasetDict with all splits, each of which knows its protocol; `datasets` has no splits without rows."""
    import datasets

    features = row_features(class_names)
    empty = datasets.Dataset.from_dict({name: [] for name in features}, features=features)
    data = datasets.DatasetDict({split: parts.get(split, empty) for split in splits})
    for split in splits:
        data[split].info.config_name = protocol
    return data


def _report_gaps(recordings: Recordings, split: Any, sample_ids: Sequence[str]) -> None:
    """Warn about recordings that are there but broken, and about those that a complete data set would have."""
    found = list(sample_ids)
    broken = _broken(recordings, split, found)
    if broken:
        logger.warning(
            "%s: %d of %d recordings of the %s split could not be read and are left out, the first is %s.",
            recordings.protocol.name, len(broken), len(recordings.files[split]), split, broken[0],
        )  # fmt: skip
    missing = recordings.missing(split, found)
    if missing:
        logger.warning(
            "%s: the %s split has %d clips, the complete one has %s; the first that is missing is %s.",
            recordings.protocol.name, split, len(found), recordings.protocol.expected(split), missing[0],
        )  # fmt: skip


def _broken(recordings: Recordings, split: Any, found: Sequence[str]) -> list[str]:
    """Names of files that gave no clip, where the names of clips say which file they are from."""
    protocol = recordings.protocol
    if isinstance(protocol, FolderProtocol):
        return []  # a file may hold many clips, named as it likes
    one_clip = not hasattr(get_reader(protocol.reader), "read_clips")

    def video(name: str) -> str:
        sample = parse_name(protocol.reader, name)
        return (sample.video if sample else "") or (name if one_clip else "")

    seen = {video(name) for name in found} | {""}
    names = [file_id(protocol, file) for file in recordings.files[split]]
    return [name for name in names if video(name) not in seen]


# -- converted folders -------------------------------------------------------------------------------------------------


def folder_meta(folder: Path) -> dict[str, Any]:
    """`storage.read_meta` of a converted folder, once its joint formats are known.

    Raises:
        ValueError: it was not made by `s2i convert`.
    """
    if not (folder / META_FILE).is_file():
        looked = f"expected a folder made by `s2i convert`, with {META_FILE} in it"
        raise ValueError(
            f"{folder} is no converted data set: {looked}. For raw files pass a protocol and data_dir={str(folder)!r}."
        )
    meta = read_meta(folder)
    _register_layouts(meta)
    return meta


def _register_layouts(meta: Mapping[str, Any]) -> None:
    """Make the custom joint formats of a converted data set known by name, as its rows call them."""
    for layout in (meta.get("layouts") or {}).values():
        register_layout(get_layout(layout))


def _load_folder(folder: Path, meta: Mapping[str, Any], cache_dir: str | Path | None) -> Mapping[str, Any]:
    """The splits of a converted folder, as what can be had of them: a DatasetDict, or a dict of `SkeletonRows`."""
    files = shard_files(folder)
    data: Mapping[str, Any]
    if meta["format"] == "npz":
        data = {
            split: SkeletonRows.of_npz(files.get(split, []), meta["class_names"], meta["protocol"])
            for split in meta["counts"]
        }
    else:
        data = _read_parquet(folder, meta, files, cache_dir)
    for split, count in meta["counts"].items():
        if len(data[split]) != count:
            have = f"its {split} split has {len(data[split])} clips, but {META_FILE} says {count}"
            raise ValueError(f"{folder} is incomplete ({have}); make it again with `s2i convert`.")
    return data


def _read_parquet(
    folder: Path, meta: Mapping[str, Any], files: Mapping[str, list[Path]], cache_dir: str | Path | None
) -> Mapping[str, Any]:
    """Through the Arrow cache of `datasets`, which maps it into memory; by pyarrow alone, all of it in memory, where that lacks."""
    try:
        import datasets
    except ImportError:
        return {split: _read_tables(folder, meta, files.get(split, [])) for split in meta["counts"]}
    parts: Mapping[Any, Any] = {}
    if files:
        names = {split: list(map(str, paths)) for split, paths in files.items()}
        parts = datasets.load_dataset("parquet", data_files=names, cache_dir=str(cache_dir) if cache_dir else None)
    return _complete(parts, meta["protocol"], meta["class_names"], list(meta["counts"]))


def _read_tables(folder: Path, meta: Mapping[str, Any], files: Sequence[Path]) -> SkeletonRows:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ValueError(
            f"{folder} is in parquet format, which needs `pip install datasets`, or pyarrow alone; without them use a folder made "
            f"with --format {FORMATS[-1]}."
        ) from None
    tables = [pq.ParquetFile(path).read() for path in files] or [arrow_schema(meta["class_names"]).empty_table()]
    source = SimpleNamespace(table=pa.concat_tables(tables))
    return SkeletonRows.of_table(source, meta["class_names"], meta["protocol"])


# -- the Hub -----------------------------------------------------------------------------------------------------------


def _load_from_hub(name: str, cache_dir: str | Path | None) -> tuple[Any, dict[str, Any]]:
    import datasets

    meta = hub_meta(name)
    try:
        data = datasets.load_dataset(name, cache_dir=str(cache_dir) if cache_dir else None)
    except Exception as error:  # whatever the network and the Hub come up with
        raise hub_error(name, error) from error
    lacking = [split for split in SPLITS if split not in data]
    if lacking and meta:  # it says itself that the split has no clips
        return _complete(data, meta["protocol"], meta["class_names"], list(meta["counts"])), meta
    if lacking:
        raise ValueError(f"{name!r} on the Hub has no {lacking[0]} split; expected a data set made by `s2i convert`.")
    return data, meta


def hub_meta(name: str) -> dict[str, Any]:
    """`s2i.json` of a data set on the Hub, once its joint formats are known; empty if it has none.

    Raises:
        ValueError: the repository cannot be had, or the file is damaged.
    """
    try:
        path = hub_file(name, META_FILE, repo_type="dataset")
    except FileNotFoundError as error:
        if is_offline():
            return {}  # `datasets` has a cache of its own, and may have the rows
        raise ValueError(f"{name!r} is no folder here and cannot be loaded from the Hub: {error}") from None
    if path is None:
        return {}  # not by `s2i convert`
    try:
        meta = read_meta(path.parent)
    except ValueError:
        raise ValueError(
            f"{META_FILE} of data set {name!r} is damaged or of a newer version; push it again, or update s2i_hf."
        ) from None
    _register_layouts(meta)
    return meta


def hub_error(name: str, error: Exception) -> ValueError:
    """The error for a data set repository that cannot be loaded, with the way out."""
    return ValueError(f"{name!r} is no folder here and cannot be loaded from the Hub: {explained(error, name)}.")
