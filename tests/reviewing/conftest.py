"""A reviewer's desk on a small drawn lake, served for real."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from demo.drawing import draw_photo
from fledged.products import Review, Snapshot
from fledged.reviewing.app import create_app
from fledged.reviewing.desk import Desk
from fledged.reviewing.findings import TYPES as FINDING_TYPES
from fledged.reviewing.log import DecisionLog
from fledged.scanning.scan import scan
from fledged.serving.server import listen, make_server
from fledged.settings.results import ServeConfig
from fledged.workspace import Workspace, now
from fledged.writing import write_table

TOKEN = "t0ken-of-this-test"
BIRD, DRONE, COPTER = "flying_bird", "winged_drone", "small_quadcopter"
HEADERS = {"X-Fledged-Token": TOKEN, "X-Fledged-Review": "1"}

Row = tuple[str, str, str | None, str | None, float | None, float | None, str]

FINDINGS: list[Row] = [
    # kind, path, related_path, suggested_label, score, threshold, advice
    ("unreadable", f"{BIRD}/broken.jpg", None, None, None, None, "drop"),
    ("exact_duplicate", f"{BIRD}/copy.jpg", f"{BIRD}/0.jpg", None, 1.0, None, "drop"),
    ("label_conflict", f"{DRONE}/5.jpg", f"{COPTER}/same as 5.jpg", None, 1.0, None, "look"),
    ("likely_mislabel", f"{BIRD}/1.jpg", None, DRONE, 0.93, 0.5, "relabel"),
    ("tiny", f"{COPTER}/tiny.jpg", None, None, 40.0, 64.0, "drop"),
    ("gps", f"{DRONE}/2.jpg", None, None, None, None, "look"),
    ("smells_odd", f"{DRONE}/3.jpg", None, None, 0.123456, 0.1, "look"),
]


@dataclass(frozen=True)
class Place:
    """Where a desk stands."""

    work: Path
    lake: Path
    snapshot: Snapshot
    review: Review

    @property
    def log(self) -> Path:
        return self.work / "decisions.jsonl"

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def row(self, path: str) -> int:
        return self.snapshot.photos()["path"].to_list().index(path)


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def draw_desk_lake(lake: Path, n: int = 7, size_px: tuple[int, int] = (120, 90)) -> None:
    """Three classes of drawn photos with the faults that FINDINGS names."""
    for label in (BIRD, DRONE, COPTER):
        (lake / label).mkdir(parents=True)
        for i in range(n):
            (lake / label / f"{i}.jpg").write_bytes(jpeg(draw_photo(label, i, size_px)))
    (lake / BIRD / "copy.jpg").write_bytes((lake / BIRD / "0.jpg").read_bytes())
    (lake / BIRD / "broken.jpg").write_bytes((lake / BIRD / "2.jpg").read_bytes()[:-400])
    (lake / BIRD / "1.jpg").write_bytes((lake / DRONE / "1.jpg").read_bytes()[:-2] + b"\xff\xd9")
    (lake / COPTER / "same as 5.jpg").write_bytes(jpeg(draw_photo(DRONE, 5, size_px), 60))
    (lake / COPTER / "tiny.jpg").write_bytes(jpeg(draw_photo(COPTER, 40, (48, 40))))


def make_review(work: Path, lake: Path, findings: list[Row]) -> Place:
    """A review with these findings, as if they had been found."""
    return review_of(work, lake, scan(lake, work=work), findings)


def review_of(work: Path, lake: Path, snapshot: Snapshot, findings: list[Row]) -> Place:
    """The same for a snapshot that is there."""
    workspace = Workspace(work)
    table = pl.DataFrame(findings, schema=FINDING_TYPES, orient="row")
    review_id = f"facade{len(findings):06d}"
    write_table(workspace.folder("review", review_id) / "findings.parquet", table)
    write_table(workspace.folder("review", review_id) / "decisions.parquet", table.select("path").clear())
    review = workspace.save(
        Review(
            id=review_id,
            version=Review.format_version,
            created_at=now(),
            snapshot_id=snapshot.id,
            findings_by_kind=dict(table.group_by("kind").len().rows()),
            n_decisions=0,
        )
    )
    return Place(work, lake, snapshot, review)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake, drawn once; tests work on copies."""
    lake = tmp_path_factory.mktemp("desk") / "lake"
    draw_desk_lake(lake)
    return lake


@pytest.fixture(scope="session")
def scanned(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with its snapshot; tests work on copies."""
    work = tmp_path_factory.mktemp("desk") / "work"
    scan(drawn, work=work)
    return work


@pytest.fixture
def place(drawn: Path, scanned: Path, tmp_path: Path) -> Place:
    lake, work = tmp_path / "lake", tmp_path / "work"
    shutil.copytree(drawn, lake)
    shutil.copytree(scanned, work)
    workspace = Workspace(work)
    moved = workspace.load(Snapshot).model_copy(update={"lake": str(lake)})
    return review_of(work, lake, workspace.save(moved), FINDINGS)


@pytest.fixture
def url(place: Place) -> Iterator[str]:
    with serving(place) as address:
        yield address


@contextlib.contextmanager
def serving(place: Place, reviewer: str = "ana") -> Iterator[str]:
    """A real server on a free port for as long as the block lasts."""
    with listen(ServeConfig(host="127.0.0.1", port=0)) as listener:
        desk = Desk(place.snapshot, place.review, DecisionLog(place.log), reviewer)
        server = make_server(create_app(desk, TOKEN), ServeConfig())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file under a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
