"""Groups that a tokenizer was trained with are those of everything that is made with it."""

import json
from pathlib import Path

import pytest
from tiny import IMAGE, SHORT, make_images, make_tokenizer, make_videos

from data.errors import MediaError
from data.items import find_items, split_items
from data.options import PrepareOptions
from data.prepare import prepare
from data.tokens import TokenStore
from storage.options import Options
from storage.run_folder import open_run
from vqgan.encode import encode
from vqgan.evaluate import evaluate
from vqgan.grouping import group_by_of
from vqgan.options import EncodeOptions, EvaluateOptions, LeakageOptions, TrainOptions
from vqgan.train import train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images of each of three children."""
    folder = tmp_path_factory.mktemp("children")
    for child in ("ann", "bob", "cy"):
        make_images(folder / child, 4)
    return folder


def trained(data: Path, run: Path, group_by: str | None) -> Path:
    """A run folder with a model, as training leaves it."""
    open_run(run, TrainOptions.of(data=data, out=run, group_by=group_by))
    make_tokenizer(SHORT).save_pretrained(run / "final")
    return run


def test_a_command_takes_the_groups_of_the_tokenizers_run(data: Path, tmp_path: Path) -> None:
    run = trained(data, tmp_path / "run", "^([^/]+)/")
    assert group_by_of(run, None, data) == "^([^/]+)/"
    assert group_by_of(run / "final", None, tmp_path) == "^([^/]+)/"
    assert group_by_of(tmp_path / "imported", None, data) is None
    assert group_by_of(tmp_path / "imported", "x", data) == "x"


def test_another_split_of_the_same_data_is_refused(data: Path, tmp_path: Path) -> None:
    run = trained(data, tmp_path / "run", "^([^/]+)/")
    with pytest.raises(ValueError, match=r"--group-by '' is another split than that of .*trained on the same data"):
        group_by_of(run, "", data)
    assert group_by_of(run, "", tmp_path) == ""


def test_groups_of_a_run_that_named_none_are_kept_too(data: Path, tmp_path: Path) -> None:
    run = trained(data, tmp_path / "run", None)
    assert group_by_of(run, "", data) == ""
    with pytest.raises(ValueError, match="with --group-by '': leave the option out"):
        group_by_of(run, "^([^/]+)/", data / "ann")


def test_shards_prepared_of_the_data_are_the_same_data(tmp_path: Path) -> None:
    run = trained(tmp_path / "videos", tmp_path / "run", "a")
    shards = tmp_path / "shards"
    open_run(shards, PrepareOptions(tmp_path / "videos", shards))
    (shards / "prepared.json").write_text("{}")
    with pytest.raises(ValueError, match="trained on the same data"):
        group_by_of(run, "b", shards)


def test_a_tokenizer_trained_on_prepared_groups_hands_them_on(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    open_run(shards, PrepareOptions(tmp_path / "list.csv", shards, group_by="child"))
    (shards / "prepared.json").write_text("{}")
    assert group_by_of(trained(shards, tmp_path / "run", None), None, tmp_path / "list.csv") == "child"


def test_everything_is_measured_whatever_the_groups(data: Path, tmp_path: Path) -> None:
    run = trained(data, tmp_path / "run", "^([^/]+)/")
    others = make_images(tmp_path / "others", 3)
    assert evaluate(EvaluateOptions(run, others, tmp_path / "evaluation"))["items"] == 3
    with pytest.raises(MediaError, match="does not match 3 of 3 names"):
        evaluate(EvaluateOptions(run, others, tmp_path / "evaluation", split="validation"))


@pytest.mark.parametrize("kind", [EvaluateOptions, LeakageOptions])
def test_groups_without_a_split_are_refused(kind: type[Options], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--group-by 'x' .* give --split validation too"):
        kind.of(tokenizer=tmp_path, data=tmp_path, out=tmp_path, group_by="x")


def test_groups_are_said_at_the_start(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(data, tmp_path / "run", "^([^/]+)/")
    evaluate(EvaluateOptions(run, data, tmp_path / "evaluation", split="validation"))
    assert "kept together by '^([^/]+)/'\n" in capsys.readouterr().err


def test_prepared_groups_of_a_column_are_those_that_are_asked_for(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "videos", 3, frames=8)
    (tmp_path / "list.csv").write_text(
        "path,start,end,child\n" + "".join(f"{path},,,c{number % 2}\n" for number, path in enumerate(videos.iterdir()))
    )
    shards = tmp_path / "shards"
    prepare(PrepareOptions(tmp_path / "list.csv", shards, size=16, group_by="child", workers=0))
    found = [find_items(path, SHORT.clip_format, group_by="child")[0] for path in (tmp_path / "list.csv", shards)]
    assert [[(item.source.name, item.source.group) for item in items] for items in found] == 2 * [
        [(item.source.name, item.source.group) for item in found[0]]
    ]
    assert {item.source.group for item in found[1]} == {"c0", "c1"}


def test_tokens_have_the_split_and_groups_of_the_training(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = TrainOptions.of(data=data, out=run, group_by="^([^/]+)/", steps=1, batch=2, **IMAGE.flat())
    train(options)
    store = TokenStore(encode(EncodeOptions(run, data, tmp_path / "tokens", workers=0)))
    items, _ = find_items(data, IMAGE.clip_format, group_by="^([^/]+)/")
    sides = {"train": split_items(items)[0], "validation": split_items(items)[1]}
    for name, side in sides.items():
        stored = [item for item in store.items if item.split == name]
        assert {item.source for item in stored} == {item.source.name for item in side}
        assert {item.group for item in stored} == {item.source.group for item in side}
    listed = [json.loads(line) for line in (tmp_path / "tokens" / "items.jsonl").read_text().splitlines()]
    assert {item["group"] for item in listed} == {"ann", "bob", "cy"}
