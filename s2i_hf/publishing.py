"""A converted folder, or the folder of a run, to a repository on the Hub: private, unless one asks for the contrary."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import write_atomically
from .hub_code import pushed_code_names
from .hub_folders import NAMES, PUSHED, WEIGHTS, check_public, public_files
from .storage import REPOSITORY, read_meta

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def check_repository(repository: str) -> None:
    """Find out early whether an upload can work, so that no conversion is made for nothing.

    Args:
        repository: Such as "user/name".

    Raises:
        ValueError: that is no name of a repository, there is no token, or the Hub does not take it or does not answer.
    """
    if not _NAME.fullmatch(repository):
        raise ValueError(f"{repository!r} is no repository of the Hub; expected user/name.")
    from huggingface_hub import HfApi, get_token

    if not get_token():
        raise ValueError("There is no token of the Hub here; log in with `hf auth login`, or set HF_TOKEN.")
    try:
        HfApi().whoami()
    except Exception as error:  # whatever the network and the Hub come up with
        raise ValueError(
            f"The Hub does not know who you are ({_first_line(error)}); log in with `hf auth login`."
        ) from None


def publish(folder: str | Path, repository: str, *, private: bool = True, progress: bool = False) -> str:
    """Upload a converted Parquet folder in one commit. Files of an earlier upload that are no longer part of the data set go.

    Args:
        folder: Made by `s2i convert --format parquet`.
        repository: Data set repository, such as "user/name"; made if it is not there.
        private: Make it private, and upload to no public one.
        progress: Show progress bars on stderr.

    Returns:
        Address of the data set.

    Raises:
        ValueError: the folder is in another format or names a path of this machine, the repository is public against `private`, or the Hub
            refuses.
    """
    folder = Path(folder).expanduser()
    meta = read_meta(folder)
    if meta["format"] != "parquet":
        raise ValueError(f"{folder} is in {meta['format']} format; the Hub needs one made with --format parquet.")
    files: dict[str, bytes | Path] = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    readme = (folder / "README.md").read_text(encoding="utf-8").replace(f'"{REPOSITORY}"', f'"{repository}"')
    files["README.md"] = readme.encode()
    check_public({name: content for name, content in files.items() if name.endswith((".md", ".json"))}, folder)
    from huggingface_hub import CommitOperationDelete, HfApi
    from huggingface_hub.utils import disable_progress_bars

    if not progress:
        disable_progress_bars()
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        public = not api.repo_info(repository, repo_type="dataset").private
        if not (public and private):
            there = api.list_repo_files(repository, repo_type="dataset")
            stale = [name for name in there if name.startswith("data/") and name not in files]
            api.create_commit(
                repository,
                [*(CommitOperationDelete(path_in_repo=name) for name in stale), *_additions(files)],
                repo_type="dataset",
                commit_message=f"{meta['protocol']}: {sum(meta['counts'].values()):,} clips, by s2i convert",
            )
    except Exception as error:  # whatever the network and the Hub come up with
        raise ValueError(
            f"The upload to {repository} failed ({_first_line(error)}); {folder} is complete, and the same command uploads it."
        ) from None
    if public and private:
        raise ValueError(
            f"{repository} is there and public, and most data sets may not be passed on: make it private, or pass --public."
        )
    return f"{api.endpoint}/datasets/{repository}"


def publish_run(
    run_dir: str | Path,
    repository: str,
    *,
    private: bool = True,
    branch: str = "main",
    message: str | None = None,
    progress: bool = False,
) -> str:
    """Upload the folder of a finished run as a model repository, in one commit; nothing is committed if nothing changed.

    An upload that was cut off left no commit; the same call again sends what is still missing. Files of an earlier push that this one does
    not have go; files that somebody else put there stay. The run folder gets hub.json, so that later runs know what it is called there.

    Args:
        run_dir: Folder of a pretraining or fine-tuning.
        repository: Model repository, such as "user/name"; made if it is not there.
        private: Make it private, and upload to no public one.
        branch: Branch to commit to; made from main if it is not there.
        message: Of the commit.
        progress: Show progress bars on stderr.

    Returns:
        Address of the commit.

    Raises:
        ValueError: the folder may not go (see `hub_folders.public_files`), the repository is public against `private`, or the Hub refuses.
    """
    if not _NAME.fullmatch(repository):
        raise ValueError(f"{repository!r} is no repository of the Hub; expected user/name.")
    run_dir = Path(run_dir).expanduser()
    files = public_files(run_dir, repository)
    from huggingface_hub import CommitOperationDelete, HfApi
    from huggingface_hub.utils import disable_progress_bars

    if not progress:
        disable_progress_bars()
    api = HfApi()
    public = False
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        public = not api.repo_info(repository).private
        if not (public and private):
            if branch != "main":
                api.create_branch(repository, branch=branch, exist_ok=True)
            ours = NAMES | pushed_code_names()
            there = api.list_repo_files(repository, revision=branch)
            stale = [name for name in there if _is_ours(name, ours) and name not in files]
            commit = api.create_commit(
                repository,
                [*(CommitOperationDelete(path_in_repo=name) for name in stale), *_additions(files)],
                revision=branch,
                commit_message=message or f"{run_dir.resolve().name}, by s2i push",
            )
    except Exception as error:  # whatever the network and the Hub come up with
        raise ValueError(
            f"The upload to {repository} failed ({_first_line(error)}); {run_dir} is complete, and `s2i push` uploads it."
        ) from None
    if public and private:
        raise ValueError(f"{repository} is there and public: make it private, or pass --public.")
    write_atomically(
        run_dir / PUSHED, json.dumps({"repository": repository, "branch": branch, "commit": commit.oid}) + "\n"
    )
    return str(commit.commit_url)


def _additions(files: Mapping[str, bytes | Path]) -> list[Any]:
    from huggingface_hub import CommitOperationAdd

    return [CommitOperationAdd(name, str(data) if isinstance(data, Path) else data) for name, data in files.items()]


def _is_ours(name: str, ours: frozenset[str]) -> bool:
    """Whether an earlier push may have written a file of this name."""
    stem, suffix = WEIGHTS.split(".")
    return name in ours or bool(re.fullmatch(rf"{stem}-\d+-of-\d+\.{suffix}", name))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
