"""Data sets by name, by folder or from the Hub, and the collator that makes batches of them.

    data = load_skeletons("nw_ucla_xview", data_dir="NW-UCLA")     # raw files, built once and cached
    data = load_skeletons("out")                                   # a folder made by `s2i convert`
    loader = DataLoader(as_rows(data["train"]), batch_size=64, collate_fn=SkeletonCollator())

Batches carry raw joints; the encoder turns them into images on the device.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .layouts import LAYOUTS, get_layout
from .protocols import PROTOCOLS, SPLITS, Protocol
from .readers.recordings import Recordings, find_recordings
from .rng import hash_ids, uniform
from .rows import SafetensorsColumns, SkeletonRows, as_rows
from .storage import FORMATS, META_FILE, empty_split, read_meta
from .transforms import NUM_DRAWS, Augmentation, augment, prepare
from .wording import did_you_mean

__all__ = ["SkeletonCollator", "SkeletonRows", "as_rows", "describe", "load_skeletons"]

logger = logging.getLogger(__name__)


def load_skeletons(
    source: str | Path,
    data_dir: str | Path | None = None,
    *,
    cache_dir: str | Path | None = None,
    num_proc: int | None = None,
) -> Any:
    """Load the train and the test split of a data set.

    Args:
        source: Name of a protocol ("nw_ucla_xview"; needs `data_dir`), a folder made by `s2i convert`, or a Hub repository
            ("user/name") that holds such a folder.
        data_dir: Folder with the raw files of the protocol, or its parent.
        cache_dir: Where built data sets are kept; None: the cache of `datasets`. They are built anew when a raw file or the
            code that reads it changes.
        num_proc: Processes that read raw files.

    Returns:
        A dict of splits, "train" and "test": a `datasets.DatasetDict`, or for safetensors a plain dict of `SkeletonRows`
        (which needs no `datasets`). `as_rows(data["train"])` gives fast access to either.

    Raises:
        ValueError: there is no such protocol or folder, or nothing to read in it; the message says what was looked for.
    """
    name = str(source)
    if name in PROTOCOLS:
        return _build(PROTOCOLS[name], data_dir, cache_dir, num_proc)
    folder = Path(name).expanduser()
    if folder.exists():
        return _load_folder(folder, cache_dir)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _load_from_hub(name, cache_dir)
    raise ValueError(
        f"{name!r} is neither a protocol nor a folder here.{did_you_mean(name, PROTOCOLS)} Protocols: {', '.join(PROTOCOLS)}; "
        "folders are made by `s2i convert`."
    )


# -- raw files ---------------------------------------------------------------------------------------------------------


def _build(protocol: Protocol, data_dir: str | Path | None, cache_dir: str | Path | None, num_proc: int | None) -> Any:
    recordings = find_recordings(protocol, data_dir)
    scripts = import_module(f"{__package__}.dataset_scripts")
    module = import_module(f"{scripts.__name__}.{protocol.reader}")
    builder = getattr(module, scripts.BUILDERS[protocol.reader])(
        config_name=protocol.name,
        data_dir=str(Path(str(data_dir)).expanduser().resolve()),
        fingerprint=recordings.fingerprint,
        hash=_code_hash(),
        cache_dir=str(cache_dir) if cache_dir is not None else None,
    )
    count = sum(len(files) for files in recordings.files.values())
    builder.download_and_prepare(num_proc=num_proc if num_proc is not None and 1 < num_proc < count else None)
    parts = {split: builder.as_dataset(split) for split in SPLITS if builder.info.splits[split].num_examples}
    if not parts:
        first = next(path for files in recordings.files.values() for path in files)
        raise ValueError(
            f"None of the {count} recordings in {data_dir} can be read; the warnings say why, first of {first}."
        )
    data = _complete(parts, protocol.name, protocol.class_names)
    for split in SPLITS:
        _report_gaps(recordings, split, data[split]["sample_id"])
    return data


def _complete(parts: Mapping[Any, Any], protocol: str, class_names: Sequence[str]) -> Any:
    """A DatasetDict with both splits, each of which knows its protocol; `datasets` has no splits without rows."""
    import datasets

    data = datasets.DatasetDict(
        {split: parts[split] if split in parts else empty_split(class_names) for split in SPLITS}
    )
    for split in SPLITS:
        data[split].info.config_name = protocol
    return data


def _report_gaps(recordings: Recordings, split: Any, sample_ids: Sequence[str]) -> None:
    """Warn about recordings that are there but broken, and about those that a complete data set would have."""
    found = set(sample_ids)
    broken = [path.stem for path in recordings.files[split] if path.stem not in found]
    if broken:
        logger.warning(
            "%s: %d of %d recordings of the %s split could not be read and are left out, the first is %s.",
            recordings.protocol.name, len(broken), len(recordings.files[split]), split, broken[0],
        )  # fmt: skip
    missing = recordings.missing(split, list(found))
    if missing:
        logger.warning(
            "%s: the %s split has %d clips, the complete one has %s; the first that is missing is %s.",
            recordings.protocol.name, split, len(found), recordings.protocol.expected(split), missing[0],
        )  # fmt: skip


def _code_hash() -> str:
    """Hash of all code and lists that decide what a row holds, so that a cache never outlives them."""
    package = resources.files(__package__)
    names = ["sequence.py", "layouts.py", "protocols.py", "storage.py"]
    files = [package / name for name in names]
    for folder in (package / "readers", package / "resources"):
        files += sorted(
            (file for file in folder.iterdir() if file.name.endswith((".py", ".txt"))), key=lambda file: file.name
        )
    scripts = Path(str(import_module(f"{__package__}.dataset_scripts").__file__)).parent
    digest = hashlib.sha256()
    for file in [*files, *sorted(scripts.glob("*.py"))]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


# -- converted folders and the Hub -------------------------------------------------------------------------------------


def _load_folder(folder: Path, cache_dir: str | Path | None) -> Any:
    if not (folder / META_FILE).is_file():
        looked = f"expected a folder made by `s2i convert`, with {META_FILE} in it"
        raise ValueError(
            f"{folder} is no converted data set: {looked}. For raw files pass a protocol and data_dir={str(folder)!r}."
        )
    meta = read_meta(folder)
    try:
        if meta["format"] == "safetensors":
            return {split: SkeletonRows(SafetensorsColumns(folder / f"{split}.safetensors")) for split in SPLITS}
        return _load_tables(folder, meta, cache_dir)
    except FileNotFoundError as error:
        raise ValueError(f"{folder} is incomplete ({error}); make it again with `s2i convert`.") from None


def _load_tables(folder: Path, meta: Mapping[str, Any], cache_dir: str | Path | None) -> Any:
    try:
        import datasets
    except ImportError:
        raise ValueError(
            f"{folder} is in {meta['format']} format, which needs `pip install datasets`; without it use a folder made with "
            f"--format {FORMATS[-1]}."
        ) from None
    if meta["format"] == "arrow":
        parts = datasets.load_from_disk(str(folder))
    else:
        found = {split: sorted(str(path) for path in (folder / "data").glob(f"{split}-*.parquet")) for split in SPLITS}
        files = {split: paths for split, paths in found.items() if paths}
        parts = datasets.load_dataset("parquet", data_files=files, cache_dir=str(cache_dir) if cache_dir else None)
    for split, count in meta["counts"].items():
        have = len(parts[split]) if split in parts else 0
        if have != count:
            raise FileNotFoundError(f"its {split} split has {have} clips, but {META_FILE} says {count}")
    return _complete(parts, meta["protocol"], meta["class_names"])


def _load_from_hub(name: str, cache_dir: str | Path | None) -> Any:
    import datasets

    try:
        data = datasets.load_dataset(name, cache_dir=str(cache_dir) if cache_dir else None)
    except Exception as error:  # whatever the network and the Hub come up with
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{name!r} is no folder here and cannot be loaded from the Hub: {first_line}") from error
    lacking = [split for split in SPLITS if split not in data]
    if lacking:
        raise ValueError(f"{name!r} on the Hub has no {lacking[0]} split; expected a data set made by `s2i convert`.")
    return data


def describe(data: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """What a run was trained and tested on, as plain JSON values.

    Args:
        data: Splits, as `load_skeletons` returns them.
        name: Name of the data; by default that of the protocol.

    Returns:
        name, class_names, layouts, and for each split its clips, frames and subjects; `test_ids_sha256` is the hash of the
        sorted ids of the test clips, one a line: two runs with the same hash were tested on the same clips.
    """
    rows = {split: as_rows(part) for split, part in data.items()}
    first = next(iter(rows.values()))
    test_ids = sorted(rows["test"].sample_ids) if "test" in rows else []
    return {
        "name": name or first.name,
        "class_names": list(first.class_names),
        "layouts": sorted({get_layout(layout).name for part in rows.values() for layout in part.layouts}),
        "counts": {split: len(part) for split, part in rows.items()},
        "frames": {split: int(part.shapes[:, 0].sum()) for split, part in rows.items()},
        "subjects": {split: sorted({int(subject) for subject in part.subjects}) for split, part in rows.items()},
        "test_ids_sha256": hashlib.sha256("\n".join(test_ids).encode()).hexdigest(),
    }


# -- batches -----------------------------------------------------------------------------------------------------------


class SkeletonCollator:
    """Rows to one batch of joints, padded with zeros, ready for `encoding.encode_padded`.

    Args:
        augmentation: Applied to every clip; None: nothing.
        seed: Of the augmentation, which depends on seed, epoch and sample id alone: neither on the batch nor on the worker.
        with_labels: Whether the batch holds `labels`.

    Calling it with a list of rows returns a dict: joints (B, T, M, V, 3) float32 of the largest T, M and V in the batch,
    num_frames and num_people (lists of B int), layouts (list of B names, or `SkeletonLayout` for those not in `LAYOUTS`),
    sample_ids (list of B str), num_missing (joints that were filled in, over the batch), labels (B,) int64.

    Raises:
        ValueError: a clip does not match its layout, is not in metres, or has no frame; the message names it.
    """

    def __init__(self, augmentation: Augmentation | None = None, seed: int = 0, with_labels: bool = True) -> None:
        self.augmentation = augmentation
        self.seed = seed
        self.with_labels = with_labels
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # so that running workers see it change

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw the augmentation of this epoch from now on, in all workers."""
        self._epoch.fill_(epoch)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        sample_ids = [str(row.get("sample_id", "")) for row in rows]
        layouts = [get_layout(row["layout"]) for row in rows]
        clips, num_missing = [], 0
        for row, layout, sample_id in zip(rows, layouts, sample_ids, strict=True):
            joints = row["joints"]
            if "shape" in row:  # a row as it is stored
                joints = np.asarray(joints, dtype=np.float32).reshape([int(size) for size in row["shape"]])
            clip, missing = prepare(joints, layout, sample_id=sample_id)
            clips.append(clip)
            num_missing += missing
        if self.augmentation is not None:
            count = NUM_DRAWS + max(layout.num_joints for layout in layouts)
            draws = uniform(self.seed, self.epoch, hash_ids(sample_ids), count, "augment")
            clips = augment(clips, layouts, draws, self.augmentation)
        sizes = np.array([clip.shape for clip in clips])
        joints = np.zeros((len(clips), *sizes.max(axis=0)), dtype=np.float32)
        for into, clip in zip(joints, clips, strict=True):
            into[tuple(slice(size) for size in clip.shape)] = clip
        batch: dict[str, Any] = {
            "joints": torch.from_numpy(joints),
            "num_frames": sizes[:, 0].tolist(),
            "num_people": sizes[:, 1].tolist(),
            "layouts": [layout.name if LAYOUTS.get(layout.name) == layout else layout for layout in layouts],
            "sample_ids": sample_ids,
            "num_missing": num_missing,
        }
        if self.with_labels:
            batch["labels"] = torch.tensor([int(row.get("label", -1)) for row in rows])
        return batch
