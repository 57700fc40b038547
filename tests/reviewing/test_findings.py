"""Every kind of finding is known to the docs and to the page."""

from __future__ import annotations

import re
from pathlib import Path

import fledged.reviewing as room

ROOM = Path(room.__path__[0])
DOCS = Path(__file__).parents[2] / "docs" / "review.md"
MADE = re.compile(
    r'findings_of\(\s*"(\w+)"|kind=pl\.lit\("(\w+)"\)|^KIND = "(\w+)"|^            \("(\w+)", \w+, [\w"]+,', re.M
)


def test_every_kind_has_words_in_the_docs_and_on_the_page() -> None:
    sources = "\n".join(path.read_text() for path in ROOM.glob("*.py"))
    made = {"".join(match) for match in MADE.findall(sources)}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", DOCS.read_text().partition("## What is found")[2], re.MULTILINE)
    documented = {kind for row in rows for kind in re.findall(r"\w+", row)}
    words = (ROOM / "page" / "words.js").read_text()
    on_page = set(re.findall(r"^  (\w+): \[", words.partition("const KINDS")[2].partition("};")[0], re.MULTILINE))
    assert {"likely_mislabel", "outlier", "feedback", "gps", "zero_byte"} <= made
    assert made == documented == on_page
