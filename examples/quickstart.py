"""Load a pretrained model and rebuild a half-hidden skeleton: the shortest tour of the package.

python examples/quickstart.py runs/demo runs/demo_data/converted      # a run folder or Hub id; data of `s2i convert`
"""

import sys

import torch
from transformers import ViTMAEForPreTraining
from transformers.utils import logging

import s2i_hf

logging.disable_progress_bar()  # of from_pretrained and save_pretrained
if len(sys.argv) != 3:
    sys.exit(__doc__)
RUN, DATA = sys.argv[1:]

# 1. Raw skeleton file -> 2. skeleton array: (T, M, V, 3) in metres
data = s2i_hf.load_skeletons(DATA)
if not len(data["test"]):
    print(f"{DATA} has no test clips, so this is a clip that the model may have learned from.")
clip = s2i_hf.as_rows(data["test"] if len(data["test"]) else data["train"])[0]

# 3. S2I image: the processor was saved beside the model
processor = s2i_hf.SkeletonProcessor.from_pretrained(RUN)
inputs = processor(clip["joints"], layout=clip["layout"], return_tensors="pt", return_metadata=True)
pixel_values, metadata = inputs["pixel_values"], inputs["metadata"]

# 4. Mask -> 5. model: a stock class of transformers
model = ViTMAEForPreTraining.from_pretrained(RUN).eval()
side = model.config.image_size // model.config.patch_size
noise = s2i_hf.mask_noise("random", [clip["sample_id"]], (side, side), model.config.mask_ratio)
with torch.no_grad():
    outputs = model(pixel_values, noise=noise)

# 6. What was learned: features for a probe, and the way back from image to skeleton
with torch.no_grad():
    features = s2i_hf.encoder_of(model)(pixel_values).last_hidden_state[:, 1:].mean(dim=1)
joints = processor.decode(pixel_values, metadata)[0]
truth = torch.as_tensor(clip["joints"])
error = (joints - truth).norm(dim=-1).nanmean() * 1000 if joints.shape == truth.shape else float("nan")
print(
    f"clip {clip['sample_id']}: joints {tuple(truth.shape)} -> image {tuple(pixel_values.shape)} -> features {tuple(features.shape)}; "
    f"loss at {model.config.mask_ratio:.0%} hidden {outputs.loss:.4f}; the image decodes back to the joints within {error:.4f} mm"
)
# 7. Card: README.md of the run folder says what the model is and what it reaches
