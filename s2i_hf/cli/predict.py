"""`s2i predict`: the action in a recording, in every recording of a folder, or in each window of a long one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..inference.inputs import find_clips
from ..inference.prediction import Prediction, predict_clips
from ..inference.windows import frames_in
from ..models.saved_models import open_classifier, pick_device
from ..processing.layouts import get_layout
from ..readers import LeftOut, ReadError
from ..utils.arguments import arg
from .recordings import FolderArguments

_SHOWN = 5  # names of files that were left out


@dataclass
class PredictArguments(FolderArguments):
    """Flags of `s2i predict`."""

    model: str = arg(help="Folder of a fine-tuning, or Hub id.", positional=True)
    clips: str = arg(help="A recording, such as .skeleton or .npy; a folder, zip or converted folder.", positional=True)
    protocol: str | None = arg(None, "Whose recordings they are, where their names do not say it, such as ntu60_xsub.")
    top_k: int = arg(5, "How many classes to name.")
    window: str | None = arg(None, "Classify windows of this length: frames (64) or seconds (2s).")
    stride: str | None = arg(None, "From one window to the next; half a window if none.")
    per_person: bool = arg(False, "A result for each person alone.")
    json: bool = arg(False, "A JSON object a line for each result.")
    strict: bool = arg(False, "Fail in the end if a recording, or part of one, was broken or left out.")
    batch_size: int = arg(32, "Clips a forward pass.")
    device: str = arg("auto", "cpu, cuda, cuda:1 ...; auto takes an accelerator if there is one.")

    def __post_init__(self) -> None:
        for length in filter(None, (self.window, self.stride)):
            frames_in(length, fps=1.0)  # refuses what is no length of time
        if not Path(self.clips).expanduser().exists():
            raise ValueError(f"{self.clips} is not there; expected a recording, a folder or zip archive of them.")


def predict(arguments: PredictArguments) -> None:
    """Name the actions in recordings.

    s2i predict runs/classifier long.skeleton --window 2s --stride 0.5s --per-person

    Results go to stdout as they come, everything else to stderr: a file that is broken, a model of another joint format, the count.
    """
    model, processor = open_classifier(arguments.model)
    found = find_clips(arguments.clips, arguments.protocol, processor.layout, **arguments.folder_options)
    options = {name: getattr(arguments, name) for name in ("top_k", "window", "stride", "per_person", "batch_size")}
    fps = arguments.fps if arguments.fps is not None else found.fps
    results = predict_clips(model, processor, found.read(), fps=fps, device=pick_device(arguments.device), **options)
    log = partial(print, file=sys.stderr, flush=True)
    clips, broken, parts, layouts = 0, 0, 0, set()
    for file, result in results:
        if isinstance(result, LeftOut):
            parts += 1
            log(f"left out: {result}")
            continue
        if isinstance(result, ReadError):
            broken += 1
            log(f"broken: {result}")
            lines = [json.dumps({"file": file, "error": str(result)})] if arguments.json else []
        else:
            clips += 1
            layouts |= {one.layout for one in result}
            lines = [json.dumps(one.to_dict()) for one in result] if arguments.json else list(_lines(result))
        for line in lines:
            print(line, flush=True)
    for reason, names in found.left_out.items():
        shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
        log(f"left out, {reason}: {len(names):,} ({shown})")
    if clips + broken > 1:
        log(f"{clips:,} {'clip' if clips == 1 else 'clips'} classified, {broken:,} broken.")
    if clips + broken == 0:
        raise ValueError(f"{arguments.clips} holds no clip.")
    if clips == 0:
        raise ValueError(f"nothing in {arguments.clips} could be classified; the reasons are above.")
    if arguments.strict and (broken or parts or found.left_out):
        left_out = parts + sum(map(len, found.left_out.values()))
        raise ValueError(f"{broken:,} broken and {left_out:,} left out, which --strict does not accept.")
    own = None if processor.layout is None else get_layout(processor.layout).name
    if own is not None and layouts - {own}:
        log(f"The model was trained on layout {own}; on {', '.join(sorted(layouts - {own}))} expect less of it.")


def _lines(result: list[Prediction]) -> Iterator[str]:
    """A heading, and a line a class for the one result of a clip, or a line a view for several."""
    first = result[0]
    seconds = "" if first.start_seconds is None else f" ({result[-1].stop_seconds:.1f} s)"
    yield f"{first.sample_id or first.file}: {first.num_frames:,} frames{seconds}, layout {first.layout}"
    if len(result) == 1 and first.classes:
        yield from (f"  {100 * score:5.1f} %  {name}" for name, score in first.classes)
        return
    for one in result:
        when = f"{one.start:6d} - {one.stop:6d}"
        if one.start_seconds is not None:
            when = f"{one.start_seconds:8.2f} - {one.stop_seconds:8.2f} s"
        who = "" if one.person is None else f"  person {one.person + 1}"
        what = ", ".join(f"{name} {100 * score:.1f} %" for name, score in one.classes) or "nobody is there"
        yield f"  {when}{who}  {what}"
