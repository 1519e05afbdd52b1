"""A bundle of converted clips for a machine that gets few megabytes and has no `datasets`: one compressed file a data set, nothing lost.

Joints are kept bit for bit. A coordinate is replaced by the difference of its float32 bits to those of the frame before (small, as joints
move little), the four bytes of these numbers are put into four planes, and zlib finds the upper ones nearly empty: 60 % of the size.
`unpack` makes npz folders of it as `s2i convert` does, whose checksums are those that the bundle was made with.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_plan import SETS

from s2i_hf.data.convert import convert
from s2i_hf.data.loading import load_skeletons
from s2i_hf.data.skeleton_rows import SkeletonRows, rows_of_splits
from s2i_hf.data.storage import META_FILE, FolderWriter, read_meta
from s2i_hf.processing.skeleton_sequence import SkeletonSequence
from s2i_hf.protocols import get_protocol
from s2i_hf.runs.provenance import current_commit
from s2i_hf.utils.files import replacing, write_json

BUNDLE_FILE = "bundle.json"
# protocol -> folder of its raw files; the universal encoder learns from the training clips of all of them
FOLDERS = {**{name: folder for name, (folder, _) in SETS.items()}, "bandai_namco_by_index": "Bandai-Namco"}
TESTED = ("nw_ucla_xview", "utd_mhad_xsub", "msr_action3d_xsub")
_NUMBERS = ("labels", "subjects", "cameras")


def pack_joints(clips: Sequence[np.ndarray]) -> np.ndarray:
    """(4, N) uint8 planes of the bytes of all coordinates of clips (T, M, V, 3) float32, each as its change since the frame before."""
    changes = []
    for clip in clips:
        bits = np.ascontiguousarray(clip, dtype="<f4").view("<u4").reshape(len(clip), -1)
        changes.append(np.diff(bits, axis=0, prepend=np.zeros_like(bits[:1])).T.reshape(-1))
    change = np.concatenate(changes).view("<i4")
    folded = ((change << 1) ^ (change >> 31)).view("<u4")  # small ones of either sign become small numbers
    return np.ascontiguousarray(folded.view(np.uint8).reshape(-1, 4).T)


def unpack_joints(planes: np.ndarray, shapes: np.ndarray) -> list[np.ndarray]:
    """The clips that `pack_joints` took, of these (N, 4) shapes, bit for bit."""
    folded = np.ascontiguousarray(planes.T).reshape(-1).view("<u4")
    change = (folded >> 1) ^ (np.uint32(0) - (folded & 1))
    cuts = np.cumsum(shapes.prod(axis=1))[:-1]
    bits = [
        np.cumsum(part.reshape(-1, shape[0]), axis=1, dtype=np.uint32).T
        for part, shape in zip(np.split(change, cuts), shapes, strict=True)
    ]
    return [np.ascontiguousarray(one).view("<f4").reshape(shape) for one, shape in zip(bits, shapes, strict=True)]


def pack_splits(splits: Mapping[str, SkeletonRows], file: Path) -> None:
    """Write the clips of a data set, one compressed .npz with the columns of each split."""
    columns: dict[str, np.ndarray] = {}
    for split, rows in splits.items():
        numbers = {name: getattr(rows, name).astype(np.int32) for name in _NUMBERS}
        words = {name: np.array(getattr(rows, name), np.str_) for name in ("layouts", "sample_ids")}
        planes = pack_joints([rows.joints(index) for index in range(len(rows))])
        parts = {"shapes": rows.shapes.astype(np.int32), **numbers, **words, **dict(zip("0123", planes, strict=True))}
        columns |= {f"{split}.{name}": values for name, values in parts.items()}
    with replacing(file) as temporary:
        np.savez_compressed(temporary, **columns)  # type: ignore[arg-type]


def unpack_file(file: Path, protocol: str, folder: Path, extra: Mapping[str, Any]) -> None:
    """Make a folder as `s2i convert --format npz` does of a file of `pack_splits`, whole or not at all; `extra` goes into its s2i.json."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with np.load(file, allow_pickle=False) as columns:
        splits = list(dict.fromkeys(name.partition(".")[0] for name in columns.files))
        writer = FolderWriter(partial, get_protocol(protocol), "npz", splits)
        for split in splits:
            numbers = zip(
                *(columns[f"{split}.{name}"].tolist() for name in (*_NUMBERS, "layouts", "sample_ids")), strict=True
            )
            planes = np.stack([columns[f"{split}.{plane}"] for plane in "0123"])
            joints = unpack_joints(planes, columns[f"{split}.shapes"].astype(np.int64))
            for clip, (label, subject, camera, layout, sample_id) in zip(joints, numbers, strict=True):
                writer.write(split, SkeletonSequence(clip, layout, label, subject, camera, sample_id=sample_id))
        writer.close(extra)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def read_bundle(folder: Path) -> dict[str, Any]:
    """What a bundle says of itself: commit, and for each protocol counts, bytes and the checksums of its folder.

    Raises:
        ValueError: the folder holds none.
    """
    try:
        return json.loads((folder / BUNDLE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ValueError(
            f"--bundle {folder} has no readable {BUNDLE_FILE}; make it with `python benchmarks/accuracy_gpu.py bundle --data DIR`."
        ) from None


def unpack(bundle: Path, output: Path) -> dict[str, Path]:
    """Folders of all data sets of a bundle below `output`; what is there already stays. Returns protocol -> folder.

    Raises:
        ValueError: no bundle, or one whose clips are not those that it was made of.
    """
    folders = {}
    for name, one in read_bundle(bundle)["sets"].items():
        folders[name] = folder = output / name
        if not (folder / META_FILE).is_file():
            unpack_file(bundle / f"{name}.npz", name, folder, one["extra"])
        if read_meta(folder)["sha256"] != one["sha256"]:
            raise ValueError(f"{folder} does not hold the clips of {bundle}; delete it, or copy the bundle again.")
    return folders


def make_bundle(
    data: Path, output: Path, sets: Sequence[str], tested: Sequence[str], limit_mb: float, report: Callable[[str], None] = print
) -> float:  # fmt: skip
    """Convert and pack data sets, check what comes out of the bundle again, and say its size.

    Args:
        data: Has a sub-folder of raw files for each set, as in `FOLDERS`, or one named like its protocol made by `s2i convert`.
        output: Becomes the bundle; conversions are kept beside it, in `output`.converted.
        sets, tested: Protocols; of those that are not tested the training clips alone are taken.
        limit_mb: The bundle may have at most so many million bytes.

    Returns:
        Its size in million bytes.

    Raises:
        ValueError: no set is there, or the bundle is too large, and is not made.
    """
    converted, partial = output.with_name(f"{output.name}.converted"), output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    facts: dict[str, Any] = {}
    for name in sets:
        get_protocol(name)
        folder, raw = data / name, data / FOLDERS.get(name, name)
        if not (folder / META_FILE).is_file():
            if not raw.exists():
                report(f"{name}: left out, as neither {raw} nor {folder / META_FILE} is there.")
                continue
            folder = converted / name
            for line in convert(name, raw, folder, "npz").lines():
                report(line)
        splits = rows_of_splits(load_skeletons(folder))
        left = len(splits["test"]) if name not in tested and "test" in splits else 0
        splits = {split: rows for split, rows in splits.items() if len(rows) and (name in tested or split == "train")}
        file, meta = partial / f"{name}.npz", read_meta(folder)
        extra = {key: meta[key] for key in ("split_lists",) if meta.get(key)}
        pack_splits(splits, file)
        unpack_file(file, name, partial / "restored", extra)
        restored = rows_of_splits(load_skeletons(partial / "restored"))
        if not all(same_clips(rows, restored[split]) for split, rows in splits.items()):
            raise ValueError(
                f"{name}: the clips that come out of the bundle are not those that went in; nothing was made."
            )
        counts = {split: len(rows) for split, rows in splits.items()}
        size = file.stat().st_size
        facts[name] = {
            "counts": counts,
            "bytes": size,
            "extra": extra,
            "sha256": read_meta(partial / "restored")["sha256"],
        }
        clips = ", ".join(f"{count:,} {split}" for split, count in counts.items())
        trimmed = f"; its {left:,} test clips are left out, as it is not tested" if left else ""
        report(f"{name}: {clips} clips, {size / 1e6:.1f} MB, float32 bit for bit{trimmed}.")
        shutil.rmtree(partial / "restored")
    total = sum(one["bytes"] for one in facts.values()) / 1e6
    if not facts or total > limit_mb:
        shutil.rmtree(partial, ignore_errors=True)
        raise ValueError(
            f"The bundle would have {total:.1f} MB, above --limit_mb {limit_mb:g}; name fewer --sets, or fewer of them in --tested."
            if facts else f"--data {data} has none of the sets {', '.join(sets)}."
        )  # fmt: skip
    write_json(
        partial / BUNDLE_FILE,
        {"commit": current_commit(), "tested": [one for one in tested if one in facts], "sets": facts},
    )
    shutil.rmtree(output, ignore_errors=True)
    partial.rename(output)
    report(f"{output}: {total:.1f} MB, {len(facts)} data sets.")
    return total


def same_clips(first: SkeletonRows, second: SkeletonRows) -> bool:
    """Whether two splits hold the same clips in the same order, every bit of them."""
    numbers = all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ("shapes", *_NUMBERS))
    words = all(list(getattr(first, name)) == list(getattr(second, name)) for name in ("layouts", "sample_ids"))
    return numbers and words and all(
        first.joints(index).tobytes() == second.joints(index).tobytes() for index in range(len(first))
    )  # fmt: skip
