"""Pretrain a ViT masked autoencoder in a loop of one's own; `s2i pretrain` adds schedules, resuming, several data sets and a card.

python examples/pretrain.py out runs/mine                       # data of `s2i convert`, folder to make
accelerate launch --multi_gpu --num_processes 8 examples/pretrain.py out runs/mine
"""

import sys

import torch
from accelerate import Accelerator
from huggingface_hub import ModelCard
from torch.utils.data import DataLoader
from transformers.utils import logging

import s2i_hf

logging.disable_progress_bar()  # of from_pretrained and save_pretrained
if len(sys.argv) != 3:
    sys.exit(__doc__)
DATA, RUN = sys.argv[1:]
EPOCHS, BATCH, LR, SIZE, MASK_RATIO = 5, 32, 1e-3, 112, 0.75

# 1. Raw skeleton files -> 2. skeleton arrays: rows of (T, M, V, 3) joints in metres, as `s2i convert` left them
rows = s2i_hf.as_rows(s2i_hf.load_skeletons(DATA)["train"])
collate = s2i_hf.SkeletonCollator(s2i_hf.Augmentation(crop=(0.5, 1.0), yaw=0.3), seed=0)
loader = DataLoader(rows, BATCH, shuffle=True, drop_last=len(rows) >= BATCH, collate_fn=collate)

# 3. S2I image: height is time, width is joints by body part, red green blue are x y z; made on the device, batch by batch
processor = s2i_hf.SkeletonProcessor(layout=rows.layouts[0], size=SIZE)

# 5. Model: a stock ViTMAEForPreTraining with the positions that a new one lacks
model = s2i_hf.build_mae("config:tiny", image_size=SIZE, mask_ratio=MASK_RATIO)
side = SIZE // model.config.patch_size
optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.95), weight_decay=0.05)

accelerator = Accelerator()
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
for epoch in range(EPOCHS):
    collate.set_epoch(epoch)
    for batch in loader:
        images = processor(batch)["pixel_values"]
        # 4. Mask: ranks of the patches, drawn from (seed, epoch, sample id); the highest are hidden
        noise = s2i_hf.mask_noise("random", batch["sample_ids"], (side, side), MASK_RATIO, epoch=epoch)
        loss = model(images, noise=noise.to(images.device)).loss
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
    accelerator.print(f"epoch {epoch + 1}: loss {loss.item():.4f}")

# 6. Probe or fine-tune what was learned: examples/probe.py, examples/finetune.py. 7. Card: what it is, beside the model
if accelerator.is_main_process:
    accelerator.unwrap_model(model).save_pretrained(RUN)
    processor.save_pretrained(RUN)
    text = f"# Pretrained on skeletons\n\n{len(rows)} clips, {EPOCHS} epochs, {MASK_RATIO:.0%} of the patches hidden.\n"
    ModelCard(f"---\nlibrary_name: transformers\ntags: [skeleton]\n---\n{text}").save(f"{RUN}/README.md")
