"""`s2i infill`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..inference.infilling import OUTPUTS, infill as fill, load_infilling_model
from ..inference.infilling_gaps import fill_linear, fill_mean_pose, lost_joints, mean_error, mean_pose
from ..inference.inputs import check_protocol, clips_of_file
from ..processing.layouts import LayoutLike, get_layout
from ..processing.skeleton_sequence import SkeletonSequence
from ..processing.suggestions import did_you_mean
from ..processing.transforms import find_missing
from ..readers import LeftOut, ReadError
from ..readers.raw_files import without_gz
from ..utils.arguments import arg
from ..visualization.infilling import FilledRow, draw_infilling
from .recordings import FolderArguments

_MOST_CLIPS = 10_000


@dataclass
class InfillArguments(FolderArguments):
    """Flags of `s2i infill`."""

    clip: str = arg(help="A recording: .skeleton, NW-UCLA .json, .npy, or what `s2i inspect` knows.", positional=True)
    model: str = arg(help="Folder or Hub id of a pretrained MAE or DiffMAE.")
    drop_joints: str | None = arg(
        None, "Joints or body parts to take out and fill, such as left_arm,Head; left_arm@10:20: in these frames alone."
    )
    drop_frames: str | None = arg(None, "Frames to take out and fill: from A (the first is 0) to before B: A:B,C:D.")
    samples: int = arg(1, "Answers of a DiffMAE, for their mean and spread.")
    steps: int | None = arg(None, "Sampling steps of a DiffMAE; 1 for the mean of what may be there, 50 for samples.")
    seed: int = arg(0, "Of a DiffMAE's noise.")
    protocol: str | None = arg(None, "Whose recording it is, where its name does not say it, such as ntu60_xsub.")
    sample_id: str | None = arg(None, "Which clip, of a file that holds several.")
    data: str | None = arg(None, "Protocol or converted folder whose mean pose is compared as well.")
    data_dir: str | None = arg(None, "Folder with the raw recordings of --data.")
    output: str | None = arg(None, "Write the filled clip: .npy; .npz with all samples; .json.")
    picture: str | None = arg(None, "Draw it: .png.")

    def __post_init__(self) -> None:
        """Checks of everything that can be known before a model is loaded."""
        if self.output and Path(self.output).suffix not in OUTPUTS:
            raise ValueError(f"--output is {self.output!r}; expected a name that ends in {', '.join(OUTPUTS)}.")
        if self.picture and find_spec("matplotlib") is None:
            raise ImportError("--picture needs matplotlib: pip install 's2i-hf[viz]'.")
        if self.picture and Path(self.picture).suffix.lower() != ".png":
            raise ValueError(f"--picture is {self.picture!r}; expected a name that ends in .png.")
        for flag, value in (("samples", self.samples), ("steps", self.steps)):
            if value is not None and value < 1:
                raise ValueError(f"--{flag} is {value}; expected 1 or more.")
        if self.data_dir is not None and self.data is None:
            raise ValueError("--data-dir needs --data: the protocol whose raw files it holds, such as nw_ucla_xview.")
        for flag, name in (("output", self.output), ("picture", self.picture)):
            if not name:
                continue
            file = Path(name).absolute()
            folder = next(folder for folder in file.parents if folder.exists())
            if file.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
                raise ValueError(
                    f"--{flag} {name!r} cannot be written; expected the name of a file in a folder of yours."
                )
        file = Path(self.clip).expanduser()
        if not file.is_file():
            kind = "a folder" if file.is_dir() else "not there"
            raise ValueError(f"{file} is {kind}; expected one recording, such as clip.skeleton, .json or .npy.")
        check_protocol(self.protocol)


def infill(arguments: InfillArguments) -> None:
    """Fill in what a sensor lost.

    s2i infill clip.skeleton --model runs/mae_ntu60_xsub --drop-joints left_arm --picture filled.png

    Without --drop_joints and --drop_frames what the sensor itself lost is filled. Prints how well where the truth is known.
    """
    model, processor = load_infilling_model(arguments.model)
    clip = _read_clip(arguments, processor.layout)
    joints, layout, pose = clip.joints, clip.layout, None
    lost = lost_joints(joints, layout, arguments.drop_joints, arguments.drop_frames)
    if arguments.data is not None:
        from ..data.loading import as_rows, load_skeletons

        pose = mean_pose(as_rows(load_skeletons(arguments.data, arguments.data_dir)["train"]), layout)
    options: dict[str, Any] = {"num_samples": arguments.samples}
    if model.config.model_type == "diffmae":
        options |= {"num_inference_steps": arguments.steps, "seed": arguments.seed}
    result = fill(joints, model, processor, missing=lost, layout=layout, axes="TMVC", pose=pose, **options)
    rows = {
        {"mae": "MAE", "diffmae": "DiffMAE"}[result.method]: FilledRow(result.joints),
        "linear": FilledRow(fill_linear(joints, lost, layout, pose)),
    }
    if pose is not None:
        rows["mean pose"] = FilledRow(fill_mean_pose(joints, lost, pose))

    unknown = find_missing(joints)
    truth_known = bool((result.filled & ~unknown).any())
    people, hidden = joints.shape[1], int(result.mask.sum())
    print(
        f"{clip.sample_id}: {len(joints)} frames, {people} {'person' if people == 1 else 'people'}, layout {layout.name}; "
        f"{int(result.filled.sum()):,} of {result.filled.size:,} joints filled, {hidden} of {len(result.mask)} patches hidden"
    )
    if processor.layout is not None and (own := get_layout(processor.layout).name) != layout.name:
        print(f"  The model was pretrained on layout {own}; on {layout.name} expect less of it.")
    spread = float(result.spread[result.filled].mean()) * (1000.0 if result.unit == "mm" else 1.0)
    for number, (name, row) in enumerate(rows.items()):
        parts = []
        if truth_known:
            parts.append(f"error {mean_error(row.joints, joints, result.filled, layout):.1f} {result.unit}")
        if number == 0 and arguments.samples > 1:
            row.samples = result.samples
            name += f", mean of {arguments.samples} samples"
            parts.append(f"spread {spread:.1f} {result.unit}")
        row.caption = "\n".join(parts)
        if parts:
            print(f"  {name:32s} {'   '.join(parts)}")
    if not truth_known:
        print("  The sensor itself lost these joints, so the truth is not known and there is no error to state.")
    elif pose is None:
        print("  The mean pose is compared as well with --data (a protocol with --data-dir, or a converted folder).")
    if arguments.output:
        result.write(arguments.output)
        print(f"Written to {arguments.output}.")
    if arguments.picture:
        named = [arguments.drop_joints, arguments.drop_frames and f"frames {arguments.drop_frames}"]
        what = f"{' and '.join(filter(None, named))} lost" if any(named) else "what the sensor lost"
        truth = np.where(unknown[..., None], np.nan, joints) if truth_known else None
        draw_infilling(rows, result.filled, layout, arguments.picture, truth, f"{clip.sample_id}: {what}")
        print(f"Drawn in {arguments.picture}.")


def _read_clip(arguments: InfillArguments, default_layout: LayoutLike | None) -> SkeletonSequence:
    """The clip in the file, or the one that is named of several."""
    file, wanted = Path(arguments.clip).expanduser(), arguments.sample_id
    name = without_gz(file.name)
    read, _ = clips_of_file(file, arguments.protocol, default_layout, **arguments.folder_options)
    clips = []
    for clip in islice(read, _MOST_CLIPS):
        if isinstance(clip, LeftOut):
            print(f"left out: {clip}", file=sys.stderr)
        else:
            clips.append(clip)
    found = {clip.sample_id: clip for clip in clips if isinstance(clip, SkeletonSequence)}
    if not found:
        raise next((clip for clip in clips if isinstance(clip, ReadError)), ReadError(f"{name}: holds no clip."))
    first = next(iter(found))
    if wanted is None and len(clips) > 1:
        raise ValueError(f"{name} holds {len(clips):,} clips; choose one with --sample-id, such as {first}.")
    if wanted is not None and wanted not in found:
        raise ValueError(f"{name} holds no clip {wanted!r}.{did_you_mean(wanted, found)}")
    return found[wanted or first]
