"""Model cards: README.md of a run folder, from the files the run left and from nothing else.

The template is pretraining.md.j2, finetuning.md.j2 or fusion.md.j2 (of several models) in model_cards/; their sections follow
the words of the README's figure. The front matter is made by huggingface_hub (`ModelCardData`, `EvalResult`), so that the Hub reads the
results as `model-index`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..data.storage import META_FILE
from ..models.vision_weights import TERMS, terms_text
from ..protocols import DATASETS
from ..runs.run_folder import RunFolder, hub_id
from ..utils.arguments import several
from ..utils.files import write_atomically
from ..visualization.figures import MissingExtra, curve_picture
from .card_sections import METRIC_NAMES, is_damaged, render_run
from .dataset_card import write_dataset_card
from .markdown import front_matter_yaml, words

LICENCE = "LICENSE"  # the name that the Hub links to


def write_card(run_dir: str | Path) -> Path:
    """Write `run_dir/README.md`, whose path is returned, from the files in the folder; again whenever one of them changes.

    With it come curve.png, and LICENSE where the weights have the terms of `vision:tiny`.

    Read is what `RunFolder` reads, and the pictures that exist are linked. The folder of a converted data set gets its own card
    (`dataset_card.write_dataset_card`).

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it is no folder of a run, a fusion or a data set, or a file in it is not what it should be.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise FileNotFoundError(f"Run folder {str(run_dir)!r} does not exist; there is nothing to write a card about.")
    if (run_dir / META_FILE).is_file():
        return write_dataset_card(run_dir)
    check_has_card(run_dir)
    with suppress(MissingExtra):  # the card has the losses in a table as well
        curve_picture(run_dir)
    write_atomically(run_dir / "README.md", render_card(run_dir))
    licence = run_dir / LICENCE
    if RunFolder(run_dir).has_vision_terms:
        write_atomically(licence, terms_text())
    elif licence.is_file() and licence.read_bytes() == terms_text().encode():
        licence.unlink()  # of an earlier run in this folder
    return run_dir / "README.md"


def check_has_card(run_dir: str | Path) -> None:
    """Raise a ValueError if the files of a folder are not those of a model or a fusion, so that no README.md of others is replaced."""
    run = RunFolder(Path(run_dir))
    # a probe of somebody else's model leaves its results and nothing else
    if not (run.settings.get("model") or run.config.get("model_type") or run.fusion.get("fused") or run.per_class):
        raise ValueError(
            f"{str(run_dir)!r} is no folder of a pretraining, fine-tuning, probe or fusion, nor of a converted data set: it has no "
            "run.yaml with a model, config.json, per_class.json, fusion.json or s2i.json; give the folder that a run wrote."
        )


def render_card(run_dir: str | Path) -> str:
    """The text of the card; see `write_card`."""
    run = RunFolder(Path(run_dir))
    template = "fusion" if run.is_fusion else "finetuning" if run.is_finetuned else "pretraining"
    return f"---\n{_front_matter(run)}---\n\n{render_run(f'{template}.md.j2', run)}"


def _front_matter(run: RunFolder) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    datasets = list(dict.fromkeys(name for data in several(run.settings.get("data")) if (name := hub_id(data))))
    titles = {name: dataset.title for name, dataset in DATASETS.items()}
    evaluations = [
        EvalResult(
            task_type="video-classification",
            task_name="Skeleton action recognition",
            # data that came from a repository are called so; others by the first half of their protocol
            dataset_type=datasets[0] if len(datasets) == 1 and _is_own(run, row) else row["dataset"],
            dataset_name=f"{titles.get(row['dataset'], row['dataset'])}, {row['protocol']}",
            dataset_config=row["protocol"],
            dataset_split="test",
            metric_type="accuracy",
            metric_name=f"{METRIC_NAMES.get(row['metric'], row['metric'])}, {words(row['setting'])}, seed {row['seed']}",
            metric_value=row["value"],
        )
        for row in run.results
        if _is_result(run, row)
    ]
    diffusion = ["diffusion", "diffmae"] if run.config.get("model_type") == "diffmae" else []
    classifies = run.is_finetuned or run.is_fusion
    kind = "image-classification" if classifies else "masked-autoencoder"
    inherited = run.terms == "other"  # terms of one's own, which stand where the weights came from
    card = ModelCardData(
        license=run.licence,
        license_name=TERMS if run.has_vision_terms else "as-of-the-base-model" if inherited else None,
        license_link=LICENCE
        if run.has_vision_terms
        else f"https://huggingface.co/{run.base_model}"
        if inherited
        else None,
        library_name="transformers",
        pipeline_tag="image-classification" if classifies else None,  # the Hub has no task for features of joints
        tags=["skeleton", "action-recognition", "skeleton-to-image", kind, *diffusion, "s2i-hf"],
        base_model=run.base_model,
        datasets=datasets or None,
        metrics=["accuracy"] if evaluations else None,
        model_name=run.title if evaluations else None,
        eval_results=evaluations or None,
    )
    return front_matter_yaml(card.to_dict())


def _is_result(run: RunFolder, row: Mapping[str, Any]) -> bool:
    """Whether a number is one of this model on the test clips as they are, and not of a baseline, on damaged clips or of a fusion."""
    setting = row["setting"]
    if run.is_finetuned:
        return bool(setting == run.settings.get("setting"))
    return run.is_fusion or (row["encoder"] == "pretrained" and setting != "fusion" and not is_damaged(setting))


def _is_own(run: RunFolder, row: Mapping[str, Any]) -> bool:
    """Whether a number was measured on the test clips of the data it was trained on."""
    names = (f"{row['dataset']}_{row['protocol']}", row["dataset"])
    return run.data.get("name") in names and row["test_clips"] == (run.data.get("counts") or {}).get("test")
