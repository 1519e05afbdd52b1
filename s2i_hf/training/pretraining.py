"""Masked pretraining: the one loop, on accelerate, that pretrains every model of this package.

What differs between models is a function `compute_loss(model, pixel_values, noise, target_pixel_values)`: `mae_loss` or `diffmae_loss`.
Joints are encoded on the device, and masked by ranks drawn from (seed, epoch, sample id). The order of the clips is a function of
(seed, epoch), noise levels and noise are one of the mask, and an optimizer step always takes the same clips. So a run resumed from a
checkpoint, or spread over more processes, does what an undisturbed run of one process does.
Recipe of MAE (He et al., arXiv 2111.06377): AdamW (0.9, 0.95), weight decay 0.05 on matrices, cosine with warm-up,
lr = base_lr x effective batch / 256.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.collator import SkeletonCollator
from ..data.sampler import EpochSampler, training_loader
from ..data.skeleton_rows import rows_of_splits
from ..models.building import build_diffmae, build_mae
from ..models.initialization import freeze_positions, image_sides, patch_grid, shown_size
from ..models.sampling_diffmae import integers, keys_of_order, normals
from ..processing.encoding import EncodingOptions
from ..processing.encoding_batched import encode_padded
from ..processing.layouts import get_layout
from ..processing.masking import check_mask, mask_noise, mask_weights, ratio_of_step, typical_ratio
from ..processing.resizing import part_columns
from ..runs.checkpoints import load_checkpoint, save_checkpoint
from ..runs.run_folder import MetricsFile
from ..utils.attention import suited_attention
from .interruption import StopRequest, check_processes
from .pretrain_arguments import PretrainArguments
from .run_log import RunLog, check_start, check_tracker
from .schedule import Schedule, fit_batch

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel

    from ..processing.image_processing_skeleton import SkeletonProcessor

ComputeLoss = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


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


def draw_noise(noise: Tensor, levels: int, num_train_timesteps: int, patch_values: int) -> tuple[Tensor, Tensor]:
    """Noise levels and noise as a function of the order of each clip's mask, `noise` (B, L).

    Returns:
        timesteps (B, levels) int64, uniform in 0 .. num_train_timesteps - 1, and diffusion noise (B, levels, L, patch_values) float32,
        standard normal.
    """
    keys = keys_of_order(noise)
    timesteps = integers(keys, "timestep", levels, num_train_timesteps)
    drawn = normals(keys, "noise", levels * noise.shape[1] * patch_values)
    return timesteps, drawn.view(len(noise), levels, noise.shape[1], patch_values)


def diffmae_loss(model: nn.Module, pixel_values: Tensor, noise: Tensor, target_pixel_values: Tensor) -> Tensor:
    """Loss of DiffMAE: mean squared error of the clean hidden patches.

    Arguments as of `mae_loss`; the model is a `DiffMAEForPreTraining`, and hidden patches of the targets are noised and predicted.
    """
    inner: Any = getattr(model, "module", model)
    config = inner.config
    patch_values = config.patch_size**2 * config.num_channels
    timesteps, drawn = draw_noise(noise, config.noise_levels, config.num_train_timesteps, patch_values)
    more = {"timesteps": timesteps, "diffusion_noise": drawn, "target_pixel_values": target_pixel_values}
    return model(pixel_values, noise=noise, **more).loss


# method -> what makes its model (from `model` and `model_options` of its settings), and its loss
MODEL_AND_LOSS: dict[str, tuple[Callable[..., PreTrainedModel], ComputeLoss]] = {
    "mae": (build_mae, mae_loss),
    "diffmae": (build_diffmae, diffmae_loss),
}


def start(arguments: PretrainArguments) -> Accelerator:
    """Devices, processes, precision and tracker, and the run folder looked at: complain before any long work.

    Raises:
        ValueError: processes that do not know of each other, a precision the device lacks, or a run folder in use.
        ImportError: the tracker's package is missing.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    check_tracker(arguments.report_to)
    tracker = None if arguments.report_to == "none" else arguments.report_to
    AcceleratorState._reset_state()  # an earlier run of this Python process may have had another precision
    accelerator = Accelerator(
        gradient_accumulation_steps=arguments.gradient_accumulation,
        mixed_precision=arguments.precision,
        log_with=tracker,
        project_dir=str(arguments.run_dir / "trackers") if tracker else None,
    )
    check_processes(accelerator)
    check_start(arguments, on_cpu=accelerator.device.type == "cpu")
    accelerator.wait_for_everyone()  # nobody writes before everybody has looked
    return accelerator


