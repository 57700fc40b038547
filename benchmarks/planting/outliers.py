"""Pictures that are no photos of their class, and photos that are of little use, all drawn or made by code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from benchmarks.planting.broken import encoded
from benchmarks.planting.sources import Source
from benchmarks.planting.writing import Lake, Truth

Rgb = Image.Image
Make = Callable[[Rgb, np.random.Generator], Rgb]
Colour = tuple[int, int, int]
_WORDS = (
    *("new", "season", "free", "delivery", "today", "only", "learn", "more", "our", "team", "results"),
    *("market", "share", "growth", "plan", "order", "now"),
)


def _colour(rng: np.random.Generator, low: int = 0, high: int = 256) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(low, high, 3))
    return red, green, blue


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text(rng: np.random.Generator, n_words: int) -> str:
    return " ".join(str(word) for word in rng.choice(_WORDS, n_words))


def icon(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """A flat symbol on a plain ground, 64 to 256 px."""
    side = int(rng.choice([64, 96, 128, 256]))
    image = Image.new("RGB", (side, side), "white" if rng.random() < 0.6 else _colour(rng))
    draw = ImageDraw.Draw(image)
    low, high, colour = side * 0.18, side * 0.82, _colour(rng, 0, 200)
    match int(rng.integers(4)):
        case 0:
            draw.ellipse((low, low, high, high), fill=colour)
            draw.line(
                (side * 0.35, side * 0.5, side * 0.46, side * 0.62, side * 0.66, side * 0.38), "white", side // 12
            )
        case 1:
            draw.rounded_rectangle((low, low, high, high), side // 8, fill=colour)
            draw.text((side / 2, side / 2), str(rng.choice(list("AfGtX"))), "white", _font(side * 0.5), anchor="mm")
        case 2:
            draw.polygon([(side / 2, low), (high, high), (low, high)], fill=colour)
        case _:
            draw.ellipse((low, low, side * 0.65, side * 0.65), outline=colour, width=side // 12)
            draw.line((side * 0.6, side * 0.6, high, high), colour, side // 10)
    return image


def logo(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """A badge and a name on white."""
    image = Image.new("RGB", (480, 240), "white")
    draw = ImageDraw.Draw(image)
    for step in range(int(rng.integers(2, 5))):
        left = 40 + 22 * step
        draw.ellipse((left, 70, left + 90, 160), outline=_colour(rng, 0, 200), width=12)
    draw.text((220, 118), str(rng.choice(_WORDS)).upper(), _colour(rng, 0, 120), _font(52), anchor="lm")
    return image


def placeholder(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """What a shop shows where it has no picture."""
    grey = int(rng.integers(200, 246))
    image = Image.new("RGB", (400, 300), (grey, grey, grey))
    draw = ImageDraw.Draw(image)
    dark = (grey - 60,) * 3
    draw.rounded_rectangle((140, 80, 260, 180), 8, outline=dark, width=6)
    draw.polygon([(150, 172), (190, 120), (215, 150), (230, 135), (252, 172)], fill=dark)
    draw.ellipse((222, 92, 242, 112), fill=dark)
    words = str(rng.choice(["No image available", "Image not found", "Photo coming soon", "404"]))
    draw.text((200, 220), words, dark, _font(26), anchor="mm")
    return image


def marketing(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """A banner: colours, big words, a button."""
    image = Image.new("RGB", (600, 400), _colour(rng))
    draw = ImageDraw.Draw(image)
    first, second = np.array(_colour(rng, 60)), np.array(_colour(rng))
    for row in range(400):
        mixed = (first * (1 - row / 400) + second * row / 400).astype(int)
        draw.line((0, row, 600, row), tuple(int(level) for level in mixed))
    draw.polygon([(380, 0), (600, 0), (600, 400), (300, 400)], fill=_colour(rng))
    draw.text((40, 60), f"{rng.integers(1, 9) * 10}% OFF", "white", _font(80))
    draw.text((44, 170), _text(rng, 4), "white", _font(28))
    draw.rounded_rectangle((44, 260, 260, 325), 30, fill=_colour(rng))
    draw.text((152, 292), "SHOP NOW", "white", _font(28), anchor="mm")
    return image


def screenshot(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """A window with a title bar, a side bar and lines of text."""
    dark = rng.random() < 0.4
    ground, ink = ((30, 32, 36), (210, 210, 210)) if dark else ((255, 255, 255), (40, 40, 40))
    image = Image.new("RGB", (800, 520), ground)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 800, 34), fill=_colour(rng, 60, 220))
    for place in range(3):
        draw.ellipse((12 + 22 * place, 11, 24 + 22 * place, 23), fill=_colour(rng))
    draw.rectangle((0, 34, 180, 520), fill=tuple(min(255, abs(level - 15)) for level in ground))
    for row in range(9):
        draw.text((14, 52 + 36 * row), _text(rng, 2), ink, _font(14))
    for row in range(17):
        draw.text((200, 52 + 26 * row), _text(rng, int(rng.integers(4, 11))), ink, _font(14))
    return image


def slide(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """A title and points on a plain ground."""
    image = Image.new("RGB", (640, 480), _colour(rng, 215))
    draw = ImageDraw.Draw(image)
    draw.text((50, 40), _text(rng, 3).title(), _colour(rng, 0, 110), _font(44))
    draw.line((50, 105, 590, 105), _colour(rng), 4)
    for row in range(int(rng.integers(3, 6))):
        draw.text((70, 140 + 60 * row), f"- {_text(rng, 5)}", (40, 40, 40), _font(26))
    return image


def chart(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """Bars on axes."""
    image = Image.new("RGB", (560, 420), "white")
    draw = ImageDraw.Draw(image)
    draw.line((60, 30, 60, 370, 530, 370), (60, 60, 60), 3)
    for bar in range(7):
        draw.rectangle((80 + 64 * bar, int(rng.integers(60, 340)), 122 + 64 * bar, 368), fill=_colour(rng, 0, 220))
    draw.text((290, 395), _text(rng, 3), (60, 60, 60), _font(18), anchor="mm")
    return image


def blank(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """One colour, now and then with a camera's noise."""
    image = Image.new("RGB", (400, 300), [(255, 255, 255), (0, 0, 0), _colour(rng)][int(rng.integers(3))])
    if rng.random() < 0.3:
        noisy = np.asarray(image).astype(float) + rng.normal(0, 1.0, (300, 400, 3))
        return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    return image


