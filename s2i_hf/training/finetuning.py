"""Fine-tuning: a classifier on a pretrained encoder, trained on one protocol and tested once, at its end.

The test clips are read after training and never before: the weights are those of the last epoch, or of the best one on held-out
training clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..data.skeleton_rows import rows_of_splits
from ..evaluation.metrics import confusion_matrix, metric_of, metric_rows, metrics, shown
from ..evaluation.probes import class_doubts
from ..runs.provenance import hardware_name
from ..runs.results import append_results, class_report, write_class_report
from .finetune_arguments import FinetuneArguments
from .finetune_data import balanced_weights, check_fit, choose_clips, class_names_of
from .interruption import StopRequest, check_processes, wants_cpu
from .run_log import RunLog, check_start, check_tracker
from .schedule import Schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel, TrainingArguments

    from ..processing.image_processing_skeleton import SkeletonProcessor


def start(arguments: FinetuneArguments) -> TrainingArguments:
    """Devices, processes, precision and the run folder looked at: complain before any long work.

    Raises:
        ValueError: processes that do not know of each other, a precision or device that is not there, or a run folder in use.
        ImportError: the tracker's package is missing.
    """
    from accelerate.state import AcceleratorState
    from transformers import TrainingArguments

    check_tracker(arguments.report_to)
    has_gpu = torch.cuda.is_available()
    if arguments.device == "cuda" and not has_gpu:
        raise ValueError("--device cuda needs a GPU, and torch sees none here; use --device auto or cpu.")
    on_cpu = arguments.device == "cpu" or not has_gpu or wants_cpu()
    check_start(arguments, on_cpu)
    AcceleratorState._reset_state()  # an earlier run of this Python process may have had another precision
    settings = TrainingArguments(
        output_dir=str(arguments.run_dir),
        per_device_train_batch_size=arguments.batch_size,
        per_device_eval_batch_size=64,
        gradient_accumulation_steps=arguments.gradient_accumulation,
        max_grad_norm=arguments.grad_clip or 0.0,
        weight_decay=arguments.weight_decay,
        fp16=arguments.precision == "fp16",  # bf16 is autocast around the model in training; tests are in float32
        torch_compile=arguments.compile,
        seed=arguments.seed,
        save_strategy="no",  # the callback says when
        logging_steps=arguments.log_every,
        logging_nan_inf_filter=False,
        report_to=arguments.report_to,
        disable_tqdm=True,  # the log draws the bar
        remove_unused_columns=False,
        use_cpu=on_cpu,
    )
    _ = settings.device  # sets the processes up
    settings._n_gpu = min(settings._n_gpu, 1)  # one process uses one device; several are launched
    check_processes(settings.distributed_state)  # type: ignore[arg-type]  # an Accelerator knows no more of this
    settings.distributed_state.wait_for_everyone()  # nobody writes before everybody has looked
    return settings


def finetune(
    arguments: FinetuneArguments,
    model: PreTrainedModel,
    processor: SkeletonProcessor,
    dataset: Mapping[str, Any],
    *,
    settings: TrainingArguments | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Train a classifier, or go on with it, test it once, and leave a run folder.

    Args:
        model, processor: Of `load_classifier` (or any classifier, (B, 3, H, W) -> `.logits`); the processor is saved beside the model.
        dataset: "train" and "test" rows as they were recorded (`data.as_rows`), read in `arguments.to_layout` from here on.
        settings: What `start` returned; started here if None.
        notes: Sentences of `load_classifier`: printed, and written to the summary as start_notes.

    Returns:
        The summary that is also written to summary.json (top1, top5, mean_class, steps, seconds ...), with rows (those added to
        results.json), scores ((N_test, C) log-probabilities) and run_dir.

    Raises:
        ValueError: settings that do not fit each other, the data or the run to resume; a loss that is not finite.
        RunInterrupted: Ctrl-C or SIGTERM; a checkpoint was written.
    """
    from transformers.trainer_callback import PrinterCallback

    from ..data.loading import describe
    from ..visualization.figures import confusion_picture, drawing
    from .trainer import RunCallback, SkeletonTrainer

    settings = settings or start(arguments)
    splits = rows_of_splits(dataset, arguments.to_layout)
    data, train, test = describe(splits), splits["train"], splits["test"]
    check_fit(model, processor, train, test, arguments.test_rotations)
    clips, held_out = choose_clips(arguments, train)
    schedule = Schedule.of(arguments, len(clips), settings.world_size, repeat=True)
    settings.max_steps, settings.learning_rate = schedule.total_steps, schedule.peak_lr
    # looked for at every step, unless all weights are known to be used
    settings.ddp_find_unused_parameters = model.config.model_type not in ("vit", "pooled_vit")
    metric = metric_of(train.name)
    settings.load_best_model_at_end, settings.metric_for_best_model = arguments.best, metric
    settings.greater_is_better = True
    balanced = arguments.class_weights == "balanced"
    weights = balanced_weights(clips.labels, len(class_names_of(train))) if balanced else None
    processes: Any = settings.distributed_state
    log = RunLog(arguments, processes, schedule, clips, notes, validation_clips=len(held_out or ()))
    doubts = class_doubts(train, test)
    log.facts["start_notes"] = [*log.notes, *doubts]
    with StopRequest() as stop:
        callback = RunCallback(log, held_out is not None, metric, stop)
        trainer = callback.trainer = SkeletonTrainer(
            model, settings, arguments, schedule, processor, clips, held_out, weights, callbacks=[callback]
        )
        trainer.remove_callback(PrinterCallback)
        log.begin(model, data)
        for doubt in doubts:
            log.say(f"Warning: {doubt}")
        if len(clips) < schedule.effective_batch:
            log.say(
                f"{len(clips)} clips do not fill a step of {schedule.effective_batch}, so each comes several times a step, augmented anew."
            )
        if not log.is_last():
            with log.bar:
                trainer.train(resume_from_checkpoint=None if log.checkpoint is None else str(log.checkpoint))
        elif log.checkpoint is not None:  # killed after its last step: only the test is left
            trainer.load_finished(log.checkpoint)
    if callback.stopped:
        raise log.interrupted()
    best = trainer.use_final_weights()
    scores = trainer.scores(test, test_clips=arguments.test_clips, test_rotations=arguments.test_rotations)
    found = metrics(scores, test.labels)
    rows: list[dict[str, Any]] = []
    if log.main:
        protocol, class_names = train.name or Path(arguments.data).name, class_names_of(train)
        names = {"setting": arguments.setting, "encoder": arguments.encoder_name, "method": arguments.method_name}
        counts = {"train_clips": len(clips), "test_clips": len(test), "seed": arguments.seed}
        cost = {"seconds": log.progress.seconds, "hardware": hardware_name(settings.device)}
        rows = metric_rows(found, protocol, **names, **counts, **cost)
        append_results(log.run_dir, rows, arguments.results_csv)
        confusion = confusion_matrix(scores.argmax(axis=1), test.labels, len(class_names))
        reports = {arguments.encoder_name: {arguments.setting: class_report(confusion, best)}}
        write_class_report(log.run_dir, protocol, class_names, data, reports)
        if arguments.card:
            title = f"{protocol}, fine-tuned: top-1 {100 * found['top1']:.1f} %"
            with drawing(log.run_dir / "confusion.png") as path:
                confusion_picture(confusion, class_names, path, title)
    final: Any = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False).eval()
    summary = log.finish(final, final.state_dict(), processor, **found, **best)
    epoch = f"epoch {best['best_epoch']:g}" if best else "last epoch"
    log.say(f"Test: {shown(found)} ({len(test)} clips, {epoch}).")
    log.write_card()
    log.publish()
    return {**summary, "rows": rows, "scores": scores, "run_dir": arguments.run_dir}
