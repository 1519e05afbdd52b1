"""`SkeletonProcessor`: the S2I encoding as an image processor of transformers.

The processor is the recipe: everything that changes a pixel is one of its attributes and is written to preprocessor_config.json, so two
processors with equal JSON give equal images. Like any image processor it is saved beside the model and used by `pipeline`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature
from transformers.image_utils import SizeDict
from transformers.processing_utils import ImagesKwargs

from .array_axes import arrange, in_space, unmasked
from .encoding import ClipMetadata, EncodingOptions, as_layouts, decode, encode
from .encoding_batched import encode_padded
from .layouts import LAYOUTS, LayoutLike, SkeletonLayout, get_layout, layout_json
from .suggestions import did_you_mean
from .transforms import padded, prepare, present_people

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)

# Mean and standard deviation of ImageNet pixels, which vision-pretrained weights expect.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Recipes by name; every option is spelled out, so that a recipe stays what it is when the defaults change. Streams are left to the
# caller: `preset("paper", stream="bone")`.
PRESETS: dict[str, dict[str, Any]] = {
    # arXiv 2603.05963 says: a T x J map, five parts each listed top-down, resized linearly to 224 x 224 for weights that were trained on
    # ImageNet. It leaves open, and these are our choices: where two people go, how coordinates reach the pixel range, what is
    # subtracted before, and details of the resize (here align_corners=False, antialiased along an axis that shrinks).
    "paper": {
        "size": 224, "joint_order": "parts", "part_widths": "joints", "interpolation": "linear", "order_seed": 0,
        "do_normalize": True, "image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD,
        "stream": "joint", "people": "adaptive", "value_range": "sequence", "value_scale": 1.0, "center": "first_frame",
    },
}  # fmt: skip
# What a processor starts from: ImageNet's mean and deviation, and otherwise what `EncodingOptions` has.
_DEFAULTS = EncodingOptions(image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD).to_dict() | {"do_normalize": True}
# Keys that transformers itself writes into a preprocessor_config.json.
_FOREIGN_KEYS = frozenset({"image_processor_type", "feature_extractor_type", "processor_class", "auto_map"})
# Arguments of `from_pretrained` that are for the Auto classes, and no options.
_LOADING = frozenset({
    "adapter_kwargs", "attn_implementation", "backend", "code_revision", "device_map", "dtype", "return_unused_kwargs", "torch_dtype",
    "trust_remote_code", "use_fast",
})  # fmt: skip
_IGNORED_LABEL = -100  # what losses of torch leave out


class SkeletonImageKwargs(ImagesKwargs, total=False):
    """What a `SkeletonProcessor` is configured with, beside the keys of any image processor."""

    layout: str | dict[str, Any] | None


SkeletonImageKwargs.__annotations__.update(dict.fromkeys(_DEFAULTS, Any))  # where transformers looks them up


class SkeletonProcessor(BaseImageProcessor):
    """Turns 3D skeletons into S2I images, and images back into skeletons.

    Args:
        layout: Joint format used when a call names none: a name in `LAYOUTS`, a `SkeletonLayout` or its `to_dict` form. A custom layout
            is saved in full.
        size: Image size, `{"height": 224, "width": 224}` or one number.
        do_normalize: Whether to subtract `image_mean` and divide by `image_std`.
        **options: Every other option of `EncodingOptions`, such as `stream="bone"`. `image_mean` and `image_std` are ImageNet's unless
            given. All of them are attributes of the processor.

    Raises:
        ValueError: an option has none of its values, or the layout is unknown.
        TypeError: an unknown option.

    Example:
        >>> processor = SkeletonProcessor(layout="kinect_v2")
        >>> inputs = processor(joints, return_tensors="pt", return_metadata=True)  # joints: (T, V, 3) or (T, M, V, 3) metres
        >>> inputs["pixel_values"].shape
        torch.Size([1, 3, 224, 224])
        >>> processor.decode(inputs["pixel_values"], inputs["metadata"])[0].shape  # (T, M, V, 3) metres
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012  # the form of the base class
    valid_kwargs = SkeletonImageKwargs
    _auto_class = "AutoImageProcessor"  # type: ignore[assignment]  # `save_pretrained` writes the code beside it

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Every option is an attribute."""

    def __init__(
        self,
        layout: LayoutLike | None = None,
        size: int | Sequence[int] | Mapping[str, int] = 224,
        *,
        do_normalize: bool = True,
        **options: Any,
    ) -> None:
        recipe = {name: options.pop(name, default) for name, default in _DEFAULTS.items()}
        unknown = [key for key in options if key not in _FOREIGN_KEYS and not key.startswith("_")]
        if unknown:
            raise TypeError(_unknown_option(unknown[0]))
        options.pop("auto_map", None)  # says where a pushed folder has its code, and is no part of the recipe
        super().__init__(**options)
        if recipe["image_mean"] is None or recipe["image_std"] is None:
            raise ValueError("image_mean or image_std is None; give three numbers, or do_normalize=False for neither.")
        height, width = _height_width(size)
        recipe |= {"size": SizeDict(height=height, width=width), "do_normalize": bool(do_normalize)}
        for name, value in {"layout": None if layout is None else layout_json(layout), **recipe}.items():
            kind = type(_DEFAULTS.get(name))  # as JSON has them, whatever numbers and sequences were given
            setattr(self, name, kind(value) if kind in (int, float) else value)
        self.image_mean, self.image_std = (list(map(float, recipe[name])) for name in ("image_mean", "image_std"))
        _ = self.encoding_options  # refuses bad values now, not at the first clip

    @classmethod
    def from_dict(cls, image_processor_dict: dict[str, Any], **kwargs: Any) -> Any:
        """The processor that a preprocessor_config.json describes.

        Raises ValueError if it holds an option, or a value of one, that this version does not know; warns of an unknown one in `kwargs`.
        """
        for name in kwargs.keys() - cls.valid_kwargs.__annotations__.keys() - _LOADING - _FOREIGN_KEYS:
            if not name.startswith("_") and not kwargs.get("return_unused_kwargs"):
                logger.warning("%s It is ignored.", _unknown_option(name))
        try:
            return super().from_dict(image_processor_dict, **kwargs)
        except (TypeError, ValueError) as error:
            if any(key in cls.valid_kwargs.__annotations__ for key in kwargs):
                raise  # of the caller, not of the file
            layout = image_processor_dict.get("layout")
            if isinstance(layout, str) and layout not in LAYOUTS:
                raise ValueError(
                    f"preprocessor_config.json says its joint format by a name alone (Unknown layout {layout!r}): if that is one of your "
                    "own, put its JSON there in place of the name (s2i.json of the converted data has it under layouts) or train again; if "
                    "it is one of a newer version, update s2i_hf with `pip install -U`."
                ) from None
            reason = str(error).partition(" Its options are ")[0].partition(" Known: ")[0].rstrip(".")
            raise ValueError(
                f"preprocessor_config.json is not of this version of SkeletonProcessor ({reason}): written by a newer s2i_hf, or damaged; "
                "update s2i_hf with `pip install -U`, or save the processor again."
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """What preprocessor_config.json holds: of a layout of one's own all of it, though its name is known to this process."""
        values: dict[str, Any] = super().to_dict()
        if (layout := values.get("layout")) is not None and (not isinstance(layout, str) or layout in LAYOUTS):
            values["layout"] = layout_json(layout)
        return values

    @classmethod
    def preset(cls, name: str, **changes: Any) -> SkeletonProcessor:
        """A processor by the name of its recipe in `PRESETS`: "paper" is that of the S2I paper, with our choices where it leaves some.

        `changes` are single options in their place, such as `layout="kinect_v2"` or `stream="bone"`.

        Raises ValueError for an unknown name or value of an option, TypeError for an unknown option.
        """
        if name not in PRESETS:
            raise ValueError(f"Unknown preset {name!r}.{did_you_mean(str(name), PRESETS)} Known: {', '.join(PRESETS)}.")
        return cls(**{**PRESETS[name], **changes})

    @property
    def encoding_options(self) -> EncodingOptions:
        """The processor's options in the form that `encode` and `encode_padded` take."""
        return self._options({})

    def _options(self, changes: dict[str, Any]) -> EncodingOptions:
        values = {name: changes.pop(name, getattr(self, name)) for name in _DEFAULTS}
        values["size"] = _height_width(values["size"])
        if not values.pop("do_normalize"):
            values["image_mean"] = values["image_std"] = None
        return EncodingOptions(**values)

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:
        """See `preprocess`."""
        return self.preprocess(images, *args, **kwargs)

    def preprocess(
        self,
        images: Any,
        layout: LayoutLike | Sequence[LayoutLike] | None = None,
        return_tensors: str | None = "pt",
        return_metadata: bool = False,
        axes: str | None = None,
        allow_empty: bool = False,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        data_format: str = "channels_first",
        **kwargs: Any,
    ) -> BatchFeature:
        """Encode one clip or several.

        Args:
            images: Joints: one clip (T, V, 3) or (T, M, V, 3), a list of clips of any length, or a batch (B, T, M, V, 3); numpy,
                torch or nested lists. Other orders of `array_axes` are told by their sizes. What is masked or NaN was not measured, nor
                was a joint whose fourth value, its score or tracking state, is not above 0. Or rows of a data set: one (a dict with
                joints, layout and maybe shape and label), several, a batch of columns as `Dataset.with_transform` gives it, or a
                batch of `SkeletonCollator`. Called `images` because that is the name pipelines pass.
            layout: Joint format of all clips, or one a clip; what the rows say, or the processor's own, if None.
            return_tensors: "pt", "np", or None for a list of numpy arrays.
            return_metadata: Whether to return `metadata`, which `decode` needs, as well.
            axes: Order of the axes of every clip, where sizes leave it in doubt: the letters T (frames), M (people), V (joints) and C
                (coordinates), such as "MTVC" or "CTVM"; with N for the clips of an array that holds several.
            allow_empty: Whether a clip in which no joint was measured becomes an image of nobody, and no error.
            device: Where the images are made: joints go there, and on an accelerator a batch is a few large operations.
            dtype: Of the images; they are made in float32.
            data_format: "channels_first" for (B, 3, H, W), or "channels_last".
            **kwargs: Single options for this call, such as `stream="bone"`.

        Returns:
            A dict of `pixel_values` (B, 3, H, W) float32; of rows with a label also of `labels` (B,) int64, -100 for the unknown, which
            losses leave out; and, if asked for, of `metadata`, a list of `ClipMetadata`.

        Raises:
            ValueError: no layout is known, or a clip does not fit it, or fits it in two orders of its axes, or shows nobody.
            TypeError: an unknown option.
        """
        options = self._options(kwargs)
        if kwargs:
            raise TypeError(_unknown_option(next(iter(kwargs))))
        for name, value, known in (
            ("return_tensors", return_tensors, ("pt", "np", None)),
            ("data_format", data_format, ("channels_first", "channels_last")),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}; expected {' or '.join(map(repr, known))}.")
        if isinstance(images, Mapping) and "num_frames" in images:  # of the collator: padded, and prepared
            if return_metadata:
                raise ValueError("a batch of SkeletonCollator has no metadata; pass clips or rows for it.")
            joints = images["joints"] if device is None else images["joints"].to(device)
            pixel_values = encode_padded(joints, images["num_frames"], images["num_people"], images["layouts"], options)
            labels, metadata = images.get("labels"), None
        else:
            clips, layouts, labels = self.clips_of(images, layout, axes)
            for index, clip in enumerate(clips if not allow_empty else ()):
                if not clip.any() or len(present_people(clip)) == 0:
                    which = f"clip {index} of {len(clips)}" if len(clips) > 1 else "the clip"
                    raise ValueError(
                        f"{which} has no measured joint, all are zero or NaN; allow_empty=True makes an image of nobody."
                    )
            if device is None or torch.device(device).type == "cpu" or return_metadata:
                pixel_values, metadata = encode(clips, layouts, options)
                pixel_values = pixel_values if device is None else pixel_values.to(device)
            else:
                pixel_values, metadata = _encode_on(device, clips, layouts, options), None
        pixel_values = pixel_values if dtype is None else pixel_values.to(dtype)
        pixel_values = pixel_values if data_format == "channels_first" else pixel_values.movedim(1, 3)
        data: dict[str, Any] = {"pixel_values": pixel_values}
        if labels is not None:
            numbers = torch.as_tensor([int(label) for label in labels])
            data["labels"] = numbers.masked_fill(numbers < 0, _IGNORED_LABEL)
        if return_tensors != "pt":
            data = {name: value.numpy(force=True) for name, value in data.items()}
        if return_tensors is None:
            data = {name: list(value) for name, value in data.items()}
        return BatchFeature(data=data | {"metadata": metadata} if return_metadata else data)

    def clips_of(
        self, images: Any, layout: LayoutLike | Sequence[LayoutLike] | None, axes: str | None
    ) -> tuple[list[np.ndarray], list[SkeletonLayout], list[Any] | None]:
        """What a call takes, taken apart: (T, M, V, 3) clips, a layout each and, of rows that have one, a label each."""
        rows = _rows(images)
        if rows is None:
            if layout is None and self.layout is None:
                raise ValueError("which joints are these? Pass layout=..., here or to SkeletonProcessor.")
            clips = _as_clips(images, self.layout if layout is None else layout, axes)
            if not clips:
                raise ValueError("got an empty list of clips; pass at least one (T, M, V, 3) clip.")
            return clips, as_layouts(self.layout if layout is None else layout, len(clips)), None
        asked = [None] * len(rows) if layout is None else as_layouts(layout, len(rows))
        layouts = [self._layout_of(row, given) for row, given in zip(rows, asked, strict=True)]
        clips = [_clip_of(row, one, axes) for row, one in zip(rows, layouts, strict=True)]
        labelled = all("label" in row for row in rows)
        return clips, layouts, [row["label"] for row in rows] if labelled else None

    def _layout_of(self, row: Mapping[str, Any], given: SkeletonLayout | None) -> SkeletonLayout:
        said = get_layout(row["layout"]) if row.get("layout") is not None else given or self.layout
        if said is None:
            raise ValueError(
                "which joints are these? The row has no layout; pass layout=..., here or to SkeletonProcessor."
            )
        if given is not None and get_layout(said) != given:
            raise ValueError(
                f"the row is of layout {get_layout(said).name!r}, and layout={given.name!r} was passed; leave it out."
            )
        return get_layout(said)

    def to_pil(self, pixel_values: torch.Tensor | np.ndarray) -> list[Image]:
        """(B, 3, H, W) images of this processor as pictures to look at: mean and deviation undone, 0 to 1 as 0 to 255, clipped."""
        from PIL import Image

        pixels = torch.as_tensor(pixel_values).detach().to("cpu", torch.float32)
        if self.do_normalize:
            mean, deviation = (torch.tensor(values)[:, None, None] for values in (self.image_mean, self.image_std))
            pixels = pixels * deviation + mean
        bytes_ = (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(picture) for picture in bytes_]

    def decode(self, pixel_values: torch.Tensor | np.ndarray, metadata: Sequence[ClipMetadata]) -> list[torch.Tensor]:
        """Joints (T, M, V, 3) of each of (B, 3, H, W) images of this processor, or of reconstructions: `encoding.decode`.

        `metadata` is that of the call that made the images.
        """
        return decode(pixel_values, metadata)


