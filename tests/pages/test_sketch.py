"""Pictures as SVG and PNG: well-formed whatever a class is called, and with the same lines at the same places."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fledged.pages.sketch import Box, Dot, Line, Sketch, Words, png, svg

SKETCH = Sketch(
    200,
    120,
    "A <title>",
    "said & done",
    (
        Box(10, 10, 40, 20, "#ff0000"),
        Dot(100, 60, 10, "#00ff00"),
        Line(((10, 100), (190, 100)), "#0000ff", 4),
        Line(((10, 110), (190, 110)), "#0000ff", 2, is_dashed=True),
        Words(150, 20, "words"),
        Words(150, 60, "turned", anchor="middle", is_upright=True),
    ),
)


def pixels(sketch: Sketch) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png(sketch))))


def test_shapes_lie_where_they_should() -> None:
    picture = pixels(SKETCH)
    assert picture.shape == (120, 200, 3)
    assert picture[20, 30].tolist() == [255, 0, 0]
    assert picture[20, 60].tolist() == [255, 255, 255]
    assert picture[60, 100].tolist() == [0, 255, 0]
    assert picture[100, 100].tolist() == [0, 0, 255]
    dashed = np.any(picture[110, 10:190] != 255, axis=1)
    assert 0.3 < dashed.mean() < 0.8
    upright = np.all(picture[:, 140:160] < 128, axis=2)
    assert upright[35:85].any()


def test_the_same_sketch_gives_the_same_bytes() -> None:
    assert png(SKETCH) == png(SKETCH)
    assert svg(SKETCH) == svg(SKETCH)


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_svg_is_well_formed_whatever_it_says(text: str) -> None:
    tree = ElementTree.fromstring(svg(Sketch(10, 10, text, text, (Words(1, 1, text),))))
    assert tree.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(tree.findall("{http://www.w3.org/2000/svg}text")) == 1
    assert b"script" not in svg(Sketch(10, 10, "", "", (Words(1, 1, "<script>x</script>"),))).replace(
        b"&lt;script", b""
    ).replace(b"/script&gt;", b"")


@given(st.text(max_size=40))
def test_png_can_write_any_text(text: str) -> None:
    assert pixels(Sketch(60, 40, "", "", (Words(1, 20, text), Words(30, 20, text, is_upright=True)))).shape == (
        40,
        60,
        3,
    )


def test_pixels_leave_out_what_is_too_long() -> None:
    def width_px(most_px: float) -> int:
        drawn = pixels(Sketch(300, 40, "", "", (Words(10, 20, "a name that is far too long", most_px=most_px),)))
        return int(np.flatnonzero((drawn < 128).any(axis=(0, 2))).max()) - 9

    assert width_px(1000) > 150
    assert 60 < width_px(100) <= 100
