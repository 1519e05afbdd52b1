"""`s2i infill`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..inference.infilling import InfillingOutput, load_infilling_model
from ..inference.infilling import infill as fill
from ..inference.infilling_baselines import MeanPose, error_unit, fill_linear, fill_mean_pose, mean_error, mean_pose
from ..inference.infilling_gaps import lost_joints
from ..inference.inputs import check_protocol, clips_of_file
from ..processing.layouts import SkeletonLayout, get_layout
from ..processing.skeleton_sequence import SkeletonSequence
from ..processing.suggestions import did_you_mean
from ..processing.transforms import find_missing
from ..readers import ReadError
from ..utils.arguments import arg
from ..utils.files import write_atomically
from ..visualization.infilling import FilledRow, draw_infilling

OUTPUTS: tuple[str, ...] = (".npy", ".npz", ".json")
_MOST_CLIPS = 10_000


@dataclass
class InfillArguments:
    """Flags of `s2i infill`."""

    clip: str = arg(
        help="A recording: .skeleton, NW-UCLA .json, .npy, or whatever else `s2i inspect` knows.", positional=True
    )
    model: str = arg(help="Folder or Hub id of a pretrained MAE or DiffMAE.")
    drop_joints: str | None = arg(
        None,
        "Joints or body parts to take out and fill, such as left_arm,Head; left_arm@10:20: in these frames alone.",
    )
    drop_frames: str | None = arg(
        None, "Frames to take out and fill, from A (the first is 0) up to B, B excluded: A:B; A:B,C:D: both."
    )
    samples: int = arg(1, "Answers of a DiffMAE, for their mean and spread.")
    steps: int | None = arg(
        None,
        "Sampling steps of a DiffMAE; 1 for a single answer, the mean of what may be there, 50 for several samples.",
    )
    seed: int = arg(0, "Of a DiffMAE's noise.")
    layout: str | None = arg(None, "Joint format of .npy, .csv and the like; the model's if none.")
    unit: str | None = arg(None, "m, cm or mm, where a format does not say it.")
    protocol: str | None = arg(None, "Whose recording it is, where its name does not say it, such as ntu60_xsub.")
    sample_id: str | None = arg(None, "Which clip, of a file that holds several.")
    data: str | None = arg(None, "Protocol or converted folder whose mean pose is compared as well.")
    data_dir: str | None = arg(None, "Folder with the raw recordings of --data.")
    output: str | None = arg(None, "Write the filled clip: .npy; .npz with all samples; .json.")
    picture: str | None = arg(None, "Draw it: .png.")

    def __post_init__(self) -> None:
        if self.output and Path(self.output).suffix not in OUTPUTS:
            raise ValueError(f"--output is {self.output!r}; expected a name that ends in {', '.join(OUTPUTS)}.")
        if self.picture and Path(self.picture).suffix.lower() != ".png":
            raise ValueError(f"--picture is {self.picture!r}; expected a name that ends in .png.")
        for flag, value in (("samples", self.samples), ("steps", self.steps)):
            if value is not None and value < 1:
                raise ValueError(f"--{flag} is {value}; expected 1 or more.")


def infill(arguments: InfillArguments) -> None:
    """Fill in what a sensor lost.

    s2i infill clip.skeleton --model runs/mae_ntu60_xsub --drop-joints left_arm --picture filled.png

    Without --drop_joints and --drop_frames what the sensor itself lost is filled. Prints how well where the truth is known.
    """
    for flag in ("output", "picture"):
        _check_target(flag, getattr(arguments, flag))
    _check_clip(arguments.clip, arguments.protocol)  # before a model is loaded
    model, processor = load_infilling_model(arguments.model)
    sequence = read_clip(
        arguments.clip, arguments.layout, arguments.unit, arguments.protocol, arguments.sample_id, processor.layout
    )
    joints, layout = sequence.joints, sequence.layout
    lost = lost_joints(joints, layout, arguments.drop_joints, arguments.drop_frames)
    pose = _mean_pose(arguments, layout)
    diffuses = model.config.model_type == "diffmae"
    options: dict[str, Any] = {"num_samples": arguments.samples}
    if diffuses:
        options |= {"num_inference_steps": arguments.steps, "seed": arguments.seed}
    result = fill(joints, model, processor, missing=lost, layout=layout, pose=pose, **options)

    rows = {("DiffMAE" if diffuses else "MAE"): FilledRow(result.joints)}
    if arguments.samples > 1:
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
    for line in _report(rows, result, joints, truth_known, arguments):
        print(line)
    if arguments.output:
        write(result, Path(arguments.output))
        print(f"Written to {arguments.output}.")
    if arguments.picture:
        draw_infilling(
            rows, result.filled, layout, arguments.picture,
            truth=np.where(find_missing(joints)[..., None], np.nan, joints) if truth_known else None,
            title=f"{sequence.sample_id}: {_what(arguments)}",
        )  # fmt: skip
        print(f"Drawn in {arguments.picture}.")


def _what(arguments: InfillArguments) -> str:
    lost = [arguments.drop_joints or "", f"frames {arguments.drop_frames}" if arguments.drop_frames else ""]
    return " and ".join(word for word in lost if word) + " lost" if any(lost) else "what the sensor lost"


def _report(
    rows: dict[str, FilledRow],
    result: InfillingOutput,
    truth: np.ndarray,
    truth_known: bool,
    arguments: InfillArguments,
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
        count = f", mean of {arguments.samples} samples" if row.samples is not None else ""
        if parts:
            yield f"  {name + count:32s} {'   '.join(parts)}"
    if not truth_known:
        yield "  The sensor itself lost these joints, so the truth is not known and there is no error to state."
    if "mean pose" not in rows and truth_known:
        yield "  The mean pose of a data set is compared as well with --data (a protocol with --data-dir, or a converted folder)."


def _mean_pose(arguments: InfillArguments, layout: SkeletonLayout) -> MeanPose | None:
    if arguments.data is None:
        if arguments.data_dir is not None:
            raise ValueError("--data-dir needs --data: the protocol whose raw files it holds, such as nw_ucla_xview.")
        return None
    from ..data.loading import as_rows, load_skeletons

    return mean_pose(as_rows(load_skeletons(arguments.data, arguments.data_dir)["train"]), layout)


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
