"""Two machines and one bucket: what they save, decide and remove at the same time."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fledged import mirror as mirroring
from fledged import product_files, stores
from fledged.areas import Area, Conflict, keeps_conditions
from fledged.errors import MissingExtra, ProductError, WorkspaceError
from fledged.mirror import Mirror, evict
from fledged.product_files import is_product, open_place, stamp_of
from fledged.products import RangeTest, Snapshot
from fledged.reviewing.decisions import Decision
from fledged.reviewing.log import DecisionLog
from fledged.workspace import Workspace, now
from fledged.writing import write_bytes
from tests.areas import InS3, InStore
from tests.aws import between, buckets

Machine = Callable[[str], Workspace]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with buckets(tmp_path_factory.mktemp("cache"), "work") as client:
        yield client


_names = itertools.count()


@pytest.fixture(params=["s3", "store"])
def there(request: pytest.FixtureRequest) -> Iterator[InS3 | InStore]:
    """A service that holds working folders."""
    if request.param == "s3":
        yield InS3(request.getfixturevalue("client"))
        return
    memory = pytest.importorskip("obstore.store").MemoryStore()
    with pytest.MonkeyPatch.context() as patch:  # of its own: tests undo theirs
        patch.setattr(stores, "_opened", lambda service: memory)
        yield InStore(memory)


only_s3 = pytest.mark.parametrize("there", ["s3"], indirect=True)


@pytest.fixture
def work(there: InS3 | InStore) -> str:
    """The address of an empty working folder."""
    return f"{there.root}/w{next(_names)}"


@pytest.fixture
def prefix(work: str, there: InS3 | InStore) -> str:
    """The same within its bucket, with a slash."""
    return f"{work.removeprefix(there.root)[1:]}/"


@pytest.fixture
def machine(work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A workspace of that folder as another machine has it: with a cache of its own."""

    def made(name: str) -> Workspace:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        return Workspace(work)

    return made


def snapshot(name: str = "abc", previous: str | None = None) -> Snapshot:
    return Snapshot(
        id=name,
        version=Snapshot.format_version,
        created_at=now(),
        lake="s3://lake",
        n_photos=1,
        n_unreadable=0,
        n_skipped=0,
        labels={"owl": 1},
        previous_id=previous,
        changes_by_kind={},
    )


def save(workspace: Workspace, content: bytes = b"table", name: str = "abc", previous: str | None = None) -> Snapshot:
    for file in ("photos.parquet", "skipped.parquet"):
        write_bytes(workspace.folder("snapshot", name) / file, content)
    return workspace.save(snapshot(name, previous))


def test_what_one_machine_saves_another_finds_whole(machine: Machine, work: str) -> None:
    saved = save(first := machine("a"))
    second = machine("b")
    assert second.root != first.root
    found = second.find(Snapshot, "abc")
    assert found is not None
    assert (found.files, found.labels) == (saved.files, saved.labels)
    assert (found.folder / "photos.parquet").read_bytes() == b"table"
    third = machine("c")
    assert third.load(Snapshot).id == third.load(Snapshot, "ab").id == "abc"
    assert [each.id for each in third.all(Snapshot)] == ["abc"]
    assert third.newest(Snapshot) == third.folder("snapshot", "abc")
    with pytest.raises(ProductError, match=rf"There is no range_test yet \({work}\).*fledged find-lr --work {work}"):
        third.load(RangeTest)
    with pytest.raises(ProductError, match="does not exist"):
        third.load(Snapshot, "zzz")


@only_s3
def test_a_product_that_is_here_is_not_fetched_again(machine: Machine) -> None:
    save(machine("a"))
    second = machine("b")
    second.find(Snapshot, "abc")
    with between() as told:
        second.find(Snapshot, "abc")
        assert [path.rpartition("/")[2] for _, path in told.seen] == ["snapshot.json", "latest.json"]


