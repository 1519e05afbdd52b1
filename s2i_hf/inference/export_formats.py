"""The two forms of an exported classifier: bytes of an ONNX file and of a torch.export program, and how each is run and read.

Both carry metadata, and neither carries what the exporters note of the machine that they ran on: stack traces with the paths of its files.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..hub.export_source import SOURCE

OPSETS = range(18, 24)  # those that torch's exporter writes without a conversion afterwards
_TORCH_METADATA = "s2i.json"  # file of the metadata inside a .pt2
_LARGEST = 2**31 - 2**24  # bytes; an ONNX file is one protobuf message, which ends at 2 GiB


def export_program(model: nn.Module, images: Tensor) -> Any:
    """The `torch.export` program of a module from images to logits, with any number of images.

    Args:
        model: (B, 3, H, W) -> (B, C), in evaluation mode.
        images: Two images or more; one would make the program for one alone.

    Raises:
        ValueError: torch cannot trace the model with a batch size that is free.
    """
    free = {"pixel_values": {0: torch.export.Dim("batch", min=1, max=4096)}}
    try:
        with _quiet(), torch.no_grad():
            program: Any = torch.export.export(model, (torch.zeros_like(images),), dynamic_shapes=free)
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"torch.export cannot trace this model for batches of any size: {first}") from error
    for module in program.graph_module.modules():
        for node in module.graph.nodes if hasattr(module, "graph") else ():
            node.meta.pop("stack_trace", None)  # lines of this machine's files
    return program


def onnx_bytes(program: Any, facts: dict[str, Any], opset: int) -> bytes:
    """An ONNX file of a program, with `facts` and the names of input and output in its metadata.

    Raises:
        ValueError: the weights are more than one ONNX file holds.
    """
    import onnx

    size = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    if size > _LARGEST:
        raise ValueError(
            f"the weights are {size / 2**30:.1f} GiB, and one ONNX file holds 2 GiB; use --format torch for this model."
        )
    with _quiet():
        exported: Any = torch.onnx.export(
            program, dynamo=True, opset_version=opset, input_names=["pixel_values"], output_names=["logits"],
            verbose=False, optimize=True,
        )  # fmt: skip
    proto = exported.model_proto
    _strip(proto)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    proto.producer_version = torch.__version__
    for key, value in {**facts, "opset": opset, "input": "pixel_values", "output": "logits"}.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def _strip(proto: Any) -> None:
    """Take out what the exporter noted of its own doing: stack traces with paths of this machine, names in the source."""
    del proto.graph.value_info[:]
    for function in proto.functions:
        del function.metadata_props[:]
    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    for part in (proto, proto.graph, *nodes, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


def torch_bytes(program: Any, facts: dict[str, Any]) -> bytes:
    """A .pt2 file of a program, with `facts` as JSON inside."""
    stream = io.BytesIO()
    with _quiet():
        torch.export.save(program, stream, extra_files={_TORCH_METADATA: json.dumps(facts)})
    return stream.getvalue()


def read_metadata(file: str | Path) -> dict[str, Any]:
    """Metadata of an exported file, as `metadata_of` gives it; of an ONNX file with opset, input and output as well.

    Raises:
        ValueError: it is neither, or was not exported by this package.
    """
    path, props = Path(file), {}
    if path.suffix == ".onnx":
        import onnx

        props = {entry.key: entry.value for entry in onnx.load(str(path), load_external_data=False).metadata_props}
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.endswith(f"/{_TORCH_METADATA}")]
            props = json.loads(archive.read(inside[0])) if inside else {}
    if "s2i_export" not in props:
        raise ValueError(f"{path.name} has no metadata of `s2i export`.")
    text = ("s2i_export", "s2i_hf", "input", "output", SOURCE)
    return {
        key: json.loads(value) if isinstance(value, str) and key not in text else value for key, value in props.items()
    }


def run_onnx(file: str) -> Callable[[np.ndarray], np.ndarray]:
    """An ONNX file as a function from images (B, 3, H, W) float32 to logits (B, C)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["logits"], {"pixel_values": images})[0]


def run_torch(file: str) -> Callable[[np.ndarray], np.ndarray]:
    """A .pt2 file as a function from images (B, 3, H, W) float32 to logits (B, C)."""
    with _quiet():
        module: Any = torch.export.load(file).module()
    return lambda images: module(torch.from_numpy(images)).detach().numpy()


def check_private(content: bytes) -> None:
    """Raise RuntimeError if a path of this machine is in the file."""
    parts: Sequence[bytes] = [content]
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = [archive.read(name) for name in archive.namelist()]
    places = {f"{place}{os.sep}" for place in (Path.home(), Path.cwd(), Path(__file__).parent, sys.prefix)}
    for place in (
        *(place for place in places if len(place) > 5),
        "site-packages",
    ):  # shorter ones occur in weights by chance
        if any(place.encode() in part for part in parts):
            raise RuntimeError(f"the export holds the path {place!r} of this machine; this is a fault here.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporters say about packages and functions of their own."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
