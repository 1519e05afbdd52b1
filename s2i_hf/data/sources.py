"""One data set from where it is: raw files of a protocol or custom data, a folder made by `s2i convert`, or the Hub."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, Unpack

from ..processing.layouts import get_layout, register_layout
from ..processing.suggestions import did_you_mean
from ..protocols import PROTOCOLS, SPLITS, Protocol, Split, parse_name, short_names
from ..protocols.folder import FolderProtocol
from ..readers import RawFile, ReadError, get_reader
from ..readers.discovery import read_file
from ..readers.generic.folder import FolderOptions
from ..readers.raw_files import list_raw_files
from ..readers.recordings import Recordings, file_id
from ..utils.hub_errors import explained, hub_file, is_offline
from .convert_report import left_out_lines, shortened
from .recorded_rows import CUSTOM, check_options, code_hash, find_source
from .skeleton_rows import SkeletonRows
from .storage import FORMATS, META_FILE, arrow_schema, protocol_of, read_meta, row_features, shard_files

logger = logging.getLogger(__name__)
logger.addFilter(lambda record: os.environ.get("RANK", "0") == "0")  # every process of a run loads; the main one tells


class Source(NamedTuple):
    """A data set that was found and opened.

    Args:
        splits: A `datasets.DatasetDict`, or a dict of `SkeletonRows`; as a stream a `datasets.IterableDatasetDict`.
        protocol: How it was split, with what a file beside the data decided; None if that is not known.
        data_dir: Folder of the raw files, if it was read from them, and `files`, what is in it.
    """

    splits: Mapping[str, Any]
    protocol: Protocol | None = None
    data_dir: Path | None = None
    files: Sequence[RawFile] = ()


def check_source(name: str, data_dir: str | Path | None = None) -> None:
    """Look whether a data set can be there at all, before any long work. Raises what `open_source` raises."""
    if name in (CUSTOM, *PROTOCOLS):
        if data_dir is None or not Path(data_dir).expanduser().exists():
            find_source(name, data_dir)  # says what it looks for
    elif not Path(name).expanduser().exists() and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise ValueError(
            f"{name!r} is neither a protocol nor a folder here.{did_you_mean(name, PROTOCOLS)} Protocols: {', '.join(short_names())}; "
            f"folders are made by `s2i convert`; {CUSTOM!r} with data_dir stands for custom data."
        )


def open_source(
    name: str,
    data_dir: str | Path | None = None,
    *,
    cache_dir: str | Path | None = None,
    num_proc: int | None = None,
    streaming: bool = False,
    **options: Unpack[FolderOptions],
) -> Source:
    """Find a data set, build or load it, and say what is missing. The arguments are those of `data.load_skeletons`.

    Raises:
        ValueError: there is no such protocol or folder, or nothing to read in it; the message says what was looked for.
    """
    if name in (CUSTOM, *PROTOCOLS):
        if streaming:
            raise ValueError(
                f"streaming reads converted data, and {name!r} means raw files: run `s2i convert {name} --format parquet` first, and "
                "pass the folder that it makes."
            )
        files = list_raw_files(Path(data_dir).expanduser()) if data_dir is not None else []
        recordings = find_source(name, data_dir, files=files, **options)
        splits = _build(recordings, Path(str(data_dir)).expanduser(), cache_dir, num_proc)
        return Source(splits, recordings.protocol, Path(str(data_dir)), files)
    check_options(name, options)
    if (folder := Path(name).expanduser()).exists():
        return _open_folder(folder, cache_dir, streaming)
    check_source(name)  # what is left may be on the Hub
    return _open_repository(name, cache_dir, streaming)


# -- raw files ---------------------------------------------------------------------------------------------------------


def _build(recordings: Recordings, data_dir: Path, cache_dir: str | Path | None, num_proc: int | None) -> Any:
    protocol, files = recordings.protocol, recordings.all_files
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
    builder.download_and_prepare(num_proc=num_proc if num_proc is not None and 1 < num_proc < len(files) else None)
    parts = {split: builder.as_dataset(split) for split in protocol.splits if builder.info.splits[split].num_examples}
    if not parts:
        _report_left_out(recordings, builder.left_out())
        raise ValueError(
            f"None of the {len(files)} recordings in {data_dir} can be read, the first because: {_reason(files[0], protocol)}"
        )
    data = _complete(parts, protocol.name, protocol.class_names, protocol.splits)
    _report_left_out(recordings, builder.left_out())
    for split in protocol.splits:
        _report_gaps(recordings, split, list(data[split]["sample_id"]))
    return data


def _reason(file: RawFile, protocol: Protocol) -> str:
    """Why a recording cannot be read."""
    return next(
        (str(found) for found in read_file(file, protocol) if isinstance(found, ReadError)), f"{file} holds no clip."
    )


def _complete(parts: Mapping[Any, Any], protocol: str, class_names: Sequence[str], splits: Sequence[str]) -> Any:
    """A DatasetDict with all splits, each of which knows its protocol; `datasets` has no splits without rows."""
    import datasets

    features = row_features(class_names)
    empty = datasets.Dataset.from_dict({name: [] for name in features}, features=features)
    data = datasets.DatasetDict({split: parts.get(split, empty) for split in splits})
    for split in splits:
        data[split].info.config_name = protocol
    return data


def _report_left_out(recordings: Recordings, found: Mapping[str, Sequence[str]]) -> None:
    """Warn in the words of `s2i convert` about what is doubtful or not read.

    Of known data sets only about what is broken: what else they leave out is the rule, such as files of other protocols.
    """
    lines = left_out_lines(found.get("broken", ()), parts=found.get("left out", ()))
    if isinstance(recordings.protocol, FolderProtocol):
        files = {why: shortened(names) for why, names in sorted(recordings.left_out.items())}
        lines = [
            *recordings.warnings,
            *recordings.notes,
            *lines,
            *left_out_lines((), found.get("no clip", ()), (), files),
        ]
    for line in lines:
        logger.warning("%s: %s", recordings.protocol.name, line)


def _report_gaps(recordings: Recordings, split: Split, found: Sequence[str]) -> None:
    """Warn about recordings that are there but broken, and about those that a complete data set would have."""
    protocol, files = recordings.protocol, recordings.files[split]
    if broken := _broken(recordings, split, found):
        which = f"{len(broken)} of {len(files)} recordings of the {split} split"
        logger.warning("%s: %s could not be read and are left out, the first is %s.", protocol.name, which, broken[0])
    if missing := recordings.missing(split, found):
        counts = f"the {split} split has {len(found)} clips, the complete one has {protocol.expected(split)}"
        logger.warning("%s: %s; the first that is missing is %s.", protocol.name, counts, missing[0])


def _broken(recordings: Recordings, split: Split, found: Sequence[str]) -> list[str]:
    """Names of files that gave no clip, where the names of clips say which file they are from."""
    protocol = recordings.protocol
    if isinstance(protocol, FolderProtocol):
        return []  # a file may hold many clips, named as it likes
    one_clip = not hasattr(get_reader(protocol.reader), "read_clips")

    def video(name: str) -> str:
        sample = parse_name(protocol.reader, name)
        return (sample.video if sample else "") or (name if one_clip else "")

    seen = {video(name) for name in found} | {""}
    return [name for file in recordings.files[split] if video(name := file_id(protocol, file)) not in seen]


# -- converted data ----------------------------------------------------------------------------------------------------


def _register_layouts(meta: Mapping[str, Any]) -> None:
    """Make the custom joint formats of a converted data set known by name, as its rows call them."""
    for layout in (meta.get("layouts") or {}).values():
        register_layout(get_layout(layout))


def _open_folder(folder: Path, cache_dir: str | Path | None, streaming: bool) -> Source:
    """The splits of a converted folder, as what can be had of them: a DatasetDict, or a dict of `SkeletonRows`."""
    if not (folder / META_FILE).is_file():
        looked = f"expected a folder made by `s2i convert`, with {META_FILE} in it"
        raise ValueError(
            f"{folder} is no converted data set: {looked}. For raw files pass a protocol and data_dir={str(folder)!r}."
        )
    meta, files = read_meta(folder), shard_files(folder)
    _register_layouts(meta)
    names = {split: list(map(str, paths)) for split, paths in files.items()}
    if streaming:
        return Source(_stream(folder, meta, names), protocol_of(meta))
    data: Mapping[str, Any]
    if meta["format"] == "npz":
        data = {
            split: SkeletonRows.of_npz(files.get(split, []), meta["class_names"], meta["protocol"])
            for split in meta["counts"]
        }
    else:
        try:
            import datasets
        except ImportError:  # by pyarrow alone, all of it in memory
            data = {split: _read_tables(folder, meta, files.get(split, [])) for split in meta["counts"]}
        else:  # through the Arrow cache of `datasets`, which maps it into memory
            cache = str(cache_dir) if cache_dir else None
            parts = datasets.load_dataset("parquet", data_files=names, cache_dir=cache) if names else {}
            data = _complete(parts, meta["protocol"], meta["class_names"], list(meta["counts"]))
    for split, count in meta["counts"].items():
        if len(data[split]) != count:
            have = f"its {split} split has {len(data[split])} clips, but {META_FILE} says {count}"
            raise ValueError(f"{folder} is incomplete ({have}); make it again with `s2i convert`.")
    return Source(data, protocol_of(meta))


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


def _stream(folder: Path, meta: Mapping[str, Any], names: Mapping[str, list[str]]) -> Any:
    import datasets

    if meta["format"] != "parquet":
        raise ValueError(
            f"{folder} is in {meta['format']} format, which is mapped into memory and needs no streaming; for streaming convert "
            "with --format parquet."
        )
    if not names:
        raise ValueError(f"{folder} is incomplete (it has no data/*.parquet); make it again with `s2i convert`.")
    features = row_features(meta["class_names"])
    data = datasets.load_dataset("parquet", data_files=names, features=features, streaming=True)
    for stream in data.values():
        stream.info.config_name = meta["protocol"]
    return data.with_format("numpy")


def _open_repository(name: str, cache_dir: str | Path | None, streaming: bool) -> Source:
    """The splits of a data set on the Hub. Raises ValueError if it cannot be had, lacks a split, or has a damaged s2i.json."""
    import datasets

    problem, meta = f"{name!r} is no folder here and cannot be loaded from the Hub", {}
    try:
        path = hub_file(name, META_FILE, repo_type="dataset")  # None: not by `s2i convert`
    except FileNotFoundError as error:
        if not is_offline():  # `datasets` has a cache of its own, and may have the rows
            raise ValueError(f"{problem}: {error}") from None
        path = None
    if path is not None:
        try:
            meta = read_meta(path.parent)
        except ValueError:
            raise ValueError(
                f"{META_FILE} of data set {name!r} is damaged or of a newer version; push it again, or update s2i_hf."
            ) from None
        _register_layouts(meta)
    try:
        data = datasets.load_dataset(name, cache_dir=str(cache_dir) if cache_dir else None, streaming=streaming)
    except Exception as error:  # whatever the network and the Hub come up with
        raise ValueError(f"{problem}: {explained(error, name)}.") from error
    if streaming:
        return Source(data.with_format("numpy"), protocol_of(meta))
    lacking = [split for split in SPLITS if split not in data]
    if lacking and not meta:
        raise ValueError(f"{name!r} on the Hub has no {lacking[0]} split; expected a data set made by `s2i convert`.")
    if lacking:  # it says itself that the split has no clips
        data = _complete(data, meta["protocol"], meta["class_names"], list(meta["counts"]))
    return Source(data, protocol_of(meta))
