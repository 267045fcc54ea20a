"""Models that are saved as, and loaded from, folders that explain themselves: `config.json`, `model.safetensors`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import nn

from training.checkpoint import config_from_dict, load_model_folder, load_weights, save_model_folder


class Pretrained(nn.Module):
    """A module that its config, a frozen dataclass, describes completely."""

    kind: ClassVar[str]
    """The "kind" of its config.json."""
    config_class: ClassVar[type[Any]]
    """The dataclass of its config."""
    config: Any

    def save_pretrained(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` into `folder`."""
        save_model_folder(folder, {"kind": self.kind, **asdict(self.config)}, self.state_dict())

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load a model, in evaluation mode, from a model folder or from a run's final or newest model.

        Raises:
            CheckpointError: the folder holds no such model, or weights and config disagree.
        """
        config, tensors = load_model_folder(Path(folder), cls.kind)
        model = cls.from_config(config_from_dict(cls.config_class, config))
        load_weights(model, tensors, folder)
        return model.eval()

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """Build the model that `config` describes, not yet trained."""
        return cls(config)