def _unknown_option(name: str) -> str:
    known = [
        *_DEFAULTS,
        "layout",
        "return_tensors",
        "return_metadata",
        "axes",
        "allow_empty",
        "device",
        "dtype",
        "data_format",
    ]
    return f"SkeletonProcessor has no option {name!r}.{did_you_mean(name, known)} Its options are {', '.join(known)}."


def _height_width(size: Any) -> tuple[int, int]:
    if isinstance(size, SizeDict):
        size = {name: value for name, value in vars(size).items() if value is not None}
    if isinstance(size, Mapping):
        if set(size) != {"height", "width"}:
            raise ValueError(f"size has keys {sorted(size)}; expected height and width.")
        return int(size["height"]), int(size["width"])
    return EncodingOptions(size=size).size


def _encode_on(
    device: str | torch.device, clips: Sequence[np.ndarray], layouts: Sequence[SkeletonLayout], options: EncodingOptions
) -> torch.Tensor:
    """The images of `encode`, made on an accelerator of one padded batch."""
    prepared = [prepare(clip, layout, options.people)[0] for clip, layout in zip(clips, layouts, strict=True)]
    frames, people = ([clip.shape[axis] for clip in prepared] for axis in (0, 1))
    return encode_padded(torch.from_numpy(padded(prepared)).to(device), frames, people, layouts, options)


