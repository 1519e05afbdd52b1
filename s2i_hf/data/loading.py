"""Data sets by name, by folder or from the Hub, one or several.

    data = load_skeletons("nw_ucla_xview", data_dir="NW-UCLA")     # raw files, built once and cached
    data = load_skeletons("out")                                   # a folder made by `s2i convert`
    data = load_skeletons("folder", data_dir="mine", layout="kinect_v2")            # custom data
    data = load_skeletons(["ntu", "pku"], mixture="equal", holdout=["ntu60_xsub"])  # several as one
    loader = DataLoader(as_rows(data["train"]), batch_size=64, collate_fn=SkeletonCollator())

Batches carry raw joints; the encoder turns them into images on the device. Converted Parquet, on disk or on the Hub, can also be read
as a stream, without building or downloading the whole first:

    stream = load_skeletons("user/name", streaming=True)["train"]
    stream = stream.shuffle(seed=0, buffer_size=1000)                          # order of the files, and a buffer of clips
    stream = split_dataset_by_node(stream, rank=rank, world_size=world_size)   # from datasets.distributed: each clip on one node
    loader = DataLoader(stream, batch_size=64, num_workers=2, collate_fn=SkeletonCollator())
    stream.set_epoch(epoch)                                                    # another order; before each epoch

Nodes and workers share out whole files where there are enough of them (`stream.num_shards`); a node takes every n-th clip otherwise, and
workers without a file stay idle. Either way each clip comes exactly once an epoch. `stream.with_format("arrow")` is three times as fast.
To go on where a run stopped, with the same seed, epoch, nodes and workers: `stream.load_state_dict(state)` is exact as long as there is no
shuffle buffer (whose clips it would lose), `stream.skip(n)` with one as well, `itertools.islice(loader, n, None)` with workers too.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ..processing.layouts import get_layout
from ..protocols import PROTOCOLS, Protocol, get_protocol
from ..readers.discovery import find_recordings
from ..readers.generic.folder import FolderOptions
from ..readers.generic.folder_labels import doubts_about_classes
from .mixtures import Mixture, describe_sources, family, held_out, join, known_numbers
from .recorded_rows import CUSTOM
from .skeleton_rows import SkeletonRows, as_rows, rows_of_splits
from .sources import Source, check_source, logger, open_source

__all__ = ["SkeletonRows", "as_rows", "describe", "load_skeletons"]


def load_skeletons(
    source: str | Path | Sequence[str | Path],
    data_dir: str | Path | Mapping[str, str | Path] | None = None,
    *,
    mixture: Mixture | None = None,
    holdout: str | Sequence[str] = (),
    streaming: bool = False,
    cache_dir: str | Path | None = None,
    num_proc: int | None = None,
    **options: Unpack[FolderOptions],
) -> Any:
    """Load the splits of a data set, or of several as one.

    Args:
        source: Name of a protocol ("nw_ucla_xview"; needs `data_dir`), "folder" for custom data in `data_dir`, a folder
            made by `s2i convert`, or a Hub repository ("user/name") that holds such a folder; or a list of these, for one model
            on all of them.
        data_dir: Folder (or zip archive) with the raw files. For a list: a mapping from source to its folder, or one folder for
            all, which may have a sub-folder for each, named like the source or its dataset.
        mixture: How often an epoch of pretraining draws from each of a list: None (as many clips as it has), "equal", an exponent of its
            size such as 0.5, or a weight for each source; see `mixtures.set_weights`.
        holdout: Protocols whose test clips may not be trained on: they are taken out of the training split, told in the log and in
            `describe`. Equal names in NTU RGB+D 60 and 120 are one recording.
        streaming: Read converted Parquet clip by clip: a `datasets.IterableDatasetDict` of the splits that have clips, whose rows
            are dicts as `SkeletonCollator` takes them, numbers numpy arrays: joints flat, beside their shape (T, M, V, 3).
        cache_dir: Where built data sets are kept; None: the cache of `datasets`. They are built anew when a raw file or the
            code that reads it changes.
        num_proc: Processes that read raw files.
        options: For "folder", what its files do not say: layout, labels (a table), unit, up, fps, any_size; see
            `readers.generic.folder.find_folder`.

    Returns:
        A dict of splits, "train" and "test" (and "exemplars" in one-shot protocols): a `datasets.DatasetDict`, or for the format npz, and
        where `datasets` lacks, a plain dict of `SkeletonRows`. Joints of a row are flat, beside
        their shape; `as_rows(data["train"])` gives fast access to either, with joints (T, M, V, 3). For a list,
        or with `holdout`, a plain dict of `SkeletonRows`: of a list "train" and "test", joined as `mixtures.join` says, with labels of
        all sets behind one another.

    Raises:
        ValueError: there is no such protocol or folder, or nothing to read in it; the message says what was looked for.
            Options that do not go together.
    """
    holdout = [holdout] if isinstance(holdout, str) else list(holdout)
    rules = [get_protocol(name) for name in holdout]  # before any long work
    several = not isinstance(source, (str, Path))
    names = list(map(str, source)) if several and isinstance(source, Iterable) else [str(source)]
    if streaming and (several or holdout or mixture is not None):
        raise ValueError("streaming=True is for one source as it is; a mixture or holdout needs clips by index.")
    if not several and mixture is not None:
        raise ValueError("mixture says how often to draw from each of several sources, and there is one; pass a list.")
    if not names:
        raise ValueError("The list of sources is empty; name at least one protocol or converted folder.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]!r} is in the list of sources twice.")
    opened = [
        open_source(
            name,
            _data_dir_of(name, names, data_dir) if several or isinstance(data_dir, Mapping) else data_dir,
            **(options if name == CUSTOM or not several else {}),
            cache_dir=cache_dir,
            num_proc=num_proc,
            streaming=streaming,
        )
        for name in names
    ]
    if not several and not holdout:
        return opened[0].splits
    rows = [rows_of_splits(one.splits) for one in opened]
    parts = dict(zip(_unique_names(names, [splits["train"].name for splits in rows]), rows, strict=True))
    dropped = _drop_test_clips(parts, [_decidable(rule, opened) for rule in rules])
    if not several:
        (splits,) = parts.values()
        if not len(splits["train"]):
            raise ValueError(f"Every training clip of {names[0]} is a test clip of {' or '.join(holdout)}.")
        splits["train"].description = {"held_out": dropped}
        return splits
    if isinstance(mixture, Mapping):
        called = dict(zip(names, parts, strict=True))
        mixture = {called.get(str(key), str(key)): weight for key, weight in mixture.items()}
    own = [
        name for splits in parts.values() if family((one := splits["train"]).name) is None for name in one.class_names
    ]
    for doubt in doubts_about_classes(sorted(set(own)), []):
        logger.warning("%s: %s", ", ".join(parts), doubt)
    joined, left_out = join(parts, mixture)
    for name, count in left_out["duplicates"].items():
        logger.warning("%s: %s training clips are in a source before it as well and count once.", name, f"{count:,}")
    if left_out["tests_that_train"]:
        logger.warning("%s test clips train in another source and do not test.", f"{left_out['tests_that_train']:,}")
    joined["train"].description = {"held_out": dropped, **left_out}
    return joined


def check_sources(source: str | Path | Iterable[str | Path], data_dir: Any = None, **_: Any) -> None:
    """Look whether the data can be there at all, before any long work; arguments as for `load_skeletons`, which raises the same."""
    several = not isinstance(source, (str, Path))
    names = list(map(str, source)) if several and isinstance(source, Iterable) else [str(source)]
    for name in names:
        own = _data_dir_of(name, names, data_dir) if several or isinstance(data_dir, Mapping) else data_dir
        check_source(name, own)


# -- several -----------------------------------------------------------------------------------------------------------


def _data_dir_of(name: str, names: Sequence[str], data_dir: Any) -> Any:
    """The folder of raw files of one of several sources; None for what is not made from raw files."""
    if isinstance(data_dir, Mapping):
        if unknown := [key for key in data_dir if str(key) not in names]:
            raise ValueError(f"data_dir names {unknown[0]!r}, which is no source; the sources are {', '.join(names)}.")
        return data_dir.get(name)
    if data_dir is None or (name not in PROTOCOLS and name != CUSTOM):
        return None
    parent = Path(data_dir).expanduser()
    own = [name, PROTOCOLS[name].dataset] if name in PROTOCOLS else [name]
    return next((parent / folder for folder in own if (parent / folder).exists()), parent)


def _unique_names(sources: Sequence[str], protocols: Sequence[str]) -> list[str]:
    """What the sources are called: like their protocol, or like their folder where that says nothing or not enough."""
    names: list[str] = []
    for source, protocol in zip(sources, protocols, strict=True):
        named = protocol not in ("", CUSTOM) and protocols.count(protocol) == 1
        name = protocol if named else Path(source).name
        names.append(name if name not in names else f"{name} {len(names) + 1}")
    return names


def _drop_test_clips(parts: dict[str, dict[str, SkeletonRows]], rules: Sequence[Protocol]) -> dict[str, int]:
    """Take the test clips of `rules` out of the training splits; how many clips each rule named."""
    dropped = dict.fromkeys((rule.name for rule in rules), 0)
    for name, splits in parts.items():
        rows = splits["train"]
        if rules and family(rows.name) is None:
            logger.warning("%s: its clips belong to no known protocol, so none can be held out of it.", name)
        out = np.zeros(len(rows), dtype=bool)
        for rule in rules:
            hit = held_out(rows, rule)
            dropped[rule.name] += int(hit.sum())
            out |= hit
        if out.any():
            splits["train"] = rows.select(np.flatnonzero(~out))
            logger.warning("%s: %s of %s training clips are held out.", name, f"{out.sum():,}", f"{len(rows):,}")
    for rule_name, count in dropped.items():
        logger.warning("Held out, because %s tests on them: %s training clips.", rule_name, f"{count:,}")
    return dropped


def _decidable(rule: Protocol, opened: Sequence[Source]) -> Protocol:
    """`rule` with the lists that decide it, where they come with the data. Raises ValueError if a source needs them and has none."""
    of_family = [one for one in opened if one.protocol is not None and family(one.protocol.name) == family(rule.name)]
    if not rule.needs_data or not of_family:
        return rule
    for known in (one.protocol for one in of_family if one.protocol is not None):
        if known.name == rule.name and known.split_by == "sample" and known.train:
            return known
    for one in of_family:
        with contextlib.suppress(ValueError):  # its list is not in that folder
            return find_recordings(rule, one.data_dir, one.files).protocol
    if rule.train:
        return rule
    raise ValueError(
        f"holdout names {rule.name}, which is decided by the file {rule.split_files[0]}, and no source has it; add {rule.name} itself, "
        "or a folder converted from it, to the sources."
    )


def describe(data: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """What a run was trained and tested on, as plain JSON values.

    Args:
        data: Splits, as `load_skeletons` returns them.
        name: Name of the data; by default that of the protocol.

    Returns:
        name, class_names, layouts, and for each split its clips, frames and known subjects; `test_ids_sha256` is the hash of the
        sorted ids of the test clips, one a line: two runs with the same hash were tested on the same clips. For a mixture also
        `sources` (clips, share of an epoch, layouts and number of subjects of each; `subjects` is empty then, for sets number
        theirs alike), `duplicates` and `tests_that_train` (see `mixtures.join`); with `holdout`, `held_out`: protocol ->
        training clips that it took away.
    """
    rows = rows_of_splits(data)
    first = next(iter(rows.values()))
    train = rows.get("train", first)
    mixed = train.sources is not None
    test_ids = sorted(rows["test"].sample_ids) if "test" in rows else []
    return {
        "name": name or first.name,
        "class_names": list(first.class_names),
        "layouts": sorted({get_layout(layout).name for part in rows.values() for layout in part.layouts}),
        "counts": {split: len(part) for split, part in rows.items()},
        "frames": {split: int(part.shapes[:, 0].sum()) for split, part in rows.items()},
        "subjects": {} if mixed else {split: known_numbers(part.subjects) for split, part in rows.items()},
        "test_ids_sha256": hashlib.sha256("\n".join(test_ids).encode()).hexdigest(),
        **({"sources": describe_sources(train)} if mixed else {}),
        **{key: value for key, value in train.description.items() if value},
    }
