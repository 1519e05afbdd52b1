"""Masked pretraining: `PretrainArguments` and the one loop, on accelerate, that pretrains every model of this package.

What differs between models is a function `compute_loss(model, pixel_values, noise, target_pixel_values)`; `mae_loss` is that
of ViT-MAE. Joints travel to the device padded, are encoded there, and are masked by ranks drawn from (seed, epoch, sample
id). The order of the clips is a function of (seed, epoch) and an optimizer step always takes the same clips, so a run
resumed from a checkpoint, or spread over more processes, does what an undisturbed run of one process does.
Recipe of MAE (He et al., arXiv 2111.06377): AdamW (0.9, 0.95), weight decay 0.05 on matrices, cosine with warm-up,
lr = base_lr x effective batch / 256.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from ..hub.push import check_repository
from ..models.positions import freeze_positions
from ..processing.augmentation import Augmentation
from ..processing.encoding_batched import encode_padded
from ..processing.masking import check_mask, mask_weights, ratio_of_step, ratio_range, typical_ratio
from ..runs.checkpoints import check_run_folder
from ..utils.arguments import arg, pairs, several
from ..utils.attention import suited_attention
from .batches import Schedule, make_loader
from .interruption import StopRequest, check_processes
from .run_log import RunRecord

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel

    from ..processing.image_processing_skeleton import SkeletonProcessor

ComputeLoss = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


@dataclass
class PretrainArguments:
    """Settings of masked pretraining; each is a flag of `examples/pretrain_mae.py` and a key of its YAML files."""

    data: str | tuple[str, ...] = arg(
        help="Protocol, such as nw_ucla_xview, or a folder of `s2i convert`; or several: a,b,c."
    )
    data_dir: str | tuple[str, ...] | None = arg(None, "Folder with the raw files; of several protocols: a=DIR,b=DIR.")
    mixture: float | str | None = arg(
        None,
        "Draws from each of several: equal, an exponent of its size, or a=2,b=1; if none, all its clips once an epoch.",
    )
    holdout: tuple[str, ...] = arg((), "Protocols whose test clips are not trained on, such as ntu60_xsub,pku1_xview.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    output_dir: str | None = arg(None, "Run folder; runs/mae_<data> if none.")
    model: str = arg("config:small", "config:micro|tiny|small|base|large from scratch, or a ViTMAE folder or Hub id.")
    # the image
    size: int = arg(224, "Side of the square image in pixels.")
    patch_size: int = arg(16, "Side of a patch, for a model from scratch.")
    people: Literal["adaptive", "first"] = arg("adaptive", "Blocks of as many people as present, or actor 1 alone.")
    part_widths: Literal["joints", "equal"] = arg("joints", "Width of a body part: by its joints, or a fifth.")
    value_range: Literal["sequence", "per_axis", "fixed"] = arg("sequence", "How coordinates reach the pixel range.")
    value_scale: float = arg(1.0, "Metres that become 1 with value_range fixed.")
    center: Literal["first_frame", "every_frame", "none"] = arg("first_frame", "When actor 1's centre is subtracted.")
    stream: Literal["joint", "bone", "motion"] = arg("joint", "What the image shows.")
    joint_order: Literal["parts", "sensor", "random"] = arg(
        "parts", "Joints from left to right: part by part, as the sensor lists them, or shuffled."
    )
    order_seed: int = arg(0, "Which shuffling, with joint_order random.")
    interpolation: Literal["linear", "nearest", "cubic"] = arg("linear", "How the joint map is resized to the image.")
    do_normalize: bool = arg(True, "Subtract image_mean and divide by image_std.")
    image_mean: tuple[float, float, float] | None = arg(None, "Mean of each channel; the processor's if none.")
    image_std: tuple[float, float, float] | None = arg(None, "Standard deviation of each channel; likewise.")
    # augmentation, on the joints; the defaults are those of MAMP, whose rotation is 0.3 about every axis
    crop: tuple[float, float] = arg((0.5, 1.0), "Range of the share of frames kept.")
    speed: tuple[float, float] = arg((1.0, 1.0), "Range of the playing speed, which changes within the clip.")
    yaw: float = arg(0.3, "Largest rotation about the vertical axis, radians.")
    tilt: float = arg(0.3, "Largest rotation about the horizontal axes, radians.")
    scale: float = arg(0.0, "Largest relative change of size.")
    shear: float = arg(0.0, "Largest share of an axis that is added to another.")
    mirror: float = arg(0.0, "Probability of swapping left and right.")
    drop_joints: float = arg(0.0, "Probability of losing a joint for the whole clip.")
    drop_parts: float = arg(0.0, "Probability of losing a body part for the whole clip.")
    drop_frames: float = arg(0.0, "Largest share of the frames lost, in one span.")
    jitter: float = arg(0.0, "Standard deviation of noise on every joint, metres.")
    jitter_frames: int = arg(1, "Frames over which that noise changes; 1: drawn anew in every frame.")
    # the task
    target: Literal["joint", "motion"] = arg("joint", "Reconstruct the image, or the motion stream of the same clip.")
    mask: str = arg(
        "random",
        "Which patches are hidden: random, block, joint, temporal, body_part, or a mixture such as random=0.5,joint=0.5.",
    )
    mask_ratio: float | tuple[float, float] = arg(
        0.75, "Share of patches hidden; or the lowest and the highest, drawn for each optimizer step."
    )
    norm_pix_loss: bool = arg(True, "Predict pixels normalised patch by patch.")
    # the optimisation
    epochs: int = arg(400, "Passes over the training clips.")
    max_steps: int | None = arg(None, "Stop after so many optimizer steps, with the schedule ending there.")
    batch_size: int = arg(64, "Clips a process and micro-batch.")
    gradient_accumulation: int = arg(1, "Micro-batches an optimizer step.")
    base_lr: float = arg(1.5e-4, "Learning rate of an effective batch of 256; scaled with the effective batch.")
    weight_decay: float = arg(0.05, "On matrices only.")
    warmup_epochs: float | None = arg(None, "Epochs of linear warm-up; if none a tenth of the epochs, at most 40.")
    grad_clip: float | None = arg(None, "Largest norm of the gradient.")
    precision: Literal["no", "bf16", "fp16"] = arg("no", "Mixed precision; no is float32.")
    seed: int = arg(0, "Seed of weights, order, masks and augmentation.")
    # the run
    num_workers: int | None = arg(None, "Loader processes; if none, 0 on a CPU and up to 8 beside an accelerator.")
    save_every: int = arg(500, "Optimizer steps between checkpoints.")
    keep_checkpoints: int = arg(2, "Newest checkpoints kept.")
    resume: str = arg("none", "auto: go on from the newest checkpoint; a path: from that one.", bare="auto")
    overwrite: bool = arg(False, "Delete the run in output_dir and start again.")
    log_every: int = arg(10, "Optimizer steps between rows of metrics.jsonl.")
    report_to: Literal["none", "tensorboard", "wandb", "mlflow", "trackio"] = arg(
        "none", "Tracker that gets the rows too."
    )
    progress: bool | None = arg(None, "Progress bar; if none, only on a terminal.")
    log_sample_ids: bool = arg(False, "Write sample_ids_rank<r>.jsonl: which process saw which clips.")
    card: bool = arg(True, "Write README.md and reconstruction.png at the end.")
    push_to_hub: str | None = arg(None, "Upload the finished run to user/name or user/name@branch; private if new.")

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("--data names nothing; expected a protocol or a folder of `s2i convert`, or several.")
        if self.output_dir is None:
            self.output_dir = f"runs/mae_{'+'.join(Path(name).name for name in self.sources)}"
        for name in ("size", "patch_size", "epochs", "batch_size", "gradient_accumulation", "save_every", "keep_checkpoints",
                     "log_every", "max_steps"):  # fmt: skip
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"--{name} is {value}; expected 1 or more.")
        for name in ("base_lr", "grad_clip"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise ValueError(f"--{name} is {value}; expected a number above zero.")
        for name in ("weight_decay", "warmup_epochs", "num_workers"):
            if (value := getattr(self, name)) is not None and not 0 <= value < math.inf:
                raise ValueError(f"--{name} is {value}; expected zero or more.")
        if self.warmup_epochs is not None and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"--warmup_epochs {self.warmup_epochs:g} leaves none of {self.epochs} epochs; expected fewer."
            )
        mask_weights(self.mask)
        low, high = ratio_range(self.mask_ratio)
        if not 0 < low <= high < 1:
            shown = f"{low:g}" if low == high else f"{low:g} {high:g}"
            raise ValueError(f"--mask_ratio is {shown}; expected shares above 0 and below 1.")
        _ = self.augmentation, self.data_options  # refuses bad values now

    @property
    def sources(self) -> tuple[str, ...]:
        """The data sets to train on."""
        return several(self.data)

    @property
    def data_options(self) -> dict[str, Any]:
        """What `load_skeletons` is called with."""
        sources, mixture, data_dir = self.sources, self.mixture, self.data_dir
        options: dict[str, Any] = {"source": list(sources), "mixture": mixture, "data_dir": data_dir}
        if len(sources) == 1:
            options["source"] = sources[0]
            if mixture is not None:
                raise ValueError(f"--mixture {mixture} needs several data sets to draw from, and --data names one.")
        if isinstance(mixture, str) and mixture != "equal":
            options["mixture"] = weights = dict.fromkeys(sources, 0.0)
            for name, text in pairs("mixture", mixture, sources).items():
                try:
                    weights[name] = float(text)
                except ValueError:
                    raise ValueError(f"--mixture gives {name} the weight {text!r}; expected a number.") from None
        if any(word.startswith(f"{name}=") for word in several(data_dir) for name in sources):
            options["data_dir"] = pairs("data_dir", data_dir or (), sources)
        elif isinstance(data_dir, tuple):
            raise ValueError(
                f"--data_dir has {len(data_dir)} values; expected one folder, or pairs such as {sources[0]}=DIR."
            )
        return {**options, "holdout": self.holdout, "cache_dir": self.cache_dir}

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return Path(str(self.output_dir))

    @property
    def augmentation(self) -> Augmentation:
        """Training-time augmentation of the joints."""
        return Augmentation(**{field.name: getattr(self, field.name) for field in fields(Augmentation)})

    @property
    def processor_options(self) -> dict[str, Any]:
        """What `SkeletonProcessor` is made with."""
        names = ("size", "people", "part_widths", "value_range", "value_scale", "center", "stream", "do_normalize",
                 "joint_order", "order_seed", "interpolation")  # fmt: skip
        options = {name: getattr(self, name) for name in names}
        given = {name: getattr(self, name) for name in ("image_mean", "image_std")}
        return options | {name: value for name, value in given.items() if value is not None}

    @property
    def model_options(self) -> dict[str, Any]:
        """What `build_mae` is called with."""
        names = ("patch_size", "norm_pix_loss", "seed")
        return {"image_size": self.size, "mask_ratio": typical_ratio(self.mask_ratio)} | {
            name: getattr(self, name) for name in names
        }


def mae_loss(model: nn.Module, pixel_values: Tensor, noise: Tensor, target_pixel_values: Tensor) -> Tensor:
    """Loss of ViT-MAE: mean squared error of the hidden patches, normalised patch by patch if the config says so.

    Args:
        model: `ViTMAEForPreTraining`, bare or wrapped for several processes; its config holds mask_ratio and norm_pix_loss.
        pixel_values: (B, 3, H, W) images.
        noise: (B, L) ranks; the patches of highest rank are hidden.
        target_pixel_values: (B, 3, H, W) images to reconstruct; the same object as `pixel_values` for the model's own loss.
    """
    outputs = model(pixel_values, noise=noise)
    if target_pixel_values is pixel_values:
        return outputs.loss
    inner: Any = getattr(model, "module", model)
    target = inner.patchify(target_pixel_values)
    if inner.config.norm_pix_loss:
        target = (target - target.mean(dim=-1, keepdim=True)) / (target.var(dim=-1, keepdim=True) + 1e-6) ** 0.5
    error = ((outputs.logits - target) ** 2).mean(dim=-1)
    return (error * outputs.mask).sum() / outputs.mask.sum()


def build_optimizer(model: nn.Module, arguments: PretrainArguments) -> torch.optim.Optimizer:
    """AdamW (0.9, 0.95) with weight decay on matrices: biases, norms and the (1, 1, D) tokens are vectors and have none."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.squeeze().ndim >= 2], "weight_decay": arguments.weight_decay},
        {"params": [p for p in trained if p.squeeze().ndim < 2], "weight_decay": 0.0},
    ]
    try:
        return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), fused=True)
    except RuntimeError:  # no fused kernel on this device
        return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95))


