"""The Hugging Face hub: models come from it, asked for as `hf:owner/name` or `hf:owner/name@revision`, and go to it.

Only `config.json` and `model.safetensors`, those of a GPT and those of the tokenizer that it brings along in
`tokenizer/`, are ever downloaded, into the hub's own cache.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from storage.hub_names import TOKENIZER, HubId, parse_hub_id

MODEL_FILES = ("config.json", "model.safetensors")
DOWNLOADED = (*MODEL_FILES, *(f"{TOKENIZER}/{name}" for name in MODEL_FILES))

# Seconds to wait for the hub's answer; HF_HUB_ETAG_TIMEOUT is the variable with which its own tools set the same.
PATIENCE = float(os.environ.get("HF_HUB_ETAG_TIMEOUT", 5))


class HubError(OSError):
    """The hub cannot be reached or refuses; the message says why."""


# A process that asks twice gets the same weights, also when new ones were pushed meanwhile.
@cache
def download_model(model: HubId) -> Path:
    """Return the folder in the hub's cache that holds a model, downloaded if need be; its name is the commit.

    What is in the cache will do when the hub cannot be asked for anything newer. What is taken from where is said.

    Raises:
        HubError: the model is not in the cache, and not on the hub or out of reach.
    """
    # The hub's client raises whatever its HTTP library does, which is another one in each of its major versions.
    unreachable: Exception | None = None
    cached = True
    try:
        # Asked first, because downloads do not stop waiting for a hub that does not answer.
        found = HfApi().model_info(model.repo, revision=model.revision, timeout=PATIENCE)
        cached = _is_cached(model._replace(revision=found.sha))
    except Exception as error:
        unreachable = error
    try:
        folder = snapshot_download(
            model.repo,
            revision=model.revision,
            allow_patterns=list(DOWNLOADED),
            local_files_only=unreachable is not None,
        )
    except Exception as error:
        if unreachable is None:
            raise HubError(_reason(error)) from error
        missing = f"the cache {constants.HF_HUB_CACHE} does not have it either"
        raise HubError(f"{_reason(unreachable)}; {missing}") from unreachable
    lacking = [name for name in MODEL_FILES if not Path(folder, name).exists()]
    if lacking:
        raise HubError(f"it lacks {' and '.join(lacking)}")
    _say_loaded(model, Path(folder), "from the cache" if cached else "downloaded", unreachable)
    return Path(folder)


def is_in_cache(text: str) -> bool:
    """Whether what asks for a model of the hub can be had without asking the hub."""
    model = parse_hub_id(text)
    return model is not None and _is_cached(model)


def cached_config(text: str) -> Path | None:
    """Return the config.json of a model of the hub that is in the cache, without asking the hub; None if none is."""
    model = parse_hub_id(text)
    path = None if model is None else try_to_load_from_cache(model.repo, MODEL_FILES[0], revision=model.revision)
    return Path(path) if isinstance(path, str) else None


def upload_model(folder: Path, repo: str, private: bool = False, token: str | None = None) -> str:
    """Push all files of `folder` to the repository `repo`, which is made if need be; return its address.

    Args:
        folder: what to push.
        repo: owner/name.
        private: make a private repository; a public one that is already there is refused.
        token: an access token of the hub, instead of the one that `hf auth login` or HF_TOKEN gives.

    Raises:
        HubError: the hub cannot be reached or refuses, or the repository is public although `private` was asked for.
    """
    api = HfApi(token=token)
    try:
        # Not given, the owner's own default decides: an organisation's may be private.
        url = api.create_repo(repo, private=private or None, exist_ok=True)
        public = private and not api.model_info(repo, timeout=PATIENCE).private
        if not public:
            api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Publish with Secondsight")
    except Exception as error:
        raise HubError(
            f"{repo} could not be pushed to the Hugging Face hub: {_reason(error)}. Log in with `hf auth login` or set "
            "HF_TOKEN, and see that you may write to it"
        ) from error
    if public:
        raise HubError(f"{repo} is already on the hub and public: make it private there, or choose another name")
    return str(url)


def _is_cached(model: HubId) -> bool:
    found = (try_to_load_from_cache(model.repo, name, revision=model.revision) for name in MODEL_FILES)
    return all(isinstance(path, str) for path in found)


def _say_loaded(model: HubId, folder: Path, origin: str, unreachable: Exception | None) -> None:
    """Say which model was loaded from where; of several processes the first does."""
    if os.environ.get("RANK", "0") != "0":
        return
    why = ""
    if unreachable is not None and not isinstance(unreachable, OfflineModeIsEnabled):
        why = f" as the hub cannot be asked ({_reason(unreachable)})"
    print(f"{'hub':12s} {model}, commit {folder.name}, {origin}{why}: {folder}", file=sys.stderr, flush=True)


def _reason(error: Exception) -> str:
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set"
    if isinstance(error, GatedRepoError):
        return "its owner has to grant access to it, on its page; then log in with `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return "there is none of that name, or it is private and you are not logged in (`hf auth login`)"
    if isinstance(error, RevisionNotFoundError):
        return "it has no such revision"
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