def test_a_copy_that_is_damaged_comes_again(machine: Machine) -> None:
    save(first := machine("a"))
    path = first.folder("snapshot", "abc") / "photos.parquet"
    path.write_bytes(b"spoilt")
    assert first.load(Snapshot).id == "abc"
    assert path.read_bytes() == b"table"


def test_a_bucket_that_is_damaged_is_told(machine: Machine, there: InS3 | InStore, prefix: str) -> None:
    save(machine("a"))
    folder = f"{prefix}snapshots/abc"
    there.put(f"{folder}/photos.parquet", b"spoilt")
    with pytest.raises(ProductError, match="not what was written"):
        machine("b").load(Snapshot)
    there.put(f"{folder}/snapshot.json", b'{"files": {"../../x": "00"}}')
    with pytest.raises(ProductError, match="outside of its folder"):
        machine("c").load(Snapshot)


def test_of_two_that_save_the_same_the_first_stands(machine: Machine) -> None:
    first, second = machine("a"), machine("b")
    save(first, b"first")
    kept = save(second, b"second")
    assert (second.folder("snapshot", "abc") / "photos.parquet").read_bytes() == b"first"
    assert kept.files == first.load(Snapshot).files


def test_a_product_that_is_saved_again_replaces_its_own_and_reaches_others(machine: Machine) -> None:
    first, second = machine("a"), machine("b")
    save(first, b"first")
    second.load(Snapshot)
    save(first, b"other times", previous="older")
    again = second.find(Snapshot, "abc")
    assert again is not None
    assert again.previous_id == "older"
    assert (second.folder("snapshot", "abc") / "photos.parquet").read_bytes() == b"other times"


