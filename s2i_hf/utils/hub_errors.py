"""What goes wrong with the Hub, in one sentence with the way out.

The clients raise what HTTP, the Hub or the cache came up with, and transformers and datasets wrap it again, so the reason is often the
cause of the cause of an error. Nothing here imports a client before something has failed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CLIENTS = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "aiohttp", "fsspec"}
_LATER = "wait a few minutes and repeat the command"
_LOGIN = "log in with `hf auth login`"


def explained(error: BaseException, name: str, *, writing: bool = False, revision: str | None = None) -> str:
    """What an error of the Hub, or its cause, means and what to do about it: "REASON; WAY OUT" without a full stop.

    Of an error that is not the Hub's, the first line. `name` is the repository that was asked for, such as "user/name", `revision` its
    branch, tag or commit, and `writing` says that something was to be uploaded.
    """
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    kinds = {kind.__name__ for one in found for kind in type(one).__mro__}  # by name: not every version has each class
    responses = [response for one in found if (response := getattr(one, "response", None)) is not None]
    status = next((code for one in responses if isinstance(code := getattr(one, "status_code", None), int)), None)
    headers: Mapping[str, Any] = next((one.headers for one in responses if hasattr(one, "headers")), {})
    said = str(headers.get("X-Error-Message") or "")[:200]
    if "HFValidationError" in kinds:
        repository, _, at = name.partition("@")
        way = f" without a revision; fetch it with `hf download {repository} --revision {at} --local-dir DIR` and pass DIR"
        return f"{name!r} is no name of a repository; expected user/name{way if at else ''}"
    if "OfflineModeIsEnabled" in kinds or (is_offline() and "LocalEntryNotFoundError" in kinds):
        return f"offline mode is on (HF_HUB_OFFLINE) and {name} is not in the cache; load it once without, then it works offline"
    if "GatedRepoError" in kinds:
        return f"{name} is gated; ask for access on its page, then {_LOGIN}"
    if "RevisionNotFoundError" in kinds:
        return f"{name} has no revision {revision or 'of this name'!r}; expected one of its branches, tags or commits"
    if "EntryNotFoundError" in kinds and status == 404:
        return f"{name} lacks a file that is needed; was its upload complete?"
    if "RepositoryNotFoundError" in kinds or status in (401, 404):
        return _not_found(name, said)
    if status == 403:
        role = "write to" if writing else "read"
        return f"the Hub forbids the token here to {role} {name}; is it yours, and may the token? {_LOGIN[0].upper()}{_LOGIN[1:]}"
    if status in (409, 412):
        return f"{name} was changed by somebody else at the same time, or exists already ({status}); look at it, then repeat the command"
    if status == 429:
        return f"the Hub gets too many requests from here (429); {_LATER}"
    if status is not None:
        refused = f"the Hub refuses ({status}: {said or 'no reason given'})"
        return f"the Hub is out of order ({status}); {_LATER}" if status >= 500 else refused
    clients = {type(one).__module__.partition(".")[0] for one in found} & _CLIENTS
    if clients or kinds & {"ConnectionError", "TimeoutError", "LocalEntryNotFoundError"}:
        way = "the same command goes on" if writing else "what was loaded before works with HF_HUB_OFFLINE=1"
        return f"the Hub cannot be reached or broke off; check the network (and HF_ENDPOINT), {way}"
    return first_line(error)


def _not_found(name: str, said: str) -> str:
    from huggingface_hub import get_token

    if "credentials" in said.lower():
        return "the Hub does not know the token here; log in anew with `hf auth login`, or mend HF_TOKEN"
    if not get_token():
        return f"{name} is not on the Hub, or private, and there is no token here; check the name, or {_LOGIN}"
    where = f" at {os.environ['HF_ENDPOINT']}" if os.environ.get("HF_ENDPOINT") else ""
    return f"{name} is not on the Hub{where}, or private and not yours; check the name, or log in as who may see it with `hf auth login`"


def first_line(error: BaseException) -> str:
    """The first line of an error's text without its full stop, or the name of its class."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def is_offline() -> bool:
    """Whether the clients were told to ask nobody."""
    from huggingface_hub import is_offline_mode

    return bool(is_offline_mode())


def hub_file(name: str, file: str, *, repo_type: str = "model", revision: str | None = None) -> Path | None:
    """Path in the cache of a file of user/name, such as config.json, fetched if it is not there; None if the repository has none.

    Offline, or while the Hub does not answer, that is the file of the last time. `repo_type` is "model" or "dataset".

    Raises:
        FileNotFoundError: the repository is not found: one sentence why, and the way out.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        if not is_offline() and try_to_load_from_cache(name, file, repo_type=repo_type, revision=revision) is None:
            _ask_once(name, file, repo_type, revision)
        return Path(hf_hub_download(name, file, repo_type=repo_type, revision=revision))
    except Exception as error:  # whatever the network and the Hub come up with
        if type(error).__name__ in ("RemoteEntryNotFoundError", "EntryNotFoundError"):
            return None
        if isinstance(error, LocalEntryNotFoundError) and is_offline():
            # offline a file was never there if the one that is always fetched first is in the cache
            first = "config.json" if repo_type == "model" else "README.md"
            if isinstance(try_to_load_from_cache(name, first, repo_type=repo_type, revision=revision), str):
                return None
        raise FileNotFoundError(f"{explained(error, name, revision=revision)}.") from None


def _ask_once(name: str, file: str, repo_type: str, revision: str | None) -> None:
    """Raise what kept the Hub from answering at all: the client would repeat its question for half a minute before it says so."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    # an answer of whatever kind is read by the client itself, which also knows which errors pass
    with contextlib.suppress(HfHubHTTPError, ValueError):
        get_hf_file_metadata(hf_hub_url(name, file, repo_type=repo_type, revision=revision))


def has_hub_file(name: str, file: str) -> bool:
    """Whether a model repository has a file, which is not fetched; False if the Hub does not say."""
    from huggingface_hub import file_exists

    try:
        return bool(file_exists(name, file))
    except Exception:  # whatever the network and the Hub come up with
        return False
