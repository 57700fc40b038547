"""Products are there whole or not at all; the same thing is not made twice; two processes do not clash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fledged.errors import ProductError, WorkspaceError
from fledged.product_files import open_product
from fledged.products import Review, Snapshot
from fledged.workspace import Workspace, now, product_id
from fledged.writing import write_bytes


def a_review(workspace: Workspace, review_id: str = "0123456789ab") -> Review:
    write_bytes(workspace.folder("review", review_id) / "findings.parquet", b"some findings")
    return workspace.save(
        Review(id=review_id, version=1, created_at=now(), snapshot_id="aa", findings_by_kind={"tiny": 1}, n_decisions=0)
    )


def test_a_saved_product_is_found_by_id_by_its_beginning_and_as_the_newest(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    saved = a_review(workspace)
    for asked in (saved.id, saved.id[:4], f"review:{saved.id[:4]}", None):
        assert workspace.load(Review, asked) == saved


def test_the_newest_can_be_asked_for_by_that_word(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(ProductError, match=r"There is no review yet.*Run: fledged review"):
        workspace.load(Review, "review:newest")
    for number in (2, 1):
        a_review(workspace, f"0123456789a{number}")
    assert workspace.load(Review, "review:newest").id == workspace.load(Review).id == "0123456789a1"


def test_the_newest_is_what_was_last_made_or_found(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = a_review(workspace, "aaaa")
    second = a_review(workspace, "bbbb")
    assert workspace.load(Review).id == second.id
    assert workspace.find(Review, first.id) == first
    assert workspace.load(Review).id == first.id


def test_a_missing_product_names_the_command_that_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProductError, match=f"fledged scan PHOTOS/ --work {tmp_path}"):
        Workspace(tmp_path).load(Snapshot)
    with pytest.raises(ProductError, match=r"Run: fledged scan PHOTOS/$"):
        Workspace().load(Snapshot)


def test_an_ambiguous_or_unknown_id_lists_what_there_is(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    a_review(workspace, "aaa1")
    a_review(workspace, "aaa2")
    with pytest.raises(ProductError, match=r"not unique.*aaa1, aaa2"):
        workspace.load(Review, "aaa")
    with pytest.raises(ProductError, match=r"does not exist.*aaa1, aaa2"):
        workspace.load(Review, "ccc")


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_a_damaged_file_is_named_and_the_product_is_made_again(tmp_path: Path, damage: str) -> None:
    workspace = Workspace(tmp_path)
    saved = a_review(workspace)
    file = saved.folder / "findings.parquet"
    if damage == "delete":
        file.unlink()
    else:
        file.write_bytes(b"some findingz" if damage == "flip" else b"some")
    with pytest.raises(ProductError, match=r"findings\.parquet.*fledged review"):
        workspace.load(Review)
    assert workspace.find(Review, saved.id) is None


@pytest.mark.parametrize("text", [b"", b"null", b"[1, 2]", b'{"review": 5}', b"\xff\xfe"])
def test_a_damaged_note_of_the_newest_is_as_none_and_is_written_anew(tmp_path: Path, text: bytes) -> None:
    workspace = Workspace(tmp_path)
    saved = a_review(workspace)
    (tmp_path / "latest.json").write_bytes(text)
    with pytest.raises(ProductError, match="There is no review yet"):
        workspace.load(Review)
    assert workspace.find(Review, saved.id) is not None
    assert workspace.load(Review).id == saved.id


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": "x"}', '{"version": Infinity}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    workspace = Workspace(tmp_path)
    saved = a_review(workspace)
    (saved.folder / "review.json").write_text(text)
    with pytest.raises(ProductError, match=r"review\.json"):
        workspace.load(Review)


@pytest.mark.parametrize("name", ["review.json", "findings.parquet"])
def test_what_the_disk_does_not_let_be_read_is_not_called_damaged(tmp_path: Path, name: str) -> None:
    file = a_review(Workspace(tmp_path)).folder / name
    file.unlink()
    file.symlink_to(file)  # the system cannot open it, and it is not gone
    with pytest.raises(WorkspaceError, match=rf"Cannot read: .*{name}.*run the same command again"):
        open_product(Review, file.parent)


def test_a_record_of_a_newer_format_is_not_guessed_at(tmp_path: Path) -> None:
    saved = a_review(Workspace(tmp_path))
    record = saved.folder / "review.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"version": 99}))
    with pytest.raises(ProductError, match="a newer format"):
        open_product(Review, saved.folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname"])
def test_a_record_cannot_name_files_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    saved = a_review(Workspace(tmp_path))
    record = saved.folder / "review.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"files": {name: "00"}}))
    with pytest.raises(ProductError, match="outside of its folder"):
        open_product(Review, saved.folder)


def test_a_product_without_its_record_does_not_exist(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_bytes(workspace.folder("review", "aaaa") / "findings.parquet", b"half a product")
    assert workspace.find(Review, "aaaa") is None
    assert list(workspace.all(Review)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only disk needs root")
def test_a_read_only_disk_is_one_line(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(WorkspaceError, match="read-only"), Workspace(disk / "work").lock():
            pass
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_second_process_waits_then_gets_a_clear_error(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\nfrom fledged.workspace import Workspace\n"
            f"with Workspace({str(tmp_path)!r}).lock():\n    print('held', flush=True)\n    sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(WorkspaceError, match="Another fledged process"), Workspace(tmp_path).lock(timeout_s=0.2):
        pass
    holder.kill()  # a killed process leaves no lock behind
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    with Workspace(tmp_path).lock(timeout_s=5):
        pass


def test_ids_depend_on_everything_that_a_product_is_made_of() -> None:
    ids = {
        product_id(Review, "a", 1),
        product_id(Review, "a", 2),
        product_id(Snapshot, "a", 1),
        product_id(Review, "b", 1),
    }
    assert len(ids) == 4
    assert product_id(Review, "a", 1) == product_id(Review, "a", 1)
