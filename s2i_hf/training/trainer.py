"""`SkeletonTrainer`: the Trainer of transformers on skeletons, which restores what it saved and repeats itself after a kill.

Joints become images on the device, in `compute_loss`. What a step computes is a function of the seed and the step alone: the order of the
clips and their augmentation, mixup and cutmix, and what drop path skips. So a resumed run ends with the weights of an undisturbed one.

The stock Trainer resumes a ViT with an encoder at its initial weights and merely warns (its checkpoints have other names than the model
in memory; transformers #43701, #48805). Here a checkpoint is read by `from_pretrained` and put in strictly. The stock `push_to_hub`
uploads the output folder as it lies there; here it is a finished run in one commit, as `s2i push` does it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import (
    EvalPrediction,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from ..data.collator import SkeletonCollator
from ..data.sampler import EpochSampler, training_loader
from ..data.skeleton_rows import SkeletonRows
from ..evaluation.metrics import NAMES, metrics
from ..evaluation.scoring import predict_scores
from ..hub.model_card import write_card
from ..hub.push import publish_run
from ..models.layerwise import lr_groups
from ..processing.encoding_batched import encode_padded
from ..processing.image_processing_skeleton import SkeletonProcessor
from ..runs.checkpoints import checkpoint_of, complete_checkpoint
from ..runs.provenance import write_environment
from ..utils.attention import suited_attention
from ..utils.progress import quiet_transformers
from .ema import AVERAGE, WeightAverage
from .finetune_arguments import FinetuneArguments
from .interruption import StopRequest
from .mixup import mix
from .run_log import RunLog
from .schedule import Schedule


class SkeletonTrainer(Trainer):
    """Trains a classifier on skeletons.

    Args:
        model: Classifier: (B, 3, H, W) -> `.logits` (B, C).
        args: `TrainingArguments`; output_dir is the run folder.
        arguments: The settings of the fine-tuning; `schedule` has its steps and learning rates.
        processor: `SkeletonProcessor`, makes the images and is saved beside the model.
        train_dataset: `SkeletonRows` to learn from; `eval_dataset` those to choose the best epoch by, or None.
        class_weights: (C,) weights of the classes in the loss, or None.
        **options: As for `Trainer`, such as callbacks.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        arguments: FinetuneArguments,
        schedule: Schedule,
        processor: SkeletonProcessor,
        train_dataset: SkeletonRows,
        eval_dataset: SkeletonRows | None = None,
        class_weights: torch.Tensor | None = None,
        **options: Any,
    ) -> None:
        args.push_to_hub = False  # nothing is pushed before somebody calls `push_to_hub`
        plain = dict(vars(model.config))
        collator = SkeletonCollator(arguments.augmentation, arguments.seed, center=processor.center)
        own: Any = {"data_collator": collator, "processing_class": processor, "compute_metrics": _stock_metrics}
        super().__init__(model, args, train_dataset=train_dataset, eval_dataset=eval_dataset, **own, **options)
        if "use_cache" not in plain:
            vars(model.config).pop("use_cache", None)  # the stock Trainer writes it into every config
        self.arguments, self.schedule, self.processor = arguments, schedule, processor
        self.class_weights = None if class_weights is None else class_weights.to(args.device)
        self.model_accepts_loss_kwargs = False  # the loss is a mean over the micro-batch
        self.label_names = ["labels"]
        self.average = None if arguments.ema is None else WeightAverage(model, arguments.ema)
        self._micro = (-1, -1)  # optimizer step, and micro-batch within it
        self._broken = torch.zeros((), dtype=torch.bool, device=args.device)  # whether a loss was not finite

    def get_train_dataloader(self) -> DataLoader[Any]:
        """One epoch of this process's micro-batches; which one, the steps done so far tell."""
        rows: Any = self.train_dataset
        arguments, args, per_epoch = self.arguments, self.args, self.schedule.steps_per_epoch
        epochs = (arguments.seed, per_epoch, arguments.batch_size, arguments.gradient_accumulation)

        def steps() -> range:
            done = self.state.global_step // per_epoch
            return range(done * per_epoch, (done + 1) * per_epoch)

        sampler = EpochSampler(rows.sample_ids, *epochs, steps, args.process_index, args.world_size)
        return training_loader(rows, sampler, self.data_collator, arguments.num_workers, args.device)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """All clips in their order, not augmented."""
        rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        return self.accelerator.prepare(DataLoader(rows, self.args.eval_batch_size, collate_fn=SkeletonCollator()))

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader[Any]:
        """The same, for the stock `predict`."""
        return self.get_eval_dataloader(test_dataset)

    @property
    def classifier(self) -> Any:
        """The model itself, whatever wraps it for several processes."""
        return self.accelerator.unwrap_model(self.model)

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """A step of the stock Trainer whose random numbers are those of (seed, step, micro-batch, process)."""
        step = self.state.global_step
        self._micro = (step, self._micro[1] + 1 if self._micro[0] == step else 0)
        torch.manual_seed(int(np.random.SeedSequence(self._key).generate_state(1, np.uint64)[0] >> np.uint64(1)))
        with suited_attention(self.classifier, self.args.device, self.arguments.precision):
            loss = super().training_step(model, inputs, num_items_in_batch)
        self._broken |= ~torch.isfinite(loss)
        return loss

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

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross-entropy with smoothing, class weights and, in training, mixed images; joints become images here."""
        arguments, options = self.arguments, self.processor.encoding_options
        clips = (inputs["num_frames"], inputs["num_people"], inputs["layouts"])
        images, targets = encode_padded(inputs["joints"], *clips, options), inputs["labels"]
        more: dict[str, Any] = {}
        if model.training:
            targets = nn.functional.one_hot(targets, self.classifier.config.num_labels).float()
            images, targets = mix(images, targets, arguments.mixup, arguments.cutmix, self._key)
            more = {"weight": self.class_weights, "label_smoothing": arguments.label_smoothing}
        in_bf16 = model.training and arguments.precision == "bf16"  # tests are in float32
        with torch.autocast(images.device.type, torch.bfloat16, enabled=in_bf16):
            logits = model(pixel_values=images).logits.float()
        loss = nn.functional.cross_entropy(logits, targets, **more)
        return (loss, {"logits": logits}) if return_outputs else loss

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW with a learning rate for each layer."""
        if self.optimizer is None:
            arguments = self.arguments
            groups = lr_groups(self.classifier, self.schedule.peak_lr, arguments.weight_decay, arguments.layer_decay)
            self.optimizer = torch.optim.AdamW(groups, lr=self.schedule.peak_lr, fused=True)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule, as a factor on the learning rate of every group."""
        if self.lr_scheduler is None:
            schedule, optimizer = self.schedule, optimizer or self.optimizer

            def factor(step: int) -> float:
                return schedule.lr(step) / schedule.peak_lr if step < schedule.total_steps else 0.0

            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def scores(self, rows: SkeletonRows, **views: int) -> np.ndarray:
        """(N, C) log-probabilities of the clips, by the average of the weights if there is one; each process scores a share.

        `views` are test_clips and test_rotations of `predict_scores`.
        """
        accelerator, model = self.accelerator, self.classifier
        count, processes = -(-len(rows) // accelerator.num_processes), accelerator.num_processes
        own = rows.select((np.arange(count) * processes + accelerator.process_index) % max(1, len(rows)))
        options: Any = {**views, "batch_size": self.args.eval_batch_size, "device": self.args.device}
        found = predict_scores(model if self.average is None else self.average.module, own, self.processor, **options)
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

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write model and processor; the settings are in run.yaml, and not pickled."""
        if self.args.should_save:
            folder = str(output_dir or self.args.output_dir)
            with quiet_transformers():
                self.classifier.save_pretrained(folder)
                self.processor.save_pretrained(folder)

    def load_finished(self, checkpoint: Path) -> None:
        """Take over what `train` would end with, from the checkpoint of the last step."""
        self.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        if self.arguments.best:
            self._load_best_model()
        else:
            self._load_from_checkpoint(str(checkpoint))

    def use_final_weights(self) -> dict[str, Any]:
        """Give the model the weights that count: of those that are loaded the average, if there is one.

        Returns:
            best_epoch, best_step and validation (its metric there) if the best epoch was chosen.
        """
        if self.average is not None:
            self.classifier.load_state_dict(self.average.module.state_dict(), strict=True)
            self.average = None
        if not self.arguments.best:
            return {}
        step, value = int(self.state.best_global_step or 0), float(self.state.best_metric or 0)
        epoch = round(step / self.schedule.steps_per_epoch, 4)
        return {"best_epoch": epoch, "best_step": step, "validation": round(value, 6)}

    def _load_best_model(self) -> None:
        """Put the weights of the best epoch into the model, all of them."""
        self._load_from_checkpoint(str(checkpoint_of(self.arguments.run_dir, int(self.state.best_global_step or 0))))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Put the weights of a checkpoint into the model: the encoder's, too, and nothing less."""
        own = self.accelerator.unwrap_model(self.model if model is None else model)
        with quiet_transformers():
            saved, report = type(own).from_pretrained(resume_from_checkpoint, output_loading_info=True)
        lost = [*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]]
        if lost:
            raise ValueError(
                f"{resume_from_checkpoint} does not hold this model: {len(lost)} weights differ, such as {lost[0]}."
            )
        own.load_state_dict(saved.state_dict(), strict=True)
        if self.average is not None:
            self.average.load(Path(resume_from_checkpoint) / AVERAGE)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Zero: the stock estimate counts tokens of text."""
        return 0

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The card of the run folder, from the files in it."""
        if self.is_world_process_zero():
            write_card(self.arguments.run_dir)

    def push_to_hub(
        self,
        commit_message: str | None = None,
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **_: Any,
    ) -> Any:
        """Push the run folder in one commit: what others need, and no checkpoint and no path of this machine.

        Args:
            blocking: Must be true: the upload is looked at when it is over.
            token: Of the Hub; `args.hub_token`, or the one of this machine if None.
            revision: Branch; `args.hub_revision`, or main.
            private: Whether a new repository is private, and a public one is refused; `args.hub_private_repo`, or true.

        Returns:
            Address of the commit; None in a process that is not the main one.

        Raises:
            ValueError: `blocking` is false, nobody said which repository, or what `hub.push.publish_run` raises.
        """
        if not blocking:
            raise ValueError("blocking=False is not supported; push_to_hub returns when the upload is complete.")
        args, run_dir = self.args, self.arguments.run_dir
        repository = args.hub_model_id or self.arguments.push_to_hub
        if not repository:
            raise ValueError("no repository is named; pass hub_model_id='user/name' in TrainingArguments.")
        self.save_model(str(run_dir), _internal_call=True)  # by all processes, as weights may be spread over them
        if not self.is_world_process_zero():
            return None
        write_environment(run_dir)
        self.create_model_card()
        private = args.hub_private_repo is not False if private is None else private
        token, branch = token or args.hub_token, revision or args.hub_revision
        return publish_run(run_dir, repository, private=private, branch=branch, message=commit_message, token=token)


