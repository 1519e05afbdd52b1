"""How a trained model stands damage: 10, 20, 30 % of the joints gone, 25, 50, 75 % of the time not recorded.

A fine-tuned classifier is tested as it is. Of a pretrained encoder the linear probe is: fitted on intact training clips, with settings
chosen on held-out training subjects, then shown damaged test clips. Nothing is trained on damage. Joints are lost in two ways: at zero
once the body is centred, as in Hyperformer's table (Zhou et al., arXiv 2211.09590), and marked as missing, which the processor fills
from the joints beside them as it fills what a sensor lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..data.skeleton_rows import SkeletonRows, as_rows, splits_as_layout
from ..evaluation.features import extract_features
from ..evaluation.probes import evaluate_probe, metrics, probe_folds
from ..evaluation.probing import load_model_and_processor
from ..evaluation.scoring import predict_scores
from ..evaluation.views import WithCopies
from ..hub.card_sections import damage_table
from ..models.backbones import backbone_of, untrained_backbone
from ..models.loading import check_model_name
from ..models.saved_models import check_classes, is_classifier, open_classifier, pick_device
from ..processing.augmentation import Augmentation
from ..processing.layouts import get_layout
from ..processing.transforms import prepare
from ..runs.provenance import current_commit, hardware_name, public_command
from ..runs.results import METRICS, append_results, result_row, results_dir
from ..runs.run_folder import RunFolder
from ..utils.arguments import arg
from ..utils.files import write_atomically
from .corruptions import crop_time, drop_joints_exactly, lost_joint_indices

Row = dict[str, Any]


@dataclass(frozen=True)
class Damage:
    """One kind and amount of damage.

    Args:
        kind: "drop_joints" or "crop_time"; "intact" for none.
        share: Of the joints, or of the frames, that is lost.
        how: Of joints, "zero" or "missing" (`corruptions.drop_joints_exactly`); of time the place of the window that stays
            (`corruptions.crop_time`).
        seed: With the id of a clip it decides what is lost, so every model is shown the same damage.
    """

    kind: Literal["intact", "drop_joints", "crop_time"] = "intact"
    share: float = 0.0
    how: str = ""
    seed: int = 0

    @property
    def name(self) -> str:
        """Such as drop_joints_10_zero, as it ends the setting's name in the results."""
        return "_".join([self.kind, f"{100 * self.share:g}", self.how]) if self.kind != "intact" else "intact"

    def __call__(self, row: Row, center: str = "first_frame") -> Row:
        """The row with damaged joints.

        Args:
            row: joints (T, M, V, 3), layout and sample_id.
            center: What the processor subtracts, so that "zero" is where it should be.
        """
        if self.kind == "intact":
            return row
        layout, sample_id = get_layout(row["layout"]), str(row.get("sample_id", ""))
        joints, _ = prepare(row["joints"], layout, sample_id=sample_id)
        if self.kind == "crop_time":
            joints = crop_time(joints, self.share, self.how, self.seed, sample_id)  # type: ignore[arg-type]
        else:
            joints = drop_joints_exactly(joints, layout, self.share, self.seed, sample_id, self.how, center)  # type: ignore[arg-type]
        return {**row, "joints": joints}


class _Damaged:
    """Rows, each damaged when it is read."""

    def __init__(self, rows: SkeletonRows, damage: Callable[[Row], Row]) -> None:
        self.rows, self.damage = rows, damage

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.damage(self.rows[index])


