"""`s2i infill`: fill in what a recording lost, say how well where the truth is known, and write and draw the result."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..inference.infilling import InfillingOutput, infill, load_infilling_model
from ..inference.infilling_baselines import MeanPose, error_unit, fill_linear, fill_mean_pose, mean_error, mean_pose
from ..inference.infilling_gaps import lost_joints
from ..inference.inputs import check_protocol, clips_of_file
from ..processing.layouts import SkeletonLayout, get_layout
from ..processing.skeleton_sequence import SkeletonSequence
from ..processing.suggestions import did_you_mean
from ..processing.transforms import find_missing
from ..readers import ReadError
from ..utils.files import write_atomically
from ..visualization.infilling import FilledRow, draw_infilling

OUTPUTS: tuple[str, ...] = (".npy", ".npz", ".json")
_MOST_CLIPS = 10_000


@dataclass
class InfillSettings:
    """Flags of `s2i infill`; see `cli`."""

    clip: str
    model: str
    drop_joints: str | None = None
    drop_frames: str | None = None
    samples: int = 1
    steps: int | None = None
    seed: int = 0
    layout: str | None = None
    unit: str | None = None
    protocol: str | None = None
    sample_id: str | None = None
    data: str | None = None
    data_dir: str | None = None
    output: str | None = None
    picture: str | None = None


def run(settings: InfillSettings) -> int:
    """Do it; returns the exit code.

    Raises:
        ValueError, OSError: one sentence on what is wrong. MissingExtra: a picture without matplotlib; all else is done before.
    """
    if settings.output and Path(settings.output).suffix not in OUTPUTS:
        raise ValueError(f"--output is {settings.output!r}; expected a name that ends in {', '.join(OUTPUTS)}.")
    if settings.picture and Path(settings.picture).suffix.lower() != ".png":
        raise ValueError(f"--picture is {settings.picture!r}; expected a name that ends in .png.")
    for flag, value in (("samples", settings.samples), ("steps", settings.steps)):
        if value is not None and value < 1:
            raise ValueError(f"--{flag} is {value}; expected 1 or more.")
    for flag in ("output", "picture"):
        _check_target(flag, getattr(settings, flag))
    _check_clip(settings.clip, settings.protocol)  # before a model is loaded
    model, processor = load_infilling_model(settings.model)
    sequence = read_clip(
        settings.clip, settings.layout, settings.unit, settings.protocol, settings.sample_id, processor.layout
    )
    joints, layout = sequence.joints, sequence.layout
    lost = lost_joints(joints, layout, settings.drop_joints, settings.drop_frames)
    pose = _mean_pose(settings, layout)
    diffuses = model.config.model_type == "diffmae"
    options: dict[str, Any] = {"num_samples": settings.samples}
    if diffuses:
        options |= {"num_inference_steps": settings.steps, "seed": settings.seed}
    result = infill(joints, model, processor, missing=lost, layout=layout, pose=pose, **options)

    rows = {("DiffMAE" if diffuses else "MAE"): FilledRow(result.joints)}
    if settings.samples > 1:
        rows[next(iter(rows))].samples = result.samples
    rows["linear"] = FilledRow(fill_linear(joints, lost, layout, pose))
    if pose is not None:
        rows["mean pose"] = FilledRow(fill_mean_pose(joints, lost, pose))
    truth_known = bool((result.filled & ~find_missing(joints)).any())
    people, hidden = joints.shape[1], int(result.mask.sum())
    print(
        f"{sequence.sample_id}: {len(joints)} frames, {people} {'person' if people == 1 else 'people'}, layout {layout.name}; "
        f"{int(result.filled.sum()):,} of {result.filled.size:,} joints filled, {hidden} of {len(result.mask)} patches hidden"
    )
    if processor.layout is not None and (own := get_layout(processor.layout).name) != layout.name:
        print(f"  The model was pretrained on layout {own}; on {layout.name} expect less of it.")
    for line in _report(rows, result, joints, truth_known, settings):
        print(line)
    if settings.output:
        write(result, Path(settings.output))
        print(f"Written to {settings.output}.")
    if settings.picture:
        draw_infilling(
            rows, result.filled, layout, settings.picture,
            truth=np.where(find_missing(joints)[..., None], np.nan, joints) if truth_known else None,
            title=f"{sequence.sample_id}: {_what(settings)}",
        )  # fmt: skip
        print(f"Drawn in {settings.picture}.")
    return 0


def _what(settings: InfillSettings) -> str:
    lost = [settings.drop_joints or "", f"frames {settings.drop_frames}" if settings.drop_frames else ""]
    return " and ".join(word for word in lost if word) + " lost" if any(lost) else "what the sensor lost"


def _report(
    rows: dict[str, FilledRow], result: InfillingOutput, truth: np.ndarray, truth_known: bool, settings: InfillSettings
) -> Iterator[str]:
    """A line for each method; sets the captions of the rows."""
    unit = error_unit(result.layout)
    factor = 1000.0 if unit == "mm" else 1.0
    for name, row in rows.items():
        parts = []
        if truth_known:
            parts.append(f"error {mean_error(row.joints, truth, result.filled, result.layout):.1f} {unit}")
        if row.samples is not None:
            parts.append(f"spread {float(result.spread[result.filled].mean()) * factor:.1f} {unit}")
        row.caption = "\n".join(parts)
        count = f", mean of {settings.samples} samples" if row.samples is not None else ""
        if parts:
            yield f"  {name + count:32s} {'   '.join(parts)}"
    if not truth_known:
        yield "  The sensor itself lost these joints, so the truth is not known and there is no error to state."
    if "mean pose" not in rows and truth_known:
        yield "  The mean pose of a data set is compared as well with --data (a protocol with --data-dir, or a converted folder)."


def _mean_pose(settings: InfillSettings, layout: SkeletonLayout) -> MeanPose | None:
    if settings.data is None:
        if settings.data_dir is not None:
            raise ValueError("--data-dir needs --data: the protocol whose raw files it holds, such as nw_ucla_xview.")
        return None
    from ..data.loading import as_rows, load_skeletons

    return mean_pose(as_rows(load_skeletons(settings.data, settings.data_dir)["train"]), layout)


def read_clip(
    path: str | Path,
    layout: str | None = None,
    unit: str | None = None,
    protocol: str | None = None,
    sample_id: str | None = None,
    default_layout: Any = None,
) -> SkeletonSequence:
    """Read one clip of whatever format.

    Args:
        path: A recording of a known data set, or of one of the general formats.
        layout, unit: Of a general format; `default_layout` if None, for files that do not say it themselves.
        protocol: Whose recording it is; None: found out.
        sample_id: Which clip of a file that holds several.

    Raises:
        ValueError: no such file, clip or protocol, or nothing that can be read.
    """
    file = _check_clip(path, protocol)
    name = file.name.removesuffix(".gz")
    clips = list(islice(clips_of_file(file, layout, unit, protocol, default_layout)[0], _MOST_CLIPS))
    found = {clip.sample_id: clip for clip in clips if isinstance(clip, SkeletonSequence)}
    if not found:
        raise next((clip for clip in clips if isinstance(clip, ReadError)), ReadError(f"{name}: holds no clip."))
    if sample_id is None:
        if len(clips) > 1:
            raise ValueError(
                f"{name} holds {len(clips):,} clips; choose one with --sample-id, such as {next(iter(found))}."
            )
        return next(iter(found.values()))
    if sample_id not in found:
        raise ValueError(f"{name} holds no clip {sample_id!r}.{did_you_mean(sample_id, found)}")
    return found[sample_id]


def _check_clip(path: str | Path, protocol: str | None) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        kind = "a folder" if file.is_dir() else "not there"
        raise ValueError(f"{file} is {kind}; expected one recording, such as clip.skeleton, .json or .npy.")
    check_protocol(protocol)
    return file


def _check_target(flag: str, name: str | None) -> None:
    """Refuse a file that cannot be written, before anything is computed."""
    if name is None:
        return
    folder = Path(name).parent
    while not folder.exists() and folder != folder.parent:  # it would be made
        folder = folder.parent
    if Path(name).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"--{flag} {name!r} cannot be written; expected the name of a file in a folder of yours.")


def write(result: InfillingOutput, path: Path) -> None:
    """Write a filled clip; the file is there whole or not at all, and readers of arrays take it back.

    Args:
        result: What to write.
        path: .npy: joints (T, M, V, 3) alone; .npz: joints, samples, spread, filled; .json: layout, joints, and filled as
            [frame, person, joint] triples.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        missing = np.isnan(result.joints).any(axis=-1)
        joints: Any = np.round(result.joints.astype(np.float64), 6).astype(object)
        joints[missing] = None  # JSON has no NaN
        content = {
            "layout": result.layout.name,
            "joints": joints.tolist(),
            "filled": np.argwhere(result.filled).tolist(),
        }
        write_atomically(path, json.dumps(content) + "\n")
        return
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            if path.suffix == ".npy":
                np.save(file, result.joints)
            else:
                np.savez_compressed(
                    file, joints=result.joints, samples=result.samples, spread=result.spread, filled=result.filled
                )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
