"""Bytes to an upright RGB model input: every format and mode, and nothing but BadPhoto for what is no photo."""

from __future__ import annotations

import io
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from demo.drawing import draw_photo
from fledged import images, rgb
from fledged.images import BadPhoto
from fledged.products import Preprocess

RED, WHITE = (200, 30, 20), (255, 255, 255)
# How a camera that notes this EXIF orientation has stored an upright picture.
UNDO = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def halves(size: tuple[int, int] = (80, 60)) -> Image.Image:
    """Red on the left, white on the right: one can see when it is turned."""
    image = Image.new("RGB", size, WHITE)
    image.paste(RED, (0, 0, size[0] // 2, size[1]))
    return image


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.asarray(pixel, dtype=int) - colour).max() <= 12)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "PPM", "TIFF", "AVIF"])
def test_every_format_gives_the_same_picture(format_: str) -> None:
    header, image = images.decode(encoded(halves(), format_))
    assert (header.format, header.width_px, header.height_px) == (format_, 80, 60)
    assert image.mode == "RGB"
    assert near(image.getpixel((10, 30)), RED)
    assert near(image.getpixel((70, 30)), WHITE)


def test_heic_from_a_phone() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="writes the HEIC of this test; fledged only reads them")
    heic = pillow_heif.from_pillow(halves((128, 96)))
    buffer = io.BytesIO()
    heic.save(buffer, quality=90)
    header, image = images.decode(buffer.getvalue())
    assert (header.format, image.size) == ("HEIF", (128, 96))
    assert near(image.getpixel((10, 30)), RED)


def phone_exif(orientation: int = 1, taken: str = "2024:05:17 14:03:59", place: bool = True) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F], exif[0x0110] = "Apple", "iPhone 15"
    exif.get_ifd(ExifTags.IFD.Exif)[0x9003] = taken
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSVersionID] = b"\2\3\0\0"
    if place:
        gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (52.0, 31.0, 12.0)
    return exif


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "PNG", "AVIF"])
def test_camera_time_and_place_are_read(format_: str) -> None:
    header, _ = images.decode(encoded(halves(), format_, exif=phone_exif()))
    assert (header.camera, header.taken_at, header.has_gps) == ("Apple iPhone 15", "2024-05-17T14:03:59", True)


def test_a_block_for_the_place_without_a_place_gives_nothing_away() -> None:
    assert not images.read_header(encoded(halves(), "JPEG", exif=phone_exif(place=False))).has_gps


def xmp(place: str) -> bytes:
    about = f'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" {place}</rdf:Description>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>{about}</rdf:RDF></x:xmpmeta>'.encode()


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "PNG", "AVIF", "TIFF"])
@pytest.mark.parametrize(
    ("place", "told"),
    [
        ('exif:GPSLatitude="52,31.2N">', True),
        ("><exif:GPSLatitude>52,31.2N</exif:GPSLatitude>", True),
        ('exif:GPSLatitude="">', False),
        ('exif:GPSLatitudeRef="N" exif:GPSVersionID="2.3.0.0">', False),
    ],
)
def test_a_place_in_xmp_alone_is_told(place: str, told: bool, format_: str) -> None:
    options: dict[str, object] = {"xmp": xmp(place)}
    if format_ == "PNG":
        options = {"pnginfo": PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp(place).decode())  # type: ignore[attr-defined]
    elif format_ == "TIFF":
        options = {"tiffinfo": {700: xmp(place)}}
    assert images.read_header(encoded(halves(), format_, **options)).has_gps == told


def test_a_tiff_tells_camera_time_and_place() -> None:
    tags = ImageFileDirectory_v2()
    tags[0x010F], tags[ExifTags.IFD.Exif] = "Apple", {0x9003: "2024:05:17 14:03:59"}
    tags[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (52.0, 31.0, 12.0)}
    header = images.read_header(encoded(halves(), "TIFF", tiffinfo=tags))
    assert (header.camera, header.taken_at, header.has_gps) == ("Apple", "2024-05-17T14:03:59", True)


