"""What goes wrong with the Hub, in one sentence with the way out.

The clients raise what HTTP, the Hub or the cache came up with, and transformers and datasets wrap it again, so the reason is often the
cause of the cause of an error: `explain` looks for it there. Nothing here imports a client before something has failed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LATER = "wait a few minutes and repeat the command"


def explain(error: BaseException, name: str, *, writing: bool = False, revision: str | None = None) -> str | None:
    """What an error of the Hub means, and what to do about it.

    Args:
        error: As it was caught; its causes are looked at too.
        name: Repository that was asked for, such as "user/name".
        writing: Whether something was to be uploaded.
        revision: Branch, tag or commit that was asked for, if any.

    Returns:
        Half a sentence without a full stop, "REASON; WAY OUT", or None if the error is not the Hub's.
    """
    from huggingface_hub import errors

    found = list(_causes(error))

    def has(*kinds: str) -> bool:
        classes = tuple(getattr(errors, kind) for kind in kinds if hasattr(errors, kind))  # not every version has each
        return any(isinstance(one, classes) for one in found)

    status, said = _answer(found)
    if has("HFValidationError"):
        return f"{name!r} is no name of a repository; expected user/name{_without_revision(name)}"
    if has("OfflineModeIsEnabled") or (is_offline() and has("LocalEntryNotFoundError")):
        return f"offline mode is on (HF_HUB_OFFLINE) and {name} is not in the cache; load it once without, then it works offline"
    if has("GatedRepoError"):
        return f"{name} is gated; ask for access on its page, then log in with `hf auth login`"
    if has("RevisionNotFoundError"):
        return f"{name} has no revision {revision or 'of this name'!r}; expected one of its branches, tags or commits"
    if has("RepositoryNotFoundError") or status == 401:
        return _unknown(name, said)
    if has("EntryNotFoundError") and status == 404:
        return f"{name} lacks a file that is needed; was its upload complete?"
    if status == 403:
        role = "write to" if writing else "read"
        return f"the Hub forbids the token here to {role} {name}; is it yours, and may the token? Log in with `hf auth login`"
    if status == 404:
        return _unknown(name, said)
    if status in (409, 412):
        return f"{name} was changed by somebody else at the same time, or exists already ({status}); look at it, then repeat the command"
    if status == 429:
        return f"the Hub gets too many requests from here (429); {_LATER}"
    if status is not None and status >= 500:
        return f"the Hub is out of order ({status}); {_LATER}"
    if status is not None:
        return f"the Hub refuses ({status}: {said or 'no reason given'})"
    if any(_is_network(one) for one in found) or has("LocalEntryNotFoundError"):
        way = "the same command goes on" if writing else "what was loaded before works with HF_HUB_OFFLINE=1"
        return f"the Hub cannot be reached or broke off; check the network (and HF_ENDPOINT), {way}"
    return None


def explained(error: BaseException, name: str, *, writing: bool = False, revision: str | None = None) -> str:
    """`explain`, or the first line of an error that is not the Hub's."""
    return explain(error, name, writing=writing, revision=revision) or first_line(error)


def first_line(error: BaseException) -> str:
    """The first line of an error's text without its full stop, or the name of its class."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def is_offline() -> bool:
    """Whether the clients were told to ask nobody."""
    from huggingface_hub import is_offline_mode

    return bool(is_offline_mode())


def has_token() -> bool:
    """Whether there is a token of the Hub."""
    from huggingface_hub import get_token

    return bool(get_token())


def hub_file(name: str, file: str, *, repo_type: str = "model", revision: str | None = None) -> Path | None:
    """Path of a repository's file in the cache, fetched if it is not there.

    Offline, or while the Hub does not answer, that is the file of the last time.

    Args:
        name: Such as "user/name".
        file: Such as "config.json".
        repo_type: "model" or "dataset".
        revision: Branch, tag or commit; main if None.

    Returns:
        Where it is, None if the repository has no such file.

    Raises:
        FileNotFoundError: the repository cannot be had: one sentence why, and the way out.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, file, repo_type=repo_type, revision=revision))
    except Exception as error:  # whatever the network and the Hub come up with
        absent = type(error).__name__ in ("RemoteEntryNotFoundError", "EntryNotFoundError")
        if absent or (isinstance(error, LocalEntryNotFoundError) and _others_cached(name, repo_type, revision)):
            return None
        raise FileNotFoundError(f"{explained(error, name, revision=revision)}.") from None


def has_hub_file(name: str, file: str) -> bool:
    """Whether a model repository has a file, which is not fetched; False if the Hub does not say."""
    from huggingface_hub import file_exists

    try:
        return bool(file_exists(name, file))
    except Exception:  # whatever the network and the Hub come up with
        return False


def _others_cached(name: str, repo_type: str, revision: str | None) -> bool:
    """Whether offline a repository is in the cache, so that a file that is not was never there; its config always is fetched first."""
    from huggingface_hub import try_to_load_from_cache

    first = "config.json" if repo_type == "model" else "README.md"
    return is_offline() and isinstance(try_to_load_from_cache(name, first, repo_type=repo_type, revision=revision), str)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _answer(found: list[BaseException]) -> tuple[int | None, str]:
    """HTTP status and the Hub's own words."""
    for one in found:
        response: Any = getattr(one, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            return status, str(response.headers.get("X-Error-Message") or "")[:200]
    return None, ""


def _is_network(error: BaseException) -> bool:
    """Whether a connection failed; the clients of huggingface_hub 1 and 2 have classes of different modules for it."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    module = type(error).__module__.partition(".")[0]
    return module in ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "aiohttp", "fsspec")


def _unknown(name: str, said: str) -> str:
    if "credentials" in said.lower():
        return "the Hub does not know the token here; log in anew with `hf auth login`, or mend HF_TOKEN"
    if not has_token():
        return f"{name} is not on the Hub, or private, and there is no token here; check the name, or log in with `hf auth login`"
    where = f" at {os.environ['HF_ENDPOINT']}" if os.environ.get("HF_ENDPOINT") else ""
    return f"{name} is not on the Hub{where}, or private and not yours; check the name, or log in as who may see it with `hf auth login`"


def _without_revision(name: str) -> str:
    repository, at, revision = name.partition("@")
    if not at:
        return ""
    return f" without a revision; fetch it with `hf download {repository} --revision {revision} --local-dir DIR` and pass DIR"
