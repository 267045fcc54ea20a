"""A tokenizer in training: its weights and their EMA, its adversary, and one step of both."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from training.health import clip_gradient
from training.inheritance import InitError, freeze, take_moments
from training.order import seed_step
from training.saving import CheckpointSaver
from training.schedule import rate_at, set_learning_rate
from training.state import check_model, load_training_state
from vqgan.discriminator import Adversary
from vqgan.init import Beginning, begin_tokenizer
from vqgan.losses import adaptive_weight, adversarial_share, reconstruction_loss
from vqgan.metrics.perceptual import build_perceptual, check_size
from vqgan.model import VQGAN
from vqgan.options import TrainOptions

CODEBOOK = "quantizer.codebook"
"""Learned codes, which are no parameters: they are averages."""


class TokenizerTrainer:
    """Everything about a tokenizer that training changes.

    Args:
        accelerator: where and in which precision it is trained.
        options: what to train, and how.
        begins: whether it begins from the model of `--init`, if there is one; what is resumed does not.

    Raises:
        InitError: it cannot begin from that model, or `--freeze` cannot be done.
    """

    def __init__(self, accelerator: Accelerator, options: TrainOptions, begins: bool = True) -> None:
        self.accelerator = accelerator
        self.options = options
        self.perceptual = build_perceptual(options.perceptual)
        if self.perceptual is not None:
            check_size(self.perceptual, min(options.crop or options.model.resolution, options.model.resolution))
            self.perceptual.to(accelerator.device)
        torch.manual_seed(options.training.seed)
        self.tokenizer = VQGAN(options.model)
        self.beginning = begin_tokenizer(self.tokenizer, options) if begins else None
        _freeze(self.tokenizer, options, self.beginning)
        self.tokenizer.to(accelerator.device)
        on_gpu = accelerator.device.type == "cuda"
        if on_gpu or options.training.precision == "bf16":
            _put_channels_last(self.tokenizer)
        self.ema = MovingAverage(self.tokenizer, options.ema_decay)
        self.model, self.optimizer = accelerator.prepare(self.tokenizer, _adam(self.tokenizer, (0.9, 0.95)))
        self.modules: dict[str, nn.Module] = {"tokenizer": self.tokenizer}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"tokenizer": self.optimizer}
        if options.adversary.adversarial_weight:
            self.adversary = Adversary(options.adversary, options.model.frames).to(accelerator.device)
            if on_gpu:  # on CPUs a group norm loses digits over such features
                _put_channels_last(self.adversary)
            # The first moment forgets faster than the tokenizer's: an adversary's gradient soon points elsewhere.
            prepared = accelerator.prepare(self.adversary, _adam(self.adversary, (0.5, 0.9)))
            self.adversary_model, self.adversary_optimizer = prepared
            self.modules["adversary"] = self.adversary
            self.optimizers["adversary"] = self.adversary_optimizer
        if self.beginning is not None:
            take_moments(options.beginning, *self.beginning, "tokenizer", self.optimizer)

    @property
    def averaged(self) -> VQGAN:
        """The tokenizer with averaged weights, in evaluation mode: what is validated and saved."""
        return self.ema.module

    def rate(self, step: int) -> float:
        """Return the learning rate of `step`."""
        return rate_at(step, self.options.training)

    def step(self, clips: Tensor, step: int) -> dict[str, Tensor]:
        """Take one optimizer step on (B, 3, T, H, W) clips in [-1, 1] and return the losses, detached.

        Beside them, `gradient_norm` is that of the tokenizer's gradient before it was clipped.

        Args:
            clips: the batch of this process.
            step: optimizer steps done before.
        """
        options = self.options
        rate = self.rate(step)
        # The same numbers on all processes: they draw for the global batch, and each takes its part.
        seed_step(options.training.seed, step)
        with self.accelerator.autocast():
            result = self.model(clips, step >= options.continuous_steps)
            clips = clips.expand_as(result.clip)  # a still that a tokenizer of clips made a clip of
            weights = (options.perceptual_weight, options.chroma_weight, options.gradient_weight)
            reconstruction = reconstruction_loss(result.clip, clips, self.perceptual, *weights)
            loss = reconstruction + result.quantizer_loss
            losses = {"loss": loss.detach()}
            share = adversarial_share(step, options.adversary) * options.adversary.adversarial_weight
            if share:
                loss = loss + share * self._adversarial_loss(result.clip, clips, reconstruction)
        losses["gradient_norm"] = self._descend(self.model, self.optimizer, loss, rate)
        if options.adversary.adversarial_weight and step >= options.adversary.adversarial_start:
            with self.accelerator.autocast():
                judged = self.adversary_model(result.clip.detach(), clips)
            self._descend(self.adversary_model, self.adversary_optimizer, judged, rate)
            losses["discriminator_loss"] = judged.detach()
        self.ema.update(self.tokenizer)
        return losses

    def save(self, saver: CheckpointSaver, done: int, score: float | None = None, wait: bool = False) -> None:
        """Save a checkpoint whose model has the averaged weights; all processes call it together.

        Args:
            saver: of the run.
            done: optimizer steps done.
            score: how good that model is on held-out data, higher for better, if it was measured.
            wait: until it is there.
        """
        saver.save(done, self.averaged, self.optimizers, self.modules, score, wait)

    def resume(self, checkpoint: Path) -> int:
        """Continue from a checkpoint; return the optimizer steps done.

        Raises:
            CheckpointError: a part of it is damaged, or it is of another tokenizer.
        """
        averaged = VQGAN.from_pretrained(checkpoint)
        check_model(checkpoint, averaged, self.tokenizer.config)
        self.averaged.load_state_dict(averaged.state_dict())
        self.averaged.ancestry = averaged.ancestry
        done = load_training_state(checkpoint, self.optimizers, self.modules)
        self.ema.updates = done
        return done

    def _adversarial_loss(self, decoded: Tensor, clips: Tensor, reconstruction: Tensor) -> Tensor:
        """Return the adversary's loss for the tokenizer, its gradient as long as the reconstruction's."""
        self.adversary.requires_grad_(False)
        loss = self.adversary.generator_loss(decoded, clips, self.options.adversary.feature_matching)
        self.adversary.requires_grad_(True)
        return loss * adaptive_weight(reconstruction, loss, self.tokenizer.decoder.last.weight)

    def _descend(self, model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> Tensor:
        """Take an optimizer step, and return the norm of the gradient before it was clipped, a scalar."""
        optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = clip_gradient(self.accelerator, model, self.options.training.grad_clip)
        set_learning_rate(optimizer, rate)
        optimizer.step()
        return norm


def _put_channels_last(model: nn.Module) -> None:
    """Lay weights of three-dimensional convolutions in memory with their channels last, as two-dimensional ones are.

    That is faster on GPUs, and in bf16 on CPUs; in fp32 it gains these little and would change the last digits.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)


