"""What frozen features are worth: kNN and linear probe.

Every choice (regularisation, k, pooling) is made on training subjects, whole people held out; then the classifier is fitted again on
all training clips. Test labels are read once, at the end, to count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

C_GRID = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse strengths, as in LogisticRegression of scikit-learn
K_GRID = (1, 3, 5, 10, 20)
PATIENCE = 2  # values of a grid tried in vain before the rest, weaker and slower to fit, is left out
VALIDATION_SHARE = 0.25  # of the training clips
MOST_HELD_OUT = 2 / 3  # of the training clips; where somebody has more, the rest is too little to fit on
CROSS_VALIDATED = 4000  # training clips up to which a probe lets all of them choose: a few folds more cost seconds
CROSS_VALIDATED_VIEWS = 10_000  # the same for all their views together, which several folds hold in memory at a time

# --- classifiers ------------------------------------------------------------------------------------------------------


def _standardise(train: np.ndarray, test: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Zero mean and unit variance by the numbers of the training clips alone."""
    mean, std = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    std[std < 1e-8] = 1.0  # a constant feature tells nothing, and stays zero
    return torch.from_numpy((train - mean) / std), torch.from_numpy((test - mean) / std)


def _principal_axes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal axes (D, R) of the rows of `x` and the variance (R,) along each; directions without variance are left out."""
    wide = x.shape[1] > x.shape[0]
    values, vectors = torch.linalg.eigh((x @ x.T if wide else x.T @ x) / len(x))
    keep = values > 1e-10 * values.max().clamp(min=1e-30)
    values, vectors = values[keep], vectors[:, keep]
    return (x.T @ vectors / (values * len(x)).sqrt() if wide else vectors), values


def softmax_scores(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, grid: Sequence[float], num_classes: int
) -> Iterator[np.ndarray]:
    """Linear probe: L2-regularised softmax regression, for every C of `grid`.

    Minimises C * (sum of cross-entropies) + |W|^2 / 2 (the bias is free) by L-BFGS, as scikit-learn's LogisticRegression does, in
    torch so that it also runs where scikit-learn is missing. The penalty does not change under rotation, so the problem is solved
    along the principal axes, where its curvature is nearly diagonal and dividing by it saves most of the iterations.

    Yields:
        One (N_test, num_classes) array of log-odds a C, fitted when it is asked for.
    """
    train, test = _standardise(train_x, test_x)
    axes, variance = _principal_axes(train)
    train, test = train @ axes, test @ axes  # weights outside these axes are zero at the optimum
    target = torch.nn.functional.one_hot(torch.from_numpy(np.asarray(train_y, dtype=np.int64)), num_classes).double()
    for strength in grid:
        decay = 1 / (strength * len(train))
        step = (variance / num_classes + decay).rsqrt()[:, None]  # curvature along each axis, to scale it away
        inputs = torch.cat([train * step.T, train.new_ones(len(train), 1)], dim=1)
        penalty = torch.cat([decay * step.square(), step.new_zeros(1, 1)])
        weight = torch.zeros(inputs.shape[1], num_classes, dtype=torch.float64)
        weight.grad = torch.zeros_like(weight)
        optimizer = torch.optim.LBFGS([weight], max_iter=300, tolerance_grad=1e-5, line_search_fn="strong_wolfe")

        def closure(x: torch.Tensor = inputs, w: torch.Tensor = weight, decay: torch.Tensor = penalty) -> torch.Tensor:
            log_share = torch.log_softmax(x @ w, dim=1)
            w.grad = x.T @ (log_share.exp() - target) / len(x) + decay * w
            return -(target * log_share).sum() / len(x) + (decay * w.square()).sum() / 2

        optimizer.step(closure)
        yield (torch.cat([test * step.T, test.new_ones(len(test), 1)], dim=1) @ weight).numpy()


def knn_scores(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, grid: Sequence[int], num_classes: int
) -> Iterator[np.ndarray]:
    """k nearest neighbours by cosine of standardised features, for every k of `grid`.

    Each neighbour has one vote. Ties, and classes without a vote, are ordered by their nearest training clip, which makes top-5 well
    defined for every k. Yields one (N_test, num_classes) array of scores a k.
    """
    train, test = (torch.nn.functional.normalize(x, dim=1) for x in _standardise(train_x, test_x))
    labels = torch.from_numpy(np.asarray(train_y, dtype=np.int64))
    scores: list[list[torch.Tensor]] = [[] for _ in grid]
    for chunk in test.split(1024):  # bounds the similarity matrix
        similarity = chunk @ train.T
        nearest = similarity.topk(min(max(grid), len(labels)), dim=1).indices
        closest = torch.full((len(chunk), num_classes), -1.0, dtype=similarity.dtype)
        closest.scatter_reduce_(1, labels.expand(len(chunk), -1), similarity, "amax")
        for values, k in zip(scores, grid, strict=True):
            votes = torch.nn.functional.one_hot(labels[nearest[:, :k]], num_classes).sum(dim=1)
            values.append(votes + (closest + 1) / 4)  # from 0 to 1/2: less than a vote
    yield from (torch.cat(values).numpy() for values in scores)


_CLASSIFIERS: dict[str, tuple[Any, str, tuple[Any, ...]]] = {
    "linear_probe": (softmax_scores, "C", C_GRID),
    "knn": (knn_scores, "k", K_GRID),
}
SETTINGS = tuple(_CLASSIFIERS)


Folds = list[tuple[np.ndarray, np.ndarray]]  # (clips to fit on, clips to choose by), two (N,) masks


def held_out_in_turn(subjects: Any, labels: Any, seed: int = 0) -> tuple[list[np.ndarray], str]:
    """Which training clips are held out in turn to choose settings: about a quarter of them at a time, whole subjects, each once.

    Those who have more than two thirds of the clips are not held out. With a single subject they are quarters of each class instead.

    Args:
        subjects, labels: (N,) of the training clips.
        seed: Draws who is held out with whom.

    Returns:
        (N,) bool masks, none where there are too few clips to hold any out; and a note ("" if whole subjects are held out).
    """
    subjects, labels = np.asarray(subjects), np.asarray(labels)
    generator = np.random.Generator(np.random.Philox(key=seed))
    people = generator.permutation(np.unique(subjects))
    if len(people) > 1:
        groups: list[list[Any]] = [[]]
        for person in people:
            if groups[-1] and np.isin(subjects, groups[-1]).mean() >= VALIDATION_SHARE:
                groups.append([])
            groups[-1].append(person)
        if len(groups) == 1:  # somebody must remain to fit on
            groups = [groups[0][:-1], groups[0][-1:]]
        if len(groups) > 2 and np.isin(subjects, groups[-1]).mean() < VALIDATION_SHARE / 2:
            groups[-2:] = [[*groups[-2], *groups[-1]]]
        masks = [np.isin(subjects, group) for group in groups]
        return [mask for mask in masks if mask.mean() <= MOST_HELD_OUT], ""
    number = round(1 / VALIDATION_SHARE)
    quarters = np.zeros((number, len(subjects)), dtype=bool)
    for label in np.unique(labels):
        clips = generator.permutation(np.flatnonzero(labels == label))
        for mask, start, stop in zip(quarters, np.arange(number), np.arange(1, number + 1), strict=True):
            mask[clips[round(len(clips) * start / number) : round(len(clips) * stop / number)]] = True
    note = "all training clips are of one subject, so settings were chosen on random quarters of each class, not on held-out people"
    return [mask for mask in quarters if mask.any() and not mask.all()], note


def validation_split(subjects: Any, labels: Any, seed: int = 0) -> tuple[np.ndarray, str]:
    """The first of `held_out_in_turn`: (N,) bool of about a quarter of the clips, none where there are too few; and a note."""
    masks, note = held_out_in_turn(subjects, labels, seed)
    return masks[0] if masks else np.zeros(len(np.asarray(subjects)), dtype=bool), note


def validation_folds(
    subjects: Any, labels: Any, seed: int = 0, cameras: Any = None, test_cameras: Any = None, by: str = "auto",
    every: bool = False,
) -> tuple[Folds, str]:  # fmt: skip
    """How settings are chosen: on held-out subjects, and where the test cameras are new, on a camera that was not fitted on either.

    Args:
        subjects, labels: (N,) of the training clips; see `held_out_in_turn`.
        seed: Draws the held-out subjects.
        cameras, test_cameras: (N,) and (N_test,) views. Where they share none, and the training clips have several, every training
            camera in turn plays the unseen one: settings are chosen for what the protocol asks.
        by: "auto"; "subjects": whatever the cameras; "cameras": every training camera in turn, whatever the test's are.
        every: Hold every subject out once, and not a quarter of the clips alone.

    Returns:
        The folds and a note ("" if whole subjects were held out).

    Raises:
        ValueError: `by` is "cameras", and there are not two of which clips remain.
    """
    masks, note = held_out_in_turn(subjects, labels, seed)
    masks = masks if every else masks[:1]
    new_view = cameras is not None and test_cameras is not None and not set(cameras) & set(test_cameras)
    if by == "cameras" or (by == "auto" and new_view):
        cameras = np.asarray(cameras)
        folds = [
            (~held & (cameras != unseen), held & (cameras == unseen)) for held in masks for unseen in np.unique(cameras)
        ]
        folds = [(fit, choose) for fit, choose in folds if fit.any() and choose.any()]
        if folds:
            return folds, note
        if by == "cameras":
            raise ValueError(
                f"validation by cameras needs clips of several training cameras, and there are {len(np.unique(cameras))}; hold out "
                "subjects."
            )
    masks = masks or [np.zeros(len(np.asarray(subjects)), dtype=bool)]  # too few clips: nothing to choose by
    return [(~held, held) for held in masks], note


def folds_with_copies(folds: Folds, times: int) -> Folds:
    """Folds of clips that stand `times` times one after the other: copies are fitted on, and never choose.

    Settings are chosen on clips as they are, like those of the test, and a held-out clip is held out with its copies.

    Args:
        folds: Masks (N,), of `validation_folds`.
        times: How often each clip is there, the first N times as it is.

    Returns:
        As many folds, masks (times * N,).
    """
    return [(np.tile(fit, times), np.pad(choose, (0, (times - 1) * len(choose)))) for fit, choose in folds]


def probe_folds(rows: Any, test_cameras: Any, seed: int = 0, by: str = "auto", times: int = 1) -> Folds:
    """`validation_folds` of training rows for a probe: of few clips every one chooses once, as a quarter of them would choose by luck.

    Args:
        rows: `rows.SkeletonRows` of the training split.
        test_cameras: (N_test,) views of the test clips.
        seed: Draws the held-out subjects.
        by: As in `validation_folds`.
        times: Views of each clip that are fitted on, the clips themselves first, as `views` has them.

    Returns:
        Masks (times * N,); see `folds_with_copies`.

    Raises:
        ValueError: `by` is "cameras", and there are not two of which clips remain.
    """
    every = len(rows) <= CROSS_VALIDATED and len(rows) * times <= CROSS_VALIDATED_VIEWS
    return folds_with_copies(
        validation_folds(rows.subjects, rows.labels, seed, rows.cameras, test_cameras, by, every)[0], times
    )


@dataclass
class ProbeResult:
    """One classifier on one kind of feature.

    Args:
        metrics: top1, top5 and mean_class on the test clips, 0 to 1.
        chosen: The setting ("C" or "k") and the pooling chosen on the validation split.
        validation: top-1 of that choice there (or mean-class accuracy, where settings are chosen by it).
        predictions: (N_test,) class indices; scores: (N_test, num_classes).
        confusion: (num_classes, num_classes) counts, a row for each true class; note: how the split deviated, or "".
    """

    metrics: dict[str, float]
    chosen: dict[str, Any]
    validation: float
    predictions: np.ndarray
    scores: np.ndarray
    confusion: np.ndarray
    note: str = ""


def check_labels(train_y: np.ndarray, test_y: np.ndarray) -> None:
    """Raise ValueError for labels that no probe works with: none, some below 0, or a single class to learn."""
    for name, labels in (("training", train_y), ("test", test_y)):
        if len(labels) == 0:
            raise ValueError(f"There are no {name} clips to probe with; check the data folder and the protocol.")
        if labels.min() < 0:
            raise ValueError(
                f"{int((labels < 0).sum())} {name} clips have no label (-1); a probe needs labelled clips."
            )
    if len(np.unique(train_y)) < 2:
        raise ValueError(f"All {len(train_y)} training clips have one label; a probe needs at least two classes.")


def evaluate_probe(
    setting: str, train: Any, train_y: Any, train_subjects: Any, test: Any, test_y: Any, seed: int = 0,
    num_classes: int | None = None, pooling: str = "auto", folds: Folds | None = None, metric: str = "top1",
) -> ProbeResult:  # fmt: skip
    """Choose on training subjects, fit on all of them, count on the test clips.

    Args:
        setting: "linear_probe" or "knn".
        train: (N, D) features, or a dict pooling -> (N, D); test: the same of the test clips.
        train_y, train_subjects: (N,) labels and performers; test_y: (N_test,) labels, used for counting only.
        seed: Draws the held-out subjects.
        num_classes: Number of classes; the largest training label + 1 if None. A class without a training clip is never right.
        pooling: One key of `train`, or "auto" to choose it on the validation split too.
        folds: Masks from `validation_folds` or `probe_folds`; if None, a quarter of the clips is held out, whole subjects.
        metric: What settings are chosen by: "top1" or "mean_class", as the protocol reports.

    Raises:
        ValueError: unknown setting or pooling, no clips, unlabelled clips, or fewer than two classes to learn.
    """
    if setting not in _CLASSIFIERS:
        raise ValueError(f"setting is {setting!r}; expected one of {', '.join(SETTINGS)}.")
    train, test = (dict(x) if isinstance(x, Mapping) else {"all": x} for x in (train, test))
    poolings = list(train) if pooling == "auto" or list(train) == ["all"] else [pooling]
    if poolings[0] not in train:
        raise ValueError(f"pooling is {pooling!r}; expected auto or one of {', '.join(train)}.")
    train_y, test_y = np.asarray(train_y, dtype=np.int64), np.asarray(test_y, dtype=np.int64)
    check_labels(train_y, test_y)
    num_classes = num_classes or int(train_y.max()) + 1
    classify, name, grid = _CLASSIFIERS[setting]
    split, note = validation_folds(train_subjects, train_y, seed)
    folds = split if folds is None else folds
    chosen_y = np.concatenate([train_y[choose] for _, choose in folds])
    best: tuple[float, str, Any] = (-1.0, poolings[0], grid[0])
    for candidate in poolings:
        x, here, in_vain = np.asarray(train[candidate]), -1.0, 0
        tried = [classify(x[fit], train_y[fit], x[choose], grid, num_classes) for fit, choose in folds]
        for value, *found in zip(grid, *tried, strict=False):
            accuracy = metrics(np.concatenate(found), chosen_y)[metric] if len(chosen_y) else 0.0
            here, in_vain = (accuracy, 0) if accuracy > here else (here, in_vain + 1)
            if accuracy > best[0]:  # the first of equals: strongest regularisation, fewest neighbours
                best = (accuracy, candidate, value)
            if in_vain >= PATIENCE:
                break
    validation, chosen, value = best
    scores = next(iter(classify(np.asarray(train[chosen]), train_y, np.asarray(test[chosen]), [value], num_classes)))
    unknown = max(0, int(test_y.max()) + 1 - num_classes)  # classes that only test clips have
    scores = np.pad(scores, ((0, 0), (0, unknown)), constant_values=-np.inf)
    confusion = np.zeros((num_classes + unknown, num_classes + unknown), dtype=np.int64)
    np.add.at(confusion, (test_y, scores.argmax(axis=1)), 1)
    settings = {name: value} if chosen == "all" else {name: value, "pooling": chosen}
    return ProbeResult(metrics(scores, test_y), settings, validation, scores.argmax(axis=1), scores, confusion, note)


def linear_probe(
    train_x: Any, train_y: Any, train_subjects: Any, test_x: Any, test_y: Any, seed: int = 0
) -> ProbeResult:
    """`evaluate_probe("linear_probe", ...)`: regularisation (and pooling, given a dict) chosen on training subjects."""
    return evaluate_probe("linear_probe", train_x, train_y, train_subjects, test_x, test_y, seed)


def knn(train_x: Any, train_y: Any, train_subjects: Any, test_x: Any, test_y: Any, seed: int = 0) -> ProbeResult:
    """`evaluate_probe("knn", ...)`: k (and pooling, given a dict) chosen on training subjects."""
    return evaluate_probe("knn", train_x, train_y, train_subjects, test_x, test_y, seed)


def metrics(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """top1, top5 (all classes if there are fewer) and mean_class (recall averaged over the classes that occur), 0 to 1."""
    labels = np.asarray(labels)
    ranked = np.argsort(-scores, axis=1, kind="stable")
    right = ranked[:, 0] == labels
    return {
        "top1": float(right.mean()),
        "top5": float((ranked[:, :5] == labels[:, None]).any(axis=1).mean()),
        "mean_class": float(np.mean([right[labels == label].mean() for label in np.unique(labels)])),
    }