@dataclass
class RobustnessArguments:
    """Settings of a robustness table; each is a flag of `examples/robustness.py` and a key of its YAML files."""

    model: str = arg(help="Run folder of a fine-tuning or of a pretraining, or a Hub id.")
    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    cache_dir: str | None = arg(None, "Where converted data is cached; the cache of `datasets` if none.")
    output_dir: str | None = arg(None, "Where the results go; the run folder itself if none.")
    to_layout: str | None = arg(
        None, "Convert all clips to this joint format first; what the run was trained on if none."
    )
    drop_joints: tuple[float, ...] = arg((0.1, 0.2, 0.3), "Shares of the joints that are lost for the whole clip.")
    lost_joints: tuple[Literal["zero", "missing"], ...] = arg(
        ("zero", "missing"), "Lost joints are at zero, or marked as missing and filled."
    )
    crop_time: tuple[float, ...] = arg((0.25, 0.5, 0.75), "Shares of the frames that are lost, all but one window.")
    window: Literal["random", "start", "middle", "end"] = arg("random", "Which window of the time stays.")
    encoder: Literal["pretrained", "untrained"] = arg(
        "pretrained", "Of a pretraining: probe its encoder, or its untrained twin."
    )
    pooling: Literal["auto", "mean", "cls", "part"] = arg(
        "auto", "Of the probe: features; auto chooses on held-out training subjects."
    )
    copies: int = arg(
        0, "Of the probe: augmented copies of each training clip it is fitted with, as in examples/probe.py."
    )
    crop: tuple[float, float] = arg((0.8, 1.0), "Of the copies: range of the share of frames kept.")
    yaw: float = arg(1.5, "Of the copies: largest rotation about the vertical axis, radians.")
    turns: int = arg(1, "Of the probe: views that the features of a clip are the mean of, as in examples/probe.py.")
    test_clips: int = arg(1, "Of a classifier: windows of each test clip whose probabilities are averaged.")
    batch_size: int = arg(64, "Clips a forward pass.")
    seed: int = arg(0, "Seed of the damage, of the held-out subjects and of the untrained encoder.")
    method: str | None = arg(None, "Name in the results; the kind of model if none.")
    results_csv: str | None = arg(None, "Also append the rows to this table, such as model_cards/results.csv.")
    device: str = arg("auto", "cpu, cuda, cuda:1 ...; auto takes an accelerator if there is one.")

    def __post_init__(self) -> None:
        for name in ("batch_size", "test_clips", "turns"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}; expected 1 or more.")
        for name in ("drop_joints", "crop_time"):
            for share in getattr(self, name):
                if not 0 < share < 1:
                    raise ValueError(
                        f"--{name} has {share}; expected shares above 0 and below 1, such as 0.1 for 10 %."
                    )
        if self.copies < 0:
            raise ValueError(f"--copies is {self.copies}; expected 0 or more.")
        if not self.damages[1:]:
            raise ValueError("--drop_joints and --crop_time name no damage; name at least one share.")
        _ = Augmentation(crop=self.crop, yaw=self.yaw)  # refuses bad values now
        check_model_name(self.model)  # now, not after minutes of reading data

    @property
    def run_dir(self) -> Path:
        """Where results go."""
        return results_dir("robustness", self.output_dir, self.model, self.data)

    @property
    def damages(self) -> list[Damage]:
        """Every line of the table, the intact clips first."""
        joints = [Damage("drop_joints", s, how, self.seed) for how in self.lost_joints for s in self.drop_joints]
        return [Damage(), *joints, *(Damage("crop_time", share, self.window, self.seed) for share in self.crop_time)]


