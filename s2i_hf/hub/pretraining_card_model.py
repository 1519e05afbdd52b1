"""What a model card says of the model itself: what it is for, mask, architecture, recipe, curve, cost, how to use it and whom to cite.

Like `card_sections`: one function each, a run folder in, Markdown out.
"""

from __future__ import annotations

from ..models.model_cost import model_cost
from ..processing.masking import MASKS, describe_mask, ratio_range
from ..protocols import DATASETS, PROTOCOLS, Dataset
from ..runs.run_folder import RunFolder
from .markdown import NOT_MEASURED, markdown_table, pairs

KINDS: dict[str, str] = {
    "vit_mae": "ViT-MAE (`ViTMAEForPreTraining`)",
    "diffmae": "DiffMAE (`DiffMAEForPreTraining`)",
    "vit": "ViT (`ViTModel`)",
}
"""`model_type` -> what the model is called."""

_DECODERS = {
    "cross": "noisy patches attend to the encoder's view of the visible ones, block by block, and not to each other",
    "cross-self": "noisy patches attend to each other and to the encoder's view of the visible ones, block by block",
    "joint": "noisy patches and the encoder's view of the visible ones attend to each other",
}
_RECIPE_KEYS = (
    "model", "target", "norm_pix_loss", "epochs", "max_steps", "batch_size", "gradient_accumulation", "base_lr", "weight_decay",
    "warmup_epochs", "grad_clip", "precision", "seed",
)  # fmt: skip


_PAPER = (
    "@article{yang2026skeleton,\n"
    "  title = {Skeleton-to-Image Encoding: Enabling Skeleton Representation Learning via Vision-Pretrained Models},\n"
    "  author = {Yang, Siyuan and Liu, Jun and Cheng, Hao and Wang, Chong and Lu, Shijian and Kjellstrom, Hedvig and Lin, Weisi and "
    "Kot, Alex C.},\n"
    "  journal = {arXiv preprint arXiv:2603.05963},\n"
    "  year = {2026}\n"
    "}"
)


def use_section(run: RunFolder) -> str:
    """What the model is for, and what it is not for."""
    layouts = run.data.get("layouts") or []
    formats = (
        f" in the joint format{'s' if len(layouts) > 1 else ''} {', '.join(f'`{name}`' for name in layouts)}"
        if layouts
        else ""
    )
    if run.is_finetuned:
        count = len(run.config.get("id2label") or {})
        what = (
            f"Telling {count or 'its'} actions apart in clips of one or more people, recorded as 3D joints{formats}, under conditions like "
            "those of its test. A clip that shows none of its actions is given one of them all the same: look at the probabilities."
        )
    else:
        what = (
            f"Features of 3D skeletons{formats} (others are converted), to fine-tune, to probe or to compare clips with, in research. "
            "By itself it names no action."
        )
    return (
        f"**Intended use.** {what} **Not for** recognising who somebody is, for watching people without their consent, or for decisions "
        "about health, work or safety: nobody tested it for these."
    )


def known_datasets(run: RunFolder) -> list[Dataset]:
    """The data sets that it learned from or was tested on, as far as they are known ones."""
    names = [*str(run.data.get("name") or "").split(" + "), *run.per_class, str(run.fusion.get("protocol"))]
    rules = [PROTOCOLS[name] for name in names if name in PROTOCOLS]
    return [DATASETS[name] for name in dict.fromkeys(rule.dataset for rule in rules) if name != "synthetic"]


def citation_section(run: RunFolder) -> str:
    """The paper of the method, and those of the data."""
    data = "".join(f"\n- {one.title}: {one.citation}" for one in known_datasets(run))
    text = f"The method (an independent implementation of it made this model):\n\n```bibtex\n{_PAPER}\n```"
    return f"{text}\n\nThe data:\n{data}" if data else text


def mask_section(run: RunFolder) -> str:
    """Which patches are hidden while it learns."""
    ratio = run.settings.get("mask_ratio", run.config.get("mask_ratio"))
    if ratio is None or "mask" not in run.settings:
        return "Nothing is hidden when the encoder is used: it sees every patch."
    low, high = ratio_range(ratio)
    share = f"{low:.0%}" if low == high else f"{low:.0%} to {high:.0%} (drawn for each optimizer step)"
    mask = describe_mask(run.settings["mask"])
    kind = f"`{mask}`" if mask in MASKS else f"{mask[0].upper()}{mask[1:]} masks"
    text = f"{kind}, {share} of the patches hidden, drawn from (seed, epoch, sample id)."
    if run.config.get("model_type") == "diffmae":
        text += " Hidden patches get noise in pixel space, of a level and values drawn from the same three."
    return f"{text} For features nothing is hidden: the encoder sees every patch."


def model_section(run: RunFolder) -> str:
    """Sizes; of a DiffMAE the decoder and the noise as well."""
    keys = (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "decoder_hidden_size", "decoder_num_hidden_layers", "image_size",
        "patch_size",
    )  # fmt: skip
    settings = pairs(run.config, keys)
    if run.config.get("model_type") == "diffmae" and settings:
        return f"{settings}\n\n{_denoising(run)}"
    return settings or "Not recorded."