@pytest.mark.parametrize("taken", ["0000:00:00 00:00:00", "2024:13:01 10:00:00", "yesterday", ""])
def test_what_is_no_moment_is_no_time(taken: str) -> None:
    header = images.read_header(encoded(halves(), "JPEG", exif=phone_exif(taken=taken)))
    assert (header.taken_at, header.has_gps) == (None, True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_of_any_orientation_is_upright_and_tells_its_place(orientation: int) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="writes the HEIC of this test; fledged only reads them")
    pillow_heif.register_heif_opener()
    turn = UNDO[orientation]
    stored = halves((128, 96)) if turn is None else halves((128, 96)).transpose(turn)
    # As bytes, the encoder writes the turn as a property of the container, which for HEIC is what counts.
    data = encoded(stored, "HEIF", quality=90, exif=phone_exif(orientation).tobytes())
    header, image = images.decode(data)
    assert (header.width_px, header.height_px) == image.size == (128, 96)
    assert near(image.getpixel((10, 48)), RED)
    assert near(image.getpixel((118, 48)), WHITE)
    assert (header.camera, header.has_gps) == ("Apple iPhone 15", True)


# Pillow turns TIFFs by itself, and the others not.
@pytest.mark.parametrize("format_", ["JPEG", "TIFF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_set_upright_once(orientation: int, format_: str) -> None:
    upright = halves((80, 60))
    upright.paste(WHITE, (0, 30, 40, 60))  # so that one can see which way is up
    undo = UNDO[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, format_, exif=exif)
    header, image = images.decode(data)
    assert header == images.read_header(data)
    assert (header.width_px, header.height_px) == image.size == (80, 60)
    assert header.orientation == orientation
    for upright in (image, rgb.upright_rgb(Image.open(io.BytesIO(data)))):
        assert near(upright.getpixel((10, 10)), RED)
        assert near(upright.getpixel((70, 10)), WHITE)
        assert near(upright.getpixel((10, 50)), WHITE)


def test_alpha_lies_over_white() -> None:
    clear = Image.new("RGBA", (8, 8), (*RED, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert images.decode(encoded(clear, "PNG"))[1].getpixel((4, 4)) == WHITE
    assert near(images.decode(encoded(half, "PNG"))[1].getpixel((4, 4)), (127, 127, 127))
    palette = clear.convert("P")
    assert images.decode(encoded(palette, "PNG", transparency=palette.getpixel((0, 0))))[1].getpixel((4, 4)) == WHITE
    assert images.decode(encoded(clear.convert("LA"), "PNG"))[1].getpixel((4, 4)) == WHITE


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (32, 1))
    picture = np.asarray(images.decode(encoded(Image.fromarray(ramp), "PNG"))[1])
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[0, -1].tolist() == [255, 255, 255]
    assert np.abs(picture[0, :, 0].astype(int) - np.linspace(0, 255, 64)).max() <= 1
    floats = encoded(Image.fromarray(np.full((8, 8), 0.5, np.float32)), "TIFF")
    assert near(images.decode(floats)[1].getpixel((4, 4)), (128, 128, 128))


def test_a_picture_without_a_single_number_is_damaged() -> None:
    nothing, half = np.full((8, 8), np.nan, np.float32), np.full((8, 8), np.nan, np.float32)
    half[4:] = 1.0
    with pytest.raises(images.BadPhoto, match="no pixel is a number"):
        images.decode(encoded(Image.fromarray(nothing), "TIFF"))
    picture = images.decode(encoded(Image.fromarray(half), "TIFF"))[1]
    assert [picture.getpixel((4, y)) for y in (0, 7)] == [(0, 0, 0), WHITE]


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LAB"])
def test_other_colour_modes_become_rgb(mode: str) -> None:
    if mode == "LAB":
        data = encoded(Image.new("LAB", (8, 8), (128, 128, 128)), "TIFF")
    else:
        format_ = {"CMYK": "JPEG", "YCbCr": "JPEG"}.get(mode, "PNG")
        data = encoded(halves().convert(mode), format_)
    assert images.decode(data)[1].mode == "RGB"


def test_an_animation_is_its_first_frame() -> None:
    frames = [Image.new("RGB", (20, 20), RED), Image.new("RGB", (20, 20), WHITE)]
    header, image = images.decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert header.n_frames == 2
    assert near(image.getpixel((5, 5)), RED)


def test_an_animation_that_is_cut_off_anywhere_is_its_first_frame_or_a_bad_photo() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (RED, WHITE, RED)]
    whole = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    counted: Counter[int] = Counter()
    for n_bytes in range(len(whole)):
        try:
            header, image = images.decode(whole[:n_bytes])
        except BadPhoto:
            counted[0] += 1
        else:
            counted[header.n_frames] += 1
            assert near(image.getpixel((5, 5)), RED)
    assert set(counted) == {0, 1, 2, 3}


@pytest.mark.parametrize("extension_lies", [True])
def test_the_content_decides_and_not_the_name(extension_lies: bool) -> None:
    assert images.read_header(encoded(halves(), "PNG")).format == "PNG"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"hello, this is no photo" * 10, "not a photo"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "vector"),
        (b"%PDF-1.7 something", "vector"),
        (b"\xff\xd8\xff\xe0", "not a photo|damaged|truncated"),
    ],
)
def test_what_is_no_photo_has_a_reason(data: bytes, words: str) -> None:
    with pytest.raises(BadPhoto, match=words):
        images.decode(data)