def build_optimizer(model: nn.Module, arguments: PretrainArguments) -> torch.optim.Optimizer:
    """AdamW (0.9, 0.95) with weight decay on matrices: biases, norms and the (1, 1, D) tokens are vectors and have none."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.squeeze().ndim >= 2], "weight_decay": arguments.weight_decay},
        {"params": [p for p in trained if p.squeeze().ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), fused=True)


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
        arguments: Settings, which model and processor are expected to follow (`model_options`, `processor_options`).
        model: Takes (B, 3, H, W) images and `noise` (B, L); its config has image_size, patch_size and mask_ratio.
        dataset: "train" rows to learn from, "test" rows, if any, for the picture, which is one of training clips otherwise; see
            `data.as_rows`.
        compute_loss: Loss of one micro-batch from (model, pixel_values, noise, target_pixel_values).
        accelerator: What `start` returned; started here if None.
        notes: Sentences of `models.loading.start_notes`: printed, and written to the summary as start_notes.

    Returns:
        The summary that is also written to summary.json: steps, epochs, loss, seconds, clips_per_second, parameters ...

    Raises:
        ValueError: settings that do not fit each other, the data or the run to resume; a loss that is not finite.
        RunInterrupted: Ctrl-C or SIGTERM; a checkpoint was written.
    """
    from accelerate.utils import set_seed

    from ..data.loading import describe
    from ..visualization.figures import drawing
    from ..visualization.reconstruction import reconstruction_picture

    accelerator = accelerator or start(arguments)
    device, options = accelerator.device, processor.encoding_options
    target_options = replace(options, stream="motion") if arguments.target == "motion" else options
    grid = _patch_grid(arguments, model.config, options.size)
    splits = rows_of_splits(dataset)
    rows = splits["train"]
    arguments, lowered = fit_batch(arguments, len(rows), accelerator.num_processes)
    accelerator.gradient_accumulation_steps = arguments.gradient_accumulation
    schedule = Schedule.of(arguments, len(rows), accelerator.num_processes)
    log = _PretrainLog(arguments, accelerator, schedule, rows, notes)
    if lowered:
        log.say(lowered)
    freeze_positions(model)  # from_pretrained of transformers 5 thaws them
    set_seed(arguments.seed, device_specific=True)
    optimizer = build_optimizer(model.to(device).train(), arguments)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    if log.checkpoint is not None:
        load_checkpoint(accelerator, log.checkpoint)
    log.begin(model, describe(splits))
    steps = range(log.progress.step, schedule.total_steps)
    rank, count = accelerator.process_index, accelerator.num_processes
    epochs = (arguments.seed, schedule.steps_per_epoch, arguments.batch_size, arguments.gradient_accumulation)
    sampler = EpochSampler(rows.sample_ids, *epochs, lambda: steps, rank, count, rows.sources)
    loader = training_loader(rows, sampler, _MaskingCollator(arguments, options, grid), arguments.num_workers, device)
    with suited_attention(model, device, arguments.precision), StopRequest() as stop, log.bar:
        losses: list[Tensor] = []  # of the micro-batches of one optimizer step
        for batch in loader:
            step = log.progress.step
            log.saw(batch["sample_ids"])
            for group in optimizer.param_groups:  # by the step itself: a prepared scheduler counts processes
                group["lr"] = schedule.lr(step)
            joints = batch["joints"].to(device, non_blocking=True)
            clips = (batch["num_frames"], batch["num_people"], batch["layouts"])
            images = encode_padded(joints, *clips, options)
            targets = images if target_options == options else encode_padded(joints, *clips, target_options)
            with accelerator.accumulate(wrapped), _masking(model.config, arguments, step):
                loss = compute_loss(wrapped, images, batch["noise"].to(device, non_blocking=True), targets)
                accelerator.backward(loss)  # divides by the number of micro-batches
                if arguments.grad_clip is not None and accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(wrapped.parameters(), arguments.grad_clip)
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.detach())
            if accelerator.sync_gradients:  # an optimizer step is complete
                log.step_done(torch.stack(losses).mean(), stop.agreed(accelerator))
                losses = []
    last = log.metrics.rows()[-1:]
    state = accelerator.get_state_dict(wrapped)
    model = accelerator.unwrap_model(wrapped).eval()
    summary = log.finish(model, state, processor, loss=last[0].get("loss") if last else None)
    if log.main and arguments.card:
        with drawing(log.run_dir / "reconstruction.png") as path:
            split = "test" if len(splits.get("test", ())) else "train"
            how = (arguments.mask, arguments.target, arguments.seed)
            reconstruction_picture(model, processor, splits[split], path, *how, split=split)
    log.write_card()
    accelerator.end_training()  # after the last waiting: it ends the group that processes wait in
    log.publish()
    return summary


@contextmanager
def _masking(config: Any, arguments: PretrainArguments, step: int) -> Iterator[None]:
    """The model reads the share of hidden patches from its config: that of the step, and outside of it the one to be saved."""
    # `torch.compile` compiles anew for every number that a range of ratios draws
    config.mask_ratio = ratio_of_step(arguments.mask_ratio, arguments.seed, step)
    try:
        yield
    finally:
        config.mask_ratio = typical_ratio(arguments.mask_ratio)


