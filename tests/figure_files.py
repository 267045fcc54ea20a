"""What the files of a figure hold: fonts of a PDF, and what an SVG shows of its axes."""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from training.figures import ENDINGS, FORMATS

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")
TOLERANCE = 0.01
"""Points of 1/72 inch."""


@contextmanager
def drawn_as(*endings: str) -> Iterator[None]:
    """Figures are written in these formats, as people have them in all; otherwise tests draw the PNG alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENDINGS, ",".join(endings or FORMATS))
        yield


def pdf_objects(path: Path) -> str:
    """The objects of a PDF as text, those in compressed object streams too, without the content of other streams."""
    content = path.read_bytes()
    streams = re.findall(rb"/Type */ObjStm.*?stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
    plain = re.sub(rb"stream\r?\n.*?endstream", b"", content, flags=re.DOTALL)
    return b"\n".join([plain, *(zlib.decompress(stream) for stream in streams)]).decode("latin-1")


def fonts_of(path: Path) -> list[str]:
    """The subtype of every font of a PDF."""
    objects = re.findall(r"<<[^<>]*/Type */Font\b.*?endobj", pdf_objects(path), re.DOTALL)
    return [found for text in objects for found in re.findall(r"/Subtype */(\w+)", text)]


def beyond_axes(path: Path) -> list[str]:
    """The names of what an SVG draws, other than images, above or below the axes that it is clipped by."""
    root = ElementTree.parse(path).getroot()
    clips = {f"url(#{clip.get('id')})": clip[0] for clip in root.iter(f"{SVG}clipPath")}
    shapes = {f"#{shape.get('id')}": shape for shape in root.iter(f"{SVG}path")}
    found = []
    for group in root.iter(f"{SVG}g"):
        for element in group:
            clip = clips.get(element.get("clip-path", group.get("clip-path", "")))
            heights = _heights(element, shapes)
            if clip is not None and heights and element.tag != f"{SVG}image":
                top = float(clip.get("y", "")) - TOLERANCE
                bottom = top + float(clip.get("height", "")) + 2 * TOLERANCE
                if min(heights) < top or max(heights) > bottom:
                    found.append(element.get(LINK) or group.get("id", ""))
    return found


def _heights(element: ElementTree.Element, shapes: dict[str, ElementTree.Element]) -> list[float]:
    """The vertical coordinates of what is drawn; of a mark, which is drawn around a point, that of the point."""
    offset = float(element.get("y", "0"))
    if float(element.get("x", "0")):
        return [offset]
    shape = shapes.get(element.get(LINK, ""), element)
    return [offset + float(number) for number in NUMBER.findall(shape.get("d", ""))[1::2]]