def test_every_truncation_of_a_photo_is_found_or_harmless() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    for format_ in ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP"):
        data = encoded(Image.fromarray(noise), format_)
        for end in range(0, int(len(data) * 0.9), 37):
            with pytest.raises(BadPhoto):
                images.decode(data[:end])


def test_a_truncated_jpeg_is_found_when_it_is_decoded_small() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (400, 500, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG")
    with pytest.raises(BadPhoto, match="truncated"):
        images.decode(data[: len(data) // 2], at_least_px=50)


def test_the_size_is_capped_before_anything_is_decoded() -> None:
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    png = encoded(halves(), "PNG")
    bomb = png[:12] + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + png[33:]
    with pytest.raises(BadPhoto, match="pixels"):
        images.decode(bomb)
    with pytest.raises(BadPhoto, match="0 million pixels, over the limit"):
        images.read_header(encoded(halves(), "PNG"), max_pixels=100)
    with pytest.raises(BadPhoto, match="MB, over the limit"):
        images.read_header(encoded(halves(), "PNG"), max_bytes=10)


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=300),
    prefix=st.sampled_from([b"", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"P6 ", b"RIFF"]),
)
def test_any_bytes_give_a_picture_or_a_reason(data: bytes, prefix: bytes) -> None:
    try:
        _, image = images.decode(prefix + data)
    except BadPhoto as reason:
        assert str(reason)
        assert "\n" not in str(reason)
    else:
        assert image.mode == "RGB"


@settings(max_examples=100, deadline=None)
@given(position=st.floats(0, 1), bit=st.integers(0, 7), format_=st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF"]))
def test_any_flipped_bit_gives_a_picture_or_a_reason(position: float, bit: int, format_: str) -> None:
    data = bytearray(encoded(halves(), format_))
    data[int(position * (len(data) - 1))] ^= 1 << bit
    try:
        images.model_input(bytes(data), Preprocess(size_px=32))
    except BadPhoto as reason:
        assert str(reason)


def test_crop_takes_the_middle_pad_keeps_all_and_squash_fills() -> None:
    wide = Image.new("RGB", (120, 60), WHITE)
    wide.paste(RED, (0, 0, 20, 60))  # outside of the middle square
    crop = images.to_square(wide, Preprocess(size_px=60, resize="crop"))
    pad = images.to_square(wide, Preprocess(size_px=60, resize="pad"))
    squash = images.to_square(wide, Preprocess(size_px=60, resize="squash"))
    for square in (crop, pad, squash):
        assert square.shape == (60, 60, 3)
        assert square.dtype == np.uint8
    assert near(crop[30, 1], WHITE)
    assert pad[2, 30].tolist() == [128, 128, 128]
    assert near(pad[30, 2], RED)
    assert near(squash[30, 2], RED)


def test_a_smaller_crop_fraction_sees_less() -> None:
    framed = Image.new("RGB", (100, 100), RED)
    framed.paste(WHITE, (10, 10, 90, 90))
    assert near(images.to_square(framed, Preprocess(size_px=50))[1, 1], RED)
    assert near(images.to_square(framed, Preprocess(size_px=50, crop_fraction=0.8))[1, 1], WHITE)


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    resize=st.sampled_from(["crop", "pad", "squash"]),
    size_px=st.integers(32, 64),
)
def test_any_size_becomes_the_square(width: int, height: int, resize: str, size_px: int) -> None:
    how = Preprocess.model_validate({"size_px": size_px, "resize": resize})
    assert images.model_input(encoded(Image.new("RGB", (width, height), RED), "PNG"), how).shape == (
        size_px,
        size_px,
        3,
    )


def test_a_large_jpeg_is_decoded_small_and_looks_the_same() -> None:
    random = np.random.default_rng(1)
    coarse = Image.fromarray(random.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(
        (3200, 2400), Image.Resampling.BICUBIC
    )
    data = encoded(coarse, "JPEG", quality=95)
    _, reduced = images.decode(data, at_least_px=448)
    assert 448 <= min(reduced.size) < 2400
    exact = images.to_square(images.decode(data)[1], Preprocess()).astype(int)
    assert np.abs(images.model_input(data, Preprocess()).astype(int) - exact).mean() < 2


def test_a_shrunk_copy_carries_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x9286] = "a comment"
    _, image = images.decode(encoded(halves((600, 400)), "JPEG", exif=exif))
    copy = Image.open(io.BytesIO(images.to_jpeg(images.shrink(image, 256), 90)))
    assert min(copy.size) == 256
    assert not dict(copy.getexif())
    assert set(copy.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_small_picture_is_not_enlarged() -> None:
    assert images.shrink(halves((80, 60)), 256).size == (80, 60)


def test_a_png_with_a_damaged_middle_is_bad() -> None:
    buffer = io.BytesIO()
    draw_photo("flying_bird", 2, (96, 72)).save(buffer, "PNG", compress_level=0)
    data = bytearray(buffer.getvalue())
    images.decode(bytes(data))
    data[data.index(b"IDAT") + 2000] ^= 1
    with pytest.raises(BadPhoto, match=r"checksum|broken data"):
        images.decode(bytes(data))


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(96, 48), (48, 96), (64, 64), (51, 83)])
@pytest.mark.parametrize("fraction", [1.0, 0.75])
def test_the_seen_box_is_what_the_square_shows(resize: str, size: tuple[int, int], fraction: float) -> None:
    # A picture whose colours are its coordinates: red grows to the right, green downwards.
    width, height = size
    across = np.tile((np.arange(width) + 0.5) / width * 255, (height, 1))
    down = np.tile(((np.arange(height) + 0.5) / height * 255)[:, None], (1, width))
    picture = Image.fromarray(np.stack([across, down, np.zeros(size[::-1])], axis=2).round().astype(np.uint8))
    how = Preprocess.model_validate({"size_px": 32, "resize": resize, "crop_fraction": fraction})
    square = images.to_square(picture, how).astype(int)
    left, top, right, bottom = images.seen_box(width, height, how)
    for row, column in ((16, 16), (12, 20), (20, 12)):
        x, y = left + (column + 0.5) / 32 * (right - left), top + (row + 0.5) / 32 * (bottom - top)
        assert abs(square[row, column, 0] - 255 * x / width) < 8
        assert abs(square[row, column, 1] - 255 * y / height) < 8


def test_pixels_that_cannot_be_unpacked_are_damage_even_where_they_are_cut_off() -> None:
    png = encoded(halves(), "PNG")
    at = png.index(b"IDAT") + 4
    data = png[:at] + b"x\x9c" + b"\xff" * 60
    whole = b"IDAT" + data[at:]
    sound = png[: at - 8] + struct.pack(">I", len(whole) - 4) + whole + struct.pack(">I", zlib.crc32(whole)) + png[-12:]
    for damaged in (data[: at - 8] + struct.pack(">I", 9000) + data[at - 4 :], sound):
        with pytest.raises(BadPhoto):
            images.decode(damaged)
