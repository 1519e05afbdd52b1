"""The run folder of photographs.py as `vision:tiny` of the package: half precision, card, terms, digest.

    python benchmarks/photographs_package.py runs/vision/photographs

Numbers of the weights are rounded to float16, position tables stay as they are, so that a model that is made of the file is the same
number for number everywhere. The card says what photographs.json of the run does. What was there is replaced.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import ViTMAEConfig

from s2i_hf.models.building import MODEL_SIZES
from s2i_hf.models.loading import load_config
from s2i_hf.models.vision_weights import DIGESTS, TERMS, TERMS_FILE, VISION_WEIGHTS
from s2i_hf.utils.arguments import arg, parse, run_main
from s2i_hf.utils.files import write_atomically

NAME = "vision:tiny"
HELD_OUT = 1000  # at most, as in photographs.py
TERMS_PATH = Path(__file__).resolve().parents[1] / TERMS_FILE
CARD = """---
license: other
license_name: {terms}
license_link: {terms_file}
library_name: transformers
tags: [masked-autoencoder, vit_mae, s2i-hf]
---

# {name}

A small vision transformer that has seen photographs: a stock `ViTMAEForPreTraining`, encoder and decoder, for images of
{image_size} x {image_size} pixels in patches of {patch_size}. It comes with s2i-hf, so that skeletons can be learned from vision weights
where `facebook/vit-mae-base` cannot be had; where it can, take that.

```sh
s2i pretrain --model {name} --size {image_size} --data out --output_dir runs/mae
```

**Intended use.** Research and education: a start for the pretraining and fine-tuning of models of skeletons, and for the question of what
photographs give to these. **Not for** commercial use (see Terms), for recognising people, or for decisions about them.

## Model

{shape}.
{numbers} numbers, stored as float16 and opened as float32; the fixed sine-cosine position tables are stored as float32.
Images are normalised with the mean (0.485, 0.456, 0.406) and deviation (0.229, 0.224, 0.225) of ImageNet.

## Data

{seen} of {images} photographs of Tiny ImageNet (64 x 64 pixels, 200 classes, a part of ImageNet), without their labels; {unseen} were
held out.

## Recipe

Masked autoencoding (He et al., arXiv 2111.06377), by `benchmarks/photographs.py` at commit {code}: start {start}, seed {seed},
{passes:g} passes, {steps:,} steps of {batch_size}, AdamW (0.9, 0.95), weight decay 0.05, learning rate {lr:g} after {warmup_steps:,} steps
of warm-up, falling to zero by a cosine; random crops of {low:g} to {high:g} of the area, enlarged to {image_size} x {image_size}, half of
them mirrored; {mask_ratio:.0%} of the patches hidden; pixels normalised patch by patch.

| masked loss | |
|---|---|
| training, at the start (step {first_step:,}) | {first_loss:.4f} |
| training, at the end (step {last_step:,}) | {last_loss:.4f} |
| the {unseen} photographs held out, whole, before rounding to float16 | {held_out_loss:.4f} |

## Limits

- A small model of small photographs: far from what `facebook/vit-mae-base` has seen, in number, size and variety.
- Photographs of ImageNet are unevenly spread over places, people and things, and so is what was learned.
- It names nothing: there is no classifier in it.

## Terms