def _freeze(tokenizer: VQGAN, options: TrainOptions, beginning: Beginning | None) -> None:
    """Let parameters of a tokenizer stay as they are; learned codes do where a pattern means their `codebook`.

    Raises:
        InitError: a pattern means nothing, nothing is left to be trained, or the adversary needs what is frozen.
    """
    patterns = options.beginning.freeze
    if freeze(tokenizer, patterns, also=[CODEBOOK] if not options.model.levels else []):
        if options.beginning.init is None or options.new_quantizer:
            raise InitError(
                f"--freeze {' '.join(patterns)} leaves {CODEBOOK} as it is, and codes that begin at random would stay "
                "so: give --init, or leave that pattern out"
            )
        known = options.model.codes if beginning is None else beginning.parent.model.config.codes
        if options.model.codes > known:
            raise InitError(
                f"--freeze {' '.join(patterns)} leaves {CODEBOOK} as it is, and the {options.model.codes - known} "
                f"codes beyond the {known} of the model, which begin at random, would stay so: leave --codes out, or "
                "that pattern"
            )
        tokenizer.quantizer.eval()  # learned codes follow their vectors in training alone
    if options.adversary.adversarial_weight and not tokenizer.decoder.last.weight.requires_grad:
        raise InitError(
            f"--freeze {' '.join(patterns)} leaves decoder.last.weight as it is, by whose gradient the adversary is "
            "weighed: let it be trained, or give --adversarial-weight 0"
        )


def _adam(model: nn.Module, betas: tuple[float, float]) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), betas=betas, fused=True)


class MovingAverage:
    """A copy of a tokenizer, in evaluation mode, that follows its weights, faster at first; buffers are copied.

    Torch's own `AveragedModel` keeps the number of updates on the device, and makes a GPU wait for it at every update.

    Args:
        model: what is followed.
        decay: of the moving average.
    """

    def __init__(self, model: VQGAN, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        """How often it has followed."""
        self.module = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: VQGAN) -> None:
        """Follow the weights of `model` by a step; at the first, take them."""
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.updates else 1.0
        averaged: list[Tensor] = [*self.module.parameters()]
        current = [parameter.detach() for parameter in model.parameters()]
        if self.updates:
            torch._foreach_lerp_(averaged, current, share)
        else:
            torch._foreach_copy_(averaged, current)
        for kept, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)
        self.updates += 1
