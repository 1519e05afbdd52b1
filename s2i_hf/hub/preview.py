"""The preview of a converted folder: S2I images of some clips, which the Hub's viewer shows beside their classes.

preview/train-00000.parquet and the like are a configuration of their own, so that the images are in nobody's way who loads the data.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.storage import shard_files
from ..data.stored_clips import custom_layouts, read_rows
from ..processing.image_processing_skeleton import SkeletonProcessor
from ..readers import ReadError

FOLDER = "preview"


def write_preview(folder: Path, meta: Mapping[str, Any], count: int) -> None:
    """Write the images of up to `count` clips of each split, evenly spaced over it, into a folder made by `s2i convert`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    processor, layouts = SkeletonProcessor(), custom_layouts(folder)
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(meta["class_names"]), "_type": "ClassLabel"},
        **{name: {"dtype": "string", "_type": "Value"} for name in ("layout", "sample_id")},
    }
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {"image": image, "label": pa.int64(), "layout": pa.string(), "sample_id": pa.string()}
    schema = pa.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})
    for split, files in shard_files(folder).items():
        sizes = [pq.ParquetFile(path).metadata.num_rows for path in files]
        chosen = set(np.linspace(0, sum(sizes) - 1, min(count, sum(sizes))).round().astype(int).tolist())
        rows, start = [], 0
        for path, size in zip(files, sizes, strict=True):
            inside = {index - start for index in chosen}
            for clip in read_rows(path, layouts, inside.__contains__):
                if not isinstance(clip, ReadError):
                    rows.append(_row(clip, processor))
            start += size
        if rows:
            (folder / FOLDER).mkdir(exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / FOLDER / f"{split}-00000.parquet")


def _row(clip: Any, processor: SkeletonProcessor) -> dict[str, Any]:
    images = processor(clip.joints, layout=clip.layout, axes="TMVC", allow_empty=True)["pixel_values"]
    with io.BytesIO() as buffer:
        processor.to_pil(images)[0].save(buffer, "PNG")
        picture = {"bytes": buffer.getvalue(), "path": None}
    return {"image": picture, "label": clip.label, "layout": clip.layout.name, "sample_id": clip.sample_id}
