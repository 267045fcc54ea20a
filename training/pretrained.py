"""Models that are saved as, and loaded from, folders that explain themselves: `config.json`, `model.safetensors`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

from torch import nn

from training.checkpoint import config_from_dict, load_model_folder, load_weights, save_model_folder
from training.hub import upload_model
from training.publish import read_evaluation, write_card


class Pretrained(nn.Module):
    """A module that its config, a frozen dataclass, describes completely."""

    kind: ClassVar[str]
    """The "kind" of its config.json."""
    config_class: ClassVar[type[Any]]
    """The dataclass of its config."""
    config: Any

    @property
    def description(self) -> dict[str, Any]:
        """What its config.json holds."""
        return {"kind": self.kind, **asdict(self.config)}

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model_folder(folder, self.description, self.state_dict())

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load a model, in evaluation mode: from a model folder, a run's final or newest model, or the hub.

        Args:
            folder: a folder, or `owner/name` or `owner/name@revision` on the Hugging Face hub.

        Raises:
            CheckpointError: there is no such model, or weights and config disagree.
        """
        config, tensors = load_model_folder(Path(folder), cls.kind)
        model = cls.from_config(config_from_dict(cls.config_class, config))
        load_weights(model, tensors, folder)
        return model.eval()

    def push_to_hub(
        self, repo_id: str, *, private: bool = False, token: str | None = None, evaluation: Path | None = None
    ) -> str:
        """Push the model with a model card to the Hugging Face hub; return its address.

        Args:
            repo_id: owner/name, which is made if need be.
            private: make a private repository; a public one that is already there is refused.
            token: an access token, instead of the one that `hf auth login` or HF_TOKEN gives.
            evaluation: a folder of `secondsight vqgan eval` for the card; its pictures show the data.

        Raises:
            CheckpointError: the evaluation is none.
            HubError: the hub cannot be reached or refuses.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(Path(folder))
            write_card(Path(folder), repo_id, read_evaluation(evaluation))
            return upload_model(Path(folder), repo_id, private, token)

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """Build the model that `config` describes, not yet trained."""
        return cls(config)
