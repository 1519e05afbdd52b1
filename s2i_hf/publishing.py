"""A converted folder to a data set repository on the Hub: private, unless one asks for the contrary."""

from __future__ import annotations

import re
from pathlib import Path

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
    """Upload a converted Parquet folder. Files of an earlier upload that are no longer part of the data set go.

    Args:
        folder: Made by `s2i convert --format parquet`.
        repository: Data set repository, such as "user/name"; made if it is not there.
        private: Make it private, and upload to no public one.
        progress: Show progress bars on stderr.

    Returns:
        Address of the data set.

    Raises:
        ValueError: the folder is in another format, the repository is public against `private`, or the Hub refuses.
    """
    folder = Path(folder).expanduser()
    meta = read_meta(folder)
    if meta["format"] != "parquet":
        raise ValueError(f"{folder} is in {meta['format']} format; the Hub needs one made with --format parquet.")
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars

    if not progress:
        disable_progress_bars()
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        public = not api.repo_info(repository, repo_type="dataset").private
        if not (public and private):
            api.upload_folder(
                repo_id=repository,
                repo_type="dataset",
                folder_path=folder,
                commit_message=f"{meta['protocol']}: {sum(meta['counts'].values()):,} clips, by s2i convert",
                delete_patterns=["data/*"],
                ignore_patterns=["README.md"],
            )
            readme = (folder / "README.md").read_text(encoding="utf-8").replace(f'"{REPOSITORY}"', f'"{repository}"')
            api.upload_file(
                repo_id=repository,
                repo_type="dataset",
                path_or_fileobj=readme.encode(),
                path_in_repo="README.md",
                commit_message="Dataset card",
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


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
