"""One step of a tokenizer in training: averages, adversary, precision, resuming, and that no GPU has to wait."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SHORT, make_clips
from torch.utils._python_dispatch import TorchDispatchMode

from storage.checkpoints import newest_checkpoint
from storage.model_paths import CheckpointError
from training.loop import make_accelerator
from training.options import TrainingOptions
from training.saving import CheckpointSaver
from vqgan.options import AdversaryOptions, TrainOptions
from vqgan.trainer import TokenizerTrainer

CONFIG = replace(SHORT, codes=256)
ALONE = AdversaryOptions()
ADVERSARY = AdversaryOptions(
    adversarial_weight=0.5, adversarial_start=2, adversarial_ramp=2, discriminator_width=4, discriminator_layers=2
)
CLIPS = make_clips(2, 8)


def make_trainer(adversary: AdversaryOptions = ALONE, **changes: Any) -> TokenizerTrainer:
    chosen = {**CONFIG.flat(), "steps": 8, "continuous_steps": 1, "warmup": 1, "learning_rate": 1e-2}
    options = TrainOptions.of(data=Path("videos"), out=Path("run"), **{**chosen, **adversary.flat(), **changes})
    return TokenizerTrainer(make_accelerator(options), options)


def run(trainer: TokenizerTrainer, first: int, last: int) -> dict[str, torch.Tensor]:
    for step in range(first, last):
        losses = trainer.step(CLIPS, step)
    return losses


def weights(trainer: TokenizerTrainer) -> list[bytes]:
    modules = [*trainer.modules.values(), trainer.averaged]
    return [tensor.numpy().tobytes() for module in modules for tensor in module.state_dict().values()]


@pytest.mark.parametrize("adversary", [ALONE, ADVERSARY], ids=["alone", "adversary"])
def test_gradients_are_not_clipped_when_none_are_to_be(adversary: AdversaryOptions) -> None:
    ends = []
    for grad_clip in (0.0, 1e9, 1e-3):
        trainer = make_trainer(adversary, grad_clip=grad_clip)
        run(trainer, 0, 4)
        ends.append(weights(trainer))
    assert ends[0] == ends[1]
    assert ends[0] != ends[2]


@pytest.mark.parametrize("name", ["chroma_weight", "gradient_weight"])
def test_what_the_loss_weighs_moves_the_tokenizer(name: str) -> None:
    plain, weighted = make_trainer(), make_trainer(**{name: 3.0})
    for trainer in (plain, weighted):
        run(trainer, 0, 2)
    assert weights(plain) != weights(weighted)


def test_without_average_the_last_weights_are_kept() -> None:
    trainer = make_trainer(ema_decay=0.0)
    run(trainer, 0, 3)
    assert torch.equal(trainer.averaged.decoder.last.weight, trainer.tokenizer.decoder.last.weight)


def test_the_average_lags_behind_the_weights() -> None:
    trainer = make_trainer()
    start = trainer.tokenizer.decoder.last.weight.detach().clone()
    run(trainer, 0, 4)
    last, average = trainer.tokenizer.decoder.last.weight, trainer.averaged.decoder.last.weight
    assert 0 < (average - start).norm() < (last - start).norm()


def test_the_averaged_tokenizer_has_the_codes_of_the_last_step() -> None:
    trainer = make_trainer()
    run(trainer, 0, 3)
    assert torch.equal(trainer.averaged.quantizer.codebook, trainer.tokenizer.quantizer.codebook)


def test_discriminators_learn_from_their_first_step_on() -> None:
    trainer = make_trainer(adversary=ADVERSARY)
    assert "discriminator_loss" not in run(trainer, 0, 2)
    assert "discriminator_loss" in run(trainer, 2, 3)


def test_the_adversary_changes_nothing_before_its_ramp() -> None:
    plain, adversarial = make_trainer(), make_trainer(adversary=replace(ADVERSARY, adversarial_start=5))
    for trainer in (plain, adversarial):
        torch.manual_seed(0)
        run(trainer, 0, 4)
    assert torch.equal(plain.tokenizer.decoder.last.weight, adversarial.tokenizer.decoder.last.weight)


def test_the_adversary_moves_the_tokenizer_on_its_ramp() -> None:
    plain, adversarial = make_trainer(), make_trainer(adversary=replace(ADVERSARY, adversarial_start=0))
    for trainer in (plain, adversarial):
        torch.manual_seed(0)
        run(trainer, 0, 4)
    assert not torch.equal(plain.tokenizer.decoder.last.weight, adversarial.tokenizer.decoder.last.weight)


def test_the_tokenizer_leaves_no_gradient_in_the_discriminators() -> None:
    trainer = make_trainer(adversary=replace(ADVERSARY, adversarial_start=0))
    run(trainer, 0, 1)
    before = [p.grad.clone() for p in trainer.adversary.parameters() if p.grad is not None]
    result = trainer.model(CLIPS)
    trainer._adversarial_loss(result.clip, CLIPS, result.clip.square().mean()).backward()
    after = [p.grad for p in trainer.adversary.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("adversary", [ALONE, ADVERSARY])
def test_a_resumed_trainer_ends_with_the_same_bits(tmp_path: Path, adversary: AdversaryOptions) -> None:
    whole = make_trainer(adversary=adversary)
    run(whole, 0, 4)
    whole.save(CheckpointSaver(tmp_path, TrainingOptions()), 4)
    run(whole, 4, 8)

    resumed = make_trainer(adversary=adversary)
    run(resumed, 0, 3)
    checkpoint = newest_checkpoint(tmp_path)
    assert checkpoint is not None
    run(resumed, resumed.resume(checkpoint), 8)
    assert weights(resumed) == weights(whole)


def test_a_run_without_adversary_cannot_go_on_with_one(tmp_path: Path) -> None:
    trainer = make_trainer()
    run(trainer, 0, 1)
    trainer.save(CheckpointSaver(tmp_path, TrainingOptions()), 1)
    checkpoint = newest_checkpoint(tmp_path)
    assert checkpoint is not None
    with pytest.raises(CheckpointError, match="missing"):
        make_trainer(adversary=ADVERSARY).resume(checkpoint)


def test_lower_precision_learns_too() -> None:
    trainer = make_trainer(precision="bf16", steps=20, adversary=replace(ADVERSARY, adversarial_start=5))
    first, last = run(trainer, 0, 1), run(trainer, 1, 20)
    assert last["loss"] < first["loss"]


def test_codes_are_chosen_in_full_precision() -> None:
    trainer = make_trainer(precision="bf16")
    seen: list[torch.dtype] = []
    trainer.tokenizer.quantizer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].dtype))
    run(trainer, 1, 2)
    assert seen == [torch.float32]


def test_finite_scalar_quantization_trains_without_codes() -> None:
    trainer = make_trainer(steps=20, levels=(4, 4, 4))
    first, last = run(trainer, 0, 1), run(trainer, 1, 20)
    assert last["loss"] < first["loss"]


def test_a_tokenizer_of_clips_trains_on_stills_too() -> None:
    trainer = make_trainer(adversary=replace(ADVERSARY, adversarial_start=0))
    losses = [trainer.step(make_clips(2, 1), step) for step in range(3)]
    assert all(torch.isfinite(loss) for loss in losses[-1].values())


class HostReads(TorchDispatchMode):
    """Notes what would make a program wait for a GPU: numbers read on the host, and sizes that depend on numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        by_mask = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        waits = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "equal", "unique", "bincount")
        if by_mask or name.startswith(waits):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("adversary", [ALONE, ADVERSARY], ids=["alone", "adversary"])
