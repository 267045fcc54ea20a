"""Keys of pictures: what a store in a learned space knows again, and how one is chosen."""

from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from memory_lists import make_list, make_options
from PIL import Image
from tiny import IMAGE, make_gpt, make_images, make_palette, make_tokenizer
from torch import Tensor

from data.stimuli.lists import read_stimuli
from experiments.memory.experiment import run_memory
from experiments.memory.features import SPREAD, build_key, normalise
from experiments.memory.key_choice import KeyRow, choose_key, criterion
from experiments.memory.key_names import check_key
from experiments.memory.key_options import KeyOptions
from experiments.memory.key_space import LEAST, KeySpace, PictureStore
from experiments.memory.keyed import Seen, key_pictures
from experiments.memory.options import MemoryOptions
from experiments.statistics.trials import TrialRow, read_trials
from gpt.config import GPTConfig
from storage.model_paths import CheckpointError
from storage.tables import read_rows

FILLERS = 12
"""More than a space is learned from at least."""
QUICK = {"keys": ("pixels",), "changes": ("mirror",)}
TINY = {"exposures": 1, "layers": 1, "heads": 1, "width": 8}
"""One pass of a GPT that takes no time."""
MODEL = GPTConfig(layers=2, heads=2, width=16, grid=(1, 4, 4), vocab_size=32)


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list whose images are grey slopes of many kinds, which stay what they are when they are brighter."""
    root = tmp_path_factory.mktemp("stimuli") / "list"
    make_list(root, items=4, fillers=FILLERS)
    generator = np.random.default_rng(0)
    for path in sorted(root.glob("study/*.png")) + sorted(root.glob("test/*_unseen/*.png")):
        coarse = generator.integers(30, 190, (3, 3, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((24, 24), Image.Resampling.BILINEAR)
        image.save(path)
        for seen in root.glob(f"test/*_seen/{path.name}"):
            if path.parent.name == "study":
                image.save(seen)
    return root


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tokenizer = make_tokenizer(IMAGE)
    tokenizer.save_pretrained(folder / "tokenizer")
    make_palette().save_pretrained(folder / "palette")
    make_gpt(replace(MODEL, tokenizer=tokenizer.fingerprint)).save_pretrained(folder / "gpt")
    tokenizer.save_pretrained(folder / "gpt" / "tokenizer")
    return folder


def make_pictures(count: int, size: int, seed: int = 0) -> Tensor:
    """Pictures (count, 3, 1, size, size) of the middle half of the levels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator) - 0.5
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")[:, :, None]


KEYS = pytest.mark.parametrize("name", ["pixels", "tokenizer:{}/tokenizer", "gpt:{}/gpt", "efficientnet-lite0"])