def _stock_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Metrics for the stock `predict`, by the `evaluate` library and under its names."""
    found = metrics(np.asarray(prediction.predictions), np.asarray(prediction.label_ids))
    return {NAMES[name]: value for name, value in found.items()}


class RunCallback(TrainerCallback):
    """Tells the Trainer when to evaluate, save and stop, keeps the best epoch, and writes what it measures into the run log.

    Args:
        has_validation: Whether there are clips to evaluate after each epoch; the best one is chosen by `metric`.
        stop: Asked after each step.
    """

    def __init__(self, log: RunLog, has_validation: bool, metric: str, stop: StopRequest) -> None:
        self.log, self.has_validation, self.metric, self.stop = log, has_validation, metric, stop
        self.trainer: Any = None  # set once it exists
        self.stopped = False

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The losses since the last row of metrics.jsonl go on where they were."""
        if self.log.progress.step:
            self.trainer._tr_loss += self.log.progress.window
            self.trainer._globalstep_last_logged = self.log.progress.logged

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After an optimizer step: the average of the weights, and what is due."""
        log, trainer = self.log, self.trainer
        log.progress.step = state.global_step
        log.step_over()
        if trainer.average is not None:
            trainer.average.update_parameters(trainer.classifier)
        last = log.is_last()
        # here and not at the end of the epoch: a checkpoint of this step must know whether the epoch was the best
        ends_epoch = state.global_step % log.schedule.steps_per_epoch == 0
        control.should_evaluate = self.has_validation and (ends_epoch or last)
        control.should_log |= last
        self.stopped = self.stop.agreed(trainer.accelerator) and not last
        control.should_save = log.must_save() or self.stopped
        control.should_training_stop |= self.stopped
        if control.should_save or control.should_log or control.should_evaluate:
            trainer.check_losses()

    def on_log(self, *_: Any, **more: Any) -> None:
        """A row of metrics.jsonl."""
        if "loss" in more["logs"]:
            self.log.write_row(loss=more["logs"]["loss"])

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """A row of metrics.jsonl; a checkpoint if this is the best epoch so far, by the metric and among equals by the loss."""
        progress, metrics = self.log.progress, more["metrics"]
        self.log.write_row(**{name.replace("eval_", "validation_"): value for name, value in metrics.items()})
        key = [metrics[f"eval_{self.metric}"], -metrics["eval_loss"]]
        if args.load_best_model_at_end and (progress.best is None or key > progress.best):
            progress.best, state.best_metric, state.best_global_step = key, key[0], state.global_step
            state.best_model_checkpoint = str(checkpoint_of(self.log.run_dir, state.global_step))
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """What the Trainer saved becomes checkpoints/step_XXXXXXXX when it is complete."""
        log, trainer, step = self.log, self.trainer, state.global_step
        log.count_time()
        progress, keep = log.progress, log.arguments.keep_checkpoints
        progress.window = trainer.accelerator.reduce(trainer._tr_loss.detach().clone(), reduction="mean").item()
        progress.logged = trainer._globalstep_last_logged
        trainer.accelerator.wait_for_everyone()
        if args.should_save:
            partial = log.run_dir / f"checkpoint-{step}"
            if trainer.average is not None:
                trainer.average.save(partial / AVERAGE)
            complete_checkpoint(partial, log.run_dir, progress, keep, state.best_global_step)
        trainer.accelerator.wait_for_everyone()