def test_many_that_save_at_the_same_time_leave_one_whole_product(machine: Machine, work: str) -> None:
    several = [machine(name) for name in "abcd"]
    start = threading.Barrier(len(several))

    def saved(number: int) -> Snapshot:
        start.wait()
        return save(several[number], b"content %d" % number)

    with ThreadPoolExecutor(len(several)) as pool:
        records = list(pool.map(saved, range(len(several))))
    found = machine("reader").load(Snapshot)  # its files were verified
    assert found.id == "abc"
    assert all(each.load(Snapshot).files == found.files for each in several)
    assert len(records) == 4


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.mark.parametrize("n_written", range(7))  # the trial of conditions, two files, the record, latest.json
def test_who_is_killed_between_two_writes_leaves_no_half_product(
    machine: Machine, there: InS3 | InStore, n_written: int
) -> None:
    put: Any = there.kind.put
    n_puts = itertools.count()

    def ended(self: Area, *rest: Any) -> Any:
        if next(n_puts) == n_written:
            raise Killed
        return put(self, *rest)

    first = machine("a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(there.kind, "put", ended)
        with pytest.raises(Killed):
            save(first, b"of the killed one")
    found = machine("reader").find(Snapshot, "abc")
    assert (found is not None) == (n_written == 6)
    kept = save(machine("b"), b"of another")
    expected = b"of the killed one" if found else b"of another"
    assert (kept.folder / "photos.parquet").read_bytes() == expected
    assert machine("a").load(Snapshot).files == machine("c").load(Snapshot).files == kept.files


def test_files_that_somebody_else_wrote_in_between_are_mended(
    machine: Machine, there: InS3 | InStore, prefix: str
) -> None:
    first = machine("a")
    plain_put: Any = there.kind.put
    intrusions = iter([b"a dead attempt", b"a slow one"])

    def intruded(self: Area, name: str, *rest: Any) -> Any:
        if name.endswith("snapshot.json") and (body := next(intrusions, None)):
            there.put(f"{prefix}snapshots/abc/photos.parquet", body)
        return plain_put(self, name, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(there.kind, "put", intruded)
        save(first)
    machine("b").load(Snapshot)


def test_a_record_that_somebody_else_replaced_meanwhile_is_seen(
    machine: Machine, there: InS3 | InStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one's files come over the second one's when that one has gone."""
    first, second = machine("a"), machine("b")
    kind: Any = there.kind
    get, put, n_got = kind.get, kind.put, itertools.count(1)

    def spoilt(self: Area, name: str, *rest: Any) -> Any:
        if name.endswith("snapshot.json"):  # so that the first one tries again
            there.put(f"{prefix}snapshots/abc/photos.parquet", b"a third one's")
        return put(self, name, *rest)

    def overtaken(self: Area, name: str) -> Any:
        held = get(self, name)
        if name.endswith("snapshot.json") and next(n_got) == 2:
            with monkeypatch.context() as plain:
                plain.setattr(kind, "get", get)
                plain.setattr(kind, "put", put)
                save(second, b"theirs")
            monkeypatch.setattr(kind, "put", put)
        return held

    monkeypatch.setattr(kind, "put", spoilt)
    monkeypatch.setattr(kind, "get", overtaken)
    save(first, b"ours")
    monkeypatch.undo()
    assert next(n_got) > 3
    found = machine("reader").load(Snapshot)
    assert (found.folder / "photos.parquet").read_bytes() == b"ours"


def test_who_cannot_take_over_what_stands_there_still_has_its_own(
    machine: Machine, there: InS3 | InStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else writes while it is pulled, at every look: then its own files are pushed, and not those."""
    second = machine("b")
    save(machine("a"), b"theirs")
    whole: Any = there.kind.download

    def between_looks(self: Area, name: str, path: Path) -> Any:
        if name.endswith("skipped.parquet"):
            write_bytes(path, b"a third one's")
            return hashlib.sha256(b"a third one's").hexdigest()
        return whole(self, name, path)

    monkeypatch.setattr(mirroring, "_PAUSE_S", 0)
    monkeypatch.setattr(there.kind, "download", between_looks)
    save(second, b"ours")
    monkeypatch.undo()
    for each in (second, machine("reader")):
        found = each.load(Snapshot)
        assert (found.folder / "photos.parquet").read_bytes() == b"ours"
    assert not (second.root / ".pulled").exists()


def test_what_a_killed_pull_left_is_removed_by_the_next(machine: Machine) -> None:
    save(machine("a"), b"theirs")
    second = machine("b")
    write_bytes(second.root / ".pulled" / "photos.parquet", b"half of it")
    assert (second.load(Snapshot).folder / "photos.parquet").read_bytes() == b"theirs"
    assert not (second.root / ".pulled").exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="/proc takes no folders")
def test_a_copy_that_cannot_be_written_is_told_in_one_line(machine: Machine, work: str) -> None:
    save(machine("a"))
    mirror = Mirror(work)
    mirror.root = Path("/proc/nowhere")
    with pytest.raises(WorkspaceError, match="Cannot write"):
        mirror.pull("snapshots/abc", "snapshot.json")


@only_s3
def test_what_could_not_be_pushed_is_pushed_when_it_is_found(machine: Machine) -> None:
    first = machine("a")
    with between() as told:
        told.spoil = lambda method, path: 403 if method == "PUT" else None
        with pytest.raises(WorkspaceError, match="You may not do this"):
            save(first)
    assert first.find(Snapshot, "abc") is not None
    assert machine("b").load(Snapshot).id == "abc"


def test_latest_of_two_kinds_at_once(work: str) -> None:
    several = [Mirror(work) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: each[1].latest(f"kind{each[0]}", "x"), enumerate(several)))
    assert several[0].latest() == {f"kind{number}": "x" for number in range(4)}


def test_nobody_loses_a_decision(machine: Machine) -> None:
    several = [machine(name) for name in "abc"]
    logs = [DecisionLog(each.decisions, each.sync_decisions) for each in several]

    def decide(number: int) -> None:
        for turn in range(3):
            logs[number].append([Decision(path=f"owl/{number}-{turn}.jpg", action="drop", reviewer="me")], [None])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(decide, range(3)))
    fresh = machine("reader")
    fresh.sync_decisions()
    expected = {f"owl/{number}-{turn}.jpg" for number in range(3) for turn in range(3)}
    assert set(DecisionLog(fresh.decisions).follow()) == expected
    assert set(logs[0].follow()) >= {f"owl/0-{turn}.jpg" for turn in range(3)}


