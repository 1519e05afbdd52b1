"""Fine-tune low-rank adapters and the head alone, with peft: a hundredth of the numbers, the encoder stays as it was.

python examples/lora.py runs/mae out runs/adapter      # a pretrained run, data of `s2i convert`, folder to make
"""

import sys

from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainingArguments, ViTForImageClassification

import s2i_hf

if len(sys.argv) != 4:
    sys.exit(__doc__)
PRETRAINED, DATA, RUN = sys.argv[1:]

processor = s2i_hf.SkeletonProcessor.from_pretrained(PRETRAINED)
data = s2i_hf.load_skeletons(DATA)
names = data["train"].features["label"].names
images = data.with_transform(processor)
model = ViTForImageClassification.from_pretrained(PRETRAINED, id2label=dict(enumerate(names)))
# ViT of transformers 5 calls its projections q_proj and v_proj; "query" and "value" of older recipes match nothing
adapters = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
model = get_peft_model(model, adapters)
model.print_trainable_parameters()

settings = TrainingArguments(
    RUN, num_train_epochs=5, per_device_train_batch_size=32, learning_rate=5e-3, label_names=["labels"],
    remove_unused_columns=False, save_strategy="no", report_to="none",
)  # fmt: skip
trainer = Trainer(
    model, settings, train_dataset=images["train"], eval_dataset=images["test"], processing_class=processor,
    compute_metrics=lambda seen: {"top1": float((seen.predictions.argmax(-1) == seen.label_ids).mean())},
)  # fmt: skip
trainer.train()
print(f"Test: top1 {100 * trainer.evaluate()['eval_top1']:.1f} %")
trainer.save_model()  # the adapters; PeftModel.from_pretrained puts them on the same classifier again
