"""The pieces of a conversion, put together to one folder: all of it or nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..hub.dataset_card import CardCounts, dataset_card, front_matter
from .clip_files import read_ids, read_rows
from .convert_plans import Plan
from .convert_report import ConversionReport, StrictError
from .convert_shards import Piece, check_piece, clip_file, load_piece, load_plan, pieces_folder
from .storage import META_FILE, REPOSITORY, FolderWriter, Format, readme_header


def check_output(output: Path, overwrite: bool) -> None:
    """Whether a folder may be made at `output`.

    Raises:
        ValueError: something is there that may not be replaced.
    """
    if not output.exists() and not output.is_symlink():
        return
    if not output.is_dir():
        raise ValueError(f"{output} is there and no folder; choose another --output.")
    if not any(output.iterdir()):
        return
    if not overwrite:
        raise ValueError(f"{output} is there already; choose another --output, or pass --overwrite to replace it.")
    if not (output / META_FILE).is_file():
        raise ValueError(f"{output} was not made by `s2i convert` (it has no {META_FILE}), so it is not replaced.")


def accepted(report: ConversionReport, strict: bool) -> ConversionReport:
    """The report itself.

    Raises:
        StrictError: `strict`, and a recording is broken or missing.
    """
    if strict and report.unexpected:
        raise StrictError(
            f"{report.name}: {report.unexpected} recordings, which --strict does not accept; the output was not made.",
            report,
        )
    return report


@contextlib.contextmanager
def bar(progress: bool, total: int, done: int, verb: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; yields what to call with more units and the clips in them."""
    from tqdm import tqdm

    form = (
        "{desc}{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} " + unit + "{postfix}, {elapsed} gone, {remaining} to go"
    )
    with tqdm(
        total=total, initial=done, desc=f"{verb} ", bar_format=form, disable=not progress, file=sys.stderr, leave=False
    ) as bar:
        clips = 0

        def advance(units: int, more: int) -> None:
            nonlocal clips
            clips += more
            if not bar.disable:
                seconds = bar.format_dict["elapsed"]
                bar.set_postfix_str(f"{clips / seconds:,.0f} clips/s" if seconds else "", refresh=False)
            bar.update(units)

        yield advance


def pieces_in(folder: Path) -> Path:
    """The folder of pieces that `folder` is, or that lies beside it if it is an output.

    Raises:
        ValueError: neither.
    """
    for place in (folder, pieces_folder(Path(os.path.realpath(folder)))):
        if load_plan(place) is not None:
            return place
    raise ValueError(
        f"{folder} holds no pieces of a conversion; expected a folder such as .OUT.pieces, made by --shard."
    )


def _gather(sources: Sequence[Path], plan: Plan) -> list[tuple[Path, Piece]]:
    """Where each piece is, in order."""
    found: list[tuple[Path, Piece]] = []
    lacking = []
    for index in range(plan.pieces):
        for source in sources:
            piece = load_piece(source, index)
            if piece is not None:
                found.append((source, piece))
                break
        else:
            lacking.append(index)
    if lacking:
        numbers = ", ".join(map(str, lacking[:5])) + (", ..." if len(lacking) > 5 else "")
        raise ValueError(
            f"{len(lacking):,} of {plan.pieces:,} pieces are missing ({numbers}); with --shard I/N piece P is made by the shard "
            "I = P mod N: run or copy the shards that lack."
        )
    return found


def put_together(
    sources: Sequence[Path],
    plan: Plan,
    output: Path,
    format: Format,
    strict: bool,
    overwrite: bool,
    progress: bool,
) -> ConversionReport:
    """Make `output` of pieces, and clear them away.

    Args:
        sources: Folders of pieces.
        plan: What they are pieces of; the folder of pieces of `output` is held for it.
        output, format, strict, overwrite, progress: As in `conversion.convert`.

    Raises:
        ValueError: pieces are missing or damaged, `output` may not be replaced, or there is not a single clip.
        StrictError: `strict`, and a recording is broken or missing.
    """
    found = _gather(sources, plan)
    ids: dict[str, list[str]] = {split: [] for split in plan.splits}
    files = [(split, index) for split in plan.splits for index, (_, piece) in enumerate(found) if split in piece.counts]
    for split, index in files:
        ids[split] += read_ids(clip_file(found[index][0], index, split))
    broken = [sentence for _, piece in found for sentence in piece.broken]
    no_clips = [sentence for _, piece in found for sentence in piece.no_clips]
    report = ConversionReport.of(plan, ids, broken, no_clips)
    folder = pieces_folder(output)
    if not any(ids.values()):
        shutil.rmtree(folder, ignore_errors=True)  # nothing in there is of any use
        reason = f"the first: {report.broken[0]}" if report.broken else "none of their clips belongs to it."
        raise ValueError(f"None of the {plan.files:,} recordings of {plan.name} can be read; {reason}")
    accepted(report, strict)
    made = folder / "output"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    writer = FolderWriter(made, plan, format, plan.splits)
    card = CardCounts()
    with bar(progress, sum(report.kept.values()), 0, "write", "clips") as advance:
        for index, (source, piece) in enumerate(found):
            check_piece(source, index, piece)
        for split in plan.splits:
            for index in (index for of, index in files if of == split):
                count = 0
                for row in read_rows(clip_file(found[index][0], index, split)):
                    writer.write(split, row)
                    card.add(split, row)
                    count += 1
                advance(count, count)
            writer.end(split)
    layouts = {name: layout for _, piece in found for name, layout in piece.layouts.items()}
    meta = _meta(plan, format, report, layouts)
    writer.close(meta, _readme(plan, format, report, meta, card, made) if format == "parquet" else None)
    check_output(output, overwrite)  # somebody else may have made it meanwhile
    _replace(made, output, folder / "old")
    shutil.rmtree(folder, ignore_errors=True)
    return report


def _meta(plan: Plan, format: Format, report: ConversionReport, layouts: dict[str, Any]) -> dict[str, Any]:
    """What `s2i.json` says beside the rows; nothing in it differs between two conversions of the same data."""
    meta: dict[str, Any] = {
        "command": f"s2i convert {plan.name} --format {format}" + ("" if plan.denoise else " --no-denoise"),
        "made_by": f"s2i-hf {version('s2i-hf')}",
        "layout": plan.layout,
        "denoise": plan.denoise,
        "source": plan.source,
        "content": plan.content,
        "plan": plan.id,
        **report.to_meta(),
    }
    if plan.split_lists:
        meta["split_lists"] = plan.split_lists
    if layouts:
        meta["layouts"] = dict(sorted(layouts.items()))
    return meta


def _readme(
    plan: Plan, format: Format, report: ConversionReport, meta: dict[str, Any], card: CardCounts, folder: Path
) -> str:
    """The card of the data set, with the header that tells the Hub its files."""
    told = {"format": format, "protocol": plan.name, "class_names": plan.class_names, "counts": report.kept, **meta}
    header = readme_header(plan.name, report.kept).replace("---\n", f"---\n{front_matter(told)}", 1)
    return header + dataset_card(told, card, folder, REPOSITORY)


def _replace(made: Path, output: Path, old: Path) -> None:
    """Rename `made` to `output`. An old one is moved to `old` first, and comes back if the rename fails."""
    if not output.exists():
        made.rename(output)
        return
    output.rename(old)
    try:
        made.rename(output)
    except BaseException:
        old.rename(output)
        raise
