"""Fine-tune a stock ViT with the stock Trainer: rows of a data set, a transform, nothing else of s2i_hf.

python examples/stock_trainer.py runs/mae out runs/vit      # a pretrained run, data of `s2i convert`, folder to make
"""

import sys

from transformers import Trainer, TrainingArguments, ViTForImageClassification

import s2i_hf

if len(sys.argv) != 4:
    sys.exit(__doc__)
PRETRAINED, DATA, RUN = sys.argv[1:]

processor = s2i_hf.SkeletonProcessor.from_pretrained(PRETRAINED)
data = s2i_hf.load_skeletons(DATA)
names = data["train"].features["label"].names
images = data.with_transform(processor)  # rows become pixel_values and labels when they are read
model = ViTForImageClassification.from_pretrained(
    PRETRAINED, id2label=dict(enumerate(names))
)  # the encoder, a new head


def accuracy(prediction):
    return {"top1": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


# Leave load_best_model_at_end off: for any ViT, transformers up to 5.24 gives back the head of the best epoch and not its encoder, with a
# warning of "missing keys" alone. Load the checkpoint with from_pretrained instead, or use `s2i finetune --best`, which does.
settings = TrainingArguments(
    RUN, num_train_epochs=5, per_device_train_batch_size=32, learning_rate=1e-3, lr_scheduler_type="cosine",
    remove_unused_columns=False, save_strategy="no", report_to="none",
)  # fmt: skip
trainer = Trainer(
    model, settings, train_dataset=images["train"], eval_dataset=images["test"], processing_class=processor,
    compute_metrics=accuracy,
)  # fmt: skip
trainer.train()
print(f"Test: top1 {100 * trainer.evaluate()['eval_top1']:.1f} %")
trainer.save_model()  # config, weights, processor and the code that opens them anywhere
