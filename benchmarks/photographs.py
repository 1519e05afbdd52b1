"""Small vision weights of our own: a stock ViT-MAE pretrained on photographs, or on images that only look like them in their numbers.

    python benchmarks/photographs.py --images tiny-imagenet-40k.parquet --output_dir runs/vision/photographs
    python benchmarks/photographs.py --images tiny-imagenet-40k.parquet --kind scrambled --output_dir runs/vision/scrambled

The file has a row per image, column `image` with the bytes of a JPEG or PNG. Kinds: photographs; scrambled, the same photographs with
random phases: the spectrum of each is kept, of its edges and shapes nothing is left; noise, pixels that are drawn one by one. The folder
gets a model that `ViTMAEForPreTraining.from_pretrained` and `s2i pretrain --model` take, photographs.json with the masked loss of images
that were held out, and photographs.png: some of these, masked and rebuilt. Ctrl-C leaves a checkpoint; the same command goes on from it.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import Trainer, TrainerCallback, TrainingArguments, ViTMAEForPreTraining
from transformers.trainer_utils import get_last_checkpoint

from s2i_hf.models.building import build_mae
from s2i_hf.runs.provenance import current_commit
from s2i_hf.training.interruption import RunInterrupted, StopRequest
from s2i_hf.utils.arguments import arg, parse, run_main
from s2i_hf.utils.files import write_json

HELD_OUT = 1000  # images that are not learned from
# of ImageNet, by which every vision model normalises its images
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass
class PhotographArguments:
    """Settings of this program; the same for all kinds of images."""

    images: str = arg(help="Parquet file with a row per image: image {bytes}.")
    output_dir: str = arg(help="Gets the model.")
    kind: Literal["photographs", "scrambled", "noise"] = arg("photographs", "What is learned from.")
    model: str = arg("config:tiny", "config:micro|tiny|small|base|large, vision:tiny, or a folder to go on from.")
    size: int = arg(112, "Side of the image that the model sees, in pixels.")
    patch_size: int = arg(16, "Side of a patch.")
    passes: float = arg(13.0, "How often each image is seen.")
    batch_size: int = arg(64, "Images a step.")
    lr: float = arg(1e-3, "Largest learning rate; a cosine falls to zero.")
    warmup_steps: int = arg(400, "Steps to get there.")
    crop: tuple[float, float] = arg((0.45, 1.0), "Share of the image that a crop shows.")
    seed: int = arg(0, "Of weights, order, crops and masks.")
    max_images: int | None = arg(None, "Use the first so many alone: a smoke test.")


def read_images(file: str | Path, most: int | None = None) -> np.ndarray:
    """All images of a Parquet file, (N, height, width, 3) uint8, of one size.

    Raises:
        ValueError: no such file, no column `image`, or images of several sizes.
    """
    import pyarrow.parquet as parquet
    from PIL import Image

    if not Path(file).is_file():
        raise ValueError(f"--images {file} is not a file; expected Parquet with a row per image.")
    table = parquet.read_table(file)
    if "image" not in table.column_names:
        raise ValueError(f"{file} has the columns {', '.join(table.column_names)}; expected image.")
    rows = table.column("image").slice(0, most).to_pylist()
    images = [np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB")) for row in rows]
    if len({image.shape for image in images}) != 1:
        raise ValueError(f"{file} has images of several sizes; expected one.")
    return np.stack(images)


def scramble_phases(images: np.ndarray, seed: int) -> np.ndarray:
    """Images whose spectra are those of the given ones and whose phases are those of noise: colours stay together, shapes go.

    Args:
        images: (N, H, W, 3).
        seed: Of the phases; the same for the three channels of an image.

    Returns:
        (N, H, W, 3) float32; the mean of each channel stays.
    """
    height, width = images.shape[1:3]
    generator = np.random.default_rng(seed)
    result = np.empty(images.shape, np.float32)
    for index, image in enumerate(images):
        phases = np.exp(1j * np.angle(np.fft.rfft2(generator.standard_normal((height, width)))))
        phases[0, 0] = 1.0
        spectrum = np.fft.rfft2(image.astype(np.float64), axes=(0, 1))
        result[index] = np.fft.irfft2(spectrum * phases[..., None], s=(height, width), axes=(0, 1))
    return result


def make_images(file: str | Path, kind: str, seed: int = 0, most: int | None = None) -> torch.Tensor:
    """What is learned from, (N, 3, H, W) float16, normalised as photographs are."""
    images = read_images(file, most)
    mean, std = 255 * np.asarray(MEAN, np.float32), 255 * np.asarray(STD, np.float32)
    result = torch.empty(len(images), 3, *images.shape[1:3], dtype=torch.float16)
    generator = np.random.default_rng([seed, 1])
    colour = images.reshape(-1, 3).mean(0), images[:1000].astype(np.float32).reshape(-1, 3).std(0)
    for start in range(0, len(images), 1000):
        part = images[start : start + 1000]
        if kind == "scrambled":
            shown = scramble_phases(part, seed + start)
        elif kind == "noise":
            shown = generator.normal(*colour, part.shape).astype(np.float32)
        else:
            shown = part.astype(np.float32)
        result[start : start + 1000] = torch.from_numpy((shown - mean) / std).permute(0, 3, 1, 2)
    return result


def random_crops(
    images: torch.Tensor, size: int, area: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    """Random resized crops, half of them mirrored: (B, 3, H, W) -> (B, 3, size, size) float32."""
    count = len(images)
    share, ratio, x, y, mirror = torch.rand(5, count, generator=generator)
    share = area[0] + (area[1] - area[0]) * share
    ratio = (4 / 3) ** (2 * ratio - 1)  # width by height
    width, height = (share * ratio).sqrt().clamp(max=1), (share / ratio).sqrt().clamp(max=1)
    x, y = (2 * x - 1) * (1 - width), (2 * y - 1) * (1 - height)
    mirror = torch.where(mirror < 0.5, -1.0, 1.0)
    zero = torch.zeros(count)
    affine = torch.stack([torch.stack([width * mirror, zero, x], 1), torch.stack([zero, height, y], 1)], 1)
    grid = F.affine_grid(affine, [count, 3, size, size], align_corners=False)
    return F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)


class StopCallback(TrainerCallback):  # type: ignore[misc]
    """Ends the training after a checkpoint when Ctrl-C or SIGTERM asks for it."""

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop

    def on_step_end(self, args: TrainingArguments, state: Any, control: Any, **_: Any) -> Any:
        if self.stop.requested:
            control.should_save = control.should_training_stop = True
        return control


def draw_batch(
    rows: list[tuple[int, torch.Tensor]], size: int, area: tuple[float, float], seed: int
) -> dict[str, torch.Tensor]:
    """A batch of crops that depend on which images it holds and in which order, so that a training that goes on has the same."""
    key = sum((place + 1) * (index + 1) for place, (index, _) in enumerate(rows))
    generator = torch.Generator().manual_seed((seed << 40) + key)
    return {"pixel_values": random_crops(torch.stack([image for _, image in rows]), size, area, generator)}


@torch.no_grad()
def held_out_loss(model: nn.Module, images: torch.Tensor, size: int) -> float:
    """Masked loss of whole images, the same masks whenever it is asked for."""
    generator = torch.Generator().manual_seed(0)
    total = 0.0
    for start in range(0, len(images), 100):
        shown = F.interpolate(images[start : start + 100].float(), (size, size), mode="bilinear", align_corners=False)
        patches = (size // model.config.patch_size) ** 2
        noise = torch.rand(len(shown), patches, generator=generator)
        total += float(model.eval()(shown, noise=noise).loss) * len(shown)
    return total / len(images)


def pretrain(arguments: PhotographArguments) -> Path:
    """Train, or go on, and save the model.

    Raises:
        ValueError: settings or a file that do not fit.
        RunInterrupted: Ctrl-C or SIGTERM.
    """
    folder = Path(arguments.output_dir)
    if (folder / "photographs.json").is_file():
        print(f"{folder} is finished.")
        return folder
    commit = current_commit()  # now: the code may change while it trains
    images = make_images(arguments.images, arguments.kind, arguments.seed, arguments.max_images)
    held_out = min(HELD_OUT, len(images) // 10)
    learned, unseen = images[held_out:], images[:held_out]
    last = get_last_checkpoint(folder / "trainer") if (folder / "trainer").is_dir() else None
    # the Trainer loads a checkpoint by the names of the file, which are not those of the decoder: it has to be loaded before
    model = build_mae(
        last or arguments.model, image_size=arguments.size, patch_size=arguments.patch_size, seed=arguments.seed
    )
    model.set_attn_implementation("eager")  # faster on a CPU
    model.decoder.config._attn_implementation = "eager"
    settings = TrainingArguments(
        str(folder / "trainer"),
        num_train_epochs=arguments.passes,
        per_device_train_batch_size=arguments.batch_size,
        learning_rate=arguments.lr,
        lr_scheduler_type="cosine",
        warmup_steps=arguments.warmup_steps,
        weight_decay=0.05,
        adam_beta2=0.95,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        logging_steps=100,
        save_steps=500,
        save_total_limit=1,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        report_to="none",
        seed=arguments.seed,
    )
    with StopRequest() as stop:
        trainer = Trainer(
            model,
            settings,
            data_collator=lambda rows: draw_batch(rows, arguments.size, arguments.crop, arguments.seed),
            train_dataset=list(enumerate(learned)),
            callbacks=[StopCallback(stop)],
        )
        trainer.train(resume_from_checkpoint=last)
        if stop.requested:
            raise RunInterrupted("Stopped after a checkpoint; repeat the command to go on from there.")
    model.set_attn_implementation("sdpa")
    model.save_pretrained(folder)
    draw(model, unseen[:8], arguments.size, folder / "photographs.png")
    history = [(row["step"], row["loss"]) for row in trainer.state.log_history if "loss" in row]
    write_json(
        folder / "photographs.json",
        {
            **asdict(arguments), "images": Path(arguments.images).name, "learned_images": len(learned), "steps": trainer.state.global_step,
            "held_out_loss": held_out_loss(model, unseen, arguments.size), "loss": history, "code": commit,
        },
    )  # fmt: skip
    return folder


@torch.no_grad()
def draw(model: ViTMAEForPreTraining, images: torch.Tensor, size: int, file: Path) -> None:
    """A picture of images, what the model saw of them, and what it made of the rest."""
    from matplotlib.figure import Figure

    shown = F.interpolate(images.float(), (size, size), mode="bilinear", align_corners=False)
    patch = model.config.patch_size
    noise = torch.rand(len(shown), (size // patch) ** 2, generator=torch.Generator().manual_seed(0))
    output = model.eval()(shown, noise=noise)
    patches = model.patchify(shown)
    mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
    logits = output.logits * (variance + 1e-6).sqrt() + mean if model.config.norm_pix_loss else output.logits
    hidden = output.mask[..., None].bool()
    rows = (
        shown,
        model.unpatchify(patches.masked_fill(hidden, 0)),
        model.unpatchify(torch.where(hidden, logits, patches)),
    )
    figure = Figure(figsize=(1.2 * len(shown), 3.9), layout="constrained")
    axes = figure.subplots(3, len(shown), squeeze=False)
    for row, (title, batch) in enumerate(zip(("image", "seen", "rebuilt"), rows, strict=True)):
        for column, image in enumerate(batch):
            pixels = image.permute(1, 2, 0).numpy() * STD + MEAN
            axes[row, column].imshow(pixels.clip(0, 1))
            axes[row, column].set_axis_off()
        axes[row, 0].set_title(title, loc="left", fontsize=9)
    figure.savefig(file, dpi=120)


def main() -> None:
    print(f"Done: {pretrain(parse(PhotographArguments, description=__doc__))}")


if __name__ == "__main__":
    run_main(main)
