"""How a trained model stands damage: 10, 20, 30 % of the joints gone, 25, 50, 75 % of the time not recorded.

A fine-tuned classifier is tested as it is. Of a pretrained encoder the linear probe is: fitted on intact training clips, with settings
chosen on held-out training subjects, then shown damaged test clips. Nothing is trained on damage here; a classifier may have been before
(`Augmentation.zero_joints`, `drop_joints`). Joints are lost in two ways, see `drop_joints_exactly`; what a sensor itself wrote as 0 0 0
is missing, not zero (`transforms.find_missing`). Unlike `Augmentation`, which draws how much is lost, exactly the share that the table
names is lost in every clip; which joints and where in time is a function of (seed, sample id), so every model is shown the same damage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from ..data.skeleton_rows import SkeletonRows
from ..evaluation.arguments import FittedArguments
from ..evaluation.features import Row
from ..evaluation.metrics import metric_rows, metrics
from ..evaluation.probes import check_labels, class_doubts, evaluate_probe
from ..evaluation.probing import load_model_and_processor, method_of
from ..evaluation.scoring import predict_scores
from ..hub.card_sections import damage_table
from ..hub.model_card import write_card
from ..models.backbones import backbone_of, untrained_backbone
from ..models.loading import shown
from ..models.saved_models import check_classes, is_classifier, open_classifier, pick_device
from ..processing.augmentation import at_zero
from ..processing.layouts import SkeletonLayout, get_layout
from ..processing.rng import hash_ids, uniform
from ..processing.transforms import Center, prepare
from ..runs.results import append_results
from ..runs.run_folder import RunFolder
from ..utils.arguments import arg
from ..utils.files import write_json

Loss = Literal["zero", "missing"]
Place = Literal["random", "start", "middle", "end"]
_Scores = tuple[list[np.ndarray], str]  # (N, C) for each damage, and the kind of model


def lost_joint_indices(num_joints: int, share: float, seed: int, sample_id: str) -> np.ndarray:
    """Indices of the joints that `drop_joints_exactly` drops: round(share * V) of them, in order.

    A larger share drops the joints of a smaller one and more.

    Raises:
        ValueError: `share` is not in [0, 1), or leaves no joint.
    """
    count = round(share * num_joints) if 0 <= share < 1 else num_joints
    if count == num_joints:
        raise ValueError(
            f"share is {share}; expected a share of the {num_joints} joints from 0 to 1 that leaves at least one."
        )
    draws = uniform(seed, 0, hash_ids([sample_id]), num_joints, "corruption/joints")[0]
    return np.sort(np.argsort(draws)[:count])


def drop_joints_exactly(
    joints: np.ndarray,
    layout: str | SkeletonLayout,
    share: float,
    seed: int = 0,
    sample_id: str = "",
    how: Loss = "zero",
    center: Center = "first_frame",
) -> np.ndarray:
    """Drop a share of the joints for the whole clip, the same ones of all people.

    Args:
        joints: (T, M, V, 3) float32 without missing values, as `transforms.prepare` returns it.
        share: Of the V joints; round(share * V) are dropped, which ones (seed, sample_id) decide.
        how: "zero": the joint is at zero once the body is centred, as in tables of models that are fed centred joints (Hyperformer,
            Zhou et al., arXiv 2211.09590); it is not filled. "missing": NaN, which `prepare` and so the processor fills as it
            fills what a sensor lost.
        center: What the processor subtracts (`EncodingOptions.center`), for `how="zero"`.

    Returns:
        (T, M, V, 3) float32, a copy.

    Raises:
        ValueError: a share that is none or leaves no joint, joints of another layout, or an unknown `how` or `center`.
    """
    layout = get_layout(layout)
    if joints.ndim != 4 or joints.shape[2:] != (layout.num_joints, 3):
        raise ValueError(
            f"Clip {sample_id!r}: joints have shape {joints.shape}; expected (T, M, {layout.num_joints}, 3) for layout "
            f"{layout.name!r}."
        )
    _check("how", how, get_args(Loss))
    _check("center", center, get_args(Center))
    lost = lost_joint_indices(layout.num_joints, share, seed, sample_id)
    if how == "zero":
        return at_zero(joints, lost, layout, center)
    damaged = np.array(joints, dtype=np.float32)
    damaged[:, :, lost] = np.nan
    return damaged


def crop_time(
    joints: np.ndarray, share: float, place: Place = "random", seed: int = 0, sample_id: str = ""
) -> np.ndarray:
    """Leave a share of the frames of joints (T, M, V, 3) out, so that only one window of the clip was seen; at least one frame stays.

    Args:
        share: Of the frames, that is lost; 0.25 leaves three quarters.
        place: Which window stays: at the "start" (an action seen before it is over), in the "middle", at the "end", or "random".
        seed, sample_id: Decide the random window.

    Returns:
        (T - round(share T), M, V, 3), a view.

    Raises:
        ValueError: `share` is not in [0, 1), or `place` is unknown.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share is {share}; expected the share of the frames to leave out, from 0 to 1, 1 excluded.")
    _check("place", place, get_args(Place))
    length = max(1, len(joints) - round(share * len(joints)))
    room = len(joints) - length
    if place == "random":
        start = int(uniform(seed, 0, hash_ids([sample_id]), 1, "corruption/time")[0, 0] * (room + 1))
    else:
        start = {"start": 0, "middle": room // 2, "end": room}[place]
    return joints[start : start + length]


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(allowed)}.")


