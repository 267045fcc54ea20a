"""Every item gets its files, and the page shows them all, whatever their names, without any other file."""

from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from completions import first_half, make_completion, nothing, upper_half
from PIL import Image

from data.probe import probe_video
from sampling.gallery import GRID_HEIGHT, GalleryItem, show_grid, show_item, write_gallery

AWKWARD = ['<b>bold</b> & "quoted"', "it's {{ 7 * 7 }} </script>", "été 中文.mp4", "caf\udce9\n.mp4", "\x1b[31m"]


class Page(HTMLParser):
    """What a browser would make of a page: tags with their attributes, and the text of every heading."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "h2":
            self.headings.append("")

    def handle_data(self, data: str) -> None:
        if self.headings and self.tags[-1][0] == "h2":
            self.headings[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "h2":
            self.tags.append(("/h2", {}))

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def entry(stem: str, name: str = "name", video: bool = True, distance: float | None = 0.25) -> GalleryItem:
    best = None if distance is None else distance / 2
    return GalleryItem(
        name=name,
        stem=stem,
        video=video,
        distance_to_truth=distance,
        best_distance=best,
        entropy_bits=1234.5,
        source=f"/videos/{name}",
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that completed a clip and an image, with a page."""
    out = tmp_path_factory.mktemp("completions")
    show_item(make_completion(first_half(), grid=(2, 2, 2)), "clip", 8.0, out / "items", "item_000")
    show_item(make_completion(upper_half()), "image", 8.0, out / "items", "item_001")
    write_gallery(out, [entry("item_000", "clip"), entry("item_001", "image", video=False)], "Title")
    return out


def test_a_clip_gets_strips_videos_and_a_heat_map_and_an_image_images(out: Path) -> None:
    assert sorted(path.name for path in (out / "items").iterdir()) == [
        "item_000.gif",
        "item_000.mp4",
        "item_000.png",
        "item_000_entropy.png",
        "item_000_poster.png",
        "item_001.png",
        "item_001_entropy.png",
    ]


def test_the_video_plays_in_browsers_and_begins_before_it_is_whole(out: Path) -> None:
    path = out / "items" / "item_000.mp4"
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width % 2, context.height % 2) == (0, 0)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_video_and_gif_have_every_frame_at_its_time(out: Path) -> None:
    info = probe_video(out / "items" / "item_000.mp4")
    assert np.allclose(info.timestamps, np.arange(8) / 8)
    with Image.open(out / "items" / "item_000.gif") as gif:
        assert (gif.n_frames, gif.info["duration"], gif.info["loop"]) == (8, 120, 0)


def test_what_was_imagined_from_nothing_is_shown(tmp_path: Path) -> None:
    show_item(make_completion(nothing(8)), "imagined", 8.0, tmp_path, "item_000")
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("name", AWKWARD)
def test_items_of_any_name_are_drawn(tmp_path: Path, name: str) -> None:
    show_item(make_completion(upper_half()), name, 8.0, tmp_path, "item_000")
    show_grid([make_completion(upper_half())], [name], tmp_path)
    assert (tmp_path / "grid.png").stat().st_size > 0


def test_the_grid_stacks_items_as_far_as_they_can_be_looked_at(tmp_path: Path) -> None:
    heights = []
    for count in (1, 2, 200):
        show_grid([make_completion(upper_half())] * count, ["name"] * count, tmp_path)
        with Image.open(tmp_path / "grid.png") as grid:
            heights.append(grid.height)
    assert heights[0] < heights[1] < GRID_HEIGHT * 0.9 < heights[2] <= GRID_HEIGHT + 100


def test_the_grid_shows_one_item_however_tall_it_is(tmp_path: Path) -> None:
    show_grid([make_completion(nothing(2), n=60)] * 2, ["a", "b"], tmp_path)
    with Image.open(tmp_path / "grid.png") as grid:
        assert GRID_HEIGHT < grid.height < 1.5 * GRID_HEIGHT


@pytest.mark.parametrize(("given", "video"), [(first_half(), True), (upper_half(), False)])
def test_names_are_shown_as_they_are_and_never_become_markup(tmp_path: Path, given: torch.Tensor, video: bool) -> None:
    show_item(make_completion(given), "name", 8.0, tmp_path / "items", "item_000")
    write_gallery(tmp_path, [entry("item_000", name, video) for name in AWKWARD], AWKWARD[0])
    page = Page(tmp_path / "index.html")
    assert page.headings == [*AWKWARD[:3], "caf\ufffd .mp4", "\ufffd[31m"]
    assert page.every("img")[0]["alt"].startswith(AWKWARD[0])
    assert len(page.every("b")) == 2
    assert len(page.every("script")) == 1


