"""What a classifier exported by `s2i export` says of a clip, with numpy and onnxruntime alone: no torch, no s2i_hf.

python examples/predict_onnx.py model.onnx clip.npy      # joints (T, V, 3) or (T, M, V, 3), without gaps, y up
"""

import json
import sys

import numpy as np
import onnxruntime


def resize_time(frames: int, height: int) -> np.ndarray:
    """(height, frames) weights of a linear resize, antialiased where it shrinks."""
    scale = frames / height
    center = np.clip((np.arange(height) + 0.5) * scale - 0.5, 0, frames - 1)
    weights = np.maximum(0, 1 - np.abs(np.arange(frames) - center[:, None]) / max(scale, 1))
    return weights / weights.sum(axis=1, keepdims=True)


def make_image(joints: np.ndarray, facts: dict[str, str]) -> np.ndarray:
    """(T, M, V, 3) joints -> (3, H, W) image, by the recipe in the file."""
    recipe, parents = json.loads(facts["processor"]), np.array(json.loads(facts["parents"]))
    if recipe["interpolation"] != "linear" or not np.isfinite(joints).all():
        sys.exit("expected joints without gaps and a recipe with linear interpolation.")
    joints = joints[:, joints.any(axis=(0, 2, 3))][:, : 1 if recipe["people"] == "first" else None]
    if recipe["center"] != "none":
        center = joints[:, :1, json.loads(facts["center_joints"])].mean(axis=2, keepdims=True)
        joints = joints - (center[:1] if recipe["center"] == "first_frame" else center)
    if "bone" in recipe["stream"]:
        joints = joints - np.where(parents[:, None] < 0, 0, joints[:, :, parents])
    if "motion" in recipe["stream"]:
        joints = np.diff(joints, axis=0, prepend=joints[:1])
    axes = (0, 1, 2) if recipe["value_range"] == "per_axis" else None
    low, high = joints.min(axis=axes), joints.max(axis=axes)
    if recipe["value_range"] == "fixed":
        low, high = 0.0, recipe["value_scale"]
    values = (joints - low) / np.where(high - low > 1e-8, high - low, 1)
    if recipe["do_normalize"]:
        values = (values - np.array(recipe["image_mean"])) / np.array(recipe["image_std"])
    columns = np.array(json.loads(facts["joint_weights"])[str(joints.shape[1])])  # (W, M V)
    planes = values.reshape(len(values), -1, 3).transpose(2, 0, 1)
    return (resize_time(len(joints), recipe["size"]["height"]) @ planes @ columns.T).astype(np.float32)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    clip = np.load(sys.argv[2]).astype(np.float64)
    image = make_image(clip[:, None] if clip.ndim == 3 else clip, facts)
    logits = session.run(["logits"], {"pixel_values": image[None]})[0][0]
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    for index in np.argsort(-probabilities)[:5]:
        print(f"{probabilities[index]:.6f}  {json.loads(facts['class_names'])[index]}")
