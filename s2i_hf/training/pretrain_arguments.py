"""`PretrainArguments` and `DiffMAEArguments`: every setting of a pretraining, as flags of `s2i pretrain` and keys of its YAML files."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ..models.scheduling_diffmae import NoiseSchedule
from ..processing.encoding import EncodingOptions, Stream
from ..processing.masking import mask_weights, ratio_range, typical_ratio
from ..processing.transforms import Center
from ..utils.arguments import arg, pairs, several
from .common_arguments import CommonArguments


@dataclass
class _PretrainTask:
    """What is learned from: clips, images, masks; before the common settings in `--help`."""

    data: str | tuple[str, ...] = arg(help="Protocol, such as nw_ucla_xview, or folder of `s2i convert`; several: a,b.")
    data_dir: str | tuple[str, ...] | None = arg(None, "Folder with the raw files; of several protocols: a=DIR,b=DIR.")
    mixture: float | str | None = arg(
        None,
        "Draws from each of several: equal, an exponent of its size, or a=2,b=1; if none, all its clips once an epoch.",
    )
    holdout: tuple[str, ...] = arg((), "Protocols whose test clips are not trained on, such as ntu60_xsub,pku1_xview.")
    model: str = arg(
        "config:small", "config:micro|tiny|small|base|large from scratch, vision:tiny, or a ViTMAE folder or Hub id."
    )
    # the image; see `EncodingOptions`
    size: int | tuple[int, int] = arg(
        224,
        "Side of the image in pixels, or height (time) and width (joints): 224 112, 224x112. Weights for another size get the sine-cosine "
        "positions of this one.",
    )
    patch_size: int = arg(16, "Side of a patch, for a model from scratch; weights have their own.")
    people: Literal["adaptive", "first"] = arg("adaptive", "Blocks of as many people as present, or actor 1 alone.")
    part_widths: Literal["joints", "equal"] = arg("joints", "Width of a body part: by its joints, or a fifth.")
    value_range: Literal["sequence", "per_axis", "fixed"] = arg("sequence", "How coordinates reach the pixel range.")
    value_scale: float = arg(1.0, "Metres that become 1 with value_range fixed.")
    center: Center = arg("first_frame", "When actor 1's centre is subtracted.")
    stream: Stream = arg("joint", "What the image shows.")
    joint_order: Literal["parts", "sensor", "random"] = arg(
        "parts", "Joints from left to right: part by part, as the sensor lists them, or shuffled."
    )
    order_seed: int = arg(0, "Which shuffling, with joint_order random.")
    interpolation: Literal["linear", "nearest", "cubic"] = arg("linear", "How the joint map is resized to the image.")
    do_normalize: bool = arg(True, "Subtract image_mean and divide by image_std.")
    image_mean: tuple[float, float, float] | None = arg(None, "Mean of each channel; the processor's if none.")
    image_std: tuple[float, float, float] | None = arg(None, "Standard deviation of each channel; likewise.")
    # the task
    target: Literal["joint", "motion"] = arg("joint", "Reconstruct the image, or the motion stream of the same clip.")
    mask: str = arg(
        "random", "Patches hidden: random, block, joint, temporal, body_part, or a mixture: random=0.5,joint=0.5."
    )
    mask_ratio: float | tuple[float, float] = arg(
        0.75, "Share of patches hidden; or the lowest and the highest, drawn for each optimizer step."
    )
    norm_pix_loss: bool = arg(True, "Predict pixels normalised patch by patch.")


@dataclass
class PretrainArguments(CommonArguments, _PretrainTask):
    """Settings of masked pretraining; each is a flag of `s2i pretrain` and a key of its YAML files."""

    method = "mae"

    epochs: int = arg(400, "Passes over the training clips.")
    batch_size: int = arg(64, "Clips a process and micro-batch.")
    base_lr: float = arg(1.5e-4, "Learning rate of an effective batch of 256; scaled with the effective batch.")
    grad_clip: float | None = arg(None, "Largest norm of the gradient.")
    log_sample_ids: bool = arg(False, "Write sample_ids_rank<r>.jsonl: which process saw which clips.")

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("--data names nothing; expected a protocol or a folder of `s2i convert`, or several.")
        if self.output_dir is None:
            self.output_dir = f"runs/{self.method}_{'+'.join(Path(name).name for name in self.sources)}"
        super().__post_init__()
        mask_weights(self.mask)
        low, high = ratio_range(self.mask_ratio)
        if not 0 < low <= high < 1:
            shown = f"{low:g}" if low == high else f"{low:g} {high:g}"
            raise ValueError(f"--mask_ratio is {shown}; expected shares above 0 and below 1.")
        _ = self.data_options  # refuses bad values now

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
            raise ValueError(f"--data_dir has {len(data_dir)} values; expected a folder, or pairs: {sources[0]}=DIR.")
        return {**options, "holdout": self.holdout, "cache_dir": self.cache_dir}

    @property
    def processor_options(self) -> dict[str, Any]:
        """What `SkeletonProcessor` is made with."""
        names = [*(option.name for option in fields(EncodingOptions)), "do_normalize"]
        options = {name: getattr(self, name) for name in names}
        return {name: value for name, value in options.items() if value is not None}

    @property
    def model_options(self) -> dict[str, Any]:
        """What `build_mae` is called with."""
        options = {name: getattr(self, name) for name in ("patch_size", "norm_pix_loss", "seed")}
        return {"image_size": self.size, "mask_ratio": typical_ratio(self.mask_ratio), **options}


@dataclass
class _Decoder:
    """The decoder of DiffMAE and its noise."""

    decoder_type: Literal["cross", "cross-self", "joint"] = arg("cross", "What noisy patches attend to.")
    noisy_input: Literal["scaled", "plain"] = arg("scaled", "Noisy patches times sqrt(abar_t), or as they are.")
    noise_levels: int = arg(1, "Noise levels learned from in one pass of the encoder.")
    num_train_timesteps: int = arg(1000, "Number of noise levels there are.")
    beta_start: float = arg(1e-4, "First variance of the noise.")
    beta_end: float = arg(2e-2, "Last variance of the noise.")
    rho: float = arg(1.0, "Exponent of the noise: 1 is plain DDPM, 0.8 (more noise) that of the DiffMAE paper.")
    rho_on: Literal["beta", "alpha_bar"] = arg("beta", "What the exponent is on.")


@dataclass
class DiffMAEArguments(_Decoder, PretrainArguments):
    """Settings of DiffMAE pretraining: those of `PretrainArguments`, and the decoder and its noise."""

    method = "diffmae"

    model: str = arg(
        "config:small", "config:micro|tiny|small|base|large, vision:tiny, or a DiffMAE or ViTMAE folder or Hub id."
    )
    norm_pix_loss: bool = arg(False, "Predict pixels normalised patch by patch; such a model cannot fill in motion.")

    def __post_init__(self) -> None:
        super().__post_init__()
        NoiseSchedule.of(self)  # its checks

    @property
    def model_options(self) -> dict[str, Any]:
        """What `build_diffmae` is called with."""
        return super().model_options | {field.name: getattr(self, field.name) for field in fields(_Decoder)}


METHODS: dict[str, type[PretrainArguments]] = {kind.method: kind for kind in (PretrainArguments, DiffMAEArguments)}