def test_a_step_waits_for_no_number(adversary: AdversaryOptions, precision: str) -> None:
    trainer = make_trainer(adversary, precision=precision)
    run(trainer, 0, 4)  # the first ones start the codes, and see whether they are started
    with HostReads() as reads:
        run(trainer, 4, 6)
    assert reads.found == []


def layouts(trainer: TokenizerTrainer) -> set[bool]:
    """Whether the weights of three-dimensional convolutions have their channels last."""
    weights = [module.weight for module in trainer.tokenizer.modules() if isinstance(module, torch.nn.Conv3d)]
    return {weight.is_contiguous(memory_format=torch.channels_last_3d) for weight in weights}


@pytest.mark.parametrize(("precision", "expected"), [("bf16", {True}), ("fp32", {False})])
def test_weights_of_three_axes_have_their_channels_last_where_that_is_faster(precision: str, expected: object) -> None:
    trainer = make_trainer(precision=precision)
    run(trainer, 0, 2)
    assert layouts(trainer) == expected


def test_a_trainer_in_bf16_resumes_to_the_same_bits(tmp_path: Path) -> None:
    whole, resumed = make_trainer(precision="bf16"), make_trainer(precision="bf16")
    run(whole, 0, 3)
    whole.save(CheckpointSaver(tmp_path, TrainingOptions()), 3)
    run(whole, 3, 5)
    checkpoint = newest_checkpoint(tmp_path)
    assert checkpoint is not None
    run(resumed, resumed.resume(checkpoint), 5)
    assert weights(resumed) == weights(whole)


def test_codes_that_were_not_started_are_started_after_loading(tmp_path: Path) -> None:
    trainer = make_trainer()
    state = {name: tensor.clone() for name, tensor in trainer.tokenizer.state_dict().items()}
    run(trainer, 0, 3)
    trainer.tokenizer.load_state_dict(state)
    assert not trainer.tokenizer.quantizer.initialised
    run(trainer, 3, 4)
    assert trainer.tokenizer.quantizer.initialised
