"""A part of a ViT-MAE's weights, with new ones for the rest: where do weights that were carried over stop helping?

    python benchmarks/vision_parts.py --model FOLDER --keep layers=4 --output_dir OUT

--keep patch_projection: the projection of patches alone. layers=K: that, the CLS token and the first K layers of the encoder. encoder: all
of the encoder, with its last norm and its positions, and a new decoder. all: everything. The rest is drawn from --seed as in a new model;
OUT is a folder as `ViTMAEForPreTraining.from_pretrained` and `s2i pretrain --model` take it.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from s2i_hf.models.building import build_mae, pretraining_class
from s2i_hf.models.initialization import initialize_mae
from s2i_hf.models.loading import load_config
from s2i_hf.utils.arguments import arg, parse, run_main

_PROJECTION, _CLASS, _LAYER = "vit.embeddings.patch_embeddings.", "vit.embeddings.cls_token", r"vit\.layers\.(\d+)\."


@dataclass
class PartArguments:
    """Settings of this program."""

    model: str = arg(help="Folder or Hub id of a ViTMAE.")
    keep: str = arg(help="patch_projection, layers=K, encoder or all.")
    output_dir: str = arg(help="Where to; what is there is replaced.")
    seed: int = arg(0, "Of the new weights.")


def is_kept(name: str, keep: str) -> bool:
    """Whether a tensor of a ViTMAE is one of those that are carried over."""
    if keep in ("all", "encoder"):
        return keep == "all" or name.startswith("vit.")
    if name.startswith(_PROJECTION):
        return True
    layer = re.match(_LAYER, name)
    return keep != "patch_projection" and (name == _CLASS or (layer is not None and int(layer[1]) < _layers(keep)))


def _layers(keep: str) -> int:
    found = re.fullmatch(r"layers=(\d+)", keep)
    if found is None:
        raise ValueError(f"--keep is {keep!r}; expected patch_projection, layers=K, encoder or all.")
    return int(found[1])


def carry_over(arguments: PartArguments) -> Path:
    """Write the folder, whole or not at all.

    Raises:
        ValueError: an unknown part, more layers than there are, or a model that is no ViTMAE.
        FileNotFoundError: there is no such model.
    """
    if arguments.keep not in ("patch_projection", "encoder", "all"):
        _layers(arguments.keep)
    size = getattr(load_config(arguments.model), "image_size", 224)
    source = build_mae(arguments.model, image_size=size, seed=arguments.seed)
    depth = source.config.num_hidden_layers
    if arguments.keep.startswith("layers") and not 1 <= _layers(arguments.keep) <= depth:
        raise ValueError(f"--keep is {arguments.keep}, but {arguments.model} has {depth} layers; keep 1 to {depth}.")
    model = pretraining_class(source.config)(source.config)
    initialize_mae(model, arguments.seed)
    kept = {name: tensor for name, tensor in source.state_dict().items() if is_kept(name, arguments.keep)}
    model.load_state_dict(kept, strict=False)
    numbers = sum(tensor.numel() for tensor in kept.values())
    total = sum(tensor.numel() for tensor in model.state_dict().values())
    print(
        f"Kept: {arguments.keep}, {len(kept)} of {len(model.state_dict())} tensors, {numbers:,} of {total:,} numbers."
    )
    folder = Path(arguments.output_dir)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.to(torch.float32).save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def main() -> None:
    print(f"Done: {carry_over(parse(PartArguments, description=__doc__))}")


if __name__ == "__main__":
    run_main(main)
