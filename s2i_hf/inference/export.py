"""Classifiers as files for other runtimes: ONNX, and programs of torch.export.

The model in the file takes images and gives logits, batches of any size. What makes the images is not a part of the graph, as clips
differ in length and people; the file's metadata has it instead, down to the weight of every joint in every image column, so that a
program needs neither torch nor this package to predict (`examples/predict_onnx.py` does with numpy and onnxruntime alone). A file is
written, read back, compared with the model on clips, and only then put in its place; `FILE.json` beside it says what it was made of.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..hub.public_files import digest_of, digest_of_model, sidecar
from ..models.loading import check_model_name
from ..models.saved_models import class_names_of, open_classifier
from ..processing.encoding import encode
from ..processing.layouts import SkeletonLayout, get_layout, layout_json
from ..processing.resizing import joint_weights
from ..readers import ReadError
from ..utils.files import replacing, write_json
from .inputs import find_clips

if TYPE_CHECKING:
    from ..processing.image_processing_skeleton import SkeletonProcessor

FORMATS: dict[str, str] = {"onnx": "model.onnx", "torch": "model.pt2"}  # format -> name of the file
OPSETS = range(18, 24)  # those that torch's exporter writes without a conversion afterwards
TOLERANCE = 1e-4  # largest difference of a logit
_TORCH_METADATA = "s2i.json"  # file of the metadata inside a .pt2
_LARGEST = 2 - 2**-6  # GiB; an ONNX file is one protobuf message, which ends at 2 GiB
_MOST_PEOPLE = 2  # in the joint weights, as in the data sets
_PACKAGES = {"onnx": ("onnx", "onnxruntime", "onnxscript"), "torch": ()}


@dataclass(frozen=True)
class Parity:
    """How an exported file compares with its model on `clips` "real" or "synthetic" (`kind`) clips, one by one and all in one batch.

    `difference` is the largest absolute one of a logit; `same_class` counts the clips whose most probable class is the same.
    """

    clips: int
    difference: float
    same_class: int
    kind: str

    @property
    def holds(self) -> bool:
        """Whether the difference is within `TOLERANCE`; a NaN is not."""
        return self.difference <= TOLERANCE

    def __str__(self) -> str:
        return (
            f"parity on {self.clips} {self.kind} clips, in batches of 1 and {self.clips}: largest difference of a logit "
            f"{self.difference:.2e} (allowed: {TOLERANCE:.0e}), same class in {self.same_class} of {self.clips}"
        )


class _Logits(nn.Module):
    """A classifier as a function from images to logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model(pixel_values=pixel_values).logits


def export_classifier(
    name: str,
    output: str | Path | None = None,
    format: str = "onnx",
    *,
    opset: int = OPSETS[0],
    layout: str | None = None,
    clips: str | Path | None = None,
    overwrite: bool = False,
) -> tuple[Path, Parity]:
    """Write a classifier to one file and compare the file with the model, within `TOLERANCE`.

    Args:
        name: Folder of a fine-tuning, or Hub id.
        output: File to write; None: `model.onnx` or `model.pt2` in the folder.
        format: "onnx", or "torch" for a program of torch.export.
        opset: Version of the ONNX operators, of `OPSETS`.
        layout: Joint format that the metadata is for; None: the processor's.
        clips: Recordings to compare on, anything that `find_clips` reads; None: synthetic clips.
        overwrite: Replace a file that is there.

    Returns:
        The file, and how it compares.

    Raises:
        ValueError: a value is none of those above, the model is no classifier or too large, the file exists, or its logits are not
            the model's (it is then not written).
        FileNotFoundError, ImportError: there is no such model; the packages that the format needs are not installed.
    """
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; expected one of {', '.join(FORMATS)}.")
    if format == "onnx" and opset not in OPSETS:
        raise ValueError(f"opset is {opset}; expected one from {OPSETS[0]} to {OPSETS[-1]}.")
    absent = [package for package in _PACKAGES[format] if find_spec(package) is None]
    if absent:
        raise ImportError(f"export to {format} needs {', '.join(absent)}; install with: pip install 's2i-hf[export]'.")
    file = _target(name, output, format, overwrite)
    model, processor = open_classifier(name)
    classifier = _Logits(model.float().cpu()).eval()
    facts = metadata_of(model, processor, layout)
    joints = get_layout(facts["layout"])
    images, _ = encode(_clips(clips, joints), joints, processor.encoding_options)
    images = images if len(images) > 1 else images.repeat(2, 1, 1, 1)
    program = _trace(classifier, images[:2])
    with replacing(file) as temporary:
        if format == "onnx":
            _write_onnx(program, facts, opset, temporary)
        else:
            with _quiet():
                torch.export.save(program, temporary, extra_files={_TORCH_METADATA: json.dumps(facts)})
        check_private(temporary)
        kind = "synthetic" if clips is None else "real"
        parity = compare(classifier, _reader(temporary, format), images, kind)
        if not parity.holds:
            raise ValueError(f"{format} gives other answers than the model, so nothing was written: {parity}.")
        origin = {  # by which a push knows a stale file
            "source_sha256": digest_of_model(name) if Path(name).is_dir() else None,
            "file_sha256": digest_of(temporary),
            "made_by": f"s2i_hf {version('s2i-hf')}, torch {torch.__version__}",
            "layout": facts["layout"]["name"],
            "image_size": list(images.shape[2:]),
            "num_classes": len(facts["class_names"]),
            "parity": asdict(parity),
        }
    write_json(sidecar(file), origin, indent=1)
    return file, parity


