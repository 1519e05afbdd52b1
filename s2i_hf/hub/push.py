"""A converted folder, or the folder of a run, to a repository on the Hub: private by default."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.storage import REPOSITORY, read_meta
from ..runs.run_folder import PUSHED
from ..utils.files import write_json
from ..utils.hub_errors import explained
from .preview import FOLDER
from .public_files import NAMES, WEIGHTS, Files, check_public, public_files
from .remote_code import pushed_code_names

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_BRANCH = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)


def split_branch(repository: str, branch: str | None = None) -> tuple[str, str]:
    """ "user/name" and the branch to push to, of "user/name" or "user/name@branch"; "main" where nobody said another.

    Raises:
        ValueError: that is no name of a repository or branch, or the branch is said twice and differently.
    """
    name, at, given = repository.partition("@")
    if not _NAME.fullmatch(name) or (at and not _BRANCH.fullmatch(given)):
        raise ValueError(f"{repository!r} is no repository of the Hub; expected user/name or user/name@branch.")
    if branch is not None and not _BRANCH.fullmatch(branch):
        raise ValueError(f"{branch!r} is no name of a branch; expected one such as dev or v1.1.")
    if given and branch not in (None, "main", given):  # main is what commands take by default
        raise ValueError(f"{repository!r} names the branch {given!r}, and --branch {branch!r}; say it once.")
    return name, given or branch or "main"


def check_repository(repository: str) -> None:
    """Find out early whether an upload to "user/name" or "user/name@branch" can work, so that no conversion is made for nothing.

    Raises:
        ValueError: that is no name of a repository, there is no token, or the Hub does not take it or does not answer.
    """
    split_branch(repository)
    from huggingface_hub import HfApi, get_token

    if not get_token():
        raise ValueError("There is no token of the Hub here; log in with `hf auth login`, or set HF_TOKEN.")
    try:
        HfApi().whoami()
    except Exception as error:  # whatever the network and the Hub come up with
        reason = explained(error, repository)
        raise ValueError(f"The Hub does not know who you are ({reason}); log in with `hf auth login`.") from None


def publish(folder: str | Path, repository: str, *, private: bool = True, progress: bool = False) -> str:
    """Upload a converted Parquet folder in one commit. Files of an earlier upload that are no longer part of the data set go.

    Args:
        folder: Made by `s2i convert --format parquet`.
        repository: Data set repository, such as "user/name" or "user/name@branch"; made if it is not there.
        private: Make it private, and upload to no public one.
        progress: Show progress bars on stderr.

    Returns:
        Address of the data set.

    Raises:
        ValueError: the folder is in another format or names a path of this machine, the repository is public against `private`, or the Hub
            refuses.
    """
    from huggingface_hub.constants import ENDPOINT

    repository, branch = split_branch(repository)
    folder = Path(folder).expanduser()
    meta = read_meta(folder)
    if meta["format"] != "parquet":
        raise ValueError(f"{folder} is in {meta['format']} format; the Hub needs one made with --format parquet.")
    files: Files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    readme = (folder / "README.md").read_text(encoding="utf-8").replace(f'"{REPOSITORY}"', f'"{repository}"')
    files["README.md"] = readme.encode()
    check_public(files, folder)
    _upload(
        repository,
        files,
        kind="dataset",
        branch=branch,
        private=private,
        progress=progress,
        is_ours=lambda name: name.startswith(("data/", f"{FOLDER}/")),
        message=f"{meta['protocol']}: {sum(meta['counts'].values()):,} clips, by s2i convert",
        again=f"{folder} is complete, and the same command uploads it",
    )
    return f"{ENDPOINT}/datasets/{repository}{f'/tree/{branch}' if branch != 'main' else ''}"


def publish_run(
    run_dir: str | Path,
    repository: str,
    *,
    private: bool = True,
    branch: str | None = None,
    message: str | None = None,
    progress: bool = False,
    token: str | None = None,
) -> str:
    """Upload the folder of a finished run as a model repository, in one commit; nothing is committed if nothing changed.

    An upload that was cut off left no commit; the same call again sends what is still missing. Files of an earlier push that this one does
    not have go; files that somebody else put there stay. The run folder gets hub.json, so that later runs know what it is called there.

    Args:
        run_dir: Folder of a pretraining or fine-tuning.
        repository: Model repository, such as "user/name" or "user/name@branch"; made if it is not there.
        private, progress: As in `publish`.
        branch: Branch to commit to, if `repository` names none; main by default, and made from main if it is not there.
        message: Of the commit.
        token: Of the Hub; the one of this machine if None.

    Returns:
        Address of the commit.

    Raises:
        ValueError: the folder may not go (see `public_files.public_files`), the repository is public against `private`, or the Hub refuses.
    """
    repository, branch = split_branch(repository, branch)
    run_dir = Path(run_dir).expanduser()
    files = public_files(run_dir, repository)
    ours = NAMES | pushed_code_names()
    stem, _, suffix = WEIGHTS.partition(".")
    shard = re.compile(rf"{stem}-\d+-of-\d+\.{suffix}")
    commit = _upload(
        repository,
        files,
        kind="model",
        branch=branch,
        private=private,
        progress=progress,
        is_ours=lambda name: name in ours or bool(shard.fullmatch(name)),
        message=message or f"{run_dir.resolve().name}, by s2i push",
        again=f"{run_dir} is complete, and `s2i push` uploads it",
        token=token,
    )
    write_json(run_dir / PUSHED, {"repository": repository, "branch": branch, "commit": commit.oid})
    return str(commit.commit_url)


def _upload(
    repository: str,
    files: Files,
    *,
    kind: str,
    branch: str,
    private: bool,
    progress: bool,
    is_ours: Callable[[str], bool],
    message: str,
    again: str,
    token: str | None = None,
) -> CommitInfo:
    """Make the repository and the branch where they are missing, and upload all files in one commit that deletes what is stale.

    Stale is what `is_ours`, of an earlier push, and not among `files`. Raises a ValueError that says to do it `again` if the Hub refuses,
    or one if the repository is public against `private`.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.utils import disable_progress_bars

    if not progress:
        disable_progress_bars()
    api = HfApi(token=token)
    try:
        api.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
        if not private or api.repo_info(repository, repo_type=kind).private:
            if branch != "main":
                api.create_branch(repository, branch=branch, repo_type=kind, exist_ok=True)
            there = api.list_repo_files(repository, revision=branch, repo_type=kind)
            old = [CommitOperationDelete(name) for name in there if is_ours(name) and name not in files]
            new = [CommitOperationAdd(name, data) for name, data in files.items()]
            return api.create_commit(repository, [*old, *new], revision=branch, repo_type=kind, commit_message=message)
    except Exception as error:  # whatever the network and the Hub come up with
        reason = explained(error, repository, writing=True)
        raise ValueError(f"The upload to {repository} failed ({reason}); {again}.") from None
    why = ", and most data sets may not be passed on" if kind == "dataset" else ""
    raise ValueError(f"{repository} is there and public{why}: make it private, or pass --public.")