{terms_file}, beside this card: non-commercial research and education only, after the terms of access of ImageNet. They hold for every
model that is started from these weights, also through others in between; the cards that s2i-hf writes say so.
"""


@dataclass
class PackageArguments:
    """What is packed, and where it goes."""

    run: str = arg(help="Folder that photographs.py wrote, of photographs and a config:tiny.", positional=True)
    output_dir: str = arg(str(VISION_WEIGHTS[NAME]), "Folder to write; that of the package if none.")


def pack(run: str | Path, output_dir: str | Path) -> Path:
    """Write config.json, model.safetensors, README.md, SHA256SUMS and LICENSE-weights.

    Raises:
        ValueError: the run is not finished, or of other images or of another size of model.
        FileNotFoundError: there is no model in it.
    """
    from safetensors.torch import load_file, save_file

    run, folder = Path(run), Path(output_dir)
    config = load_config(str(run))
    if not (run / "photographs.json").is_file():
        raise ValueError(f"{run} has no photographs.json; expected the folder of a finished benchmarks/photographs.py.")
    recipe: dict[str, Any] = json.loads((run / "photographs.json").read_text(encoding="utf-8"))
    if recipe["kind"] != "photographs":
        raise ValueError(f"{run} was learned from {recipe['kind']}; expected photographs.")
    differing = [key for key, value in MODEL_SIZES["tiny"].items() if getattr(config, key, None) != value]
    if not isinstance(config, ViTMAEConfig) or differing:
        raise ValueError(
            f"{run} is no config:tiny ({', '.join(differing) or config.model_type} differs); {NAME} is one."
        )
    tensors = {name: _stored(name, tensor) for name, tensor in load_file(run / "model.safetensors").items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # safetensors makes files that only their owner may read
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    write_atomically(folder / DIGESTS, f"{digest}  model.safetensors\n")
    known = ViTMAEConfig().to_dict()  # the Trainer adds fields of its own
    config = ViTMAEConfig(**{key: value for key, value in config.to_dict().items() if key in known})
    config.dtype = torch.float32  # what it is opened in, whatever the file has
    write_atomically(folder / "config.json", config.to_json_string())
    numbers = sum(tensor.numel() for tensor in tensors.values())
    write_atomically(folder / "README.md", card(config, recipe, numbers))
    shutil.copyfile(TERMS_PATH, folder / TERMS_FILE)
    return folder


def _stored(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A tensor as it is stored: float16, but for position tables, which are no weights and small."""
    if "pos" in name.rpartition(".")[2]:
        return tensor.float().contiguous()
    half = tensor.half().contiguous()
    if not torch.isfinite(half).all():
        raise ValueError(f"{name} goes up to {tensor.abs().max():g}, which float16 cannot hold.")
    return half


def card(config: ViTMAEConfig, recipe: dict[str, Any], numbers: int) -> str:
    """README.md, of what photographs.json says."""
    (first_step, first_loss), (last_step, last_loss) = recipe["loss"][0], recipe["loss"][-1]
    start = recipe["model"] if recipe["model"].startswith("config:") else Path(recipe["model"]).name
    shape = (
        f"Encoder: {config.num_hidden_layers} layers of width {config.hidden_size}; decoder: {config.decoder_num_hidden_layers} of width "
        f"{config.decoder_hidden_size}"
    )
    size = {"image_size": config.image_size, "patch_size": config.patch_size, "mask_ratio": config.mask_ratio}
    (low, high), learned = recipe["crop"], recipe["learned_images"]
    unseen = min(HELD_OUT, learned // 9)  # a tenth of all, as photographs.py holds out
    return CARD.format(
        **{key: recipe[key] for key in ("passes", "steps", "batch_size", "lr", "warmup_steps", "seed", "code", "held_out_loss")},
        **size, name=NAME, terms=TERMS, terms_file=TERMS_FILE, shape=shape, numbers=f"{numbers:,}", low=low, high=high, start=start,
        seen=f"{learned:,}", unseen=f"{unseen:,}", images=f"{learned + unseen:,}",
        first_step=first_step, first_loss=first_loss, last_step=last_step, last_loss=last_loss,
    )  # fmt: skip


def main() -> None:
    arguments = parse(PackageArguments, description=__doc__)
    folder = pack(arguments.run, arguments.output_dir)
    print(
        f"Packed: {folder}, {(folder / 'model.safetensors').stat().st_size / 1e6:.1f} MB; test: tests/models/test_vision_weights.py"
    )


if __name__ == "__main__":
    run_main(main)