def metadata_of(model: nn.Module, processor: SkeletonProcessor, layout: str | None = None) -> dict[str, Any]:
    """What a program needs to make images of joints and to name the classes, as JSON types.

    Returns:
        s2i_export: version of this form. s2i_hf: version of the package. processor: content of preprocessor_config.json. layout:
        `SkeletonLayout.to_dict()`. parents and center_joints: joints by index. joint_weights: number of people (text) -> one row of M * V
        numbers for each image column; person by person, joints as the layout lists them. class_names.

    Raises:
        ValueError: neither `layout` nor the processor says what the joint format is, or it is unknown.
    """
    layout = processor.layout if layout is None else layout
    if layout is None:
        raise ValueError("the processor names no joint format; pass --layout, such as kinect_v2.")
    joints = get_layout(layout)
    options = processor.encoding_options
    width = options.size[1]
    people = 1 if options.people == "first" else max(1, min(_MOST_PEOPLE, width // 5))

    def weights(count: int) -> list[list[float]]:  # the same float32 again, in as few digits as that takes
        rows = joint_weights(joints, count, width, options.columns).astype(np.float32)
        return [[float(f"{weight:.9g}") if weight else 0 for weight in row] for row in rows]

    return {
        "s2i_export": "1",
        "s2i_hf": version("s2i-hf"),
        "processor": {**processor.to_dict(), "layout": layout_json(joints)},
        "layout": joints.to_dict(),
        "parents": list(joints.parents),
        "center_joints": list(joints.center_indices),
        "joint_weights": {str(count): weights(count) for count in range(1, people + 1)},
        "class_names": class_names_of(model),
    }


def _target(name: str, output: str | Path | None, format: str, overwrite: bool) -> Path:
    usual = FORMATS[format]
    check_model_name(name)
    if output is None and not Path(name).is_dir():
        raise ValueError(f"{name!r} is no folder to put {usual} into; pass --output FILE.")
    file = Path(output).expanduser() if output is not None else Path(name) / usual
    if file.is_dir() or file.suffix != (suffix := Path(usual).suffix):
        raise ValueError(f"--output is {str(file)!r}; expected a file that ends in {suffix}.")
    if file.exists() and not overwrite:
        raise ValueError(f"{file} exists; pass --overwrite to replace it, or another --output.")
    return file


# --- the two formats --------------------------------------------------------------------------------------------------


def _trace(model: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    """The program of a module from (B, 3, H, W) images to logits, for any B; of two images or more, as one would fix B at one."""
    free = {"pixel_values": {0: torch.export.Dim("batch", min=1, max=4096)}}
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(model, (torch.zeros_like(images),), dynamic_shapes=free)
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"torch.export cannot trace this model for batches of any size: {first}") from error
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # lines of this machine's files
    return program


def _write_onnx(program: torch.export.ExportedProgram, facts: dict[str, Any], opset: int, file: Path) -> None:
    """Write a program as ONNX, with `facts` and the names of input and output in its metadata."""
    import onnx
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    size = sum(tensor.nbytes for tensor in program.state_dict.values()) / 2**30
    if size > _LARGEST:
        raise ValueError(f"the weights are {size:.1f} GiB, and one ONNX file holds 2 GiB; use --format torch.")
    options: dict[str, Any] = {"input_names": ["pixel_values"], "output_names": ["logits"], "opset_version": opset}
    with _quiet():
        exported: Any = torch.onnx.export(program, dynamo=True, verbose=False, optimize=True, **options)
    ClearMetadataAndDocStringPass()(exported.model)  # what the exporter noted of its own doing
    facts = {**facts, "opset": opset, "input": "pixel_values", "output": "logits"}
    exported.model.metadata_props.clear()
    for key, value in facts.items():
        exported.model.metadata_props[key] = value if isinstance(value, str) else json.dumps(value)
    proto = exported.model_proto
    del proto.graph.value_info[:]
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(proto)
    file.write_bytes(proto.SerializeToString())


def _reader(file: Path, format: str) -> Callable[[np.ndarray], np.ndarray]:
    """A file as a function from images (B, 3, H, W) float32 to logits (B, C)."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        return lambda images: session.run(["logits"], {"pixel_values": images})[0]
    with _quiet():
        module: Any = torch.export.load(file).module()
    return lambda images: module(torch.from_numpy(images)).detach().numpy()


def check_private(file: Path) -> None:
    """Raise RuntimeError if a path of this machine is in the file."""
    parts = [file.read_bytes()]
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            parts = list(map(archive.read, archive.namelist()))
    places = {f"{place}{os.sep}" for place in (Path.home(), Path.cwd(), Path(__file__).parent, sys.prefix)}
    for place in ("site-packages", *places):
        if len(place) > 5 and any(place.encode() in part for part in parts):  # shorter ones occur by chance
            raise RuntimeError(f"the export holds the path {place!r} of this machine; this is a fault here.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporters say about packages and functions of their own."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)


# --- clips to compare on ----------------------------------------------------------------------------------------------


def synthetic_clips(num_joints: int, count: int, seed: int = 0) -> list[np.ndarray]:
    """`count` clips (T, 1, V, 3) float32 in metres, T from 20 to 119: bodies that walk at random in front of a sensor."""
    rng = np.random.default_rng(seed)
    clips = []
    for _ in range(count):
        walk = rng.normal(0, 0.02, (int(rng.integers(20, 120)), 1, num_joints, 3)).cumsum(axis=0)
        clips.append((walk + rng.uniform(-0.9, 0.9, (1, 1, num_joints, 3)) + [0, 0, 3]).astype(np.float32))
    return clips


def _clips(place: str | Path | None, layout: SkeletonLayout, most: int = 16) -> list[np.ndarray]:
    """Up to `most` clips of a joint format; synthetic ones if there is no place to read from."""
    if place is None:
        return synthetic_clips(layout.num_joints, most)
    read = (clip for _, clip in find_clips(place, default_layout=layout).read() if not isinstance(clip, ReadError))
    fitting = (np.asarray(clip.joints) for clip in read if get_layout(clip.layout) == layout)
    if not (chosen := list(islice(fitting, most))):
        raise ValueError(f"{place} holds no clip with the joints of {layout.name!r}, which the file is for.")
    return chosen


@torch.no_grad()
def compare(model: nn.Module, run: Callable[[np.ndarray], np.ndarray], images: Tensor, kind: str) -> Parity:
    """Compare a model, images (B, 3, H, W) -> logits (B, C), with `run`, the same on numpy arrays, image by image and on all at once."""
    difference, same = 0.0, np.ones(len(images), dtype=bool)
    pixels = images.numpy()
    for batches in (np.split(pixels, len(pixels)), [pixels]):
        theirs = np.concatenate([run(batch) for batch in batches])
        ours = np.concatenate([model(torch.from_numpy(batch)).numpy() for batch in batches])
        if theirs.shape != ours.shape:
            raise ValueError(f"the exported model gives {theirs.shape} logits; the model gives {ours.shape}.")
        worst = float(np.abs(theirs - ours).max())
        difference = worst if not worst <= difference else difference  # keeps a NaN
        same &= theirs.argmax(axis=1) == ours.argmax(axis=1)
    return Parity(len(images), difference, int(same.sum()), kind)


def run(model: str, format: str, opset: int, **options: Any) -> int:
    """`s2i export`: write the file and say what it is."""
    file, parity = export_classifier(model, format=format, opset=opset, **options)
    facts = json.loads(sidecar(file).read_text(encoding="utf-8"))
    kind = f"ONNX, opset {opset}" if format == "onnx" else f"torch.export program, torch {torch.__version__}"
    height, width = facts["image_size"]
    print(f"{file}: {kind}, {file.stat().st_size / 2**20:.1f} MiB")
    print(f"pixel_values (batch, 3, {height}, {width}) float32 -> logits (batch, {facts['num_classes']}); any batch")
    print(f"metadata: how joints of {facts['layout']} become images, and the names of the classes\n{parity}")
    return 0