# -- what callers pass -------------------------------------------------------------------------------------------------


def _rows(images: Any) -> list[Mapping[str, Any]] | None:
    """Rows of a data set, of one, of several, or of a batch of columns; None if these are no rows but joints."""
    if isinstance(images, list | tuple) and images and isinstance(images[0], Mapping):
        return [row for item in images for row in _rows(item) or ()]
    if not isinstance(images, Mapping):
        return None
    columns = {name: images[name] for name in ("joints", "shape", "layout", "label") if name in images}
    if "joints" not in columns:
        raise ValueError(
            f"a row has {', '.join(map(str, images)) or 'nothing'} and no 'joints'; expected a row of `s2i convert`."
        )
    layout, shape = columns.get("layout"), columns.get("shape")
    several = (
        np.ndim(shape) == 2 if shape is not None else not isinstance(layout, str | SkeletonLayout | Mapping | None)
    )
    if not several:
        return [columns]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _clip_of(row: Mapping[str, Any], layout: SkeletonLayout, axes: str | None) -> np.ndarray:
    """(T, M, V, 3) of a row, whose joints have that shape or (T, V, 3), or are flat beside it, as `s2i convert` writes them."""
    joints = _numbers(row["joints"])
    if row.get("shape") is not None:
        shape = [int(size) for size in row["shape"]]
        if joints.size != np.prod(shape):
            raise ValueError(f"a row has {joints.size} coordinates, but shape {shape}; it is damaged.")
        joints = joints.reshape(shape)
    return in_space(arrange(joints, layout, axes or {3: "TVC", 4: "TMVC"}.get(joints.ndim)), layout)


