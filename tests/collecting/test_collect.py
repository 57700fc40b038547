"""A source becomes a lake: what is fetched, what is refused and why, and what a second run does."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import fledged
from fledged import regular
from fledged.collecting import download, links, store
from fledged.collecting.offers import Refusal
from fledged.collecting.tally import Collected
from fledged.errors import ConfigError, LakeError
from fledged.provenance import read_provenance
from tests.collecting import servers
from tests.collecting.photos import photo
from tests.collecting.servers import Server, serving

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(fledged.__file__).parents[1])}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "BACK_OFF_S", 0.02)
    with serving() as running:
        yield running


def plan(folder: Path, server: Server, extra: str = "", **classes: list[str]) -> Path:
    """A plan with the addresses of these paths."""
    parts = [extra]
    for label, paths in classes.items():
        (folder / f"{label}.txt").write_text("\n".join(server.url(path) for path in paths))
        parts.append(f'[classes.{label}]\nurls = ["{label}.txt"]')
    (folder / "plan.toml").write_text("\n".join(parts))
    return folder / "plan.toml"


def collect(source: Path, lake: Path, **settings: object) -> Collected:
    return fledged.collect(source, lake, **{"allow_private": True, "timeout_s": 5, "max_megabytes": 1} | settings)  # type: ignore[arg-type]


def contents(lake: Path, label: str) -> set[bytes]:
    return {path.read_bytes() for path in (lake / label).glob("*")}


def table(lake: Path) -> dict[str, tuple[str, str]]:
    with (lake / ".collect/refused.csv").open(newline="") as file:
        return {row["what"]: (row["reason"], row["next_run_tries_again"]) for row in csv.DictReader(file)}


def test_a_server_that_does_everything_wrong(server: Server, tmp_path: Path) -> None:
    data = photo(1)
    server.answers |= {
        "/robots.txt": servers.send(b"User-agent: *\nDisallow: /robots/\n", "text/plain"),
        "/good": servers.send(data),
        "/wrong-type": servers.send(photo(2, "PNG"), "text/html"),
        "/slow": servers.slow(photo(3), 500, 0.01),
        "/stalled": servers.slow(photo(4), 1, 0.5),
        "/cut-told": servers.cut_off(photo(5), told=True),
        "/cut-untold": servers.cut_off(photo(5), told=False),
        "/410": servers.status(410),
        "/busy": servers.in_turn(servers.status(429, Retry_After="0"), servers.send(photo(6))),
        "/500-then-ok": servers.in_turn(servers.status(500), servers.status(502), servers.send(photo(7))),
        "/come-back": servers.status(403),
        "/loop": servers.moved("/loop"),
        "/outside": servers.moved("ftp://example.org/a.jpg"),
        "/html": servers.send(b"<html>No photo here</html>", "image/jpeg"),
        "/endless": servers.endless,
        "/bomb": servers.bomb(2**24),
        "/robots/a": servers.send(photo(8)),
        "/moved": servers.moved("/good", 301),
    }
    paths = [*(path for path in server.answers if path != "/robots.txt"), "/404"]
    result = collect(plan(tmp_path, server, owl=paths), tmp_path / "lake", timeout_s=1.5)
    assert contents(tmp_path / "lake", "owl") == {data, photo(2, "PNG"), photo(3), photo(6), photo(7)}
    assert {path.suffix for path in (tmp_path / "lake/owl").iterdir()} == {".jpg", ".png"}
    assert {what.removeprefix(server.url("")): told for what, told in table(tmp_path / "lake").items()} == {
        "/stalled": ("too slow", "yes"),
        "/cut-told": ("damaged on the way", "yes"),
        "/cut-untold": ("cannot be read as a photo", "yes"),
        "/410": ("HTTP 410", "no"),
        "/404": ("HTTP 404", "no"),
        "/come-back": ("HTTP 403", "no"),
        "/loop": ("too many redirects", "no"),
        "/outside": ("not an address", "no"),
        "/html": ("an HTML page, not a photo", "no"),
        "/endless": ("too large", "no"),
        "/bomb": ("too large", "no"),
        "/robots/a": ("robots.txt forbids it", "no"),
    }
    count = result.classes["owl"]
    assert (count.new, count.known, count.refused, count.waiting) == (5, 1, 9, 3)
    assert server.asked["/404"] == server.asked["/410"] == 1
    assert server.asked["/cut-told"] == 4  # three more tries


def test_a_second_run_asks_only_for_what_may_have_changed(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/a": servers.send(photo(1)), "/b": servers.send(photo(1)), "/busy": servers.status(503)}
    source, lake = plan(tmp_path, server, owl=["/a", "/b", "/busy", "/404"], hawk=["/a"]), tmp_path / "lake"
    first = collect(source, lake, retries=0)
    assert (first.n_new, first.n_known) == (2, 1)
    assert contents(lake, "owl") == contents(lake, "hawk") == {photo(1)}
    lines = [(line.path.partition("/")[0], line.source_url) for line in read_provenance(lake)]
    assert sorted(lines) == [("hawk", server.url("/a")), ("owl", server.url("/a")), ("owl", server.url("/b"))]
    assert server.asked["/a"] == 1  # for both classes
    server.answers |= {"/busy": servers.send(photo(2)), "/404": servers.send(photo(3))}
    second = collect(source, lake, retries=0)
    assert (second.n_new, second.n_known) == (1, 3)
    assert {path: server.asked[path] for path in ("/a", "/b", "/busy", "/404")} == {
        "/a": 1,
        "/b": 1,
        "/busy": 2,
        "/404": 1,
    }
    assert len(list(read_provenance(lake))) == len(lines) + 1
    third = collect(source, lake, retry_failed=True)
    assert (third.n_new, third.n_known, third.refused_table) == (1, 4, None)
    assert not (lake / ".collect/refused.csv").exists()


def test_a_photo_that_somebody_removed_does_not_come_back_by_itself(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/a": servers.send(photo(1)), "/b": servers.send(photo(2))}
    source, lake = plan(tmp_path, server, owl=["/a", "/b"]), tmp_path / "lake"
    collect(source, lake)
    next(path for path in (lake / "owl").iterdir() if path.read_bytes() == photo(1)).unlink()
    assert collect(source, lake).refused == {"collected earlier, and no longer in the lake": 1}
    assert contents(lake, "owl") == {photo(2)}
    assert collect(source, lake, retry_failed=True).n_new == 1
    assert server.asked["/b"] == 1


def test_what_a_setting_refused_is_asked_again_under_another(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/robots.txt": servers.send(b"User-agent: *\nDisallow: /a\n"), "/a": servers.send(photo(1))}
    server.answers["/large"] = servers.send(photo(2) + bytes(2**20))
    source, lake = plan(tmp_path, server, owl=["/a", "/large"]), tmp_path / "lake"
    with pytest.raises(
        LakeError, match=r"Nothing could be collected.*2 a private address.*refused.csv says of each why"
    ):
        fledged.collect(source, lake)
    with pytest.raises(LakeError, match=r"1 robots\.txt forbids it; 1 too large"):
        collect(source, lake)
    assert collect(source, lake, respect_robots=False, max_megabytes=3).n_new == 2


def test_what_fails_in_an_unforeseen_way_is_asked_again_by_the_next_run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers |= {"/a": servers.send(photo(1)), "/b": servers.send(photo(2))}
    source, lake = plan(tmp_path, server, owl=["/a", "/b"]), tmp_path / "lake"
    usual, failing = store.extension, [photo(1)]

    def sometimes(data: bytes, max_bytes: int) -> str:
        if data in failing:
            raise RuntimeError("a bug")
        return usual(data, max_bytes)

    monkeypatch.setattr(download, "extension", sometimes)
    assert collect(source, lake, retries=1).waiting == {"failed in an unforeseen way": 1}
    failing.clear()
    assert collect(source, lake).n_new == 1


def test_limits_of_classes_and_servers_are_kept(server: Server, tmp_path: Path) -> None:
    for number in range(30):
        server.answers[f"/{number}"] = servers.slow(photo(number), 10_000, 0.02)
    server.answers["/3"] = servers.status(404)
    source = plan(
        tmp_path, server, "limit = 7", owl=[f"/{n}" for n in range(20)], hawk=[f"/{n}" for n in range(20, 30)]
    )
    result = collect(source, tmp_path / "lake", per_host=3, concurrency=5)
    assert {label: count.new for label, count in result.classes.items()} == {"owl": 7, "hawk": 7}
    assert server.n_together <= 3
    assert sum(server.asked.values()) - server.asked["/robots.txt"] <= 16
    again = collect(source, tmp_path / "lake")
    assert (again.n_new, again.n_known) == (0, 14)


def test_a_server_that_many_others_lead_to_is_asked_no_more_at_once(server: Server, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        addresses = []
        for number in range(12):
            server.answers[f"/{number}"] = servers.slow(photo(number), 10_000, 0.05)
            if number % 3 == 0:
                other = stack.enter_context(serving())
            other.answers[f"/{number}"] = servers.moved(server.url(f"/{number}"))
            addresses.append(other.url(f"/{number}"))
        (tmp_path / "owls.txt").write_text("\n".join(addresses))
        result = collect(tmp_path / "owls.txt", tmp_path / "lake", label="owl", per_host=2)
    assert result.n_new == 12
    # Eight without the limit. The server counts an answer until after its last byte, when the next may be asked for.
    assert server.n_together <= 4


def test_a_failing_address_gives_its_place_to_the_next(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/busy": servers.status(503), "/a": servers.send(photo(1))}
    result = collect(plan(tmp_path, server, "limit = 1", owl=["/busy", "/a"]), tmp_path / "lake", retries=1)
    assert (result.n_new, server.asked["/busy"]) == (1, 2)


def test_a_server_may_say_when_to_come_back(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/soon": servers.in_turn(servers.status(429, Retry_After="1"), servers.send(photo(1)))}
    with serving() as other:
        other.answers |= {"/a": servers.status(503, Retry_After="3600")}
        (tmp_path / "owls.txt").write_text(f"{server.url('/soon')}\n{other.url('/a')}\n{other.url('/b')}\n")
        result = collect(tmp_path / "owls.txt", tmp_path / "lake", label="owl", per_host=1)
        assert other.asked["/b"] == 0
    asked = [at for path, at in server.times if path == "/soon"]
    assert 0.95 < asked[1] - asked[0] < 5
    assert result.waiting == {"HTTP 503": 1, "its server asks to come back later": 1}


def test_a_server_that_does_not_answer_is_left_with_all_its_addresses(server: Server, tmp_path: Path) -> None:
    with serving() as gone:
        dead = [gone.url(f"/{number}") for number in range(200)]
    server.answers["/a"] = servers.send(photo(1))
    (tmp_path / "owls.txt").write_text("\n".join([*dead, server.url("/a")]))
    start_s = time.monotonic()
    result = collect(tmp_path / "owls.txt", tmp_path / "lake", label="owl")
    assert time.monotonic() - start_s < 20
    assert (result.n_new, sum(result.waiting.values())) == (1, 200)
    assert result.waiting["its server does not answer"] > 150


def test_searches_find_addresses_and_are_not_repeated(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, int]] = []

    def engines(engine: str, query: str, limit: int) -> list[str]:
        asked.append((engine, query, limit))
        if engine == "google":
            raise Refusal("the search failed", "HTTP 429", again=True)
        return [server.url(f"/{query.replace(' ', '-')}/{n}") for n in range(4)]

    monkeypatch.setattr(links, "image_urls", engines)
    monkeypatch.setattr(links, "PAUSE_S", 0.0)
    for number, query in enumerate(("owl", "owl-snow")):
        for n in range(4):
            server.answers[f"/{query}/{n}"] = servers.send(photo(10 * number + n))
    (tmp_path / "plan.toml").write_text(
        'engines = ["bing", "google"]\nmodifiers = ["snow"]\n[classes.owl]\nsearch = ["owl"]\nlimit = 6\n'
    )
    result = collect(tmp_path / "plan.toml", tmp_path / "lake", per_host=1)
    assert asked == [(engine, query, 20) for query in ("owl", "owl snow") for engine in ("bing", "google")]
    # In turns: a limit does not leave the later terms out.
    assert Counter(line.query for line in read_provenance(tmp_path / "lake")) == {"owl": 3, "owl snow": 3}
    assert {line.engine for line in read_provenance(tmp_path / "lake")} == {"bing"}
    assert result.waiting == {"the search failed": 2}
    collect(tmp_path / "plan.toml", tmp_path / "lake", per_host=1)
    assert [engine for engine, _, _ in asked[4:]] == ["google", "google"]


def test_an_engine_has_its_pauses_and_is_left_when_it_keeps_failing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, float]] = []

    def engines(engine: str, query: str, limit: int) -> list[str]:
        asked.append((engine, query, time.monotonic()))
        # Bing answers now and then, Google never.
        if engine == "google" or query in ("b", "c"):
            raise Refusal("the search failed", "HTTP 429", again=True)
        return [server.url("/a")]

    server.answers["/a"] = servers.send(photo(1))
    monkeypatch.setattr(links, "image_urls", engines)
    monkeypatch.setattr(links, "PAUSE_S", 0.2)
    (tmp_path / "plan.toml").write_text(
        'engines = ["bing", "google"]\n[classes.owl]\nsearch = ["a", "b", "c", "d", "e"]\n'
    )
    result = collect(tmp_path / "plan.toml", tmp_path / "lake")
    of = {name: [(query, at) for engine, query, at in asked if engine == name] for name in ("bing", "google")}
    assert [query for query, _ in of["bing"]] == ["a", "b", "c", "d", "e"]
    assert [query for query, _ in of["google"]] == ["a", "b", "c"]
    assert result.waiting == {"the search failed": 5, "its engine is left for this run": 2}
    for times in ([at for _, at in queries] for queries in of.values()):
        assert min(later - at for at, later in itertools.pairwise(times)) >= 0.2
    # The next run asks it again, but for what is remembered.
    collect(tmp_path / "plan.toml", tmp_path / "lake")
    assert [(engine, query) for engine, query, _ in asked[8:]] == [
        ("google", "a"),
        ("bing", "b"),
        ("google", "b"),
        ("bing", "c"),
        ("google", "c"),
    ]


def test_killed_midway_nothing_is_fetched_twice_and_nothing_is_half_there(server: Server, tmp_path: Path) -> None:
    paths = [f"/{number}" for number in range(60)]
    killed = threading.Event()
    for number, path in enumerate(paths):
        answer = servers.slow(photo(number), 700, 0.005)
        server.answers[path] = answer if number < 40 else servers.held(killed, answer)
    source, lake = plan(tmp_path, server, owl=paths), tmp_path / "lake"
    command = [
        sys.executable,
        "-m",
        "fledged",
        "collect",
        str(source),
        str(lake),
        "--set",
        "collect.allow_private=true",
    ]
    for enough in (8, 30):
        with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
            deadline_s = time.monotonic() + 60
            while len(list(lake.glob("owl/*.jpg"))) < enough and time.monotonic() < deadline_s:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
        asked = dict(server.asked)
        files = {str(path.relative_to(lake)): path.read_bytes() for path in lake.glob("owl/[!.]*")}
        origins = {line.path: line.source_url for line in read_provenance(lake)}
        assert enough <= len(files) < len(paths)
        # What is there is whole, under the name of its content, and with its origin.
        assert {url for path, url in origins.items() if path in files} == {
            server.url(f"/{number}") for number in range(60) if photo(number) in files.values()
        }
    killed.set()
    result = collect(source, lake)
    assert contents(lake, "owl") == {photo(number) for number in range(60)}
    assert (result.n_new, result.n_known) == (60 - len(files), len(files))
    for path in paths:
        if server.url(path) in {origins[file] for file in files}:
            assert server.asked[path] == asked[path], "fetched again although it was there"
    # Only what was on its way when the process was killed, four at a time, may be asked for again.
    assert sum(server.asked[path] - 1 for path in paths) <= 2 * 4
    assert not list(lake.glob("owl/.*"))


def test_what_was_killed_before_its_outcome_was_noted_is_known_by_its_origin(server: Server, tmp_path: Path) -> None:
    server.answers["/a"] = servers.send(photo(1))
    source, lake = plan(tmp_path, server, owl=["/a"]), tmp_path / "lake"
    collect(source, lake)
    (lake / ".collect/attempts.jsonl").unlink()
    assert collect(source, lake).n_known == 1
    assert server.asked["/a"] == 1


def test_ctrl_c_keeps_what_is_there_and_says_what_was_refused(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/a": servers.send(photo(1)), "/stalled": servers.slow(photo(2), 1, 0.5)}
    source, lake = plan(tmp_path, server, owl=["/a", "/404", "/stalled"]), tmp_path / "lake"
    command = [
        sys.executable,
        "-m",
        "fledged",
        "collect",
        str(source),
        str(lake),
        "--set",
        "collect.allow_private=true",
    ]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        deadline_s = time.monotonic() + 60
        while len(list(lake.glob("owl/*.jpg"))) < 1 and time.monotonic() < deadline_s:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=30)
    assert (process.returncode, words) == (130, "Stopped; what was finished is kept.\n")
    assert contents(lake, "owl") == {photo(1)}
    assert list(table(lake)) == [server.url("/404")]


def test_in_a_running_loop_as_in_a_notebook(server: Server, tmp_path: Path) -> None:
    import asyncio

    async def cell() -> int:
        return collect(plan(tmp_path, server, owl=["/a"]), tmp_path / "lake").n_new

    server.answers["/a"] = servers.send(photo(1))
    assert asyncio.run(cell()) == 1


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for number, name in enumerate(("set/owl/a.jpg", "set/owl/b.jpeg", "set/hawk/a.jpg")):
            archive.writestr(name, photo(number))
        archive.writestr("set/owl/copy of a.jpg", photo(0))
        archive.writestr("set/owl/half.jpg", photo(3)[:-500])
        archive.writestr("set/owl/notes.txt", "words")
    return tmp_path / "photos.zip"


def test_an_archive(zipped: Path, tmp_path: Path) -> None:
    result = collect(zipped, tmp_path / "lake")
    assert {label: (c.new, c.known, c.refused) for label, c in result.classes.items()} == {
        "hawk": (1, 0, 0),
        "owl": (2, 1, 2),
    }
    assert contents(tmp_path / "lake", "owl") == {photo(0), photo(1)}
    assert table(tmp_path / "lake") == {
        "photos.zip: set/owl/half.jpg": ("cannot be read as a photo", "no"),
        "photos.zip: set/owl/notes.txt": ("not a photo", "no"),
    }
    assert {(line.engine, line.original_name) for line in read_provenance(tmp_path / "lake")} >= {
        ("photos.zip", "set/owl/b.jpeg"),
        ("photos.zip", "set/owl/copy of a.jpg"),
    }
    assert collect(zipped, tmp_path / "lake").n_new == 0


def test_a_scan_reads_where_photos_came_from_and_leaves_the_rest_alone(zipped: Path, tmp_path: Path) -> None:
    collect(zipped, tmp_path / "lake")
    snapshot = fledged.scan(tmp_path / "lake", work=tmp_path / "work")
    assert (snapshot.n_photos, snapshot.n_unreadable, snapshot.n_skipped) == (3, 0, 0)
    assert set(snapshot.photos()["engine"]) == {"photos.zip"}


def test_a_table_of_files_and_addresses(server: Server, tmp_path: Path) -> None:
    server.answers["/a"] = servers.send(photo(1))
    (tmp_path / "b.jpg").write_bytes(photo(2))
    (tmp_path / "table.csv").write_text(
        f"image_path,url,label,group\nb.jpg,,owl,nest\n,{server.url('/a')},owl,nest\n,,owl,\n"
    )
    result = collect(tmp_path / "table.csv", tmp_path / "lake")
    assert (result.n_new, result.refused) == (2, {"names no photo": 1})
    assert {line.group for line in read_provenance(tmp_path / "lake")} == {"nest"}


def test_a_folder_is_collected_from_time_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, lake = tmp_path / "sync", tmp_path / "lake"
    (folder / "owl").mkdir(parents=True)
    for name, data in (("a.jpg", photo(1)), ("b.jpg.part", photo(2)[:99]), ("c.jpg", b"")):
        (folder / "owl" / name).write_bytes(data)
        os.utime(folder / "owl" / name, (1, 1))
    first = collect(folder, lake)
    assert (first.n_new, first.waiting) == (1, {"still being written": 1, "empty file": 1})
    (folder / "owl/b.jpg.part").rename(folder / "owl/b.jpg")
    (folder / "owl/b.jpg").write_bytes(photo(2))
    os.utime(folder / "owl/b.jpg", (1, 1))
    read: list[Path] = []
    original = regular.read

    def noted(path: Path) -> bytes:
        read.append(path)
        return original(path)

    monkeypatch.setattr(regular, "read", noted)
    second = collect(folder, lake)
    assert (second.n_new, second.n_known) == (1, 1)
    assert folder / "owl/b.jpg" in read
    assert folder / "owl/a.jpg" not in read  # unchanged: not read again


def test_a_folder_of_archives_is_one_of_a_class_each(tmp_path: Path) -> None:
    for label, number in (("barn owl", 1), ("hawk", 2)):
        (tmp_path / "zips").mkdir(exist_ok=True)
        with zipfile.ZipFile(tmp_path / f"zips/{label}.zip", "w") as archive:
            archive.writestr("any/where/a.jpg", photo(number))
    result = collect(tmp_path / "zips", tmp_path / "lake")
    assert {label: count.new for label, count in result.classes.items()} == {"barn owl": 1, "hawk": 1}


def test_a_folder_of_photos_stays_one_whatever_tables_lie_in_it(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "sync/owl").mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "sync/notes.parquet")
    (tmp_path / "sync/README.md").write_text("About it.")
    with pytest.raises(ConfigError, match="no column of photos"):
        collect(tmp_path / "sync", tmp_path / "lake")
    (tmp_path / "sync/owl/a.jpg").write_bytes(photo(1))
    os.utime(tmp_path / "sync/owl/a.jpg", (1, 1))
    assert collect(tmp_path / "sync", tmp_path / "lake").n_new == 1
    # With a table of photos it is a data set of these; what lies beside them is not lost without a word.
    rows = {"image": [{"bytes": photo(2), "path": "x"}], "label": ["hawk"]}
    pq.write_table(pa.table(rows), tmp_path / "sync/part-0.parquet")
    (tmp_path / "sync/part-1.parquet").write_bytes((tmp_path / "sync/part-0.parquet").read_bytes()[:-9])
    result = collect(tmp_path / "sync", tmp_path / "second")
    assert contents(tmp_path / "second", "hawk") == {photo(2)}
    assert result.refused == {"a table without photos": 1, "beside Parquet tables of photos": 1}
    assert result.waiting == {"the table is damaged": 1}
    assert table(tmp_path / "second")["owl/a.jpg"] == ("beside Parquet tables of photos", "no")


def test_what_prepare_writes_comes_back(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split, number in (("train", 1), ("test", 2)):
        rows = {"image": [{"bytes": photo(number), "path": "owl/1.jpg"}], "label": ["owl"]}
        pq.write_table(pa.table(rows), tmp_path / f"{split}-00000.parquet")
    collect(tmp_path, tmp_path.with_name("lake-of-splits"))
    assert contents(tmp_path.with_name("lake-of-splits"), "train/owl") == {photo(1)}
    flat = tmp_path.with_name("flat-lake")
    collect(tmp_path, flat, keep_splits=False)
    assert contents(flat, "owl") == {photo(1), photo(2)}


@pytest.mark.parametrize(
    ("name", "label", "kind", "words"),
    [
        ("none.toml", None, LakeError, "no such file or folder"),
        ("words.bin", None, LakeError, "none of the sources"),
        ("half.zip", None, LakeError, "only a part has arrived"),
        ("list.txt", None, ConfigError, "--label CLASS"),
        ("list.txt", "../owl", ConfigError, "cannot be a folder's name"),
        ("plan.toml", "owl", ConfigError, "Leave --label out"),
        ("plan.toml", None, ConfigError, "names a file that is not there"),
        ("zip.toml", None, ConfigError, "no zip or tar"),
        ("empty", None, LakeError, "There is nothing to collect"),
    ],
)
def test_a_source_that_is_none_is_a_clear_error(
    tmp_path: Path, name: str, label: str | None, kind: type[Exception], words: str
) -> None:
    (tmp_path / "words.bin").write_bytes(b"words")
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "list.txt").write_text("https://example.org/a.jpg")
    (tmp_path / "plan.toml").write_text('[classes.owl]\nurls = ["gone.txt"]')
    (tmp_path / "zip.toml").write_text('[classes.owl]\narchives = ["words.bin"]')
    (tmp_path / "empty").mkdir()
    with pytest.raises(kind, match=words):
        collect(tmp_path / name, tmp_path / "lake", label=label)


@pytest.mark.parametrize("lake", ["source", "source/lake", "."])
def test_source_and_lake_are_two_folders(tmp_path: Path, lake: str) -> None:
    (tmp_path / "source/owl").mkdir(parents=True)
    with pytest.raises(LakeError, match="lie in each other"):
        collect(tmp_path / "source", (tmp_path / lake).resolve())


def test_the_command_says_what_it_did(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fledged.cli import app

    server.answers["/a"] = servers.send(photo(1))
    source, lake = plan(tmp_path, server, owl=["/a", "/404"]), tmp_path / "my lake"
    words = ["collect", str(source), str(lake), "--set", "collect.allow_private=true"]
    app(words, standalone_mode=False)
    assert capsys.readouterr().out == (
        "Collected 1 new photo; 0 were there already\n"
        "  owl                      1 new, 1 refused\n"
        "Refused 1: 1 HTTP 404\n"
        f"Why, one by one: {lake}/.collect/refused.csv\n"
        f"Saved {lake}    Next: fledged scan '{lake}'\n"
    )
    app([*words, "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["classes"]["owl"]["known"] == 1


@pytest.mark.parametrize("missing", ["httpx", "protego", "polars", "pyarrow"])
def test_an_archive_needs_no_extra_and_an_address_names_its_own(zipped: Path, tmp_path: Path, missing: str) -> None:
    (tmp_path / "owls.txt").write_text("https://example.invalid/a.jpg")
    code = (
        f"import sys; sys.modules[{missing!r}] = None\nimport fledged\n"
        f"assert fledged.collect({str(zipped)!r}, {str(tmp_path / 'lake')!r}).n_new == 3\n"
        f"fledged.collect({str(tmp_path / 'owls.txt')!r}, {str(tmp_path / 'lake')!r}, label='owl', retries=0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    expected = "pip install 'fledged[collect]'" if missing in ("httpx", "protego") else "Nothing could be collected"
    assert expected in done.stderr