def robustness_run(
    arguments: RobustnessArguments,
    dataset: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Test a model on damaged clips, and write the table.

    Args:
        arguments: Settings.
        dataset: "train" and "test" rows; loaded here if None.
        report: Gets the table.

    Returns:
        rows (of results.json, setting such as `fine_tune_drop_joints_10_zero`; the intact number has its row from the fine-tuning or
        the probe), found (name of the damage -> metrics), scores (likewise, (N, C)), table (Markdown), run_dir.

    Raises:
        ValueError: no test clips or no labels, other classes than the model's, a share that leaves no joint, or joints at zero in
            clips that are turned and not centred.
    """
    from ..data.loading import load_skeletons

    if dataset is None:
        dataset = load_skeletons(arguments.data, arguments.data_dir, cache_dir=arguments.cache_dir)
    settings = RunFolder(Path(arguments.model)).settings if Path(arguments.model).is_dir() else {}
    dataset = splits_as_layout(dataset, arguments.to_layout or settings.get("to_layout"))
    train, test = as_rows(dataset["train"]), as_rows(dataset["test"])
    for layout in set(test.layouts):  # a share that leaves no joint is refused before anything is computed
        for share in arguments.drop_joints:
            lost_joint_indices(get_layout(layout).num_joints, share, arguments.seed, "")
    protocol = train.name or Path(arguments.data).name
    device = pick_device(arguments.device)
    fine_tuned = is_classifier(arguments.model)
    measure = _classifier_scores if fine_tuned else _probe_scores
    began = time.perf_counter()
    scores, kind = measure(arguments, train, test, device)
    seconds = (time.perf_counter() - began) / len(scores)
    by_name = {damage.name: one for damage, one in zip(arguments.damages, scores, strict=True)}
    found = {name: metrics(one, test.labels) for name, one in by_name.items()}
    setting = str(settings.get("setting", "fine_tune")) if fine_tuned else "linear_probe"
    scratch = str(settings.get("model", "")).startswith("config:") or settings.get("encoder") == "untrained"
    encoder = arguments.encoder if not fine_tuned else "untrained" if scratch else "pretrained"
    rows = [
        result_row(
            dataset=protocol.rpartition("_")[0] or protocol, protocol=protocol.rpartition("_")[2], setting=f"{setting}_{name}",
            encoder=encoder, method=arguments.method or kind, metric=metric, value=values[metric], train_clips=len(train),
            test_clips=len(test), seed=int(settings.get("seed", arguments.seed)) if fine_tuned else arguments.seed,
            seconds=seconds, command=public_command(), commit=current_commit(), hardware=hardware_name(device),
        )
        for name, values in found.items()
        if name != "intact"
        for metric in METRICS
    ]  # fmt: skip
    table = robustness_table(arguments.damages, found)
    append_results(arguments.run_dir, rows, arguments.results_csv)
    content = {
        "protocol": protocol, "setting": setting, "encoder": encoder, "test_clips": len(test), "seed": arguments.seed, "found": found,
        **{name: rows[0][name] for name in ("command", "commit", "hardware")},
    }  # fmt: skip
    write_atomically(arguments.run_dir / "robustness.json", json.dumps(content, indent=1) + "\n")
    if (arguments.run_dir / "run.yaml").is_file():  # the run's own folder, whose card says this as well
        from ..hub.model_card import write_card

        write_card(arguments.run_dir)
    report(table)
    return {"run_dir": arguments.run_dir, "rows": rows, "found": found, "scores": by_name, "table": table}


def _classifier_scores(
    arguments: RobustnessArguments, train: SkeletonRows, test: SkeletonRows, device: str
) -> tuple[list[np.ndarray], str]:
    """(N, C) scores for each damage, and the kind of model."""
    model, processor = open_classifier(arguments.model)
    check_classes(model, test, arguments.model)
    scores = [
        predict_scores(
            model, test, processor, test_clips=arguments.test_clips, batch_size=arguments.batch_size, device=device,
            change=partial(damage, center=processor.center),
        )
        for damage in arguments.damages
    ]  # fmt: skip
    return scores, str(model.config.model_type)


def _probe_scores(
    arguments: RobustnessArguments, train: SkeletonRows, test: SkeletonRows, device: str
) -> tuple[list[np.ndarray], str]:
    """(N, C) scores of one linear probe for each damage, and the kind of model."""
    model, processor = load_model_and_processor(arguments.model)
    if arguments.turns > 1 and "zero" in arguments.lost_joints and arguments.drop_joints and processor.center == "none":
        raise ValueError(
            f"--turns {arguments.turns} turns joints at zero to another place, as nothing is centred by {arguments.model}; take --turns 1 "
            "or --lost_joints missing."
        )
    kind = {"vit_mae": "mae"}.get(model.config.model_type, str(model.config.model_type))
    encoder = backbone_of(model if arguments.encoder == "pretrained" else untrained_backbone(model, arguments.seed))
    seen = WithCopies(train, arguments.copies, Augmentation(crop=arguments.crop, yaw=arguments.yaw), arguments.seed)
    times = 1 + arguments.copies
    folds = probe_folds(train, test.cameras, arguments.seed, times=times)
    fitted = extract_features(encoder, seen, processor, arguments.batch_size, device, turns=arguments.turns)
    damaged = [
        extract_features(
            encoder, _Damaged(test, partial(damage, center=processor.center)), processor,
            arguments.batch_size, device, turns=arguments.turns,
        )
        for damage in arguments.damages
    ]  # fmt: skip
    if arguments.pooling not in ("auto", *fitted):
        raise ValueError(f"--pooling is {arguments.pooling!r}; a {kind} has {', '.join(fitted)}, or auto to choose.")
    wanted = list(fitted) if arguments.pooling == "auto" else [arguments.pooling]
    # one probe sees all the damage as one long test, so that it is the same probe in every line
    result = evaluate_probe(
        "linear_probe", {name: fitted[name] for name in wanted}, np.tile(train.labels, times),
        np.tile(train.subjects, times),
        {name: np.concatenate([features[name] for features in damaged]) for name in wanted},
        np.tile(test.labels, len(damaged)), arguments.seed, len(train.class_names) or None, arguments.pooling, folds,
    )  # fmt: skip
    return np.split(result.scores, len(damaged)), kind


def robustness_table(damages: Sequence[Damage], found: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table with a line for each damage: accuracy in per cent, and how much the damage costs.

    Args:
        damages: Lines, the intact clips first.
        found: Name of the damage -> top1, top5 and mean_class, 0 to 1.
    """
    return damage_table({damage.name: found[damage.name] for damage in damages})