def test_lines_that_were_taken_out_there_stay_out(machine: Machine, there: InS3 | InStore, prefix: str) -> None:
    workspace, key = machine("a"), f"{prefix}splits/seed42.csv"
    write_bytes(workspace.splits("seed42"), b"sha256,part\n00,train\n01,val\n")
    with workspace.lock():
        pass
    there.put(key, b"sha256,part\n00,train\n")
    with workspace.lock():
        assert workspace.splits("seed42").read_bytes() == b"sha256,part\n00,train\n"
        with workspace.splits("seed42").open("ab") as file:
            file.write(b"02,test\n")
    assert there.get(key) == b"sha256,part\n00,train\n02,test\n"
    there.delete(key)
    with workspace.lock():
        assert workspace.splits("seed42").read_bytes() == b""


def test_a_write_under_a_condition_is_refused_when_it_does_not_hold(work: str, there: InS3 | InStore) -> None:
    area, digest = there.kind(work), "0" * 64
    with between() if isinstance(there, InS3) else contextlib.nullcontext():
        etag = area.put("x", b"1", digest, None)
        with pytest.raises(Conflict):
            area.put("x", b"2", digest, None)
        area.put("x", b"3", digest, etag)
        for stale in (etag, area.unlikely):
            with pytest.raises(Conflict):
                area.put("x", b"4", digest, stale)
            with pytest.raises(Conflict):
                area.put("nothing", b"4", digest, stale)
    held, seen = area.get("x"), area.seen("x")
    assert held is not None
    assert held.data == b"3"
    assert seen is not None
    assert (seen.tag, seen.sha256) == (held.tag, digest)
    assert keeps_conditions(area)


@only_s3
@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
def test_a_service_that_ignores_conditions_is_refused_before_anything_is_written(
    machine: Machine, there: InS3 | InStore, prefix: str, header: str
) -> None:
    first = machine("a")
    with between() as told:
        told.forgotten = {header}
        for _ in range(2):
            with pytest.raises(WorkspaceError, match="does not keep conditions of writing"):
                save(first)
    assert there.names(prefix) == [".conditions"]
    with between() as told:  # another service, which keeps them: it is tried once
        save(first)
        save(first, b"other times", previous="older")
        written = [path.rpartition("/")[2] for method, path in told.seen if method == "PUT"]
    assert written.count(".conditions") == 3
    assert written.count("snapshot.json") == 2


