"""Load a pretrained model and rebuild a half-hidden skeleton: the shortest tour of the package.

    python examples/quickstart.py --model runs/demo --data runs/demo_data/converted

`--model` is a run folder or a Hub id; everything comes back through `from_pretrained`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import ViTMAEForPreTraining

import s2i_hf
from s2i_hf.data.loading import as_rows
from s2i_hf.models.loading import check_model_name
from s2i_hf.utils.arguments import arg, parse, run_main


@dataclass
class QuickstartArguments:
    """Settings of this example."""

    model: str = arg(help="Run folder of a pretraining, or a Hub id.")
    data: str = arg(help="Protocol, such as nw_ucla_xview, or a folder written by `s2i convert`.")
    data_dir: str | None = arg(None, "Folder with the raw files of the protocol.")
    clip: int = arg(0, "Which test clip.")


def main() -> None:
    arguments = parse(QuickstartArguments, description=__doc__)
    check_model_name(arguments.model)

    # 1. Raw skeleton file -> 2. skeleton array: (T, M, V, 3) in metres
    rows = as_rows(s2i_hf.load_skeletons(arguments.data, arguments.data_dir)["test"])
    if not 0 <= arguments.clip < len(rows):
        raise ValueError(f"--clip is {arguments.clip}, but there are {len(rows)} test clips.")
    clip = rows[arguments.clip]

    # 3. S2I image: the processor was saved beside the model
    processor = s2i_hf.SkeletonProcessor.from_pretrained(arguments.model)
    inputs = processor(clip["joints"], layout=clip["layout"], return_tensors="pt", return_metadata=True)
    pixel_values, metadata = inputs["pixel_values"], inputs["metadata"]

    # 4. Mask -> 5. model: a stock class of transformers
    model = ViTMAEForPreTraining.from_pretrained(arguments.model).eval()
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
        f"clip {clip['sample_id']}: joints {tuple(clip['joints'].shape)} -> image {tuple(pixel_values.shape)} -> features "
        f"{tuple(features.shape)}; loss at {model.config.mask_ratio:.0%} hidden {outputs.loss:.4f}; the image decodes back to "
        f"the joints within {error:.4f} mm"
    )
    # 7. Card: README.md of the run folder says what the model is and what it reaches


if __name__ == "__main__":
    run_main(main)