def start(arguments: PretrainArguments) -> Accelerator:
    """Devices, processes, precision and tracker, and the run folder looked at: complain before any long work.

    Raises:
        ValueError: processes that do not know of each other, a precision the device lacks, or a run folder in use.
        ImportError: the tracker's package is missing.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    tracker = None if arguments.report_to == "none" else arguments.report_to
    if tracker and importlib.util.find_spec(tracker) is None:
        hint = "pip install 's2i-hf[track]'" if tracker == "tensorboard" else f"pip install {tracker}"
        raise ImportError(f"--report_to {tracker} needs a package that is not installed: {hint}.")
    AcceleratorState._reset_state()  # an earlier run of this Python process may have had another precision
    accelerator = Accelerator(
        gradient_accumulation_steps=arguments.gradient_accumulation,
        mixed_precision=arguments.precision,
        log_with=tracker,
        project_dir=str(arguments.run_dir / "trackers") if tracker else None,
    )
    # accelerate would quietly compute in float32
    if arguments.precision == "fp16" and accelerator.device.type == "cpu":
        raise ValueError("--precision fp16 needs a GPU, and this run is on a CPU; use bf16 or no.")
    check_processes(accelerator)
    if arguments.push_to_hub:
        check_repository(arguments.push_to_hub)
    check_run_folder(arguments.run_dir, arguments.resume, arguments.overwrite)
    accelerator.wait_for_everyone()  # nobody writes before everybody has looked
    return accelerator


def pretrain(
    arguments: PretrainArguments,
    model: PreTrainedModel,
    processor: SkeletonProcessor,
    dataset: Mapping[str, Any],
    *,
    compute_loss: ComputeLoss = mae_loss,
    accelerator: Accelerator | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Pretrain a masked autoencoder, or go on with it, and leave a run folder.

    Args:
        arguments: Settings; the model's config and the processor are expected to follow them (`model_options`,
            `processor_options`).
        model: Takes (B, 3, H, W) images and `noise` (B, L); its config has image_size, patch_size and mask_ratio.
        processor: Makes the images, and is saved beside the model.
        dataset: "train" rows to learn from, "test" rows, if any, for the picture; see `data.as_rows`.
        compute_loss: Loss of one micro-batch from (model, pixel_values, noise, target_pixel_values).
        accelerator: What `start` returned; started here if None.
        notes: Sentences of `models.taken_over.start_notes`: printed, and written to the summary as start_notes.

    Returns:
        The summary that is also written to summary.json: steps, epochs, loss, seconds, clips_per_second, parameters ...

    Raises:
        ValueError: settings that do not fit each other, the data or the run to resume; a loss that is not finite.
        RunInterrupted: Ctrl-C or SIGTERM; a checkpoint was written.
    """
    from accelerate.utils import set_seed

    from ..data.loading import as_rows, describe

    accelerator = accelerator or start(arguments)
    device, options = accelerator.device, processor.encoding_options
    target_options = replace(options, stream="motion") if arguments.target == "motion" else options
    grid = _patch_grid(arguments, model.config, options.size)
    rows = as_rows(dataset["train"])
    schedule = Schedule.of(arguments, len(rows), accelerator.num_processes)
    record = RunRecord(arguments, accelerator, schedule, list(rows.sample_ids), notes)
    freeze_positions(model)  # from_pretrained of transformers 5 thaws them
    set_seed(arguments.seed, device_specific=True)
    optimizer = build_optimizer(model.to(device).train(), arguments)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    record.begin(model, describe(dataset))
    loader = make_loader(rows, arguments, schedule, record.progress.step, options, grid, accelerator)

    plain = suited_attention(model, device, arguments.precision)
    with plain, StopRequest() as stop, record.progress_bar() as bar:
        losses: list[Tensor] = []  # of the micro-batches of one optimizer step
        for batch in loader:
            record.saw(batch["sample_ids"])
            # read by the model itself; `torch.compile` compiles anew for every number that a range of ratios draws
            model.config.mask_ratio = ratio_of_step(arguments.mask_ratio, arguments.seed, record.progress.step)
            for group in optimizer.param_groups:  # by the step itself: a prepared scheduler counts processes
                group["lr"] = schedule.lr(record.progress.step)
            joints = batch["joints"].to(device, non_blocking=True)
            clips = (batch["num_frames"], batch["num_people"], batch["layouts"])
            images = encode_padded(joints, *clips, options)
            targets = images if target_options == options else encode_padded(joints, *clips, target_options)
            with accelerator.accumulate(wrapped):
                loss = compute_loss(wrapped, images, batch["noise"].to(device, non_blocking=True), targets)
                accelerator.backward(loss)  # divides by the number of micro-batches
                if arguments.grad_clip is not None and accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(wrapped.parameters(), arguments.grad_clip)
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.detach())
            if accelerator.sync_gradients:  # an optimizer step is complete
                record.step_done(torch.stack(losses).mean(), stop.agreed(accelerator))
                losses = []
                bar.update()
    model.config.mask_ratio = typical_ratio(arguments.mask_ratio)
    return record.finish(wrapped, processor, as_rows(dataset["test"]) if "test" in dataset else rows)


def _patch_grid(arguments: PretrainArguments, config: Any, size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of patches, once image, model and mask are known to fit each other; sets the config's mask ratio."""
    if size != (config.image_size, config.image_size):
        raise ValueError(
            f"The processor makes {size[0]} x {size[1]} images, but the model takes {config.image_size} x {config.image_size}; "
            "give both the same size."
        )
    side = config.image_size // config.patch_size
    check_mask(arguments.mask, arguments.mask_ratio, side * side)
    config.mask_ratio = typical_ratio(arguments.mask_ratio)  # a keyword of the same name would be ignored
    config.norm_pix_loss = arguments.norm_pix_loss
    return side, side
