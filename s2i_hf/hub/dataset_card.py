"""Dataset cards: README.md of a converted folder, from what was counted in it and from nothing else.

The template is model_cards/dataset.md.j2; its sections carry the first words of the README's figure. The picture of the joints needs
matplotlib; without it the card says so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data.storage import META_FILE, read_meta, readme_header, shard_files
from ..data.stored_clips import custom_layouts, read_facts, read_rows
from ..inspection.statistics import quantile
from ..processing.layouts import PARTS, SkeletonLayout, get_layout
from ..processing.transforms import find_missing
from ..protocols import DATASETS, PROTOCOLS, Dataset
from ..utils.files import write_atomically, write_json
from ..visualization.figures import draw_layout
from .markdown import front_matter_yaml, plain, render
from .preview import FOLDER, write_preview

PICTURE = "layout.png"
# The Hub's own words for how many rows there are, each with the number that it stays below.
_SIZES = (
    ("n<1K", 1e3), ("1K<n<10K", 1e4), ("10K<n<100K", 1e5), ("100K<n<1M", 1e6), ("1M<n<10M", 1e7), ("10M<n<100M", 1e8), ("100M<n<1B", 1e9),
)  # fmt: skip
# Terms of `DATASETS` that the Hub has a name for -> that name; others are "other", with the data set's own page.
_LICENCES = {"CC BY 4.0": "cc-by-4.0", "CC BY-NC 4.0": "cc-by-nc-4.0", "Open Data Commons PDDL 1.0": "pddl"}


@dataclass
class CardCounts:
    """What a card says about rows, in any order: how often a value came, by split and column; layouts; and the first whole pose."""

    values: dict[tuple[str, str], Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    layouts: Counter[str] = field(default_factory=Counter)
    pose: tuple[str, np.ndarray] | None = None

    def add(self, split: str, row: Mapping[str, Any]) -> None:
        """Count a row as `SkeletonSequence.to_row` makes it; `joints` may be left out."""
        frames, people, *_ = row["shape"]
        values = {**row, "frames": frames, "people": people}
        for column in ("frames", "people", "label", "subject", "camera"):
            self.values[split, column][int(values[column])] += 1
        self.layouts[row["layout"]] += 1
        if self.pose is None and "joints" in row:
            self.pose = _pose(row)


def _pose(row: Mapping[str, Any]) -> tuple[str, np.ndarray] | None:
    """Layout and (V, 3) joints of the first person in the first frame that misses no joint; None if there is no such frame."""
    joints = np.asarray(row["joints"], dtype=np.float32).reshape([int(size) for size in row["shape"]])
    whole = np.argwhere(~find_missing(joints).any(axis=2) & (np.abs(joints).max(axis=(2, 3)) > 0))
    if not len(whole):
        return None
    frame, person = whole[0]
    return row["layout"], joints[frame, person].copy()


def write_dataset_card(folder: str | Path, repository: str = "user/repo", preview: int = 0) -> Path:
    """Write README.md, whose path is returned, and, with matplotlib, layout.png into a folder made by `s2i convert`, of any format.

    The card's lines that load the data name the `repository`. With `preview` the Parquet folder also gets the images of so many clips of
    each split. Raises a ValueError if the folder is none, or damaged.
    """
    folder = Path(folder).expanduser()
    meta = read_meta(folder)
    if preview:
        write_preview(folder, meta, preview)
    counts, layouts = CardCounts(), custom_layouts(folder)
    for split, files in shard_files(folder).items():
        for path in files:
            for row in read_facts(path):
                counts.add(split, row)
            if counts.pose is None:
                first = next(read_rows(path, layouts, (0).__eq__), None)
                counts.pose = _pose(first.to_row()) if hasattr(first, "to_row") else None  # type: ignore[union-attr]
    text = dataset_card(meta, counts, folder, repository)
    shown = (folder / FOLDER).is_dir()
    header = readme_header(meta["protocol"], meta["counts"], shown) if meta["format"] == "parquet" else "---\n---\n\n"
    write_atomically(folder / "README.md", header.replace("---\n", f"---\n{front_matter(meta)}", 1) + text)
    if isinstance(meta.get("files"), dict):  # sizes by which an incomplete folder is told
        names = ("README.md", PICTURE, *(f"{FOLDER}/{file.name}" for file in sorted((folder / FOLDER).glob("*"))))
        sizes = {name: (folder / name).stat().st_size for name in names if (folder / name).is_file()}
        meta = {**meta, "files": dict(sorted({**meta["files"], **sizes}.items()))}
        write_json(folder / META_FILE, meta, indent=1)
    return folder / "README.md"


def dataset_card(
    meta: Mapping[str, Any], counts: CardCounts, folder: str | Path | None = None, repository: str = "user/repo"
) -> str:
    """Text of a card, below the YAML header that `storage.readme_header` makes; with a folder, layout.png is drawn there.

    Of s2i.json (`meta`) at least protocol, class_names, counts and format are needed.
    """
    data, expected = _dataset(meta), meta.get("expected") or {}
    layouts = [layout for name, _ in counts.layouts.most_common() if (layout := _layout(name, meta))]
    return render(
        "dataset.md.j2",
        meta=meta,
        data=data,
        title=f"{data.title}, {meta['protocol']}" if data else f"Skeletons: {meta['protocol']}",
        layouts=layouts,
        picture=_draw(meta, counts, folder),
        repository=repository,
        left_out={reason: _number(names) for reason, names in (meta.get("left_out") or {}).items()},
        missing={split: count for split, names in (meta.get("missing") or {}).items() if (count := _number(names))},
        is_complete=bool(expected) and all(expected.get(split) == count for split, count in meta["counts"].items()),
        part_rows=_part_rows,
        count_rows=_count_rows(meta, counts),
        class_rows=_class_rows(meta, counts),
    )


def front_matter(meta: Mapping[str, Any]) -> str:
    """Lines of YAML by which the Hub lists the data, to stand above those of `storage.readme_header`."""
    data = _dataset(meta)
    total = sum(meta["counts"].values())
    values = {
        "pretty_name": f"{data.title}, {meta['protocol']}" if data else str(meta["protocol"]),
        **_licence(data),
        "task_categories": ["video-classification"],
        "tags": ["skeleton", "action-recognition", "s2i-hf"],
        "size_categories": [next((size for size, limit in _SIZES if total < limit), "1B<n<10B")],
    }
    return front_matter_yaml(values)


def _licence(data: Dataset | None) -> dict[str, str]:
    """Entries of the front matter about the terms; none for recordings of one's own, of which nobody has said any."""
    if data is None or data.name == "synthetic":
        return {}
    if known := next((name for words, name in _LICENCES.items() if data.licence.startswith(words)), None):
        return {"license": known}
    name = f"terms-of-{data.name.replace('_', '-')}"
    return {"license": "other", "license_name": name, "license_link": data.homepage}