def _denoising(run: RunFolder) -> str:
    """The decoder and the noise of a DiffMAE, in sentences."""
    config = run.config
    rho, levels = config.get("rho", 1.0), config.get("noise_levels", 1)
    exponent = "plain DDPM" if rho == 1 else f"with an exponent rho of {rho:g} on {config.get('rho_on', 'beta')}"
    noisy = "as they are"
    if config.get("noisy_input", "scaled") == "scaled":
        noisy = "times sqrt(abar_t), which fades strong noise out,"
    what = "pixels normalised patch by patch" if config.get("norm_pix_loss") else "clean pixels"
    kind = config.get("decoder_type", "cross")
    return (
        f"Decoder `{kind}`: {_DECODERS.get(kind, 'of another kind')}. It gets noisy patches {noisy} and predicts {what}. Schedule: "
        f"{config.get('num_train_timesteps', 1000):,} noise levels, whose variance grows linearly from "
        f"{config.get('beta_start', 1e-4):g} to {config.get('beta_end', 2e-2):g}, {exponent}; in each pass of the encoder {levels} of them "
        f"{'is' if levels == 1 else 'are'} learned from."
    )


def start_section(run: RunFolder) -> str:
    """What was taken over from the weights it started from, as the run printed it."""
    notes = run.summary.get("start_notes") or run.start.get("start_notes") or []
    return "At the start:\n\n" + "\n".join(f"- {note}" for note in notes) if notes else ""


def recipe_section(run: RunFolder) -> str:
    """How it was optimised."""
    table = pairs(run.settings, _RECIPE_KEYS)
    return f"Recipe (lr = base_lr x effective batch / 256; every setting is in run.yaml):\n\n{table}" if table else ""


def curve_section(run: RunFolder) -> str:
    """Some losses, and the picture if there is one."""
    if not run.metrics:
        return f"Loss curve: {NOT_MEASURED.lower()}"
    count = min(6, len(run.metrics))
    picked = [run.metrics[round(index * (len(run.metrics) - 1) / max(count - 1, 1))] for index in range(count)]
    rows = [[row["step"] for row in picked], [f"{row['loss']:.4f}" for row in picked]]
    text = markdown_table(("step", *map(str, rows[0])), [("loss", *rows[1])])
    return f"{text}\n\n![Loss and learning rate over steps](curve.png)" if run.has("curve.png") else text


def cost_section(run: RunFolder) -> str:
    """Parameters, FLOPs and measured speed."""
    cost = model_cost(run.config)
    rows: list[tuple[str, str]] = []
    if cost:
        rows.append(("parameters of the encoder", f"{cost['encoder_parameters'] / 1e6:.2f} M"))
        rows.append(("FLOPs of the encoder, one clip, every patch", f"{cost['encoder_flops'] / 1e9:.3g} G"))
    if "parameters" in cost:
        rows.append(("parameters with the decoder", f"{cost['parameters'] / 1e6:.2f} M"))
        rows.append(("FLOPs of pretraining, one clip, forward", f"{cost['pretraining_flops'] / 1e9:.3g} G"))
    speeds = sorted(row["clips_per_second"] for row in run.metrics if row.get("clips_per_second"))
    speed = f"{speeds[len(speeds) // 2]:.0f}" if speeds else "not measured"
    device, processes = run.start.get("device"), run.start.get("num_processes") or 1
    where = (f" on {device}" if device else "") + (f", {processes} processes" if processes > 1 else "")
    rows.append((f"clips a second in pretraining{where} (median)", speed))
    if run.summary.get("seconds"):
        rows.append(("pretraining", f"{run.summary['seconds'] / 60:.1f} minutes"))
    return markdown_table(("cost", "value"), rows) + "\n\nA multiplication and an addition count as two FLOPs."


def usage_section(run: RunFolder) -> str:
    """Features in a few lines; and, of a whole autoencoder, filling in motion."""
    model_type = run.config.get("model_type", "vit_mae")
    # DiffMAE is ours: transformers finds it through its Auto class
    kind = {"vit_mae": "ViTMAEForPreTraining", "diffmae": "AutoModelForPreTraining"}.get(model_type, "ViTModel")
    layout = run.processor.get("layout")
    hint = "" if layout else f', layout="{next(iter(run.data.get("layouts") or []), "kinect_v2")}"'
    ours = "SkeletonProcessor and DiffMAE" if model_type == "diffmae" else "SkeletonProcessor"
    text = (
        "```python\n"
        f"import s2i_hf  # the Auto classes know {ours} after this\n"
        f"from transformers import AutoImageProcessor, {kind}\n\n"
        f'processor = AutoImageProcessor.from_pretrained("{run.title}")  # this folder or repository\n'
        f'model = {kind}.from_pretrained("{run.title}")\n\n'
        f"inputs = processor(joints{hint})  # (T, V, 3) or (T, M, V, 3), metres\n"
        "encoder = s2i_hf.encoder_of(model)  # a stock ViTModel that sees every patch\n"
        'features = encoder(inputs["pixel_values"]).last_hidden_state.mean(dim=1)\n'
        "```"
    )
    if kind == "ViTModel" or run.settings.get("target", "joint") != "joint":
        return text
    return (
        f"{text}\n\nJoints and frames that a sensor lost are filled in by the decoder:\n\n```python\n"
        f'filled = s2i_hf.infill(joints, model, processor, drop_joints="left_arm"{hint})\n'
        f"filled.joints  # (T, M, V, 3); measured joints as they were\n```"
    )
