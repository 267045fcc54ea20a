"""What `data look` makes a page of beside plain data: token stores, with films and without, and runs of trainings."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from looking import asked, number, page_data, rows
from PIL import Image
from tiny import FPS, GPT_SHORT, SHORT, make_gpt, make_store, make_tokenizer, make_videos

from data.errors import TokenStoreError
from data.options import SubsetOptions
from data.subset import make_subset
from data.tokens import TokenStore
from gpt.config import MismatchError
from gpt.options import TrainOptions
from gpt.train import train
from storage.run_folder import open_run
from viewing.look.look import look
from viewing.look.material import LookError, find_material
from vqgan.encode import encode
from vqgan.options import EncodeOptions
from vqgan.options import TrainOptions as TokenizerTrainOptions

SHORT_CLIPS = {"frames": 8, "fps": FPS}

# Tokens


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of films, a tokenizer, its token store, and a GPT."""
    folder = tmp_path_factory.mktemp("encoded")
    tokenizer = make_tokenizer(SHORT)
    tokenizer.save_pretrained(folder / "tokenizer")
    make_videos(folder / "films", 4, 16, 16)
    options = {"tokenizer": folder / "tokenizer", "data": folder / "films", "out": folder / "tokens", "workers": 0}
    encode(EncodeOptions.of(**options, augment="flip"))
    make_gpt().save_pretrained(folder / "gpt")
    return folder


def tokens_of(out: Path) -> np.ndarray[Any, Any]:
    """The tokens that a page loads."""
    encoded = [
        json.loads(path.read_text().split(", ", 2)[2].rstrip(");\n")) for path in sorted(out.glob("tokens/*.js"))
    ]
    data = page_data(out)["tokens"]
    flat = np.frombuffer(b"".join(map(base64.b64decode, encoded)), {2: "<u2", 4: "<u4"}[data["bytes"]])
    return flat.reshape(-1, *data["grid"])


def test_a_store_is_shown_with_its_tokens_films_and_split(encoded: Path, tmp_path: Path) -> None:
    look(asked(encoded / "tokens", tmp_path / "page", frames=None))
    data = page_data(tmp_path / "page")
    store = TokenStore(encoded / "tokens")
    shown = [index for index, item in enumerate(store.items) if item.crop == "centre"]
    assert list(zip(data["names"], data["starts"], strict=True)) == [
        (store.items[index].source, store.items[index].start) for index in shown
    ]
    assert (tokens_of(tmp_path / "page").reshape(len(shown), -1) == store.read_stored(shown)).all()
    split = next(word for word in data["words"] if word["key"] == "split")
    assert [split["choices"][value] for value in split["values"]] == [store.items[index].split for index in shown]
    assert data["tokens"]["latent"] == 4
    assert any("6 further crops" in note for note in data["notes"])


def test_data_with_a_tokenizer_have_the_tokens_of_their_store(encoded: Path, tmp_path: Path) -> None:
    look(asked(encoded / "tokens", tmp_path / "stored", frames=None))
    look(asked(encoded / "films", tmp_path / "given", frames=None, tokenizer=encoded / "tokenizer", batch=3))
    stored, given = page_data(tmp_path / "stored"), page_data(tmp_path / "given")
    assert given["names"] == stored["names"]
    assert given["codes"] == stored["codes"]
    assert (tokens_of(tmp_path / "given") == tokens_of(tmp_path / "stored")).all()


def test_surprise_is_a_column_of_page_and_table(encoded: Path, tmp_path: Path) -> None:
    look(asked(encoded / "tokens", tmp_path / "page", frames=None, gpt=(encoded / "gpt",)))
    data = page_data(tmp_path / "page")
    assert [float(row["bits"]) for row in rows(tmp_path / "page" / "items.csv")] == number(data, "bits")
    assert data["surprise"]["files"] == ["surprise/00000.js"]


def test_without_films_the_tokenizer_draws_the_items(encoded: Path, tmp_path: Path) -> None:
    make_subset(SubsetOptions.of(tokens=encoded / "tokens", items=2, out=tmp_path / "subset"))
    look(asked(tmp_path / "subset", tmp_path / "page", frames=None, tokenizer=encoded / "tokenizer"))
    data = page_data(tmp_path / "page")
    assert any("as the tokenizer makes them" in note for note in data["notes"])
    with Image.open(tmp_path / "page" / "films" / "000000.jpg") as strip:
        assert strip.size == (8 * 32, 32)


def test_films_that_moved_are_given(encoded: Path, tmp_path: Path) -> None:
    make_subset(SubsetOptions.of(tokens=encoded / "tokens", items=2, out=tmp_path / "subset"))
    look(asked(tmp_path / "subset", tmp_path / "page", frames=None, data=encoded / "films"))
    assert not any("as the tokenizer makes them" in note for note in page_data(tmp_path / "page")["notes"])


def test_without_films_and_tokenizer_it_is_said_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(LookError, match="give them with --data, or the --tokenizer"):
        look(asked(make_store(tmp_path / "tokens"), tmp_path / "page", frames=None))


def test_another_tokenizer_than_the_store_s_is_refused(encoded: Path, tmp_path: Path) -> None:
    make_tokenizer(SHORT, seed=1).save_pretrained(tmp_path / "other")
    with pytest.raises(TokenStoreError, match="give the one that made them"):
        look(asked(encoded / "tokens", tmp_path / "page", frames=None, tokenizer=tmp_path / "other"))


def test_a_gpt_of_another_grid_is_refused_before_anything_is_drawn(encoded: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path / "tokens", grid=(1, 4, 4))
    with pytest.raises(MismatchError, match=r"--gpt .*gpt"):
        look(asked(store, tmp_path / "page", frames=None, gpt=(encoded / "gpt",), data=encoded / "films"))
    assert not (tmp_path / "page").exists()


