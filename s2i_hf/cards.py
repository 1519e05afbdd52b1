"""Model cards: README.md of a run folder, from the files the run left and from nothing else.

The template is model_cards/pretraining.md, or finetuning.md for a fine-tuned model; their sections follow the words of the README's
figure. The front matter is made by huggingface_hub (`ModelCardData`, `EvalResult`), so that the Hub reads the results as `model-index`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from importlib import resources
from pathlib import Path
from string import Template

from .card_sections import METRIC_NAMES, SECTIONS
from .card_text import words
from .files import write_atomically
from .finetune_card import FINETUNE_SECTIONS
from .run_folder import RunFolder
from .visualization import MissingExtra, curve_picture
from .wording import several


def write_card(run_dir: str | Path) -> Path:
    """Write `run_dir/README.md` (and curve.png) from the files in the folder; call it again whenever one of them changes.

    Reads run.yaml, data.json, metrics.jsonl, summary.json, config.json, preprocessor_config.json, results.json, per_class.json and
    reconstruction.json, each if it exists, and links the pictures that exist.

    Returns:
        Path of README.md.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: a file in it is not what it should be.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise FileNotFoundError(f"Run folder {str(run_dir)!r} does not exist; there is nothing to write a card about.")
    with suppress(MissingExtra):  # the card has the losses in a table as well
        curve_picture(run_dir)
    write_atomically(run_dir / "README.md", render_card(run_dir))
    return run_dir / "README.md"


def render_card(run_dir: str | Path) -> str:
    """The text of the card; see `write_card`."""
    run = RunFolder(Path(run_dir))
    name, sections = ("finetuning.md", FINETUNE_SECTIONS) if run.is_finetuned else ("pretraining.md", SECTIONS)
    template = Template(resources.files("s2i_hf.model_cards").joinpath(name).read_text(encoding="utf-8"))
    body = template.substitute({"title": run.title, **{name: section(run) for name, section in sections.items()}})
    body = re.sub(r"\n{3,}", "\n\n", body)  # sections with nothing to say
    return f"---\n{_front_matter(run)}\n---\n\n{body}"


def _hub_id(name: str) -> str | None:
    """`name` if it is a Hub repository, None if it is a size or a path on this machine."""
    if name.startswith("config:") or not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.startswith("."):
        return None
    return None if Path(name).exists() or name.startswith("runs/") else name


def _front_matter(run: RunFolder) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    evaluations = [
        EvalResult(
            task_type="video-classification",
            task_name="Skeleton action recognition",
            dataset_type=row["dataset"],
            dataset_name=f"{row['dataset']} {row['protocol']}",
            dataset_config=row["protocol"],
            dataset_split="test",
            metric_type="accuracy",
            metric_name=f"{METRIC_NAMES.get(row['metric'], row['metric'])}, {words(row['setting'])}, seed {row['seed']}",
            metric_value=row["value"],
        )
        for row in run.results
        # baselines are not results of this model
        if row["encoder"] == "pretrained" or (run.is_finetuned and row["setting"] == run.settings.get("setting"))
    ]
    diffusion = ["diffusion", "diffmae"] if run.config.get("model_type") == "diffmae" else []
    kind = "image-classification" if run.is_finetuned else "masked-autoencoder"
    card = ModelCardData(
        license=run.licence,
        library_name="transformers",
        tags=["skeleton", "action-recognition", "skeleton-to-image", kind, *diffusion, "s2i-hf"],
        base_model=_hub_id(run.origin),
        datasets=[name for data in several(run.settings.get("data")) if (name := _hub_id(data))] or None,
        model_name=run.title if evaluations else None,
        eval_results=evaluations or None,
    )
    return card.to_yaml(line_break="\n").strip()
