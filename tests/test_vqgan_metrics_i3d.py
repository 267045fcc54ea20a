"""I3D: its shapes, its padding, and that nothing but its weights is loaded. Tensors of files repeat one number."""

import pickle
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import Malice
from tiny import make_clips
from torch import Tensor, nn

from storage.model_paths import CheckpointError
from vqgan.metrics.features import WeightsMissingError
from vqgan.metrics.i3d import I3D, MIN_FRAMES, Mixed, Pool, Unit, load_i3d, pad_same

sizes = st.integers(1, 20)


def state_of(value: float = 0.0) -> dict[str, Tensor]:
    """Weights as old files hold them, without counters; all their tensors are views of single numbers."""
    with torch.device("meta"):
        names = I3D().state_dict()
    return {
        name: torch.tensor(1.0 if name.endswith("running_var") else value).expand(tensor.shape).contiguous()
        for name, tensor in names.items()
        if not name.endswith("num_batches_tracked")
    }


def save(path: Path, state: dict[str, object]) -> Path:
    torch.save(state, path / "i3d.pt")
    return path / "i3d.pt"


def test_the_names_are_those_of_published_weights() -> None:
    names = set(state_of())
    assert {
        "Conv3d_1a_7x7.conv3d.weight",
        "Conv3d_2c_3x3.bn.running_mean",
        "Mixed_3b.b0.conv3d.weight",
        "Mixed_4f.b1b.conv3d.weight",
        "Mixed_5b.b2a.bn.weight",
        "Mixed_5c.b3b.bn.running_var",
        "logits.conv3d.bias",
    } <= names
    assert len({name.split(".")[0] for name in names}) == 13


def test_the_numbers_of_weights_are_those_of_published_ones() -> None:
    with torch.device("meta"):
        model = I3D()
    assert sum(parameter.numel() for parameter in model.parameters()) == 12_697_264
    assert sum(name.endswith("conv3d.weight") for name, _ in model.named_parameters()) == 58


@pytest.mark.parametrize(("frames", "size"), [(MIN_FRAMES, 16), (16, 64), (17, 256)])
def test_every_clip_gets_400_logits(frames: int, size: int) -> None:
    with torch.device("meta"):
        assert I3D()(torch.empty(2, 3, frames, size, size)).shape == (2, 400)


def test_a_shorter_clip_is_too_short_for_the_network() -> None:
    with torch.device("meta"), pytest.raises(RuntimeError, match="smaller than kernel size"):
        I3D()(torch.empty(1, 3, MIN_FRAMES - 1, 224, 224))


@given(size=sizes, kernel=st.integers(1, 7), stride=st.integers(1, 3))
def test_padding_leaves_one_place_per_stride(size: int, kernel: int, stride: int) -> None:
    padded = pad_same(torch.zeros(1, 1, size, 1, 1), (kernel, 1, 1), (stride, 1, 1)).shape[2]
    assert (padded - kernel) // stride + 1 == -(-size // stride)


def test_the_odd_zero_goes_behind() -> None:
    padded = pad_same(torch.ones(1, 1, 1, 1, 4), (1, 1, 3), (1, 1, 2))
    assert padded.flatten().tolist() == [1, 1, 1, 1, 0]


def test_padding_goes_to_the_axis_it_was_counted_for() -> None:
    assert pad_same(torch.zeros(1, 1, 4, 5, 6), (7, 1, 3), (2, 1, 1)).shape == (1, 1, 9, 5, 8)


def test_zeros_around_do_not_win_over_what_is_rectified() -> None:
    x = make_clips(1, 5, 7).relu()
    # torch pads symmetrically with what never wins; for this kernel and stride TensorFlow does so, too.
    expected = nn.functional.max_pool3d(x, 3, 1, padding=1)
    assert torch.equal(Pool((3, 3, 3), (1, 1, 1))(x), expected)


def test_a_unit_is_a_rectified_normalised_convolution() -> None:
    torch.manual_seed(0)
    unit = Unit(3, 4, (3, 3, 3)).eval()
    unit.bn.running_mean.fill_(0.1)
    unit.bn.running_var.fill_(0.5)
    x = make_clips(1, 4, 6)
    convolved = nn.functional.conv3d(x, unit.conv3d.weight, padding=1)
    torch.testing.assert_close(unit(x), ((convolved - 0.1) / (0.5 + 1e-3) ** 0.5).relu())


def test_a_block_puts_its_branches_side_by_side() -> None:
    torch.manual_seed(0)
    block, x = Mixed(3, (2, (2, 3), (2, 4), 5)).eval(), make_clips(1, 4, 6)
    parts = block(x).split([2, 3, 4, 5], dim=1)
    assert torch.equal(parts[0], block.b0(x))
    assert torch.equal(parts[2], block.b2b(block.b2a(x)))
    assert torch.equal(parts[3], block.b3b(block.b3a(x)))


def test_the_logits_are_those_of_the_file(tmp_path: Path) -> None:
    model = load_i3d(save(tmp_path, state_of() | {"logits.conv3d.bias": torch.arange(400.0)}))
    assert torch.equal(model(make_clips(1, MIN_FRAMES)), torch.arange(400.0)[None])


def test_counters_of_newer_files_are_ignored(tmp_path: Path) -> None:
    counter = {"Conv3d_1a_7x7.bn.num_batches_tracked": torch.tensor(7)}
    assert load_i3d(save(tmp_path, state_of(0.5) | counter))[0].conv3d.weight.unique().tolist() == [0.5]


def test_the_network_has_no_gradient_and_stays_in_evaluation_mode(tmp_path: Path) -> None:
    model = load_i3d(save(tmp_path, state_of()))
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(module.training for module in model.modules())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"there is no weights file .*i3d\.pt"):
        load_i3d(tmp_path / "i3d.pt")


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    state = state_of()
    del state["Mixed_4d.b0.bn.bias"]
    with pytest.raises(CheckpointError, match=r"does not hold an I3D .*Mixed_4d\.b0\.bn\.bias is missing"):
        load_i3d(save(tmp_path, state))


def test_a_tensor_too_many_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"flow\.weight is not part of the model"):
        load_i3d(save(tmp_path, state_of() | {"flow.weight": torch.zeros(1)}))


def test_weights_for_600_classes_are_refused(tmp_path: Path) -> None:
    head = {"logits.conv3d.weight": torch.zeros(600, 1024, 1, 1, 1), "logits.conv3d.bias": torch.zeros(600)}
    with pytest.raises(CheckpointError, match=r"logits\.conv3d\.bias has shape \(600,\), not \(400,\)"):
        load_i3d(save(tmp_path, state_of() | head))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, state_of())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"does not hold an I3D of Kinetics-400: .* is damaged"):
        load_i3d(path)


def test_a_compiled_network_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit is on its way out
        torch.jit.script(nn.Identity()).save(tmp_path / "i3d.pt")
    with pytest.raises(CheckpointError, match="does not hold an I3D of Kinetics-400"):
        load_i3d(tmp_path / "i3d.pt")


def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is refused: it would run"):
        load_i3d(save(tmp_path, {"logits.conv3d.bias": Malice(tmp_path / "harm")}))
    assert not (tmp_path / "harm").exists()


def test_the_malicious_pickle_of_these_tests_would_do_harm(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Malice(tmp_path / "harm")))
    assert (tmp_path / "harm").exists()
