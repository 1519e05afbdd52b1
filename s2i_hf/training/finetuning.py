"""Fine-tuning: a classifier on a pretrained encoder, trained on one protocol and tested once, at its end.

The test clips are read after training and never before: the weights are those of the last epoch, or of the best one on held-out
training clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from ..data.skeleton_rows import splits_as_layout
from ..evaluation.metrics import metrics
from ..hub.push import check_repository, publish_run
from ..protocols import PROTOCOLS
from ..runs.checkpoints import SUMMARY, check_run_folder, check_same_settings, choose_checkpoint, write_json
from ..runs.provenance import hardware_name
from .finetune_arguments import FinetuneArguments
from .finetune_data import balanced_weights, check_fit, choose_clips, class_names_of
from .finetune_report import write_report
from .interruption import RunInterrupted, StopRequest, check_processes
from .run_log import export_model

if TYPE_CHECKING:
    from transformers import TrainingArguments


def start(arguments: FinetuneArguments) -> TrainingArguments:
    """Devices, processes, precision and the run folder looked at: complain before any long work.

    Raises:
        ValueError: processes that do not know of each other, a precision or device that is not there, or a run folder in use.
        ImportError: the tracker's package is missing.
    """
    import importlib.util
    import os
    import sys

    from accelerate.state import AcceleratorState
    from transformers import TrainingArguments
    from transformers.utils import logging

    if arguments.report_to != "none" and importlib.util.find_spec(arguments.report_to) is None:
        hint = "'s2i-hf[track]'" if arguments.report_to == "tensorboard" else arguments.report_to
        raise ImportError(
            f"--report_to {arguments.report_to} needs a package that is not installed: pip install {hint}."
        )
    has_gpu = torch.cuda.is_available()
    if arguments.device == "cuda" and not has_gpu:
        raise ValueError("--device cuda needs a GPU, and torch sees none here; use --device auto or cpu.")
    on_cpu = (
        arguments.device == "cpu" or not has_gpu or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    )
    if arguments.precision == "fp16" and on_cpu:
        raise ValueError("--precision fp16 needs a GPU, and this run is on a CPU; use bf16 or no.")
    if arguments.push_to_hub:
        check_repository(arguments.push_to_hub)
    check_run_folder(arguments.run_dir, arguments.resume, arguments.overwrite)
    progress = sys.stderr.isatty() if arguments.progress is None else arguments.progress
    if not progress:
        logging.disable_progress_bar()  # of save_pretrained and from_pretrained
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
        eval_strategy="no",
        logging_steps=arguments.log_every,
        logging_nan_inf_filter=False,
        report_to=arguments.report_to,
        disable_tqdm=not progress,
        remove_unused_columns=False,
        label_names=["labels"],
        use_cpu=on_cpu,
    )
    _ = settings.device  # sets the processes up
    settings._n_gpu = min(settings._n_gpu, 1)  # one process uses one device; several are launched
    check_processes(settings.distributed_state)  # type: ignore[arg-type]  # an Accelerator knows no more of this
    settings.distributed_state.wait_for_everyone()  # nobody writes before everybody has looked
    return settings


def finetune(
    arguments: FinetuneArguments,
    model: Any,
    processor: Any,
    dataset: Mapping[str, Any],
    *,
    settings: TrainingArguments | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Train a classifier, or go on with it, test it once, and leave a run folder.

    Args:
        arguments: Settings.
        model: Classifier of `load_classifier` (or any: (B, 3, H, W) -> `.logits`).
        processor: Makes the images, and is saved beside the model.
        dataset: "train" and "test" rows; see `data.as_rows`. They are read in `arguments.to_layout`, if that is set.
        settings: What `start` returned; started here if None.
        notes: Sentences of `load_classifier`: printed, and written to the summary as start_notes.

    Returns:
        The summary that is also written to summary.json (top1, top5, mean_class, steps, seconds ...), with rows (those added to
        results.json), scores ((N_test, C) log-probabilities) and run_dir.

    Raises:
        ValueError: settings that do not fit each other, the data or the run to resume; a loss that is not finite.
        RunInterrupted: Ctrl-C or SIGTERM; a checkpoint was written.
    """
    import json

    from transformers.trainer_callback import PrinterCallback

    from ..data.loading import as_rows, describe
    from .epochs import finetune_schedule
    from .finetune_log import MAY_CHANGE, RunCallback, begin_folder, hash_of_ids
    from .trainer import SkeletonTrainer

    settings = settings or start(arguments)
    dataset = splits_as_layout(dataset, arguments.to_layout)
    train, test = as_rows(dataset["train"]), as_rows(dataset["test"])
    check_fit(model, processor, train, test)
    clips, held_out = choose_clips(arguments, train)
    schedule = finetune_schedule(arguments, len(clips), settings.world_size)
    settings.max_steps, settings.learning_rate = schedule.total_steps, schedule.peak_lr
    # looked for at every step, unless all weights are known to be used
    settings.ddp_find_unused_parameters = model.config.model_type not in ("vit", "pooled_vit")
    protocol = PROTOCOLS.get(train.name)
    weights = balanced_weights(clips.labels, model.config.num_labels) if arguments.class_weights == "balanced" else None
    checkpoint = choose_checkpoint(arguments.run_dir, arguments.resume)
    progress: dict[str, Any] = {"step": 0, "seconds": 0.0}
    if checkpoint is not None:
        check_same_settings(arguments.run_dir, asdict(arguments), MAY_CHANGE)
        progress = json.loads((checkpoint / "progress.json").read_text(encoding="utf-8"))
        _check_progress(progress, checkpoint, clips, settings.world_size)
    with StopRequest() as stop:
        callback = RunCallback(arguments, schedule, held_out is not None, stop, progress)
        trainer = callback.trainer = SkeletonTrainer(
            model, settings, arguments, schedule, processor, clips, held_out, weights,
            "top1" if protocol is None or protocol.metric == "accuracy" else "mean_class", callbacks=[callback],
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.extra = {
            "num_processes": settings.world_size,
            "train_ids": hash_of_ids(clips.sample_ids),
            "seconds": 0.0,
        }
        facts = {
            "train_clips": len(clips), "validation_clips": 0 if held_out is None else len(held_out), **asdict(schedule),
            "num_processes": settings.world_size, "device": settings.device.type,
            "parameters": sum(parameter.numel() for parameter in model.parameters()), "model_type": type(model).__name__,
            "start_notes": list(notes),
        }  # fmt: skip
        trainer.accelerator.wait_for_everyone()
        if settings.should_save:
            begin_folder(arguments.run_dir, arguments, describe(dataset), facts, checkpoint, progress["step"])
            if checkpoint is None and notes:
                print(" ".join(notes))
            print(_introduction(arguments, facts, checkpoint), flush=True)
        trainer.accelerator.wait_for_everyone()
        if progress["step"] < schedule.total_steps:
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        else:
            trainer._load_from_checkpoint(str(checkpoint))
    if callback.stopped:
        raise RunInterrupted(
            f"Stopped after step {trainer.state.global_step} of {schedule.total_steps}, with a checkpoint; to go on, repeat the command "
            f"with --resume{' --no-overwrite' if arguments.overwrite else ''} added."
        )
    best = trainer.use_final_weights()
    seconds = callback.seconds if progress["step"] < schedule.total_steps else progress["seconds"]
    scores = trainer.scores(test, arguments.test_clips)
    found = metrics(scores, test.labels)
    summary = {
        **found, "steps": schedule.total_steps, "epochs": round(schedule.total_steps / schedule.steps_per_epoch, 4), **best,
        "seconds": round(seconds, 3), "clips_per_second": round(schedule.total_steps * schedule.effective_batch / max(seconds, 1e-9), 2),
        "precision": arguments.precision, **facts,
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    if settings.should_save:
        final = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False).eval()
        export_model(arguments.run_dir, final, final.state_dict(), processor)
        rows = write_report(
            arguments, class_names_of(train), describe(dataset), scores, test.labels, len(clips), train.name, seconds,
            best, hardware_name(settings.device),
        )  # fmt: skip
        write_json(arguments.run_dir / SUMMARY, summary)  # from here on the run is finished
        if arguments.card:
            from ..hub.model_card import write_card

            write_card(arguments.run_dir)
        shown = ", ".join(f"{name} {100 * value:.1f} %" for name, value in found.items())
        epoch = f"epoch {best['best_epoch']:g}" if best else "last epoch"
        print(f"Test: {shown} ({len(test)} clips, {epoch}). {arguments.run_dir}", flush=True)
        if arguments.push_to_hub:
            print(f"Uploaded: {publish_run(arguments.run_dir, arguments.push_to_hub)}", flush=True)
    trainer.accelerator.wait_for_everyone()
    return {**summary, "rows": rows, "scores": scores, "run_dir": arguments.run_dir}


def _check_progress(progress: Mapping[str, Any], checkpoint: Any, clips: Any, num_processes: int) -> None:
    from .finetune_log import hash_of_ids

    if progress.get("num_processes") != num_processes:
        raise ValueError(
            f"{checkpoint} was written by {progress.get('num_processes')} processes, this run has {num_processes}; launch it with "
            f"--num_processes {progress.get('num_processes')} to go on exactly where it stopped."
        )
    if progress.get("train_ids") != hash_of_ids(clips.sample_ids):
        raise ValueError(f"The training clips are not those that {checkpoint} was trained on; pass the same --data.")


def _introduction(arguments: FinetuneArguments, facts: Mapping[str, Any], checkpoint: Any) -> str:
    return (
        f"{f'Resuming from {checkpoint}' if checkpoint else f'Starting {arguments.run_dir}'}: {facts['model_type']} with "
        f"{facts['parameters'] / 1e6:.1f} M parameters on {facts['train_clips']:,} clips ({facts['validation_clips']} held out), "
        f"{facts['total_steps']:,} steps of {facts['effective_batch']} clips, lr {facts['peak_lr']:.3g}, {facts['device']}, precision "
        f"{arguments.precision}."
    )
