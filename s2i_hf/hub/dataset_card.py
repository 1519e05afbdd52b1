"""Dataset cards: README.md of a converted folder, from what was counted in it and from nothing else.

The template is model_cards/dataset.md; its sections carry the first words of the README's figure. The picture of the joints needs
matplotlib; without it the card says so.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ..data.storage import META_FILE, read_meta, readme_header
from ..data.stored_clips import custom_layouts, read_facts, read_rows, stored_files
from ..inspection.statistics import quantile
from ..processing.layouts import PARTS, SkeletonLayout, get_layout
from ..processing.transforms import find_missing
from ..protocols import DATASETS, PROTOCOLS, Dataset
from ..utils.files import write_atomically
from ..visualization.layout import draw_layout
from .markdown import front_matter_yaml, markdown_table, plain

PICTURE = "layout.png"
# The Hub's own words for how many rows there are, each with the number that it stays below.
_SIZES = (
    ("n<1K", 1e3), ("1K<n<10K", 1e4), ("10K<n<100K", 1e5), ("100K<n<1M", 1e6), ("1M<n<10M", 1e7), ("10M<n<100M", 1e8), ("100M<n<1B", 1e9),
)  # fmt: skip
# Terms of `DATASETS` that the Hub has a name for -> that name; others are "other", with the data set's own page.
_LICENCES = {"CC BY 4.0": "cc-by-4.0", "Open Data Commons PDDL 1.0": "pddl"}
_COLUMNS = (
    ("joints", "list of float32", "all coordinates, flat: frame by frame, person by person, joint by joint, x y z"),
    ("shape", "list of int32", "their shape: T frames, M people, V joints, 3"),
    ("layout", "string", "joint format: which joint is which"),
    ("label", "class label", "action, 0-based; -1 if not known"),
    ("subject", "int32", "performer as the data set numbers them; -1 if not known"),
    ("camera", "int32", "view as the data set numbers it; -1 if not known"),
    ("body_ids", "list of int64", "the sensor's number of each of the M people"),
    ("sample_id", "string", "name of the clip, unique in the data set"),
)
_UNITS = {
    "m": "Metres, camera frame, y up, neither centred nor scaled.",
    "px": "Image pixels with y up; the third coordinate is 0 where there is no depth.",
    "normalized": "Normalised coordinates, y up; see the documentation of the joint format.",
}


@dataclass
class CardCounts:
    """What a card says about rows; `add` takes them one by one, whatever order they come in."""

    labels: Counter[tuple[str, int]] = field(default_factory=Counter)
    frames: dict[str, Counter[int]] = field(default_factory=dict)
    people: dict[str, Counter[int]] = field(default_factory=dict)
    subjects: dict[str, set[int]] = field(default_factory=dict)
    cameras: dict[str, set[int]] = field(default_factory=dict)
    layouts: Counter[str] = field(default_factory=Counter)
    pose: tuple[str, np.ndarray] | None = None

    def add(self, split: str, row: Mapping[str, Any]) -> None:
        """Count a row as `SkeletonSequence.to_row` makes it; `joints` may be left out."""
        frames, people = int(row["shape"][0]), int(row["shape"][1])
        self.labels[split, int(row["label"])] += 1
        self.frames.setdefault(split, Counter())[frames] += 1
        self.people.setdefault(split, Counter())[people] += 1
        self.subjects.setdefault(split, set()).add(int(row["subject"]))
        self.cameras.setdefault(split, set()).add(int(row["camera"]))
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


def write_dataset_card(folder: str | Path, repository: str = "user/repo") -> Path:
    """Write README.md and, with matplotlib, layout.png into a folder made by `s2i convert`; read its small columns for that.

    Args:
        folder: The converted folder, of any format.
        repository: Where it will be on the Hub, for the lines that load it.

    Returns:
        Path of README.md.

    Raises:
        ValueError: the folder was not made by `s2i convert`, or is damaged.
    """
    folder = Path(folder).expanduser()
    meta = read_meta(folder)
    counts, layouts = CardCounts(), custom_layouts(folder)
    for split, files in stored_files(folder).items():
        for path in files:
            for row in read_facts(path):
                counts.add(split, row)
            if counts.pose is None:
                first = next(read_rows(path, layouts, (0).__eq__), None)
                counts.pose = _pose(first.to_row()) if hasattr(first, "to_row") else None  # type: ignore[union-attr]
    text = dataset_card(meta, counts, folder, repository)
    header = readme_header(meta["protocol"], meta["counts"]) if meta["format"] == "parquet" else "---\n---\n\n"
    write_atomically(folder / "README.md", header.replace("---\n", f"---\n{front_matter(meta)}", 1) + text)
    if isinstance(meta.get("files"), dict):  # sizes by which an incomplete folder is told
        sizes = {name: (folder / name).stat().st_size for name in ("README.md", PICTURE) if (folder / name).is_file()}
        meta = {**meta, "files": dict(sorted({**meta["files"], **sizes}.items()))}
        write_atomically(folder / META_FILE, json.dumps(meta, indent=1) + "\n")
    return folder / "README.md"


def dataset_card(
    meta: Mapping[str, Any], counts: CardCounts, folder: str | Path | None = None, repository: str = "user/repo"
) -> str:
    """Text of a card, below the YAML header that `storage.readme_header` makes.

    Args:
        meta: Entries of s2i.json: at least protocol, class_names, counts and format.
        counts: What was counted in the rows.
        folder: Where layout.png is to be drawn; None: no picture.
        repository: Where the data will be on the Hub.
    """
    rule = PROTOCOLS.get(meta["protocol"])
    data = DATASETS.get(rule.dataset) if rule is not None else None
    layouts = [_layout(name, meta) for name, _ in counts.layouts.most_common()]
    title = f"{data.title}, {meta['protocol']}" if data else f"Skeletons: {meta['protocol']}"
    total = sum(meta["counts"].values())
    sections = {
        "title": title,
        "summary": f"{total:,} clips of 3D skeletons for action recognition, in {_split_list(meta)}, converted by s2i-hf.",
        "source": _source(meta, data),
        "conversion": _conversion(meta),
        "columns": _table(
            ("column", "type", "what it holds"), ((f"`{name}`", kind, text) for name, kind, text in _COLUMNS)
        ),
        "units": "\n".join(_UNITS[unit] for unit in dict.fromkeys(layout.unit for layout in layouts if layout)),
        "layout": "\n\n".join(_joints(layout) for layout in layouts if layout) + _picture(meta, counts, folder),
        "counts": _counts(meta, counts),
        "classes": _classes(meta, counts),
        "usage": _usage(meta, layouts, repository),
        "use": _intended(data),
        "terms": _terms(data),
    }
    template = Template(resources.files("s2i_hf.model_cards").joinpath("dataset.md").read_text(encoding="utf-8"))
    return re.sub(r"\n{3,}", "\n\n", template.substitute(sections))


def front_matter(meta: Mapping[str, Any]) -> str:
    """Lines of YAML by which the Hub lists the data, to stand above those of `storage.readme_header`."""
    rule = PROTOCOLS.get(meta["protocol"])
    data = DATASETS[rule.dataset] if rule is not None else None
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
    known = next((name for words, name in _LICENCES.items() if data.licence.startswith(words)), None)
    if known:
        return {"license": known}
    return {
        "license": "other",
        "license_name": f"terms-of-{data.name.replace('_', '-')}",
        "license_link": data.homepage,
    }


# -- sections ----------------------------------------------------------------------------------------------------------


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return markdown_table(header, ([plain(cell) for cell in row] for row in rows))


def _cell(value: Any) -> str:
    return plain(value).replace("|", "\\|")


def _split_list(meta: Mapping[str, Any]) -> str:
    names = [f"{split} ({count:,})" for split, count in meta["counts"].items()]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _layout(name: str, meta: Mapping[str, Any]) -> SkeletonLayout | None:
    own = meta.get("layouts", {}).get(name)
    try:
        return SkeletonLayout.from_dict(own) if own else get_layout(name)
    except ValueError:
        return None


def _source(meta: Mapping[str, Any], data: Dataset | None) -> str:
    if data is None:
        return "Recordings of one's own, not one of the known data sets."
    facts = [
        ("data set", data.title), ("home", f"<{data.homepage}>" if data.homepage else "none"), ("licence", data.licence),
        ("cite", data.citation), ("split rule", meta.get("source") or "see the data set"), ("complete set", data.size),
        ("frames a second", f"{data.fps:g}" if data.fps else "varies"),
    ]  # fmt: skip
    rows = [(name, value if name == "home" else _cell(value)) for name, value in facts]
    return "\n".join(["| fact | value |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def _conversion(meta: Mapping[str, Any]) -> str:
    made_by, denoise = meta.get("made_by", "s2i-hf"), meta.get("denoise", True)
    command = meta.get("command", f"s2i convert {meta['protocol']} --format {meta['format']}")
    text = f"```sh\n{command} --data-dir DATA --output OUT\n```\n\n{made_by}; " + (
        "actors were chosen among the tracked bodies." if denoise else "all tracked bodies were kept."
    )
    broken, left_out = meta.get("broken") or [], meta.get("left_out") or {}
    if broken:
        text += f" {len(broken):,} recording{'s' if len(broken) > 1 else ''} could not be read, the first: {_cell(broken[0])}"
    for reason, names in left_out.items():
        count = (
            len(names)
            if isinstance(names, (list, tuple))
            else names.get("count", 0)
            if isinstance(names, dict)
            else names
        )
        text += f" Not read, {_cell(reason)}: {count:,}."
    return text + _missing(meta)


def _missing(meta: Mapping[str, Any]) -> str:
    """How many clips the complete data set has beyond these."""
    parts = []
    for split, missing in (meta.get("missing") or {}).items():
        count = missing.get("count", 0) if isinstance(missing, Mapping) else int(missing)
        parts += [f"{count:,} of {split}"] if count else []
    if parts:
        return f" Missing from the complete data set: {', '.join(parts)}."
    expected = meta.get("expected") or {}
    complete = expected and all(expected.get(split) == count for split, count in meta["counts"].items())
    return " The counts are those of the complete data set." if complete else ""


def _joints(layout: SkeletonLayout) -> str:
    lines = [f"`{layout.name}`, {layout.num_joints} joints ({layout.source or 'see s2i.json'}), part by part:"]
    rows = [
        (
            part.replace("_", " "),
            ", ".join(f"{layout.joint_names.index(joint)} {joint}" for joint in layout.parts[part]),
        )
        for part in PARTS
    ]
    return "\n\n".join([*lines, _table(("part", "joints, top-down, with their index"), rows)])


def _counts(meta: Mapping[str, Any], counts: CardCounts) -> str:
    rows = []
    for split, clips in meta["counts"].items():
        frames, people = counts.frames.get(split), counts.people.get(split)
        if not clips or not frames or not people:
            rows.append((split, f"{clips:,}", *["-"] * 5))
            continue
        total = sum(value * number for value, number in frames.items())
        spread = f"{min(frames)} / {quantile(frames, 0.5)} / {max(frames)}"
        folks = ", ".join(f"{number:,} x {value}" for value, number in sorted(people.items()))
        rows.append(
            (
                split,
                f"{clips:,}",
                f"{total:,}",
                spread,
                folks,
                _known(counts.subjects[split]),
                _known(counts.cameras[split]),
            )
        )
    header = ("split", "clips", "frames", "frames a clip (min / median / max)", "clips x people", "subjects", "views")
    return _table(header, rows)


def _known(values: set[int]) -> str:
    known = {value for value in values if value >= 0}
    return str(len(known)) if known else "not known"


def _classes(meta: Mapping[str, Any], counts: CardCounts) -> str:
    splits = list(meta["counts"])
    rows = [
        (label, name, *(f"{counts.labels[split, label]:,}" for split in splits))
        for label, name in enumerate(meta["class_names"])
    ]
    unknown = [counts.labels[split, -1] for split in splits]
    if any(unknown):
        rows.append((-1, "not known", *(f"{count:,}" for count in unknown)))
    return _table(("label", "class", *splits), rows) if rows else "No classes."


def _usage(meta: Mapping[str, Any], layouts: Sequence[SkeletonLayout | None], repository: str) -> str:
    layout = layouts[0].name if layouts and layouts[0] else "kinect_v2"
    plain = (
        "Plain `datasets` reads it, streaming too:\n\n```python\nfrom datasets import load_dataset\n\n"
        f'data = load_dataset("{repository}")\n```\n\n'
        if meta["format"] == "parquet"
        else ""
    )
    place = repository if meta["format"] == "parquet" else "path/to/this/folder"
    return (
        f"{plain}With s2i-hf joints come in their shape, and become images:\n\n```python\nimport s2i_hf\n"
        "from s2i_hf.data.loading import as_rows\n\n"
        f'data = s2i_hf.load_skeletons("{place}")\nrow = as_rows(data["train"])[0]\n'
        f'processor = s2i_hf.SkeletonProcessor(layout="{layout}")\n'
        'image = processor(row["joints"], return_tensors="pt")["pixel_values"]  # (1, 3, 224, 224)\n```'
    )


def _intended(data: Dataset | None) -> str:
    cite = f" Cite the data set: {_cell(data.citation)}." if data is not None and data.name != "synthetic" else ""
    return (
        "To train and to test models that tell the actions of people apart by their joints, on the split above; the test clips are for the "
        "last number alone, not for choosing. Not for recognising who somebody is, nor for decisions about the people in it."
        + cite
    )


def _terms(data: Dataset | None) -> str:
    whose = f"Terms of the data set: {_cell(data.licence)}. They hold for this copy of it too. " if data else ""
    return (
        f"{whose}Skeletons are recordings of people. `s2i convert --push-to-hub` makes the repository private; make it public only if "
        "the terms of the data set and the people in it allow that."
    )


# -- picture -----------------------------------------------------------------------------------------------------------


def _picture(meta: Mapping[str, Any], counts: CardCounts, folder: str | Path | None) -> str:
    """Draw layout.png, and the line that shows it; or why there is none."""
    if folder is None or counts.pose is None:
        return ""
    name, joints = counts.pose
    layout = _layout(name, meta)
    if layout is None or len(joints) != layout.num_joints:
        return ""
    try:
        draw_layout(layout, joints, Path(folder) / PICTURE)
    except ImportError:
        return "\n\nNo picture of the joints: matplotlib is not installed (`pip install 's2i-hf[viz]'`)."
    return f"\n\n![The joints of {layout.name} in one frame of the data, coloured by part]({PICTURE})"