def test_the_page_loads_only_files_beside_it(out: Path) -> None:
    page = Page(out / "index.html")
    addresses = [attributes[key] for _, attributes in page.tags for key in ("src", "href") if key in attributes]
    assert len(addresses) > 8
    assert all((out / address).is_file() for address in addresses)
    assert "//" not in "".join(addresses)
    assert "url(" not in (out / "index.html").read_text(encoding="utf-8")


def test_a_stem_of_odd_characters_is_found(tmp_path: Path) -> None:
    show_item(make_completion(upper_half()), "name", 8.0, tmp_path / "items", "50% #1?")
    write_gallery(tmp_path, [entry("50% #1?", video=False)], "Title")
    assert Page(tmp_path / "index.html").every("img")[0]["src"] == "items/50%25%20%231%3F.png"


def test_images_wait_until_they_are_near_and_hold_their_place(out: Path) -> None:
    page = Page(out / "index.html")
    images = [image for image in page.every("img") if "src" in image]
    assert {image["loading"] for image in images} == {"lazy"}
    for image in images:
        with Image.open(out / image["src"]) as opened:
            assert (int(image["width"]), int(image["height"])) == opened.size
    assert [video["preload"] for video in page.every("video")] == ["none"]


def test_everything_to_look_at_is_described(out: Path) -> None:
    page = Page(out / "index.html")
    assert all(image["alt"] for image in page.every("img") if "src" in image)
    assert [video["aria-label"] for video in page.every("video")] == [
        "clip: original, prompt, reconstruction and continuations, side by side in a video; what was imagined is 0.250 "
        "from the truth on average"
    ]


def test_a_video_is_stood_for_by_its_last_frame(out: Path) -> None:
    (video,) = Page(out / "index.html").every("video")
    assert video["poster"] == "items/item_000_poster.png"
    with Image.open(out / video["poster"]) as poster, Image.open(out / "items" / "item_000.gif") as gif:
        gif.seek(gif.n_frames - 1)
        last = np.asarray(gif.convert("RGB"), dtype=float)
        assert np.abs(np.asarray(poster, dtype=float) - last).mean() < 8  # a GIF has 256 colours


def test_videos_of_older_versions_have_no_poster_and_are_shown(tmp_path: Path) -> None:
    show_item(make_completion(first_half(), grid=(2, 2, 2)), "clip", 8.0, tmp_path / "items", "item_000")
    (tmp_path / "items" / "item_000_poster.png").unlink()
    write_gallery(tmp_path, [entry("item_000")], "Title")
    (video,) = Page(tmp_path / "index.html").every("video")
    assert "poster" not in video
    assert video["preload"] == "metadata"


def test_nothing_plays_by_itself(out: Path) -> None:
    (video,) = Page(out / "index.html").every("video")
    assert "autoplay" not in video
    assert "controls" in video


def test_the_page_carries_the_metrics_by_which_it_sorts(out: Path) -> None:
    cards = Page(out / "index.html").every("article")
    metrics = [(card["data-distance"], card["data-best"], card["data-entropy"]) for card in cards]
    assert metrics == [("0.25", "0.125", "1234.5")] * 2


def test_items_without_a_truth_are_not_sorted_by_distance_to_it(tmp_path: Path) -> None:
    show_item(make_completion(nothing()), "name", 8.0, tmp_path / "items", "item_000")
    write_gallery(tmp_path, [entry("item_000", video=False, distance=None)], "Title")
    page = Page(tmp_path / "index.html")
    assert [option["value"] for option in page.every("option")] == ["", "name", "entropy", "-entropy"]
    assert page.every("article")[0]["data-distance"] == ""
    assert "distance to the truth" not in (tmp_path / "index.html").read_text(encoding="utf-8").split("<main")[1]


def test_a_page_of_images_offers_no_videos(tmp_path: Path) -> None:
    show_item(make_completion(upper_half()), "name", 8.0, tmp_path / "items", "item_000")
    write_gallery(tmp_path, [entry("item_000", video=False)], "Title")
    page = Page(tmp_path / "index.html")
    views = [box["value"] for box in page.every("input") if box["type"] == "radio"]
    assert (views, page.every("video")) == (["still", "heat"], [])


def test_without_scripts_the_search_is_not_offered(out: Path) -> None:
    assert "hidden" in Page(out / "index.html").every("form")[0]


def test_an_item_without_its_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"item_007\.png"):
        write_gallery(tmp_path, [entry("item_007")], "Title")