@dataclass(frozen=True)
class Damage:
    """One kind and amount of damage; with the id of a clip `seed` decides what is lost, so every model is shown the same.

    Args:
        share: Of the joints, or of the frames, that is lost.
        how: Of joints, "zero" or "missing" (`drop_joints_exactly`); of time the place of the window that stays (`crop_time`).
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
        """The row of joints (T, M, V, 3), layout and sample_id, damaged; "zero" is where a processor of that `center` has it."""
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

    def __init__(self, rows: SkeletonRows, damage: Damage, center: str) -> None:
        self.rows, self.damage, self.center = rows, damage, center

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> Row:
        return self.damage(self.rows[index], self.center)


@dataclass(kw_only=True)
class RobustnessArguments(FittedArguments):
    """Settings of a robustness table; each is a flag of `s2i robustness` and a key of its YAML files."""

    kind: ClassVar[str] = "robustness"

    to_layout: str | None = arg(None, "Read all clips in this joint layout; what the run was trained on if none.")
    drop_joints: tuple[float, ...] = arg((0.1, 0.2, 0.3), "Shares of the joints that are lost for the whole clip.")
    lost_joints: tuple[Loss, ...] = arg(("zero", "missing"), "Lost joints are at zero, or marked missing and filled.")
    crop_time: tuple[float, ...] = arg((0.25, 0.5, 0.75), "Shares of the frames that are lost, all but one window.")
    window: Literal["random", "start", "middle", "end"] = arg("random", "Which window of the time stays.")
    encoder: Literal["pretrained", "untrained"] = arg("pretrained", "Of pretraining: its encoder, or an untrained one.")
    pooling: Literal["auto", "mean", "cls", "part"] = arg("auto", "Of a probe; auto is chosen on held-out people.")
    test_clips: int = arg(1, "Of a classifier: windows of each test clip whose probabilities are averaged.")
    test_rotations: int = arg(1, "Of a classifier: rotations of them, over the circle, averaged too.")

    def __post_init__(self) -> None:
        shares = [(name, share) for name in ("drop_joints", "crop_time") for share in getattr(self, name)]
        for name, share in shares:
            if not 0 < share < 1:
                raise ValueError(f"--{name} has {share}; expected shares above 0 and below 1, such as 0.1 for 10 %.")
        if not self.damages[1:]:
            raise ValueError("--drop_joints and --crop_time name no damage; name at least one share.")
        super().__post_init__()

    @property
    def damages(self) -> list[Damage]:
        """Every line of the table, the intact clips first."""
        joints = [Damage("drop_joints", s, how, self.seed) for how in self.lost_joints for s in self.drop_joints]
        return [Damage(), *joints, *(Damage("crop_time", share, self.window, self.seed) for share in self.crop_time)]


def robustness_run(
    arguments: RobustnessArguments, dataset: Mapping[str, Any] | None = None, report: Callable[[str], None] = print
) -> dict[str, Any]:
    """Test a model on damaged clips, and write the table; called as `probing.probe_run` is.

    Returns:
        rows (of results.json, setting such as `fine_tune_drop_joints_10_zero`; the intact number has its row from the fine-tuning or
        the probe), found (name of the damage -> metrics), scores (likewise, (N, C)), table (Markdown), run_dir.

    Raises:
        ValueError: no test clips or no labels, other classes than the model's, a share that leaves no joint, or joints at zero in
            clips that are rotated and not centred.
    """
    run = RunFolder(Path(arguments.model))  # of a Hub id it says nothing
    splits, protocol = arguments.clips(dataset, arguments.to_layout or run.settings.get("to_layout"))
    train, test = splits["train"], splits["test"]
    for layout in set(test.layouts):  # a share that leaves no joint is refused before anything is computed
        for share in arguments.drop_joints:
            lost_joint_indices(get_layout(layout).num_joints, share, arguments.seed, "")
    if not (fine_tuned := is_classifier(arguments.model)):
        check_labels(train.labels, test.labels, arguments.data)
        for doubt in class_doubts(train, test):
            report(f"Warning: {doubt}")
    ways = len(arguments.damages) - 1
    report(
        f"Testing {shown(arguments.model)} on {protocol}: {len(test):,} clips, intact and damaged in {ways} ways, on "
        f"{pick_device(arguments.device)}."
    )
    began = time.perf_counter()
    scores, kind = (_classifier_scores if fine_tuned else _probe_scores)(arguments, train, test)
    seconds = (time.perf_counter() - began) / len(scores)
    by_name = {damage.name: one for damage, one in zip(arguments.damages, scores, strict=True)}
    found = {name: metrics(one, test.labels) for name, one in by_name.items()}
    setting = str(run.settings.get("setting", "fine_tune")) if fine_tuned else "linear_probe"
    encoder = arguments.encoder if not fine_tuned else "untrained" if run.starts_untrained else "pretrained"
    seed = int(run.settings.get("seed", arguments.seed)) if fine_tuned else arguments.seed
    shared = {"encoder": encoder, "method": arguments.method or kind, "seed": seed, "seconds": seconds}
    facts = arguments.facts(train, test, protocol, **shared)
    rows: list[dict[str, Any]] = []
    for name, values in found.items():
        if name != "intact":
            rows += metric_rows(values, setting=f"{setting}_{name}", **facts)
    table = damage_table(found)
    append_results(arguments.run_dir, rows, arguments.results_csv)
    content = {"protocol": protocol, "setting": setting, "encoder": encoder, "test_clips": len(test)}
    if fine_tuned:
        content |= {"windows": arguments.test_clips, "rotations": arguments.test_rotations}
    content |= {"seed": arguments.seed, "found": found, **arguments.origin}
    write_json(arguments.run_dir / "robustness.json", content, indent=1)
    if (arguments.run_dir / "run.yaml").is_file():  # the run's own folder, whose card says this as well
        write_card(arguments.run_dir)
    report(table)
    return {"run_dir": arguments.run_dir, "rows": rows, "found": found, "scores": by_name, "table": table}


def _check_zeros_stay(arguments: RobustnessArguments, name: str, center: str) -> None:
    """Raise ValueError if joints at zero would be elsewhere after the rotations that this setting has."""
    number, zeros = getattr(arguments, name), "zero" in arguments.lost_joints and arguments.drop_joints
    if number > 1 and zeros and center == "none":
        raise ValueError(
            f"--{name} {number} moves joints at zero to another place, as nothing is centred by {arguments.model}; take --{name} 1 or "
            "--lost_joints missing."
        )


def _classifier_scores(arguments: RobustnessArguments, train: SkeletonRows, test: SkeletonRows) -> _Scores:
    """Of the classifier as it is."""
    model, processor = open_classifier(arguments.model)
    check_classes(model, test, arguments.model)
    _check_zeros_stay(arguments, "test_rotations", processor.center)
    damaged = (_Damaged(test, damage, processor.center) for damage in arguments.damages)
    options: Any = {name: getattr(arguments, name) for name in ("test_clips", "test_rotations", "batch_size")}
    options["device"] = pick_device(arguments.device)
    scores = [predict_scores(model, rows, processor, **options) for rows in damaged]
    return scores, str(model.config.model_type)


def _probe_scores(arguments: RobustnessArguments, train: SkeletonRows, test: SkeletonRows) -> _Scores:
    """Of one linear probe of the encoder."""
    model, processor = load_model_and_processor(arguments.model)
    _check_zeros_stay(arguments, "rotations", processor.center)
    encoder = backbone_of(model if arguments.encoder == "pretrained" else untrained_backbone(model, arguments.seed))
    views = arguments.views(train, test, arguments.seed)
    clips = (views.rows, *(_Damaged(test, damage, processor.center) for damage in arguments.damages))
    fitted, *damaged = [arguments.features(encoder, rows, processor) for rows in clips]
    kind = method_of(model)
    if arguments.pooling not in ("auto", *fitted):
        raise ValueError(f"--pooling is {arguments.pooling!r}; a {kind} has {', '.join(fitted)}, or auto to choose.")
    wanted = list(fitted) if arguments.pooling == "auto" else [arguments.pooling]
    learned = {name: fitted[name] for name in wanted}
    # one probe sees all the damage as one long test, so that it is the same probe in every line
    asked = {name: np.concatenate([features[name] for features in damaged]) for name in wanted}
    labels = np.tile(test.labels, len(damaged))
    how: dict[str, Any] = {"seed": arguments.seed, "num_classes": len(train.class_names) or None, "folds": views.folds}
    result = evaluate_probe("linear_probe", learned, views.labels, views.subjects, asked, labels, **how)
    return np.split(result.scores, len(damaged)), kind