# -- facts -------------------------------------------------------------------------------------------------------------


def _dataset(meta: Mapping[str, Any]) -> Dataset | None:
    rule = PROTOCOLS.get(meta["protocol"])
    return DATASETS.get(rule.dataset) if rule is not None else None


def _layout(name: str, meta: Mapping[str, Any]) -> SkeletonLayout | None:
    own = meta.get("layouts", {}).get(name)
    try:
        return SkeletonLayout.from_dict(own) if own else get_layout(name)
    except ValueError:
        return None


def _number(names: Any) -> int:
    """How many there are of what s2i.json lists, counts, or has the first few of."""
    if isinstance(names, Mapping):
        return int(names.get("count", 0))
    return len(names) if isinstance(names, list | tuple) else int(names)


def _part_rows(layout: SkeletonLayout) -> list[tuple[str, str]]:
    index = layout.joint_names.index
    joints = {part: ", ".join(f"{index(joint)} {joint}" for joint in layout.parts[part]) for part in PARTS}
    return [(part.replace("_", " "), plain(names)) for part, names in joints.items()]


def _count_rows(meta: Mapping[str, Any], counts: CardCounts) -> list[tuple[str, ...]]:
    """A line for each split: clips, frames, frames a clip, people, subjects, views."""
    rows: list[tuple[str, ...]] = []
    for split, clips in meta["counts"].items():
        cells, frames = ["-"] * 5, counts.values[split, "frames"]
        if clips and frames:
            people = sorted(counts.values[split, "people"].items())
            known = [sum(value >= 0 for value in counts.values[split, column]) for column in ("subject", "camera")]
            cells = [
                f"{sum(value * number for value, number in frames.items()):,}",
                f"{min(frames)} / {quantile(frames, 0.5)} / {max(frames)}",
                ", ".join(f"{number:,} x {value}" for value, number in people),
                *(str(number or "not known") for number in known),
            ]
        rows.append((plain(split), f"{clips:,}", *cells))
    return rows


def _class_rows(meta: Mapping[str, Any], counts: CardCounts) -> list[tuple[object, ...]]:
    """A line for each class, and one for clips of no known class: label, name, clips of each split."""
    names: dict[int, str] = dict(enumerate(meta["class_names"]))
    labels = [counts.values[split, "label"] for split in meta["counts"]]
    if any(of_split[-1] for of_split in labels):
        names[-1] = "not known"
    return [(label, plain(name), *(f"{of_split[label]:,}" for of_split in labels)) for label, name in names.items()]


def _draw(meta: Mapping[str, Any], counts: CardCounts, folder: str | Path | None) -> str:
    """Draw layout.png; returns the name of the layout, "" if there is nothing to draw, or "no matplotlib"."""
    if folder is None or counts.pose is None:
        return ""
    name, joints = counts.pose
    layout = _layout(name, meta)
    if layout is None or len(joints) != layout.num_joints:
        return ""
    try:
        draw_layout(layout, joints, Path(folder) / PICTURE)
    except ImportError:
        return "no matplotlib"
    return layout.name