def test_what_was_not_used_for_longest_makes_room(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = machine("a")
    for name in ("old", "newer", "newest", "inuse"):
        save(workspace, b"x" * 1000, name)
        os.utime(
            workspace.folder("snapshot", name),
            (0, time.time() - {"old": 9e4, "newer": 9e3, "newest": 8e3}.get(name, 0)),
        )
    write_bytes(workspace.folder("snapshot", "unpushed") / "photos.parquet", b"x" * 10_000)
    Path("fledged.toml").write_text("[remote]\ncache_gb = 6e-6\n")
    try:
        removed = [folder.name for folder in evict()]
        assert removed == ["old", "newer"]
        assert (workspace.folder("snapshot", "unpushed") / "photos.parquet").exists()
        assert workspace.load(Snapshot, "old").id == "old"  # it comes again
    finally:
        Path("fledged.toml").unlink()


def test_other_services_and_bad_addresses_are_refused_in_one_line(client: Any) -> None:
    with pytest.raises(WorkspaceError, match="sftp:// cannot hold this"):
        Workspace("sftp://box/work")
    with pytest.raises(WorkspaceError, match="folder of photos"):
        Workspace("https://example.org/work")
    with pytest.raises(WorkspaceError, match="There is no such bucket"):
        Workspace("s3://nosuch/work").load(Snapshot)


def test_what_a_bucket_of_another_service_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    with pytest.raises(MissingExtra, match=r"fledged\[stores\]"):
        Workspace("gs://box/work").load(Snapshot)


def test_without_credentials(client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(WorkspaceError, match="There are no credentials"):
        Workspace("s3://work/w").load(Snapshot)


@only_s3
def test_a_product_by_its_address(machine: Machine, work: str, tmp_path: Path) -> None:
    saved = save(machine("a"))
    address = f"{work}/snapshots/abc"
    machine("b")
    assert is_product(Snapshot, address)
    assert open_place(Snapshot, address).files == saved.files
    assert open_place(Snapshot, Path(address)).files == saved.files
    before = stamp_of(Snapshot, address)
    assert before
    save(machine("a"), b"other", previous="older")
    assert stamp_of(Snapshot, address) != before
    assert not is_product(Snapshot, work)
    with pytest.raises(ProductError, match="There is no snapshot at this address"):
        open_place(Snapshot, work)
    with pytest.raises(ProductError, match="There is no snapshot here"):
        open_place(Snapshot, f"file://{tmp_path}")


def test_a_product_behind_any_address_of_fsspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr(product_files, "cache_folder", lambda: tmp_path / "cache")
    there = fsspec.filesystem("memory")

    def put(content: bytes) -> Snapshot:
        saved = save(Workspace(tmp_path / hashlib.sha256(content).hexdigest()[:4]), content)
        for path in saved.folder.iterdir():
            there.pipe(f"/store/abc/{path.name}", path.read_bytes())
        return saved

    address = "memory://store/abc"
    assert not is_product(Snapshot, address)
    with pytest.raises(ProductError, match="There is no snapshot at this address"):
        open_place(Snapshot, address)
    saved = put(b"some rows")
    assert is_product(Snapshot, address)
    opened = open_place(Snapshot, address)
    assert opened.files == saved.files
    assert (opened.folder / "photos.parquet").read_bytes() == b"some rows"
    before = stamp_of(Snapshot, address)
    put(b"other rows")
    assert stamp_of(Snapshot, address) != before
    assert (open_place(Snapshot, address).folder / "photos.parquet").read_bytes() == b"other rows"
    assert (opened.folder / "photos.parquet").read_bytes() == b"some rows"  # who has opened it keeps it
    put(b"new rows")
    there.pipe("/store/abc/photos.parquet", b"damaged")
    with pytest.raises(ProductError, match=r"not what was written \(sha256 differs\).*memory://store/abc/photos"):
        open_place(Snapshot, address)
    there.rm("/store", recursive=True)


def test_the_folder_of_a_bucket_is_laid_out_as_on_a_disk(machine: Machine, there: InS3 | InStore, prefix: str) -> None:
    workspace = machine("a")
    save(workspace)
    write_bytes(workspace.root / "tests" / "x" / "grid.png", b"1")
    workspace.share(workspace.root / "tests" / "x")
    assert there.names(prefix) == [
        ".conditions",
        "latest.json",
        "snapshots/abc/photos.parquet",
        "snapshots/abc/skipped.parquet",
        "snapshots/abc/snapshot.json",
        "tests/x/grid.png",
    ]
    assert json.loads(there.get(f"{prefix}latest.json")) == {"snapshot": "abc"}


def test_the_cache_is_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert mirroring.cache_folder() == tmp_path / "fledged"
    Path("fledged.toml").write_text(f'[remote]\ncache = "{tmp_path}/here"\n')
    try:
        assert mirroring.cache_folder() == tmp_path / "here"
    finally:
        Path("fledged.toml").unlink()
