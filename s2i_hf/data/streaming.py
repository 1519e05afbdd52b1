"""Streams: clips one after the other from Parquet, on disk or on the Hub, without building or downloading the whole first.

    stream = load_skeletons("OUT", streaming=True)["train"]               # made by s2i convert; or "user/name"
    stream = stream.shuffle(seed=0, buffer_size=1000)                       # order of the files, and a buffer of clips
    stream = split_dataset_by_node(stream, rank=rank, world_size=world_size)   # from datasets.distributed: each clip on one node
    loader = DataLoader(stream, batch_size=64, num_workers=2, collate_fn=SkeletonCollator())
    stream.set_epoch(epoch)                                                 # another order; before each epoch

Nodes and workers share out whole files where there are enough of them (`stream.num_shards`); a node takes every n-th clip otherwise, and
workers without a file stay idle. Either way each clip comes exactly once an epoch. `stream.with_format("arrow")` is three times as fast.
To go on where a run stopped, with the same seed, epoch, nodes and workers: `stream.load_state_dict(state)` is exact as long as there is no
shuffle buffer (whose clips it would lose), `stream.skip(n)` with one as well, `itertools.islice(loader, n, None)` with workers too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..protocols import PROTOCOLS
from .recorded_rows import CUSTOM
from .sources import folder_meta, hub_error, hub_meta, is_repository, unknown_source
from .storage import row_features, shard_files


def open_stream(name: str) -> Any:
    """The splits of converted Parquet as streams.

    Args:
        name: Folder made by `s2i convert --format parquet`, or a Hub repository that holds one.

    Returns:
        A `datasets.IterableDatasetDict` of the splits that have clips. Rows are dicts as `SkeletonCollator` takes them, their
        numbers numpy arrays: joints flat, beside their shape (T, M, V, 3).

    Raises:
        ValueError: it is none of these.
    """
    if name in PROTOCOLS or name == CUSTOM:
        raise ValueError(
            f"streaming reads converted data, and {name!r} means raw files: run `s2i convert {name} --format parquet` first, and "
            "pass the folder that it makes."
        )
    folder = Path(name).expanduser()
    if folder.exists():
        data = _stream_folder(folder)
    elif is_repository(name):
        import datasets

        hub_meta(name)  # its joint formats become known
        try:
            data = datasets.load_dataset(name, streaming=True)
        except Exception as error:  # whatever the network and the Hub come up with
            raise hub_error(name, error) from error
    else:
        raise unknown_source(name)
    return data.with_format("numpy")


def _stream_folder(folder: Path) -> Any:
    import datasets

    meta, files = folder_meta(folder), shard_files(folder)
    if meta["format"] != "parquet":
        raise ValueError(
            f"{folder} is in {meta['format']} format, which is mapped into memory and needs no streaming; for streaming convert "
            "with --format parquet."
        )
    if not files:
        raise ValueError(f"{folder} is incomplete (it has no data/*.parquet); make it again with `s2i convert`.")
    names = {split: list(map(str, paths)) for split, paths in files.items()}
    features = row_features(meta["class_names"])
    data = datasets.load_dataset("parquet", data_files=names, features=features, streaming=True)
    for stream in data.values():
        stream.info.config_name = meta["protocol"]
    return data