def _as_clips(images: Any, layout: LayoutLike | Sequence[LayoutLike], axes: str | None) -> list[np.ndarray]:
    """One clip or many, however they are nested, as a list of (T, M, V, 3) float32."""
    found = _split(images)
    if len(found) == 1:
        one = isinstance(layout, str | SkeletonLayout | Mapping) or not len(layout)
        first = get_layout(layout if one else layout[0])  # type: ignore[arg-type, index]
        array, lists = _numbers(found[0]), isinstance(images, list | tuple) and isinstance(found[0], list | tuple)
        array = arrange(array, first, axes, batches=True, lists=lists)
        return [in_space(clip, first) for clip in (array if array.ndim == 5 else [array])]
    return [
        in_space(arrange(_numbers(clip), one, axes), one)
        for clip, one in zip(found, as_layouts(layout, len(found)), strict=True)
    ]


def _split(images: Any) -> list[Any]:
    """The clips, or the one clip or batch that there is."""
    if not isinstance(images, list | tuple):
        if not hasattr(images, "ndim"):
            raise ValueError(
                f"got {type(images).__name__}; expected joints as arrays, tensors or nested lists, or rows of a data set."
            )
        return [images]
    depth, inner = 0, images
    while isinstance(inner, list | tuple):
        if not inner:
            return []
        depth, inner = depth + 1, inner[0]
    dimensions = depth + getattr(inner, "ndim", 0)
    if depth == 1 and dimensions > 3:
        return list(images)  # clips of any length
    if dimensions > 4:
        return [clip for item in images for clip in _split(item)]
    return [images]


def _numbers(clip: Any) -> np.ndarray:
    """An array, a tensor, a list of these or nested lists as float32; NaN where it is masked. Raises ValueError if they are ragged."""
    if hasattr(clip, "detach"):
        array: np.ndarray = clip.detach().cpu().float().numpy()  # numpy knows no bfloat16
        return array
    if isinstance(clip, list | tuple) and hasattr(clip[0], "ndim"):
        clip = [_numbers(frame) for frame in clip]
    kind = getattr(getattr(clip, "dtype", None), "kind", "f")
    if kind not in "fiuO":
        raise ValueError(f"the array holds {clip.dtype}; expected numbers.")
    try:
        return np.asarray(unmasked(clip), dtype=np.float32)
    except (TypeError, ValueError):
        shapes = "pass one clip as (T, V, 3) or (T, M, V, 3), several as a list of arrays."
        raise ValueError(f"the nested lists of joints are ragged or not numbers; {shapes}") from None
