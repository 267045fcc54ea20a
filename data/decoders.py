"""Which decoder reads a video: decord where it can be trusted, PyAV everywhere else."""

from __future__ import annotations

import functools
from types import ModuleType

import numpy as np
from av.video.frame import VideoFrame

from data.containers import Header
from data.orientation import Orientation
from data.packets import Packets
from data.sources import ByteRange

DECORD_CODECS = frozenset({"h264", "hevc", "vp8", "vp9"})
"""Those in which one packet is one frame, so that decord, which counts frames, cannot lose its place."""

LONG_VIDEO = 600.0
"""Seconds from which a video goes to PyAV: decord reads the whole file anew each time it opens it."""


@functools.cache
def import_decord() -> ModuleType | None:
    """Return the decord package; None where there is none, for instance on macOS and ARM, where it has no build."""
    try:
        import decord
    except (ImportError, OSError):
        return None
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def why_not_decord(
    file: ByteRange, header: Header, packets: Packets, first: VideoFrame, orientation: Orientation, counted: bool
) -> str:
    """Return why decord cannot be trusted with this video or would be slow, or an empty string.

    Decord counts frames from the key frame it seeks to and takes a key frame in the k-th packet for the k-th
    frame. Where the two orders differ it returns other frames after a seek than in sequence, or waits for
    ever (dmlc/decord#373). Of H.264 with periodic intra refresh it counts frames from the first one that is whole.
    What a header announces it takes memory for unseen, and may end the process.
    """
    keys = packets.keys
    inner = keys[keys + 1 < len(packets.pts)]
    reasons = {
        "decord is not installed": import_decord() is None,
        "a part of a file": file.size > 0,
        "MPEG transport stream": header.format == "mpegts",
        "AVI": header.format == "avi",
        "the video is rotated": orientation.rotation != 0,
        "the video is mirrored": orientation.mirrored,
        "frames before time zero (edit list)": bool(len(packets.hidden) or (packets.pts < 0).any()),
        "no key frame at the start": not len(keys) or keys[0] != 0,
        "open groups of pictures": bool((packets.earliest_after(inner + 1) < packets.pts[inner]).any()),
        "periodic intra refresh or other recovery points": packets.recovering,
        "times of decoding (packed B-frames)": counted,
        f"longer than {LONG_VIDEO:.0f} s": float(np.ptp(packets.pts)) * header.tick > LONG_VIDEO,
        f"the codec {header.codec}": header.codec not in DECORD_CODECS,
        "more than 8 bits per channel": any(component.bits > 8 for component in first.format.components),
        "several video streams": header.images > 1,
        "a header that announces too many frames": header.announced_frames > 2 * len(packets.pts) + 1000,
    }
    return "; ".join(reason for reason, applies in reasons.items() if applies)
