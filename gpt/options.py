"""What the GPT commands can be asked. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from data.inputs import check_tokens
from gpt.config import PRESETS, GPTConfig
from storage.checked_files import check_file
from storage.foreign.files import check_weights_file
from storage.model_paths import check_gpt, check_model
from storage.options import MANY, Options, about, leaves, option
from training.init_options import InitOptions, implied_architecture
from training.options import InferencePrecision, Sharing, TrainingOptions

LatentFrames = Literal["in-order", "shuffled", "single"]
"""How a GPT sees the latent frames of a clip while it learns."""

PREPROCESSOR = "preprocessor_config.json"
"""Where transformers keeps the colours of an Image GPT."""


@dataclass(frozen=True)
class TrainOptions(Options):
    """Train a GPT on a token store."""

    command = "gpt train"
    example = "secondsight gpt train --preset tiny --tokens runs/tokens --out runs/gpt"
    takes_config = True
    keeps_checkpoints = True

    tokens: Path = field(metadata=about(must_hold=check_tokens))
    """Token store written by `secondsight vqgan encode`."""
    out: Path = field(metadata=about(identity="none"))
    """Run folder."""
    model: GPTConfig = option(PRESETS["tiny"], presets=PRESETS)
    training: TrainingOptions = TrainingOptions()
    latent_frames: LatentFrames = "in-order"
    """How the GPT sees the latent frames of a clip: in order; or, for controls of experiments, `shuffled`, in a random
    order that is another one each time, or `single`, each as an item of its own, as a GPT of stills does."""
    weight_decay: float = option(0.05, at_least=0, at_most=1000)
    """Decoupled weight decay of AdamW, on matrices only."""
    rate_at_width: int = option(0, at_least=0, at_most=65_536)
    """Width for which --learning-rate is given: matrices of a wider GPT begin smaller and learn more slowly, so that
    the best rate stays the same (the maximal update parametrization); with 0 all learn at --learning-rate."""
    grad_accumulation: int = option(1, at_least=1, at_most=10**6, may_change=True)
    """Parts that the batch is computed in, one after another: less memory, the same result up to rounding."""
    activation_checkpointing: bool = option(False, may_change=True)
    """Compute what is inside a block again in the backward pass: less memory, a third more arithmetic."""
    compile: bool = option(False, may_change=True)
    """Compile the model with torch.compile: minutes at the start, faster steps on GPUs."""
    shard: Sharing = option("none", may_change=True)
    """Share weights, gradients and moments out among processes, for models too large for one GPU: among all (`full`),
    or among those of a node while nodes hold replicas (`node`); with `none` every process holds the whole model."""
    sample_every: int = option(0, at_least=0, at_most=MANY, identity="none")
    """Optimizer steps between two sets of samples, token grids and images in samples/; 0 takes none."""
    tokenizer: Path | None = option(None, identity="none", must_hold=check_model)
    """Tokenizer that shows samples as images; by default the one that encoded the store, if it is still there."""
    beginning: InitOptions = InitOptions()
    new_codes: Literal["mean", "random"] | None = None
    """With --init, how the rows of codes begin that the model does not know: as the mean of the others, or at random.
    The codes that it knows are taken to mean what they meant."""
    new_tokenizer: Literal["anew", "keep"] | None = None
    """With --init, what becomes of the codes where the tokens are of another tokenizer: `anew` begins embedding and
    head anew, `keep` takes code k to mean what it meant."""
    old_tokens: Path | None = option(None, identity="none", must_hold=check_tokens)
    """Token store of what the model of --init learned before: its NLL is measured beside the new one's, before the
    first step and at every checkpoint."""

    def check(self) -> None:
        """Check that the batch divides, and that what is said of a model to begin from is said of one.

        Raises:
            ValueError: it does not, or there is none.
        """
        if self.beginning.init is None and (self.new_codes or self.new_tokenizer):
            raise ValueError("--new-codes and --new-tokenizer need --init, the model whose codes they speak of")
        if self.beginning.init is None and self.old_tokens is not None:
            raise ValueError(f"--old-tokens {self.old_tokens} needs --init, the model that learned them")
        if self.new_codes is not None and self.new_tokenizer == "anew":
            raise ValueError(
                f"--new-codes {self.new_codes} says how codes begin beside those that are kept, and --new-tokenizer "
                "anew keeps none: leave one of them out"
            )
        if self.training.batch % self.grad_accumulation:
            raise ValueError(
                f"--batch {self.training.batch} must be a multiple of --grad-accumulation {self.grad_accumulation}"
            )

    @classmethod
    def implied(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the architecture of the model that `--init` names."""
        return implied_architecture(cls, "gpt", tuple(leaves(GPTConfig)), given)


@dataclass(frozen=True)
class EvaluateOptions(Options):
    """Score held-out token grids with a GPT, beside what their histogram alone would give."""

    command = "gpt eval"
    example = "secondsight gpt eval --gpt runs/gpt --tokens runs/tokens"

    gpt: Path = field(metadata=about(must_hold=check_gpt))
    """The GPT: a model folder, a run, hf:owner/name on the hub, or starter-clips or starter-stills."""
    tokens: Path = field(metadata=about(must_hold=check_tokens))
    """Token store to score; its validation split, or all of it where it has none."""
    batch: int = option(8, at_least=1, at_most=10**6)
    """Sequences per forward pass."""
    precision: InferencePrecision = "fp32"
    """Numbers that the GPT's layers compute with; the loss is always fp32. `auto` is bf16 where that is
    measured to be faster; `bf16!` is bf16 also on processors that are slower in it."""


