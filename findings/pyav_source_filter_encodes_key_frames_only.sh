#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8): frames of a source filter are all encoded as key frames, whatever gop_size says.
#
# Guess: 100 frames of FFmpeg's test picture, encoded by x264 with gop_size 250, have one key frame.
# Behaviour: every frame that comes out of testsrc2 says that it is an I-picture (pict_type), PyAV hands that on to the
# encoder, and x264 obeys: 100 key frames.
# Output seen, Python 3.11 on Linux:
#     testsrc2: pict_type 1, 100 of 100 packets are key frames
#     testsrc2 with pict_type NONE: 1 of 100 packets are key frames
# A way round: frame.pict_type = av.video.frame.PictureType.NONE before encoding.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0

cat >"$folder/look.py" <<'PYTHON'
import sys
from fractions import Fraction

import av
from av.video.frame import PictureType


def key_frames(film: str, forget: bool) -> tuple[int, int, int]:
    """Encode 100 frames of testsrc2; return the first one's pict_type, the key frames and the packets."""
    graph = av.filter.Graph()
    source = graph.add("testsrc2", "size=160x120:rate=25:duration=4")
    pixels = graph.add("format", "pix_fmts=yuv420p")
    sink = graph.add("buffersink")
    source.link_to(pixels)
    pixels.link_to(sink)
    graph.configure()
    with av.open(film, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.gop_size = 250
        first = -1
        for number in range(100):
            frame = graph.pull()
            first = int(frame.pict_type) if first < 0 else first
            frame.pts, frame.time_base = number, Fraction(1, 25)
            if forget:
                frame.pict_type = PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(film) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return first, sum(packet.is_keyframe for packet in packets), len(packets)


kind, keys, packets = key_frames(sys.argv[1], forget=False)
print(f"testsrc2: pict_type {kind}, {keys} of {packets} packets are key frames")
_, keys_without, _ = key_frames(sys.argv[1], forget=True)
print(f"testsrc2 with pict_type NONE: {keys_without} of {packets} packets are key frames")
sys.exit(0 if keys == packets == 100 and keys_without == 1 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/film.mp4" 2>/dev/null
