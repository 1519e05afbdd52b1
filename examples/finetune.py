"""Fine-tune a classifier with the stock Trainer; `s2i finetune` adds layer-wise learning rates, EMA, mixup, few labels and a card.

python examples/finetune.py runs/mine out runs/classifier      # a pretrained run, data of `s2i convert`, folder to make
"""

import sys

import torch
from huggingface_hub import ModelCard
from transformers import Trainer, TrainingArguments
from transformers.utils import logging

import s2i_hf

logging.disable_progress_bar()  # of from_pretrained and save_pretrained
if len(sys.argv) != 4:
    sys.exit(__doc__)
PRETRAINED, DATA, RUN = sys.argv[1:]

# 1. Raw skeleton files -> 2. skeleton arrays: rows of joints, split by the protocol
data = s2i_hf.load_skeletons(DATA)
train, test = s2i_hf.as_rows(data["train"]), s2i_hf.as_rows(data["test"])

# 3. S2I image: the processor was saved beside the model. 4. Mask: none, the encoder sees every patch
processor = s2i_hf.SkeletonProcessor.from_pretrained(PRETRAINED)
collate = s2i_hf.SkeletonCollator()


def images(clips):
    """Rows -> what the model takes: pixel_values (B, 3, H, W) and labels (B,)."""
    return processor(collate(clips))


def accuracy(prediction):
    """Logits (N, classes) and labels (N,) -> share of the clips that are right."""
    return {"top1": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


# 5. Model: the encoder as it was pretrained, and a new head with the names of the classes
model, notes = s2i_hf.build_classifier(PRETRAINED, train.class_names)
print(*notes, sep="\n")

# 6. Fine-tune
settings = TrainingArguments(
    RUN, num_train_epochs=5, per_device_train_batch_size=32, learning_rate=1e-3, lr_scheduler_type="cosine",
    remove_unused_columns=False, save_strategy="no", report_to="none", dataloader_pin_memory=torch.cuda.is_available(),
)  # fmt: skip
trainer = Trainer(
    model, settings, data_collator=images, train_dataset=train, eval_dataset=test, compute_metrics=accuracy
)
trainer.train()
top1 = trainer.evaluate()["eval_top1"]
print(f"Test: top1 {100 * top1:.1f} %")

# 7. Card; `s2i predict runs/classifier clip.npy` and `s2i export runs/classifier` read the folder
model.save_pretrained(RUN)
processor.save_pretrained(RUN)
text = (
    f"# Actions of skeletons\n\n{len(model.config.id2label)} classes, {100 * top1:.1f} % of {len(test)} test clips.\n"
)
ModelCard(f"---\nlibrary_name: transformers\ntags: [skeleton]\n---\n{text}").save(f"{RUN}/README.md")
