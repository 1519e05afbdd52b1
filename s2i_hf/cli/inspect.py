"""`s2i inspect`."""

from __future__ import annotations

from dataclasses import dataclass

from .. import inspection
from ..utils.arguments import arg


@dataclass
class InspectArguments:
    """Flags of `s2i inspect`."""

    path: str = arg(help="Folder, zip archive or file with recordings, or a converted folder.", positional=True)
    protocol: str | None = arg(None, "Count by this protocol, such as ntu60_xsub.")
    layout: str | None = arg(None, "Joint format, where the files do not say it.")
    html: str | None = arg(None, "Write one page with histograms and sample skeletons to this file too.")
    max_files: int | None = arg(None, "Read no more files than this, evenly chosen.")


def inspect(arguments: InspectArguments) -> int:
    """What is in a folder of recordings."""
    options = {name: getattr(arguments, name) for name in ("protocol", "layout", "html", "max_files")}
    return inspection.run(arguments.path, **options)
