"""Fine-tune a stock ViT in a loop of one's own, on any number of devices; images are made where the model is.

python examples/accelerate_loop.py runs/mae out runs/vit      # a pretrained run, data of `s2i convert`, folder to make
accelerate launch --multi_gpu --num_processes 8 examples/accelerate_loop.py runs/mae out runs/vit
"""

import sys

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader
from transformers import ViTForImageClassification

import s2i_hf

if len(sys.argv) != 4:
    sys.exit(__doc__)
PRETRAINED, DATA, RUN = sys.argv[1:]

accelerator = Accelerator()
processor = s2i_hf.SkeletonProcessor.from_pretrained(PRETRAINED)
data = s2i_hf.load_skeletons(DATA).with_format("torch")
collate = s2i_hf.SkeletonCollator()  # pads joints; the processor makes images of such a batch on its device
train = DataLoader(data["train"], 32, shuffle=True, collate_fn=collate)
test = DataLoader(data["test"], 64, collate_fn=collate)
names = data["train"].features["label"].names
model = ViTForImageClassification.from_pretrained(PRETRAINED, id2label=dict(enumerate(names)))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
model, optimizer, train, test = accelerator.prepare(model, optimizer, train, test)

for epoch in range(5):
    model.train()
    for batch in train:
        loss = model(**processor(batch)).loss
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
    accelerator.print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

model.eval()
right = []
for batch in test:
    with torch.no_grad():
        found = model(**processor(batch)).logits.argmax(-1)
    right.append(accelerator.gather_for_metrics((found == batch["labels"]).float()))
accelerator.print(f"Test: top1 {100 * torch.cat(right).mean():.1f} %")
if accelerator.is_main_process:
    accelerator.unwrap_model(model).save_pretrained(RUN)
    processor.save_pretrained(RUN)