def test_a_gpt_without_tokens_is_refused(encoded: Path, tmp_path: Path) -> None:
    with pytest.raises(LookError, match="give the --tokenizer that the GPT was trained with"):
        look(asked(encoded / "films", tmp_path / "page", gpt=(encoded / "gpt",)))


def test_other_frames_than_the_store_s_are_refused(encoded: Path, tmp_path: Path) -> None:
    with pytest.raises(LookError, match="--frames 16 is not that of the token store, 8"):
        look(asked(encoded / "tokens", tmp_path / "page", frames=16))


# Runs


def train_gpt(tokens: Path, out: Path, **changed: Any) -> Path:
    """The run of a GPT of three steps, with two checkpoints."""
    chosen = {**GPT_SHORT.flat(), "steps": 3, "batch": 2, "warmup": 1, "log_every": 1, "save_every": 2, **changed}
    train(TrainOptions.of(tokens=tokens, out=out, **chosen), lambda gpt, held, path: None)
    return out


def test_the_run_of_a_gpt_is_shown_with_its_curve_its_surprise_and_what_it_was_trained_on(
    encoded: Path, tmp_path: Path
) -> None:
    look(asked(train_gpt(encoded / "tokens", tmp_path / "run"), tmp_path / "page", frames=None))
    data = page_data(tmp_path / "page")
    assert [step for step, *_ in data["training"]["batches"]] == [0, 1, 2]
    splits = next(word for word in data["words"] if word["key"] == "split")
    trained = {index for _, items, _ in data["training"]["batches"] for index in items}
    assert {splits["choices"][splits["values"][index]] for index in trained} == {"train"}
    assert data["checkpoints"]["steps"] == [2, 3]
    falls = [first - last for first, last in zip(*data["checkpoints"]["bits"], strict=True)]
    assert number(data, "fall") == pytest.approx(falls, abs=1e-5)


def test_the_gpt_that_is_given_is_asked_rather_than_that_of_the_run(encoded: Path, tmp_path: Path) -> None:
    run = train_gpt(encoded / "tokens", tmp_path / "run")
    look(asked(run, tmp_path / "page", frames=None, gpt=(run / "final",)))
    data = page_data(tmp_path / "page")
    assert data["surprise"]["model"] == str(run / "final")
    assert data["checkpoints"] is None


def test_the_run_of_a_gpt_of_single_latent_frames_says_why_it_shows_no_surprise(encoded: Path, tmp_path: Path) -> None:
    run = train_gpt(encoded / "tokens", tmp_path / "run", latent_frames="single")
    look(asked(run, tmp_path / "page", frames=None))
    data = page_data(tmp_path / "page")
    assert data["surprise"] is None
    assert any(note.startswith("The surprise of this GPT is not shown: ") for note in data["notes"])
    assert [step for step, *_ in data["training"]["batches"]] == [0, 1, 2]


def test_the_store_of_a_run_is_found_where_the_training_ran(
    encoded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = TrainOptions.of(tokens=Path("tokens"), out=Path("runs/gpt"))
    open_run(encoded / begun.out, begun)
    monkeypatch.chdir(tmp_path)
    found = find_material(asked(encoded / begun.out, tmp_path / "page", frames=None), tmp_path)
    assert found.store is not None
    assert found.store.folder == encoded / "tokens"


def test_the_data_and_the_tags_of_a_tokenizer_are_found_where_its_training_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_videos(tmp_path / "films", 4, 16, 16)
    (tmp_path / "tags.csv").write_text("source,start,seconds,tag\nfilm_1.mp4,,,exclude\n")
    chosen = {"data": Path("films"), "out": Path("runs/vq"), "exclude": Path("tags.csv")}
    open_run(tmp_path / "runs" / "vq", TokenizerTrainOptions.of(**chosen, **SHORT_CLIPS))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = find_material(asked(Path("../runs/vq"), tmp_path / "page", frames=None), tmp_path / "cache")
    assert {one.name for one in found.shown if not one.split} == {"film_1.mp4"}
    assert found.data == tmp_path / "films"


def test_a_run_of_a_tokenizer_without_its_data_says_what_to_do(tmp_path: Path) -> None:
    chosen = {"data": tmp_path / "gone", "out": tmp_path / "run"}
    open_run(tmp_path / "run", TokenizerTrainOptions.of(**chosen, **SHORT_CLIPS))
    with pytest.raises(LookError, match=r"gone, which cannot be looked at .*: put it back, or give it with --data"):
        find_material(asked(tmp_path / "run", tmp_path / "page", frames=None), tmp_path)


def test_a_run_without_its_store_says_what_to_do(tmp_path: Path) -> None:
    open_run(tmp_path / "run", TrainOptions.of(tokens=tmp_path / "gone", out=tmp_path / "run"))
    with pytest.raises(LookError, match="gone, which is not there: put it back"):
        find_material(asked(tmp_path / "run", tmp_path / "page", frames=None), tmp_path)


def test_what_a_training_left_out_is_in_no_split(tmp_path: Path) -> None:
    make_videos(tmp_path / "films", 4, 16, 16)
    (tmp_path / "tags.csv").write_text("source,start,seconds,tag\nfilm_1.mp4,,,exclude\n")
    chosen = {"data": tmp_path / "films", "out": tmp_path / "run", "exclude": tmp_path / "tags.csv"}
    open_run(tmp_path / "run", TokenizerTrainOptions.of(**chosen, **SHORT_CLIPS))
    found = find_material(asked(tmp_path / "run", tmp_path / "page", frames=None), tmp_path)
    assert {one.name for one in found.shown if not one.split} == {"film_1.mp4"}
    assert "tagged in tags.csv were left out of the training" in " ".join(found.notes)
