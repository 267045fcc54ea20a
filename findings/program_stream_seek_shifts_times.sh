#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8): after a seek in an MPEG program stream frames carry the time of another frame.
#
# Guess: whether a film is decoded from its beginning or after a seek, a frame has the same time (pts); at most the
# first ones after the seek are missing.
# Behaviour: a PES packet of a program stream may hold the end of one frame and the beginnings of several more, and its
# time belongs to the first that begins in it. After a seek the demuxer takes the end of a frame that began before for a
# frame of its own and gives it that time; the frames behind it are counted on from there, one too late or by times that
# no frame of the film has, until the next PES packet. No error and no flag tells.
# Output seen, Python 3.11 on Linux, 200 frames whose grey level is their number:
#     in sequence: 200 frames
#     after seeks: 26 tried, 23 with frames at other times than in sequence
#     for example the frame at 5.12 s shows number 128 in sequence and 129 after a seek
# A way round: enter the stream at a byte, one PES packet early, and believe times from the packet meant on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.3.5

cat >"$folder/look.py" <<'PYTHON'
import itertools
import sys
from fractions import Fraction

import av
import numpy as np

film = sys.argv[1]
with av.open(film, "w") as container:
    stream = container.add_stream("mpeg2video", rate=25, options={"qmin": "1", "qmax": "2"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.codec_context.gop_size = 12
    stream.codec_context.max_b_frames = 2
    for number in range(200):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def shown(frame: av.VideoFrame) -> int:
    """Return the number that a frame shows."""
    return round(float(frame.to_ndarray(format="rgb24").mean()))


with av.open(film) as container:
    truth = {frame.pts: shown(frame) for frame in container.decode(video=0)}
print(f"in sequence: {len(truth)} frames")
times = sorted(truth)
tried = wrong = 0
example = ""
for index in range(10, 190, 7):
    with av.open(film) as container:
        container.seek(times[index], stream=container.streams.video[0])
        frames = itertools.islice((frame for frame in container.decode(video=0) if frame.pts is not None), 30)
        shifted = [frame for frame in frames if truth.get(frame.pts) != shown(frame)]
    tried += 1
    wrong += bool(shifted)
    for frame in shifted:
        if frame.pts in truth and not example:
            moment = float((frame.pts - times[0]) * frame.time_base)
            example = f"the frame at {moment:.2f} s shows number {truth[frame.pts]} in sequence and {shown(frame)} after a seek"
print(f"after seeks: {tried} tried, {wrong} with frames at other times than in sequence")
print(f"for example {example}")
sys.exit(0 if len(truth) == 200 and wrong > 0 and example else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/film.mpg"
