"""Filling in motion that a sensor lost, with a pretrained MAE or DiffMAE.

    joints with gaps -> gaps bridged in a neutral way -> S2I image -> every patch that a gap touches is hidden -> model fills them
    -> joints again; the measured ones stay exactly as they were

The model never sees a lost value, nor does anything that goes into the image depend on one: centre and value range are those of the clip
with its gaps bridged by `fill_linear`. A patch is hidden if a lost joint reaches any of its pixels through the resize.

Hidden patches hold measured joints as well, so there it is known how far off the answer is. What is found for a joint is shifted by this
difference, interpolated over the gap, so that its path starts and ends where the measured path does (`meet=False` leaves it as it is).

A model that predicts normalised patches (`norm_pix_loss`) says nothing of their brightness and contrast: those of the bridged clip are
taken, a guess that models without the option do not need.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.initialization import image_sides, shown_size
from ..models.loading import load_config, load_weights
from ..models.vision_weights import local_name
from ..processing.array_axes import arrange, in_space, unmasked
from ..processing.encoding import EncodingOptions, decode, encode
from ..processing.image_processing_skeleton import SkeletonProcessor
from ..processing.layouts import SkeletonLayout, get_layout, layout_json
from ..processing.transforms import prepare, present_people
from ..runs.run_folder import RunFolder
from ..utils.files import replacing
from .infilling_gaps import MeanPose, error_unit, fill_linear, lost_joints, mean_error, touched_pixels, with_people

STEPS = 50  # of the sampler, for several samples
_STATED = {"axes": "TMVC", "up": "y"}  # what files say of joints that this package wrote
OUTPUTS = (".npy", ".npz", ".json")  # files that a filled clip is written to


@dataclass
class InfillingOutput:
    """A clip with its gaps filled.

    Args:
        joints: (T, M, V, 3) float32 in the unit of the layout: measured joints as they were given, filled ones the mean of `samples`.
        samples: (S, T, M, V, 3) float32, the single samples; one for MAE.
        spread: (T, M, V) float32, standard deviation over samples: root mean square distance from their mean, in the unit of the
            layout; zero for one sample and for measured joints.
        filled: (T, M, V) bool, joints that were filled. People who were never seen stay as they were.
        mask: (L,) bool, patches that were hidden.
        layout: Joint format.
        method: "mae" or "diffmae".
    """

    joints: np.ndarray
    samples: np.ndarray
    spread: np.ndarray
    filled: np.ndarray
    mask: np.ndarray
    layout: SkeletonLayout
    method: str
    _gap: _Gap = field(repr=False)
    _decoded: np.ndarray = field(repr=False)

    def unshifted(self) -> InfillingOutput:
        """The same with paths as the model found them, as with `meet=False`."""
        return _fill(self._gap, self._decoded, self.method, meet=False)

    def error(self, truth: np.ndarray) -> float:
        """Mean distance of filled joints from the truth (T, M, V, 3), in millimetres for layouts in metres; see `mean_error`."""
        return mean_error(self.joints, with_people(truth), self.filled, self.layout)

    @property
    def unit(self) -> str:
        """Unit of `error`."""
        return error_unit(self.layout)

    def write(self, path: str | Path) -> None:
        """Write a file, whole or not at all, that readers of arrays take back.

        .npy holds joints (T, M, V, 3) alone, .npz joints, samples, spread, filled and the name of the layout, .json layout (the
        whole of one of your own), joints, and filled as [frame, person, joint] triples; these say their axes, too.
        """
        with replacing(path) as file:
            if file.suffix == ".json":
                rounded = np.round(self.joints.astype(np.float64), 6).astype(object)
                rounded[np.isnan(self.joints).any(axis=-1)] = None  # JSON has no NaN
                filled = np.argwhere(self.filled).tolist()
                content = {"layout": layout_json(self.layout), "joints": rounded.tolist(), "filled": filled, **_STATED}
                file.write_text(json.dumps(content) + "\n", encoding="utf-8")
            elif file.suffix == ".npy":
                np.save(file, self.joints)
            else:
                names = ("joints", "samples", "spread", "filled")
                facts = _STATED | {"layout": self.layout.name}
                np.savez_compressed(file, **facts, **{name: getattr(self, name) for name in names})  # type: ignore[arg-type]


@dataclass
class _Gap:
    """A clip on its way: what was given, who is in the image, and what of it is lost there."""

    joints: np.ndarray  # (T, M, V, 3) as given
    people: np.ndarray  # indices of the people in the image
    lost: np.ndarray  # (T, M', V) bool
    bridged: np.ndarray  # (T, M', V, 3)
    layout: SkeletonLayout
    hidden: np.ndarray  # (L,) bool


def _fill(gap: _Gap, decoded: np.ndarray, method: str, meet: bool) -> InfillingOutput:
    """Put what a model says, (S, T, M', V, 3) of the people in the image, where something was lost; see `infill_clips` for `meet`."""
    found = decoded
    if meet:
        ever = (gap.lost.sum(axis=0) < len(gap.lost))[..., None]  # joints lost throughout have no path to meet
        shifts = [fill_linear(gap.bridged - sample, gap.lost, gap.layout) for sample in decoded]
        found = decoded + np.where(ever, np.stack(shifts), np.float32(0))
    filled = np.zeros(gap.joints.shape[:3], dtype=bool)
    filled[:, gap.people] = gap.lost
    samples = np.repeat(gap.joints[None], len(found), axis=0)
    samples[:, :, gap.people] = np.where(gap.lost[..., None], found, samples[:, :, gap.people])  # the rest bit for bit
    joints = np.where(filled[..., None], samples.mean(axis=0, dtype=np.float64), gap.joints).astype(np.float32)
    away = ((samples.astype(np.float64) - joints) ** 2).sum(axis=-1).mean(axis=0)
    spread = np.where(filled & (len(samples) > 1), np.sqrt(away), 0.0).astype(np.float32)
    return InfillingOutput(joints, samples, spread, filled, gap.hidden, gap.layout, method, gap, decoded)


def load_infilling_model(name: str) -> tuple[Any, SkeletonProcessor]:
    """The pretrained MAE or DiffMAE of a run folder or Hub id, decoder included, in evaluation mode, and its processor.

    Raises:
        ValueError: a model of another kind, one without its decoder, or one that predicts something else than its own image.
        FileNotFoundError: there is no such folder or repository.
    """
    from ..models.building import pretraining_class

    config = load_config(name)
    kind = config.model_type
    if kind not in ("vit_mae", "diffmae"):
        raise ValueError(f"model {name!r} is a {kind!r}, which cannot fill in motion; expected a vit_mae or diffmae.")
    if Path(name).is_dir() and RunFolder(Path(name)).settings.get("target", "joint") != "joint":
        reason = "was trained to predict the motion stream of its image, so it cannot fill gaps of the image"
        raise ValueError(f"model {name!r} {reason}; take one pretrained with --target joint.")
    try:
        processor = SkeletonProcessor.from_pretrained(local_name(name))
    except (OSError, TypeError) as error:  # a ValueError says itself what is wrong with it
        reason = " ".join(str(error).split())[:120].rstrip(".")
        raise ValueError(f"{name!r} has no usable preprocessor_config.json ({reason}); give a run folder.") from None
    model, absent = load_weights(pretraining_class(config), name)
    if absent:
        reason = f"holds no decoder ({len(absent)} tensors are missing), so it cannot fill in anything"
        raise ValueError(f"{name!r} {reason}; take the folder of the pretraining run.")
    return model.eval(), processor


def infill(
    joints: Any,
    model: Any,
    processor: SkeletonProcessor,
    drop_joints: str | Sequence[str] | None = None,
    drop_frames: str | tuple[int, int] | Sequence[Any] | None = None,
    missing: np.ndarray | None = None,
    *,
    layout: str | SkeletonLayout | None = None,
    axes: str | None = None,
    pose: MeanPose | None = None,
    **options: Any,
) -> InfillingOutput:
    """Fill the gaps of one clip.

    Args:
        joints: (T, V, 3), (T, M, V, 3) or another order of `array_axes`, in the unit of the layout; NaN or masked where not measured.
        model: `ViTMAEForPreTraining` or `DiffMAEForPreTraining`.
        processor: The `SkeletonProcessor` it was pretrained with.
        drop_joints, drop_frames, missing: What was lost beside the NaNs; see `lost_joints`. What `joints` holds there is not looked at.
        layout: Joint format; the processor's own if None.
        axes: Order of the axes of `joints`, such as "MTVC", where their sizes leave it in doubt.
        pose: Mean body that stands in for joints lost throughout, where the image is made; see `fill_linear`.
        **options: meet, num_samples, num_inference_steps, scheduler, seed, sample_ids of `infill_clips`.

    Raises:
        ValueError: nothing is lost, so much that nothing visible is left, or names, frames, model and processor that do not fit.

    Example:
        >>> filled = infill(joints, model, processor, drop_joints="left_arm", num_samples=8)
        >>> filled.joints.shape, filled.error(joints)  # (T, M, V, 3), millimetres
    """
    chosen = layout if layout is not None else processor.layout
    if chosen is None:
        raise ValueError("which joints are these? Pass layout=..., as the processor has none of its own.")
    clip = _as_clip(joints, get_layout(chosen), axes)
    lost = lost_joints(clip, chosen, drop_joints, drop_frames, missing)
    return infill_clips([clip], [lost], model, processor, chosen, pose=pose, **options)[0]


@torch.no_grad()
def infill_clips(
    clips: Sequence[np.ndarray],
    lost: Sequence[np.ndarray],
    model: Any,
    processor: SkeletonProcessor,
    layout: str | SkeletonLayout,
    *,
    pose: MeanPose | None = None,
    meet: bool = True,
    num_samples: int = 1,
    num_inference_steps: int | None = None,
    scheduler: Any = "ddim",
    seed: int = 0,
    sample_ids: Sequence[str] | None = None,
    batch_size: int = 64,
) -> list[InfillingOutput]:
    """Fill the gaps of many clips of one format; what comes out for a clip does not depend on the others. See `infill`; further:

    Args:
        clips, lost: (T, M, V, 3) and, from `lost_joints`, (T, M, V) bool of each clip.
        meet: Shift the path of a joint so that it meets the measured path at both ends of a gap.
        num_samples: Samples of a DiffMAE for each clip; an MAE has one.
        num_inference_steps, scheduler, seed: Of `DiffMAEForPreTraining.generate`; an MAE needs none. None: 1 step for a single sample,
            which is the mean of what may be there and on average nearest to the truth; 50 for several samples.
        sample_ids: Names of the clips, which the noise goes with; None: all alike, so a clip gets what it gets alone.
        batch_size: Clips in memory as images at a time.
    """
    layout, options = get_layout(layout), processor.encoding_options
    kind, patch = _check_model(model, options)
    if num_samples < 1:
        raise ValueError(f"num_samples is {num_samples}; expected 1 or more.")
    if kind == "mae" and num_samples > 1:
        raise ValueError(f"num_samples is {num_samples}, but an MAE has one answer; leave it out, or take a DiffMAE.")
    if len(clips) != len(lost) or (sample_ids is not None and len(sample_ids) != len(clips)):
        raise ValueError(f"there are {len(clips)} clips; expected as many lost masks and sample_ids.")
    if num_inference_steps is None:
        num_inference_steps = 1 if num_samples == 1 else STEPS
    ids = ["clip"] * len(clips) if sample_ids is None else list(sample_ids)
    gaps = [_find_gap(clip, mask, layout, options, patch, pose) for clip, mask in zip(clips, lost, strict=True)]
    # a model takes images with equally many hidden patches at once
    order = sorted(range(len(gaps)), key=lambda place: int(gaps[place].hidden.sum()))
    outputs: dict[int, InfillingOutput] = {}
    for start in range(0, len(order), batch_size):
        part = order[start : start + batch_size]
        images, metadata = encode([gaps[place].bridged for place in part], layout, options)
        hidden = torch.from_numpy(np.stack([gaps[place].hidden for place in part]))
        if kind == "mae":
            filled = predict_hidden(model, images, hidden)[:, None]
        else:
            given = [table.to(next(model.parameters()).device) for table in (images, hidden.float())]
            draw = {"seed": seed, "sample_ids": [ids[place] for place in part], "num_samples": num_samples}
            if model.config.norm_pix_loss:
                draw["patch_statistics"] = _statistics(model.patchify(images))
            filled = model.generate(*given, num_inference_steps, scheduler, **draw).cpu()
        for place, clip, drawn in zip(part, metadata, filled, strict=True):
            decoded = torch.stack(decode(drawn.float(), [clip] * len(drawn))).numpy()
            outputs[place] = _fill(gaps[place], decoded, kind, meet)
    return [outputs[place] for place in range(len(gaps))]


def _as_clip(joints: Any, layout: SkeletonLayout, axes: str | None) -> np.ndarray:
    """(T, M, V, 3) float32."""
    if hasattr(joints, "detach"):
        joints = joints.detach().cpu().float().numpy()
    joints = np.asarray(unmasked(joints))
    if joints.dtype.kind not in "fiu":
        raise ValueError(f"joints are {joints.dtype} of shape {joints.shape}; expected numbers.")
    numbers = joints.astype(np.float32)
    return np.ascontiguousarray(in_space(arrange(numbers, layout, axes), layout))


def _check_model(model: Any, options: EncodingOptions) -> tuple[str, int]:
    """ "mae" or "diffmae", and the side of a patch."""
    config = getattr(model, "config", None)
    kind = {"vit_mae": "mae", "diffmae": "diffmae"}.get(getattr(config, "model_type", ""))
    if config is None or kind is None or not hasattr(model, "generate" if kind == "diffmae" else "decoder"):
        wanted = "a ViTMAEForPreTraining or a DiffMAEForPreTraining"
        raise ValueError(f"{type(model).__name__} cannot fill in motion; expected {wanted}.")
    if options.size != image_sides(config.image_size):
        sizes = f"images of {shown_size(options.size)} pixels, but the model takes {shown_size(config.image_size)}"
        raise ValueError(f"the processor makes {sizes}; use the processor that was saved with the model.")
    return kind, int(config.patch_size)


def _find_gap(
    joints: np.ndarray,
    lost: np.ndarray,
    layout: SkeletonLayout,
    options: EncodingOptions,
    patch: int,
    pose: MeanPose | None,
) -> _Gap:
    joints = with_people(joints)
    known = np.where(lost[..., None], np.float32(np.nan), joints)
    prepare(known, layout)  # its checks, in its words; of what is lost anything may be said
    people = present_people(known)[: 1 if options.people == "first" else None]
    if not lost.any():
        raise ValueError("nothing is lost in this clip: no joint is NaN or named; pass drop_joints or drop_frames.")
    if len(people) == 0:
        raise ValueError("everything in this clip is lost, with nothing to fill it from; name fewer joints or frames.")
    lost = lost[:, people]
    if not lost.any():
        raise ValueError("nothing is lost of the people that the model sees, so there is nothing to fill.")
    bridged = fill_linear(known[:, people], lost, layout, pose)
    touched = touched_pixels(lost, layout, options)
    hidden = touched.reshape(-1, patch, options.size[1] // patch, patch).any(axis=(1, 3)).reshape(-1)
    if hidden.all():
        reach = f"touches all {hidden.size} patches of the image, so the model would see nothing"
        raise ValueError(f"what is lost {reach}; name fewer joints or frames.")
    if not hidden.any():  # of the motion stream, a first frame that alone is lost
        raise ValueError("what is lost touches no patch of the image, so the model has nothing to fill.")
    return _Gap(joints, people, lost, bridged, layout, hidden)


def predict_hidden(model: Any, images: Tensor, hidden: Tensor) -> Tensor:
    """Images (B, 3, H, W) float32 with what a ViTMAE puts into hidden patches (B, L) bool, whose config is as before afterwards.

    What hidden patches hold is not seen by the model, but with `norm_pix_loss` gives brightness and contrast.
    """
    length = hidden.shape[1]
    patches, device = model.patchify(images), next(model.parameters()).device
    filled, counts = patches.clone(), hidden.sum(dim=1)
    ratio, was_training = model.config.mask_ratio, model.training
    model.eval()
    try:
        for count in counts.unique().tolist():  # a ViTMAE hides equally many patches in all images of a batch
            rows = (counts == count).nonzero()[:, 0]
            # half a patch more keeps int(L (1 - ratio)) right whatever the rounding; setting the config is how ViTMAE is told
            model.config.mask_ratio = 1 - (length - count + 0.5) / length
            noise = torch.where(hidden[rows], length, 0) + torch.arange(length)  # visible patches come first
            outputs = model(images[rows].to(device), noise=noise.float().to(device))
            logits = outputs.logits.float().cpu()
            if model.config.norm_pix_loss:
                mean, variance = _statistics(patches[rows])
                logits = logits * (variance + 1e-6).sqrt() + mean
            filled[rows] = torch.where(hidden[rows][..., None], logits, patches[rows])
    finally:
        model.config.mask_ratio = ratio
        model.train(was_training)
    return model.unpatchify(filled)


def _statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (B, L, 1) of each patch, which `norm_pix_loss` takes out of what a model predicts."""
    return patches.mean(dim=-1, keepdim=True), patches.var(dim=-1, keepdim=True)