def gradient(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """From one colour to another, with nothing in it."""
    first, second = np.array(_colour(rng)), np.array(_colour(rng))
    ramp = np.linspace(0, 1, 400)[None, :, None]
    pixels = np.broadcast_to(first * (1 - ramp) + second * ramp, (300, 400, 3)).astype(np.uint8)
    return Image.fromarray(pixels if rng.random() < 0.5 else np.ascontiguousarray(pixels.transpose(1, 0, 2)))


def _darkened(photo: Rgb, rng: np.random.Generator) -> Rgb:
    return photo.point(lambda level: int(level * 0.06))


def _brightened(photo: Rgb, rng: np.random.Generator) -> Rgb:
    return photo.point(lambda level: 255 - int((255 - level) * 0.05))


def _blurred(radius_share: float) -> Make:
    def make(photo: Rgb, rng: np.random.Generator) -> Rgb:
        return photo.filter(ImageFilter.GaussianBlur(radius_share * min(photo.size)))

    return make


def _shaken(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """A camera moved by 6% of the shorter side."""
    length = max(3, round(0.06 * min(photo.size)))
    pixels = np.asarray(photo).astype(np.float32)
    steps = [np.roll(pixels, step - length // 2, axis=1) for step in range(length)]
    return Image.fromarray(np.mean(steps, axis=0).astype(np.uint8))


def _tiny(photo: Rgb, rng: np.random.Generator) -> Rgb:
    side = int(rng.integers(12, 60))
    return photo.resize((side, max(8, round(side * photo.height / photo.width))), Image.Resampling.LANCZOS)


def _huge(photo: Rgb, rng: np.random.Generator) -> Rgb:
    scale = np.sqrt(64e6 / (photo.width * photo.height))
    return photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)


def _strip(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """Eight times as wide as high, or the other way round."""
    if rng.random() < 0.5:
        return photo.crop((0, 0, photo.width, max(8, photo.width // 8)))
    return photo.crop((0, 0, max(8, photo.height // 8), photo.height))


def _pale(photo: Rgb, rng: np.random.Generator) -> Rgb:
    """Hardly any contrast, at a middle brightness."""
    return ImageEnhance.Contrast(photo).enhance(0.04)


GRAPHICS = {"graphic", "placeholder", "icon", "marketing", "screenshot", "low_information", "flat"}
# How each is made, as what it is saved, and the findings that name what is wrong with it.
KINDS: dict[str, tuple[Make, str, set[str]]] = {
    "icon": (icon, "PNG", GRAPHICS),
    "logo": (logo, "PNG", GRAPHICS),
    "placeholder": (placeholder, "PNG", GRAPHICS),
    "marketing banner": (marketing, "JPEG", GRAPHICS),
    "screenshot": (screenshot, "PNG", GRAPHICS),
    "text slide": (slide, "PNG", GRAPHICS),
    "text slide, JPEG": (slide, "JPEG", GRAPHICS),
    "chart": (chart, "PNG", GRAPHICS),
    "blank": (blank, "PNG", {"flat", "low_information", "blank", "dark", "bright"}),
    "gradient": (gradient, "JPEG", GRAPHICS | {"blank"}),
    "dark, 6% of the light": (_darkened, "JPEG", {"dark"}),
    "bright, 5% of the range": (_brightened, "JPEG", {"bright"}),
    "pale, 4% of the contrast": (_pale, "JPEG", {"flat", "low_information"}),
    "blurred by 1% of the shorter side": (_blurred(0.01), "JPEG", {"blurry"}),
    "blurred by 2% of the shorter side": (_blurred(0.02), "JPEG", {"blurry"}),
    "blurred by 4% of the shorter side": (_blurred(0.04), "JPEG", {"blurry"}),
    "shaken by 6% of the shorter side": (_shaken, "JPEG", {"blurry"}),
    "tiny, below 60 px": (_tiny, "JPEG", {"tiny"}),
    "huge, 64 megapixels": (_huge, "JPEG", {"huge"}),
    "strip of 1 to 8": (_strip, "JPEG", {"odd_aspect"}),
}
EXPECTED = {kind: expected for kind, (_, _, expected) in KINDS.items()}
_FEW = {"huge, 64 megapixels": 2}  # half a second each to make


def plant_outliers(root: Path, sources: Sequence[Source], seed: int, per_kind: int = 6) -> Truth:
    """A lake of the photos, some of which are replaced by `per_kind` files of each kind (two huge ones)."""
    rng = np.random.default_rng(seed)
    lake = Lake(root)
    n_made = sum(min(per_kind, _FEW.get(kind, per_kind)) for kind in KINDS)
    if len(sources) <= n_made:
        raise ValueError(f"more than {n_made} photos are needed, and there are {len(sources)}")
    spare = iter(sources[:n_made])
    for kind, (make, form, _) in KINDS.items():
        for _turn in range(min(per_kind, _FEW.get(kind, per_kind))):
            source = next(spare)
            image = make(source.image(), rng)
            data = encoded(image, form, quality=90) if form == "JPEG" else encoded(image, form)
            path = lake.write(source.label, data, ".jpg" if form == "JPEG" else ".png", f"{kind} {source.name}")
            lake.truth.outliers[path] = kind
    for source in sources[n_made:]:
        lake.write_source(source)
    return lake.truth
