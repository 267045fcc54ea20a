"""Videos that we write, as a browser shows them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from browser import last_frame

from data.video_writing import write_video

# No strong blue: without a graphics card Chromium shows that of BT.709 darker by up to 12 levels, whatever the file.
COLOURS = np.array([(200, 30, 40), (30, 180, 60), (70, 100, 160), (224, 172, 140)], dtype=np.uint8)
TOLERANCE = 5
"""Levels: decoding by the matrix of another standard changes these colours by up to 21."""


# Browsers take untagged videos of 720 lines for BT.709, smaller ones for BT.601.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("side", [64, 720])
def test_a_browser_shows_the_colours_that_were_written(tmp_path: Path, side: int) -> None:
    quarters = COLOURS.reshape(2, 2, 3).repeat(side // 2, axis=0).repeat(side // 2, axis=1)
    levels = torch.from_numpy(quarters).permute(2, 0, 1)[:, None].expand(3, 4, side, side)
    write_video(tmp_path / "video.mp4", levels / 127.5 - 1, 8)
    shown = last_frame(tmp_path / "video.mp4", tmp_path)
    assert shown.shape == (side, side, 3)
    middles = shown[side // 4 :: side // 2, side // 4 :: side // 2].reshape(4, 3)
    assert np.abs(middles.astype(int) - COLOURS).max() <= TOLERANCE, middles.tolist()
