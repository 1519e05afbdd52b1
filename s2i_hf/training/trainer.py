"""`SkeletonTrainer`: the Trainer of transformers on skeletons, which restores what it saved and repeats itself after a kill.

Joints travel to the device padded and become images there, in `compute_loss` and `prediction_step`. What a step computes is a function of
the seed and the step alone: the order of the clips and their augmentation, mixup and cutmix, and what drop path skips. A run that is
killed and resumed ends with the weights of an undisturbed one.

The stock Trainer resumes a ViT with an encoder at its initial weights and merely warns (its checkpoints have other names than the model
in memory; transformers #43701, #48805). Here a checkpoint is read by `from_pretrained` and put in strictly.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from ..data.collator import SkeletonCollator
from ..evaluation.metrics import metrics
from ..evaluation.scoring import predict_scores
from ..models.classification import lr_groups
from ..processing.encoding_batched import encode_padded
from ..runs.checkpoints import CHECKPOINTS, keep_newest, put_in_place
from ..utils.attention import suited_attention
from .batches import RoundRows, Schedule, loader_options
from .ema import WeightAverage
from .epochs import EpochOrder
from .finetune_arguments import FinetuneArguments
from .mixup import mix, soft_targets
from .trainer_push import PushesRuns

AVERAGE, BEST = "average.safetensors", "best.safetensors"


class SkeletonTrainer(PushesRuns):
    """Trains a classifier on skeletons.

    Args:
        model: Classifier: (B, 3, H, W) -> `.logits` (B, C).
        args: `TrainingArguments`; output_dir is the run folder.
        arguments: The settings of the fine-tuning.
        schedule: Its steps and learning rates.
        processor: `SkeletonProcessor`, makes the images and is saved beside the model.
        train_dataset: `rows.SkeletonRows` to learn from.
        eval_dataset: Rows to choose the best epoch by, or None.
        class_weights: (C,) weights of the classes in the loss, or None.
        metric: What the best epoch is chosen by: "top1" or "mean_class".
        **options: As for `Trainer`, such as callbacks.
    """

    def __init__(
        self,
        model: Any,
        args: Any,
        arguments: FinetuneArguments,
        schedule: Schedule,
        processor: Any,
        train_dataset: Any,
        eval_dataset: Any = None,
        class_weights: torch.Tensor | None = None,
        metric: str = "top1",
        **options: Any,
    ) -> None:
        plain = dict(vars(model.config))
        super().__init__(
            model=model, args=args, train_dataset=train_dataset, eval_dataset=eval_dataset, processing_class=processor,
            data_collator=SkeletonCollator(arguments.augmentation, seed=arguments.seed),
            compute_metrics=_stock_metrics, **options,
        )  # fmt: skip
        if "use_cache" not in plain:
            vars(model.config).pop("use_cache", None)  # the stock Trainer writes it into every config
        self.arguments, self.schedule, self.processor, self.metric = arguments, schedule, processor, metric
        self.class_weights = None if class_weights is None else class_weights.to(args.device)
        self.model_accepts_loss_kwargs = False  # the loss is a mean over the micro-batch
        self.label_names = ["labels"]
        self.average = None if arguments.ema is None else WeightAverage(model, arguments.ema)
        self.extra: dict[str, Any] = {}  # written into progress.json of every checkpoint
        self._micro = (-1, -1)  # optimizer step, and micro-batch within it
        self._broken = torch.zeros((), dtype=torch.bool, device=args.device)  # whether a loss was not finite

    # -- data ----------------------------------------------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Any]:
        """One epoch of this process's micro-batches; which one, the steps done so far tell."""
        rows: Any = self.train_dataset
        arguments, args = self.arguments, self.args
        order = EpochOrder(
            rows.sample_ids, arguments.seed, self.schedule, arguments.gradient_accumulation,
            args.process_index, args.world_size, lambda: self.state.global_step,
        )  # fmt: skip
        return DataLoader(
            RoundRows(rows),
            batch_sampler=order,
            collate_fn=self.data_collator,
            **loader_options(arguments.num_workers, args.device, args.world_size),
        )

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """All clips in their order, not augmented."""
        rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        loader: DataLoader[Any] = DataLoader(rows, self.args.eval_batch_size, collate_fn=SkeletonCollator())
        return self.accelerator.prepare(loader)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader[Any]:
        """The same, of the clips given."""
        return self.get_eval_dataloader(test_dataset)

    @property
    def classifier(self) -> Any:
        """The model itself, whatever wraps it for several processes."""
        return self.accelerator.unwrap_model(self.model)

    @property
    def best_file(self) -> Path:
        """Where the weights of the best epoch are kept."""
        return self.arguments.run_dir / CHECKPOINTS / BEST

    # -- one step ------------------------------------------------------------------------------------------------------

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """A step of the stock Trainer whose random numbers are those of (seed, step, micro-batch, process)."""
        step = self.state.global_step
        self._micro = (step, self._micro[1] + 1 if self._micro[0] == step else 0)
        torch.manual_seed(int(np.random.SeedSequence(self._key).generate_state(1, np.uint64)[0] >> np.uint64(1)))
        with suited_attention(self.classifier, self.args.device, self.arguments.precision):
            loss = super().training_step(model, inputs, num_items_in_batch)
        self._broken |= ~torch.isfinite(loss)
        return loss

    def restore_progress(self, progress: Mapping[str, Any]) -> None:
        """Go on with the losses since the last row of metrics.jsonl and with the best epoch, from a checkpoint's progress.json."""
        if "best" in progress:
            self.extra["best"] = progress["best"]
        self._tr_loss += torch.tensor(progress.get("window", 0.0), device=self._tr_loss.device)
        self._globalstep_last_logged = int(progress.get("logged", self._globalstep_last_logged))

    def check_losses(self) -> None:
        """Raise ValueError if a loss was not finite; reading it waits for the device, so this is for now and then."""
        if bool(self._broken):
            raise ValueError(
                f"The loss was not finite at or before step {self.state.global_step}; try a lower --base_lr, more --warmup_epochs, "
                "--grad_clip 1.0 or --precision no, in a new --output_dir."
            )

    @property
    def _key(self) -> tuple[int, ...]:
        return (self.arguments.seed, *self._micro, self.args.process_index)

    def images(self, inputs: dict[str, Any]) -> torch.Tensor:
        """(B, 3, H, W) images of a collated batch, on the device."""
        return encode_padded(
            inputs["joints"],
            inputs["num_frames"],
            inputs["num_people"],
            inputs["layouts"],
            self.processor.encoding_options,
        )

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross-entropy with smoothing, class weights and, in training, mixed images; joints become images here."""
        images = self.images(inputs)
        if not model.training:
            logits = model(pixel_values=images).logits.float()
            loss = nn.functional.cross_entropy(logits, inputs["labels"])
            return (loss, {"logits": logits}) if return_outputs else loss
        arguments = self.arguments
        targets = soft_targets(inputs["labels"], self.classifier.config.num_labels)
        images, targets = mix(images, targets, arguments.mixup, arguments.cutmix, self._key)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=arguments.precision == "bf16"):
            logits = model(pixel_values=images).logits.float()
        loss = nn.functional.cross_entropy(
            logits, targets, weight=self.class_weights, label_smoothing=arguments.label_smoothing
        )
        return (loss, {"logits": logits}) if return_outputs else loss

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a learning rate for each layer."""
        if self.optimizer is None:
            arguments = self.arguments
            groups = lr_groups(self.classifier, self.schedule.peak_lr, arguments.weight_decay, arguments.layer_decay)
            try:
                self.optimizer = torch.optim.AdamW(groups, lr=self.schedule.peak_lr, fused=True)
            except RuntimeError:  # no fused kernel on this device
                self.optimizer = torch.optim.AdamW(groups, lr=self.schedule.peak_lr)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule, as a factor on the learning rate of every group."""
        if self.lr_scheduler is None:
            schedule: Schedule = self.schedule
            optimizer = optimizer or self.optimizer
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer,
                lambda step: schedule.lr(step) / schedule.peak_lr if step < schedule.total_steps else 0.0,
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    # -- what the clips are taken for ------------------------------------------------------------------------------------

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Any, Any, Any]:
        """Loss, logits and labels of a batch, for the stock `predict`."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            loss, outputs = self.compute_loss(model.eval(), inputs, return_outputs=True)
        return loss, None if prediction_loss_only else outputs["logits"], inputs["labels"]

    def scores(self, rows: Any, test_clips: int = 1) -> np.ndarray:
        """(N, C) log-probabilities of the clips, by the average of the weights if there is one; each process scores a share."""
        accelerator, model = self.accelerator, self.classifier
        count, processes = -(-len(rows) // accelerator.num_processes), accelerator.num_processes
        own = rows.select((np.arange(count) * processes + accelerator.process_index) % max(1, len(rows)))
        options: Any = {"test_clips": test_clips, "batch_size": self.args.eval_batch_size, "device": self.args.device}
        with nullcontext() if self.average is None else self.average.applied(model):
            found = predict_scores(model, own, self.processor, **options)
        if processes == 1:
            return found
        gathered = accelerator.gather(torch.from_numpy(found).to(accelerator.device)).cpu().numpy()
        return gathered.reshape(processes, count, -1).swapaxes(0, 1).reshape(processes * count, -1)[: len(rows)]

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Metrics of the clips in `eval_dataset`, or of those held out; logged like everything the Trainer measures."""
        rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        scores = self.scores(rows)
        found = {**metrics(scores, rows.labels), "loss": float(-scores[np.arange(len(rows)), rows.labels].mean())}
        named = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(dict(named))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, named)
        return named

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """Whether this is the best epoch so far, by the metric and among equals by the loss; its weights are kept."""
        value = metrics.get(f"eval_{self.metric}", -math.inf)
        key = [value, -metrics.get("eval_loss", math.inf)]
        if not self.arguments.best or ("best" in self.extra and key <= self.extra["best"]):
            return False
        self.extra["best"] = key
        self.state.best_metric, self.state.best_global_step = value, self.state.global_step
        if self.args.should_save:
            self._write_best(self.best_file)
        return True

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def _write_best(self, path: Path) -> None:
        from safetensors.torch import save_file

        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        values = dict(zip(self.average.names, self.average.values, strict=True)) if self.average else {}
        state = {
            name: values.get(name, value).detach().cpu().contiguous()
            for name, value in self.classifier.state_dict().items()
        }
        facts = {"step": self.state.global_step, "metric": self.metric, "value": self.state.best_metric}
        save_file(state, str(partial), metadata={"best": json.dumps(facts)})
        partial.replace(path)

    def _load_best_model(self) -> None:
        """Put the weights of the best epoch into the model, all of them; they are what `scores` uses from then on."""
        from safetensors.torch import load_file

        state = load_file(str(self.best_file))
        self.classifier.load_state_dict(state, strict=True)
        self.average = None

    def use_final_weights(self) -> dict[str, Any]:
        """Give the model the weights that count: the best epoch's, the average, or those of the last step.

        Returns:
            best_epoch, best_step and validation (its metric there) if the best epoch was chosen.
        """
        from safetensors import safe_open

        if self.arguments.best:
            self._load_best_model()
            with safe_open(str(self.best_file), framework="pt") as file:
                facts = json.loads(file.metadata()["best"])
            epoch = round(facts["step"] / self.schedule.steps_per_epoch, 4)
            return {"best_epoch": epoch, "best_step": facts["step"], "validation": round(facts["value"], 6)}
        if self.average is not None:
            self.average.copy_to(self.classifier)
            self.average = None
        return {}

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Put the weights of a checkpoint into the model: the encoder's, too, and nothing less."""
        own = self.accelerator.unwrap_model(self.model if model is None else model)
        saved, report = type(own).from_pretrained(resume_from_checkpoint, output_loading_info=True)
        lost = [*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]]
        if lost:
            raise ValueError(
                f"{resume_from_checkpoint} does not hold this model: {len(lost)} weights differ, such as {lost[0]}."
            )
        own.load_state_dict(saved.state_dict(), strict=True)
        if self.average is not None:
            self.average.load(Path(resume_from_checkpoint) / AVERAGE)

    def _save_checkpoint(self, model: Any, trial: Any = None) -> None:
        """Write checkpoints/step_XXXXXXXX beside its name and rename it when it is complete."""
        run_dir, step = self.arguments.run_dir, self.state.global_step
        final = run_dir / CHECKPOINTS / f"step_{step:08d}"
        partial = final.with_name(f".{final.name}.partial")
        window = self.accelerator.reduce(self._tr_loss.detach().clone(), reduction="mean").item()
        if self.args.should_save:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            self._save(str(partial))
            self._save_optimizer_and_scheduler(str(partial))
            self._save_scaler(str(partial))
            if self.average is not None:
                self.average.save(partial / AVERAGE)
            self.state.save_to_json(str(partial / "trainer_state.json"))
            progress = {"step": step, "window": window, "logged": self._globalstep_last_logged, **self.extra}
            (partial / "progress.json").write_text(json.dumps(progress), encoding="utf-8")
            put_in_place(partial, final)
            keep_newest(run_dir, self.arguments.keep_checkpoints)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Model and processor; the settings are in run.yaml, and not pickled."""
        folder = output_dir or self.args.output_dir
        self.classifier.save_pretrained(folder, state_dict=state_dict)
        self.processor.save_pretrained(folder)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Nothing: every step seeds its own random numbers."""

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Zero: the stock estimate counts tokens of text."""
        return 0


def _stock_metrics(prediction: Any) -> dict[str, float]:
    """Metrics for the stock `predict`, by the `evaluate` library."""
    from ..evaluation.evaluate_metric import SkeletonMetrics

    return SkeletonMetrics().compute(predictions=prediction.predictions, references=prediction.label_ids) or {}
