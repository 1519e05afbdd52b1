"""`s2i predict`: the action in a recording, in every recording of a folder, or in each window of a long one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..inference.inputs import FoundClips, find_clips
from ..inference.prediction import Prediction, Span, predict_clips
from ..models.saved_models import open_classifier, pick_device
from ..processing.layouts import get_layout
from ..readers import ReadError
from ..utils.arguments import arg
from ..utils.progress import no_progress_bars

_SHOWN = 5  # names of files that were left out


@dataclass
class PredictArguments:
    """Flags of `s2i predict`."""

    model: str = arg(help="Folder of a fine-tuning, or Hub id.", positional=True)
    clips: str = arg(
        help="A recording, such as .skeleton, .json or .npy; a folder, zip archive or converted folder.",
        positional=True,
    )
    layout: str | None = arg(None, "Joint format of .npy, .csv and the like; the model's if none.")
    unit: str | None = arg(None, "m, cm or mm, where a format does not say it.")
    protocol: str | None = arg(None, "Whose recordings they are, where their names do not say it, such as ntu60_xsub.")
    top_k: int = arg(5, "How many classes to name.")
    window: str | None = arg(None, "Classify windows of this length: frames (64) or seconds (2s).")
    stride: str | None = arg(None, "From one window to the next; half a window if none.")
    fps: float | None = arg(None, "Frames a second, where the data set does not say it.")
    per_person: bool = arg(False, "A result for each person alone.")
    json: bool = arg(False, "A JSON object a line for each result.")
    strict: bool = arg(False, "Fail in the end if a recording was broken or left out.")
    batch_size: int = arg(32, "Clips a forward pass.")
    device: str = arg("auto", "cpu, cuda, cuda:1 ...; auto takes an accelerator if there is one.")


def predict(arguments: PredictArguments) -> None:
    """Name the actions in recordings.

    s2i predict runs/classifier long.skeleton --window 2s --stride 0.5s --per-person

    Results go to stdout as they come, everything else to stderr: a file that is broken, a model of another joint format, the count.
    """
    window, stride = (None if word is None else Span.parse(word) for word in (arguments.window, arguments.stride))
    if not Path(arguments.clips).expanduser().exists():  # before a model is loaded
        raise ValueError(f"{arguments.clips} is not there; expected a recording, a folder or zip archive of them.")
    with no_progress_bars(on_terminals=False):
        model, processor = open_classifier(arguments.model)
    found = find_clips(arguments.clips, arguments.layout, arguments.unit, arguments.protocol, processor.layout)
    results = predict_clips(
        model,
        processor,
        found.read(),
        top_k=arguments.top_k,
        window=window,
        stride=stride,
        fps=arguments.fps if arguments.fps is not None else found.fps,
        per_person=arguments.per_person,
        batch_size=arguments.batch_size,
        device=pick_device(arguments.device),
    )
    own = None if processor.layout is None else get_layout(processor.layout).name
    clips, broken, foreign = 0, 0, set()
    for file, result in results:
        if isinstance(result, ReadError):
            broken += 1
            _say(f"broken: {result}")
            if arguments.json:
                print(json.dumps({"file": file, "error": str(result)}), flush=True)
            continue
        clips += 1
        foreign |= {one.layout for one in result} - {own}
        for line in _json_lines(result) if arguments.json else _lines(result):
            print(line, flush=True)
    _end(arguments, found, clips, broken)
    if own is not None and foreign:
        _say(f"The model was trained on layout {own}; on {', '.join(sorted(foreign))} expect less of it.")


def _end(arguments: PredictArguments, found: FoundClips, clips: int, broken: int) -> None:
    """Say what was done if there was more than one thing to do; raise if that is not enough."""
    for reason, names in found.left_out.items():
        shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
        _say(f"left out, {reason}: {len(names):,} ({shown})")
    if clips + broken > 1:
        _say(f"{clips:,} {'clip' if clips == 1 else 'clips'} classified, {broken:,} broken.")
    if clips + broken == 0:
        raise ValueError(f"{arguments.clips} holds no clip.")
    if clips == 0:
        raise ValueError(f"nothing in {arguments.clips} could be classified; the reasons are above.")
    if arguments.strict and (broken or found.left_out):
        raise ValueError(
            f"{broken:,} broken and {sum(map(len, found.left_out.values())):,} left out, which --strict does not accept."
        )


def _json_lines(result: list[Prediction]) -> Iterator[str]:
    for one in result:
        yield json.dumps(one.to_dict())


def _lines(result: list[Prediction]) -> Iterator[str]:
    """A heading, and a line a class for the one result of a clip, or a line a view for several."""
    first = result[0]
    seconds = "" if first.start_seconds is None else f" ({result[-1].stop_seconds:.1f} s)"
    yield f"{first.sample_id or first.file}: {first.num_frames:,} frames{seconds}, layout {first.layout}"
    if len(result) == 1 and first.classes:
        for name, score in first.classes:
            yield f"  {100 * score:5.1f} %  {name}"
        return
    for one in result:
        yield f"  {_when(one)}{_who(one)}  {_what(one)}"


def _when(one: Prediction) -> str:
    if one.start_seconds is None:
        return f"{one.start:6d} - {one.stop:6d}"
    return f"{one.start_seconds:8.2f} - {one.stop_seconds:8.2f} s"


def _who(one: Prediction) -> str:
    return "" if one.person is None else f"  person {one.person + 1}"


def _what(one: Prediction) -> str:
    return ", ".join(f"{name} {100 * score:.1f} %" for name, score in one.classes) or "nobody is there"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