@dataclass(frozen=True)
class ImportOptions(Options):
    """Make a GPT of weights that another program trained."""

    command = "gpt import"
    example = "secondsight gpt import --kind vqgan-gpt --weights say_gimel.pt --tokenizer runs/vqgan --out runs/gpt"

    kind: Literal["vqgan-gpt", "igpt", "imagegpt", "tats"]
    """Where the weights come from: `vqgan-gpt` (images in the codes of a VQGAN), `igpt` (igpt-memory: pixels in the
    colours of a palette, which is imported too), `imagegpt` (OpenAI's Image GPT as transformers keeps it, pixels too),
    or `tats` (clips in the codes of a 3D VQGAN)."""
    weights: Path = field(metadata=about(must_hold=check_weights_file))
    """Checkpoint of that program, .pt, .ckpt or .safetensors; nothing it holds is run."""
    out: Path
    """Folder of the GPT; a palette goes into its subfolder tokenizer."""
    heads: int | None = option(None, at_least=1, at_most=1000)
    """Attention heads, where neither the checkpoint nor a config.json beside it says; by default those of published
    models: heads of 64 dimensions, but at least two, and 8 or 16 heads for imagegpt."""
    tokenizer: Path | None = option(None, must_hold=check_model)
    """Tokenizer whose tokens the GPT learned, which also gives the grid; needed for tats."""
    condition: int | None = option(None, at_least=0, at_most=10**6)
    """Class of every clip, for a GPT of tats that was trained with classes; by default 0. It stays in the model: import
    once for each class that is needed."""
    clusters: Path | None = option(None, must_hold=partial(check_file, what=PREPROCESSOR))
    """Colours of the pixels, for imagegpt: its preprocessor_config.json; by default the one beside the weights."""

    def check(self) -> None:
        """Check that a tokenizer is there where it is needed, and what belongs to one kind alone is for that kind.

        Raises:
            ValueError: it is not.
        """
        if self.condition is not None and self.kind != "tats":
            raise ValueError(f"--condition {self.condition} belongs to --kind tats; no other kind has classes")
        if self.clusters is not None and self.kind != "imagegpt":
            raise ValueError(
                f"--clusters {self.clusters} belongs to --kind imagegpt; --kind {self.kind} "
                f"{'finds its colours in the weights' if self.kind == 'igpt' else 'has no colours'}: leave it out"
            )
        if self.clusters is not None and self.tokenizer is not None:
            raise ValueError(
                f"--clusters {self.clusters} becomes the tokenizer: give it or --tokenizer {self.tokenizer}"
            )
        if self.kind == "tats" and self.tokenizer is None:
            raise ValueError(
                "--kind tats needs --tokenizer: its weights do not tell latent frames, rows and columns, "
                "nor how many codes there are. Import the VQGAN first, with secondsight vqgan import --kind tats"
            )


@dataclass(frozen=True)
class PlanOptions(Options):
    """Say what a training would take: parameters, memory, arithmetic and hours. Nothing is run."""

    command = "gpt plan"
    example = "secondsight gpt plan --preset gimel --gpus 8 --gpu h200 --tokens 1e10"

    model: GPTConfig = option(PRESETS["gimel"], presets=PRESETS)
    grid: tuple[int, int, int] = option((4, 16, 16), at_least=1, at_most=10**6)
    """Latent frames, rows and columns of the token grids."""
    vocab_size: int = option(16384, at_least=2, at_most=2**31)
    """Number of codes of the tokenizer."""
    tokens: float = option(1e10, at_least=1, at_most=10**18)
    """Tokens to train on, repetitions included."""
    batch: int = option(256, at_least=1, at_most=MANY)
    """Sequences per optimizer step, over all GPUs."""
    grad_accumulation: int = option(1, at_least=1, at_most=MANY)
    """Parts that the batch is computed in, one after another."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """Numbers that layers compute with."""
    gpus: int = option(8, at_least=1, at_most=10**6)
    """Number of GPUs."""
    gpu: str = "h200"
    """Kind of GPU: a10, a10g, a100-40, a100-80, h100, h100-nvl, h100-pcie, h200, b200, l4, l40, l40s, rtx3090, rtx4090
    or v100; mi250x (one of the two halves of a card, each of which torch takes for a GPU), mi300x or mi355x."""
    mfu: float = option(0.45, above=0, at_most=1)
    """Share of the GPUs' peak arithmetic that the training attains (model FLOPs utilisation)."""

    def check(self) -> None:
        """Check that the batch divides.

        Raises:
            ValueError: it does not.
        """
        if self.batch % (self.gpus * self.grad_accumulation):
            raise ValueError(
                f"--batch {self.batch} must be a multiple of --gpus {self.gpus} times --grad-accumulation "
                f"{self.grad_accumulation}"
            )