def _patch_grid(arguments: PretrainArguments, config: Any, size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of patches, once image, model and mask are known to fit each other."""
    if size != image_sides(config.image_size):
        takes = shown_size(config.image_size)
        raise ValueError(
            f"The processor makes {shown_size(size)} images, but the model takes {takes}; give both the same size."
        )
    rows, columns = patch_grid(config)
    check_mask(arguments.mask, arguments.mask_ratio, rows * columns)
    config.norm_pix_loss = arguments.norm_pix_loss
    return rows, columns


class _MaskingCollator:
    """Rows -> padded joints (see `data.collator`) and `noise` (B, L), the mask of every clip as ranks, drawn in its own epoch."""

    def __init__(self, arguments: PretrainArguments, options: EncodingOptions, grid: tuple[int, int]) -> None:
        self.arguments, self.options, self.grid = arguments, options, grid
        self.collate = SkeletonCollator(
            arguments.augmentation, arguments.seed, with_labels=False, center=options.center
        )

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = self.collate(rows)
        options, arguments, parts = self.options, self.arguments, None
        if "body_part" in mask_weights(arguments.mask):
            people = [1 if options.people == "first" else number for number in batch["num_people"]]
            parts = [
                part_columns(get_layout(layout), number, options.size[1], options.columns)
                for layout, number in zip(batch["layouts"], people, strict=True)
            ]
        epochs = np.array([row["epoch"] for row in rows])
        noise = torch.empty(len(rows), self.grid[0] * self.grid[1])
        for epoch in np.unique(epochs):  # one, except in a weighted mixture
            at = np.flatnonzero(epochs == epoch)
            ids = [batch["sample_ids"][index] for index in at]
            of_epoch = parts and [parts[index] for index in at]
            drawn = (arguments.mask_ratio, arguments.seed, int(epoch), of_epoch)
            noise[at] = mask_noise(arguments.mask, ids, self.grid, *drawn)
        return {**batch, "noise": noise}


class _PretrainLog(RunLog):
    """A run log that leaves losses on the device until a row or a checkpoint needs them."""

    arguments: PretrainArguments
    processes: Accelerator

    def begin(self, model: nn.Module, data: Mapping[str, Any]) -> None:
        """As `RunLog.begin`; the tracker begins, too."""
        super().begin(model, data)
        self._pending: list[Tensor] = []
        self.window: list[float] = list(self.progress.window)  # type: ignore[arg-type]
        self.ids = MetricsFile(self.run_dir / f"sample_ids_rank{self.processes.process_index}.jsonl")
        if self.ids.path.is_file():
            self.ids.keep_until(self.progress.step)
        if self.arguments.report_to != "none":
            settings = asdict(self.arguments).items()
            config = {name: value if isinstance(value, (bool, int, float)) else str(value) for name, value in settings}
            self.processes.init_trackers(self.run_dir.name, config=config)

    def saw(self, sample_ids: list[str]) -> None:
        """Note which clips this process took, if asked for."""
        if self.arguments.log_sample_ids:
            step = self.progress.step
            epoch = step // self.schedule.steps_per_epoch
            self.ids.append({"step": step + 1, "epoch": epoch, "sample_ids": sample_ids})

    def step_done(self, loss: Tensor, stop: bool) -> None:
        """Count an optimizer step; write the row and the checkpoint that are due.

        `loss` is the () mean over this process's micro-batches, on its device; it is read only when it is needed. Raises ValueError if one
        is not finite, and RunInterrupted if it shall `stop` and is not over.
        """
        progress = self.progress
        progress.step += 1
        self.step_over()
        self._pending.append(loss)
        log, save = progress.step % self.arguments.log_every == 0 or self.is_last(), self.must_save() or stop
        if log or save:
            self._read_losses()
        if log:
            row = self.write_row(loss=math.fsum(self.window) / len(self.window))
            self.window = []
            if self.arguments.report_to != "none":
                self.processes.log({name: row[name] for name in ("loss", "lr", "epoch")}, step=progress.step)
        if save:
            self.count_time()
            progress.window = self.window
            save_checkpoint(self.processes, self.run_dir, progress, self.arguments.keep_checkpoints)
        if stop and not self.is_last():
            raise self.interrupted()

    def _read_losses(self) -> None:
        """Average the losses since the last reading over the processes and check them."""
        losses = self.processes.reduce(torch.stack(self._pending), reduction="mean").tolist()
        first = self.progress.step - len(losses) + 1
        self._pending = []
        for step, loss in enumerate(losses, start=first):
            if not math.isfinite(loss):
                raise ValueError(
                    f"The loss became {loss} at step {step} (epoch {(step - 1) // self.schedule.steps_per_epoch}); try a lower "
                    "--base_lr, more --warmup_epochs, --grad_clip 1.0 or --precision no, in a new --output_dir."
                )
        self.window += losses
