"""OpenAI's Image GPT as Hugging Face's transformers has it, as an observer."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.memory.observers.optimizer_state import load_tensors_of, tensors_of
from gpt.import_weights import read_imagegpt_palette
from gpt.options import PREPROCESSOR
from storage.checksums import fingerprint
from storage.model_paths import CheckpointError
from training.processes import best_device

AT_ONCE = 8
"""Images that are scored at a time."""


class ImageGPT:
    """An `ImageGPTForCausalImageModeling`, which takes steps of Adam on what it studies; scored by its NLL per token.

    Args:
        model: folder with config.json, model.safetensors and preprocessor_config.json, which holds the colours, as
            `save_pretrained` writes them. Nothing is downloaded, and weights in pickles are not read.
        learning_rate: of Adam (Kingma and Ba 2015), constant; 0 leaves the weights as they are.

    Raises:
        CheckpointError: there is no such folder, or its files are no Image GPT's.
        ValueError: transformers is not installed.
    """

    def __init__(self, model: Path, learning_rate: float = 1e-4) -> None:
        transformers = _import_transformers()
        for name in ("config.json", "model.safetensors", PREPROCESSOR):
            if not (model / name).is_file():
                raise CheckpointError(
                    f"{model} holds no {name}: give the folder of an Image GPT as save_pretrained writes it"
                )
        self.network: Any = transformers.ImageGPTForCausalImageModeling.from_pretrained(
            model, local_files_only=True, use_safetensors=True
        )
        config = self.network.config
        self.palette = read_imagegpt_palette(model / PREPROCESSOR, config.vocab_size - 1, config.n_positions)
        self.start = config.vocab_size - 1
        self.size = self.palette.size
        self.tokens = config.n_positions
        self.name = model.resolve().name
        drawn_up = {"palette": self.palette.fingerprint, "heads": config.n_head, "between": config.activation_function}
        self.fingerprint = fingerprint(drawn_up, self.network.state_dict())
        self.device = best_device()
        self.network.to(self.device)
        self.learning_rate = learning_rate
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate)

    def study(self, images: Tensor) -> None:
        """Take an optimizer step on images (N, 3, H, W)."""
        if self.learning_rate == 0:
            return
        self.network.train()
        self.optimizer.zero_grad()
        self._nll(images).mean().backward()
        self.optimizer.step()

    def score(self, images: Tensor) -> Tensor:
        """Return the mean NLL per token of images (N, 3, H, W), in nats: (N,)."""
        self.network.eval()
        return torch.cat([self._nll(part) for part in images.split(AT_ONCE)])

    def state(self) -> dict[str, Tensor]:
        """Return weights and moments."""
        return tensors_of(self.network, self.optimizer)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take them back."""
        load_tensors_of(self.network, self.optimizer, state)

    def _nll(self, images: Tensor) -> Tensor:
        """Return the mean NLL (N,) of the tokens, each predicted from a start token and those before."""
        tokens = self.palette.encode(images[:, :, None]).flatten(1).to(self.device)
        start = torch.full_like(tokens[:, :1], self.start)
        logits = self.network(input_ids=torch.cat([start, tokens[:, :-1]], dim=1)).logits
        return F.cross_entropy(logits.movedim(-1, 1), tokens, reduction="none").mean(dim=1)


def _import_transformers() -> ModuleType:
    try:
        return import_module("transformers")
    except ImportError as error:
        needed = "Image GPT needs a package: pip install '.[imagegpt]' in the folder of Secondsight's source"
        raise ValueError(needed) from error
