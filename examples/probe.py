"""What frozen features know of the classes, by nearest neighbours; `s2i probe` adds a linear probe, raw joints and honest choices.

python examples/probe.py runs/mine out      # a pretrained run, data of `s2i convert`
"""

import sys

import torch
from torch.utils.data import DataLoader
from transformers import ViTMAEForPreTraining
from transformers.utils import logging

import s2i_hf

logging.disable_progress_bar()  # of from_pretrained and save_pretrained
if len(sys.argv) != 3:
    sys.exit(__doc__)
RUN, DATA = sys.argv[1:]
K = 5

# 1. Raw skeleton files -> 2. skeleton arrays. 3. S2I images, by the processor beside the model. 4. Mask: none
data = s2i_hf.load_skeletons(DATA)
processor = s2i_hf.SkeletonProcessor.from_pretrained(RUN)

# 5. Model: the encoder as it was pretrained, beside one that was not trained
trained = ViTMAEForPreTraining.from_pretrained(RUN)
untrained = s2i_hf.build_mae("config:tiny", image_size=trained.config.image_size)


@torch.no_grad()
def features(encoder, split):
    """Unit features (N, D) of the clips, the mean over their patches, and their labels (N,)."""
    found, labels = [], []
    for batch in DataLoader(s2i_hf.as_rows(split), 64, collate_fn=s2i_hf.SkeletonCollator()):
        images = processor(batch)["pixel_values"]
        found.append(encoder(images).last_hidden_state[:, 1:].mean(dim=1))
        labels.append(batch["labels"])
    return torch.nn.functional.normalize(torch.cat(found), dim=1), torch.cat(labels)


# 6. Probe: each test clip is of the class that most of its K nearest training clips have
for name, model in (("pretrained", trained), ("untrained", untrained)):
    encoder = s2i_hf.encoder_of(model).eval()
    (train_x, train_y), (test_x, test_y) = (features(encoder, data[split]) for split in ("train", "test"))
    nearest = (test_x @ train_x.T).topk(min(K, len(train_y)), dim=1).indices
    top1 = (train_y[nearest].mode(dim=1).values == test_y).float().mean()
    print(f"{name}: top1 {100 * top1:.1f} % of {len(test_y)} test clips")

# 7. Card: `s2i probe` writes such numbers into results.json and README.md of the run folder, with how to repeat them