@KEYS
def test_a_key_is_the_same_for_a_brighter_picture_and_for_its_mirror_image(name: str, models: Path) -> None:
    network = build_key(name.format(models))
    pictures = make_pictures(3, network.size)
    keys = network(pictures)
    assert keys.dtype == torch.float32
    torch.testing.assert_close(network(0.6 * pictures + 0.2), keys, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(network(pictures.flip(-1)), keys, atol=1e-4, rtol=1e-3)


@KEYS
def test_keys_of_different_pictures_differ(name: str, models: Path) -> None:
    network = build_key(name.format(models))
    keys = network(make_pictures(4, network.size))
    assert torch.pdist(keys).min() > 1e-4


@KEYS
def test_the_fingerprint_is_that_of_the_weights(name: str, models: Path) -> None:
    assert build_key(name.format(models)).fingerprint == build_key(name.format(models)).fingerprint


def test_other_weights_have_another_fingerprint(models: Path, tmp_path: Path) -> None:
    make_tokenizer(IMAGE, seed=1).save_pretrained(tmp_path)
    first, second = (build_key(f"tokenizer:{folder}") for folder in (models / "tokenizer", tmp_path))
    assert first.fingerprint != second.fingerprint


def test_a_picture_of_one_colour_has_a_key(models: Path) -> None:
    assert build_key("pixels")(torch.full((1, 3, 1, 16, 16), 0.7)).isfinite().all()


def test_normalised_pictures_have_the_mean_and_spread_that_are_said() -> None:
    pictures = normalise(0.1 * make_pictures(3, 16)[:, :, 0] + 0.5).flatten(1)
    torch.testing.assert_close(pictures.mean(dim=1), torch.zeros(3), atol=0.05, rtol=0)
    torch.testing.assert_close(pictures.std(dim=1), torch.full((3,), SPREAD), atol=0.05, rtol=0)


def test_a_palette_has_no_features(models: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a palette, which has no features"):
        build_key(f"tokenizer:{models / 'palette'}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet50", "'resnet50' is no key of pictures: give pixels, tokenizer:MODEL"),
        ("timm:resnet18", "is no key of pictures"),
        ("timm:resnet18:nowhere.pth", "there is no file nowhere.pth with the weights of the key timm:resnet18"),
        ("tokenizer:nowhere", "nowhere holds no model"),
        ("gpt:{}/tokenizer", "holds a 'vqgan', not a gpt"),
    ],
)
def test_what_names_no_key_is_refused(name: str, said: str, models: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        check_key(name.format(models))


@given(count=st.integers(LEAST, 60), width=st.integers(3, 80), seed=st.integers(0, 100))
def test_points_are_centred_of_length_one_and_alike_in_every_direction(count: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, width, generator=generator) * torch.linspace(1, 100, width) + 7
    space = KeySpace.fit(features)
    torch.testing.assert_close(space.project(features).norm(dim=1), torch.ones(count))
    whitened = (features - space.mean) @ space.directions
    assert whitened.shape[1] <= min(width, count - 1)
    assert whitened.mean(dim=0).abs().max() < 1e-2
    assert whitened.std(dim=0).max() <= 1.01  # shrunk, never stretched


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (torch.randn(LEAST - 1, 4), f"learned from {LEAST - 1} pictures that are not tested"),
        (torch.ones(20, 4), "all look the same"),
    ],
)
def test_a_space_needs_pictures_that_differ(features: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        KeySpace.fit(features)


def make_points(count: int, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_a_score_is_the_squared_distance_to_the_nearest_stored_picture() -> None:
    stored, asked = make_points(300), make_points(7, seed=1)
    store = PictureStore()
    store.write(stored[:100])
    store.write(stored[100:])
    torch.testing.assert_close(store.score(asked), torch.cdist(asked, stored).square().amin(dim=1))
    assert store.nearest(stored).tolist() == list(range(300))
    assert store.score(stored).max() == 0


def test_an_empty_store_knows_nothing() -> None:
    assert PictureStore().score(make_points(3)).tolist() == [0, 0, 0]


def test_a_foil_that_looks_like_its_studied_picture_is_mistaken_for_it(tmp_path: Path) -> None:
    root = make_list(tmp_path / "list", items=2, fillers=FILLERS)
    for name in ("state_0.png", "state_1.png"):
        pixels = np.asarray(Image.open(root / "study" / name)).copy()
        pixels[0, 0] ^= 255
        Image.fromarray(pixels).save(root / "test" / "state_unseen" / name)
    rows = choose_key(KeyOptions(stimuli=root, out=tmp_path / "out", changes=()))
    assert {(row.condition, row.mistaken) for row in rows if row.condition == "state"} == {("state", 1.0)}


def rows_of(out: Path, readout: str, exposure: int = 1, change: str = "none") -> list[TrialRow]:
    rows = read_trials(out / "trials.csv")
    return [row for row in rows if (row.readout, row.exposure, row.change) == (readout, exposure, change)]


def test_a_run_is_judged_by_every_key_beside_the_weights(stimuli: Path, models: Path, tmp_path: Path) -> None:
    keys = ("pixels", f"tokenizer:{models / 'tokenizer'}")
    options = make_options(stimuli, tmp_path, store_key=keys, changes=("brightness-0.8", "mirror"), **TINY)
    run_memory(options)
    for key in keys:
        assert {row.correct for row in rows_of(tmp_path, f"familiarity:{key}", exposure=0)} == {0.5}
    for change in ("none", "brightness-0.8", "mirror"):
        assert {row.correct for row in rows_of(tmp_path, "familiarity:pixels", change=change)} == {1.0}
    assert {row.bits_per_pixel_studied for row in rows_of(tmp_path, "familiarity:pixels")} == {None}


def test_keys_change_nothing_of_what_the_weights_say(tmp_path: Path) -> None:
    few = make_list(tmp_path / "few", items=1, fillers=LEAST)
    run_memory(make_options(few, tmp_path / "with", store_key=("pixels",), **TINY))
    run_memory(make_options(few, tmp_path / "without", **TINY))
    assert rows_of(tmp_path / "with", "weights") == rows_of(tmp_path / "without", "weights")


def test_a_second_list_is_stored_too(stimuli: Path, tmp_path: Path) -> None:
    second = make_list(tmp_path / "second", items=1, fillers=0, seed=5)
    options = make_options(stimuli, tmp_path / "run", store_key=("pixels",), then=second, then_exposures=1, **TINY)
    run_memory(options)
    rows = read_trials(tmp_path / "run" / "trials.csv")
    foils = {
        (row.interference, row.version, row.foil): row.nll_foil
        for row in rows
        if row.readout == "familiarity:pixels" and row.exposure == 1
    }
    assert all(value <= foils[0, version, foil] for (passes, version, foil), value in foils.items() if passes == 1)


def test_a_space_can_be_learned_from_other_pictures(stimuli: Path, tmp_path: Path) -> None:
    few = make_list(tmp_path / "few", items=2, fillers=0)
    with pytest.raises(ValueError, match="learned from 0 pictures that are not tested"):
        run_memory(make_options(few, tmp_path / "run", store_key=("pixels",), **TINY))
    others = make_images(tmp_path / "others", LEAST)
    run_memory(make_options(few, tmp_path / "run", store_key=("pixels",), key_data=others, **TINY))
    assert {row.correct for row in rows_of(tmp_path / "run", "familiarity:pixels")} == {1.0}


def test_pictures_to_learn_from_are_none_that_are_tested(
    stimuli: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_images(tmp_path / "others", LEAST)
    plain = choose_key(KeyOptions.of(stimuli=stimuli, out=tmp_path / "plain", key_data=tmp_path / "others", **QUICK))
    for foil in sorted(stimuli.glob("test/*_unseen/*.png")):
        copyfile(foil, tmp_path / "others" / f"{foil.parent.name}_{foil.name}")
    mixed = choose_key(KeyOptions.of(stimuli=stimuli, out=tmp_path / "mixed", key_data=tmp_path / "others", **QUICK))
    assert mixed == plain
    assert f"{LEAST} pictures of {LEAST + 8}, 8 left out that are tested" in capsys.readouterr().err


def test_a_fingerprint_tells_from_which_pictures_a_space_was_learned(stimuli: Path, tmp_path: Path) -> None:
    listed, seen = read_stimuli(stimuli), Seen(8, "exact", ())
    folders = [make_images(tmp_path / str(number), number) for number in (LEAST, LEAST + 1)]
    found = [key_pictures(["pixels"], listed, None, seen, data)[0].fingerprint for data in (None, *folders)]
    assert len(set(found)) == 3
    assert found[0] == build_key("pixels").fingerprint


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"noise": 4, "noise_length": 16, "store_key": ("pixels",)}, "--store-key is for images"),
        ({"stimuli": Path("list"), "key_data": Path("others")}, "--key-data is for --store-key"),
        ({"stimuli": Path("list"), "store_key": ("pixels", "pixels")}, "--store-key names pixels twice"),
        ({"stimuli": Path("list"), "store_key": ("timm:a:b", "timm:a:c")}, "both be called familiarity:timm:a"),
    ],
)
def test_keys_are_of_images(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MemoryOptions.of(out=Path("out"), **given)


def test_a_key_is_chosen_on_one_half_and_reported_on_the_other(
    stimuli: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ("pixels", f"gpt:{models / 'gpt'}")
    changes = ("brightness-0.8", "mirror")
    rows = choose_key(KeyOptions(stimuli=stimuli, out=tmp_path, keys=keys, changes=changes))
    assert read_rows(tmp_path / "keys.csv", KeyRow) == rows
    assert len(rows) == 2 * 2 * 3 * 2
    assert {row.trials for row in rows} == {4}
    worst = {key: min(row.accuracy for row in rows if (row.key, row.half) == (key, "first")) for key in keys}
    (chosen,) = {row.key for row in rows if row.chosen == "yes"}
    assert worst[chosen] == max(worst.values())
    assert f"chosen on the first half: {chosen}" in capsys.readouterr().out
    assert (tmp_path / "keys.png").stat().st_size > 1000
    trials = read_trials(tmp_path / "trials.csv")
    second = [row for row in rows if (row.half, row.key) == ("second", "pixels")]
    assert {(row.accuracy, row.hits) for row in second if row.change == "none"} == {(1.0, 1.0)}
    assert len(trials) == 2 * 3 * 2 * 8


def test_results_of_another_choice_are_not_replaced(stimuli: Path, tmp_path: Path) -> None:
    options = KeyOptions(stimuli=stimuli, out=tmp_path, changes=())
    assert len(choose_key(options)) == 4
    with pytest.raises(ValueError, match="already holds results: replace them with --overwrite, or choose another"):
        choose_key(options)


@pytest.mark.parametrize(("keys", "said"), [((), "at least one key"), (("pixels", "pixels"), "names pixels twice")])
def test_there_must_be_keys_to_choose_from(keys: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        KeyOptions(stimuli=Path("list"), out=Path("out"), keys=keys)


@pytest.mark.parametrize(
    ("studied", "foils", "limit"),
    [([0.0, 0.1, 0.2], [0.5, 0.6], 0.2), ([0.0, 0.1, 0.9], [0.5, 0.6, 0.7], 0.1), ([1.0], [0.0, 2.0], 1.0)],
)
def test_the_criterion_is_where_hits_exceed_false_alarms_most(
    studied: list[float], foils: list[float], limit: float
) -> None:
    assert criterion(studied, foils) == limit
