"""The Hugging Face hub: models come from it by their id, `owner/name` or `owner/name@revision`, and go to it.

Only `config.json` and `model.safetensors` are ever downloaded, into the hub's own cache.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

MODEL_FILES = ("config.json", "model.safetensors")

# Seconds to wait for the hub's answer; HF_HUB_ETAG_TIMEOUT is the variable with which its own tools set the same.
PATIENCE = float(os.environ.get("HF_HUB_ETAG_TIMEOUT", 5))


class HubError(OSError):
    """The hub cannot be reached or refuses; the message says why."""


class HubId(NamedTuple):
    """A model on the hub."""

    repo: str
    """owner/name."""
    revision: str | None
    """Branch, tag or commit; None for the newest."""

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


def parse_hub_id(text: str) -> HubId | None:
    """Return the hub id that `text` has the shape of, `owner/name` or `owner/name@revision`, or None."""
    parts = re.fullmatch(r"(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>\w[\w./-]*))?", text)
    if parts is None or ".." in text:
        return None
    try:
        validate_repo_id(parts["repo"])
    except HFValidationError:
        return None
    return HubId(parts["repo"], parts["revision"])


# A process that asks twice gets the same weights, also when new ones were pushed meanwhile.
@cache
def download_model(model: HubId) -> Path:
    """Return the folder in the hub's cache that holds a model, downloaded if need be.

    What is in the cache will do when the hub cannot be asked for anything newer.

    Raises:
        HubError: the model is not in the cache, and not on the hub or out of reach.
    """
    # The hub's client raises whatever its HTTP library does, which is another one in each of its major versions.
    unreachable: Exception | None = None
    try:
        # Asked first, because downloads do not stop waiting for a hub that does not answer.
        HfApi().model_info(model.repo, revision=model.revision, timeout=PATIENCE)
    except Exception as error:
        unreachable = error
    try:
        folder = snapshot_download(
            model.repo,
            revision=model.revision,
            allow_patterns=list(MODEL_FILES),
            local_files_only=unreachable is not None,
        )
    except Exception as error:
        if unreachable is None:
            raise HubError(_reason(error)) from error
        cached = f"the cache {constants.HF_HUB_CACHE} does not have it either"
        raise HubError(f"{_reason(unreachable)}; {cached}") from unreachable
    missing = [name for name in MODEL_FILES if not Path(folder, name).exists()]
    if missing:
        raise HubError(f"it lacks {' and '.join(missing)}")
    return Path(folder)


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
