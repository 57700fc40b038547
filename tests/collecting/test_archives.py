"""Zip and tar: what is in them comes out, and nothing that they try."""

from __future__ import annotations

import errno
import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.collecting import members, tars
from fledged.collecting.archives import is_archive, open_archive
from fledged.collecting.members import Limits
from fledged.collecting.offers import Photo, Refusal, Refused
from fledged.errors import LakeError
from tests.collecting.photos import photo

LIMITS = Limits(max_file_bytes=10**6, max_total_bytes=10**8)
KINDS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]


def pack(folder: Path, kind: str, files: dict[str, bytes]) -> Path:
    path = folder / f"photos.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    mode: Any = "w" + kind.removeprefix("tar").replace(".", ":")
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def read(path: Path, label: str = "", limits: Limits = LIMITS) -> dict[str, tuple[str | None, str, bytes | str]]:
    """name -> split, label and bytes, or the reason of a refusal."""
    found: dict[str, tuple[str | None, str, bytes | str]] = {}
    for offer in open_archive(path, label, limits).items:
        if isinstance(offer, Photo):
            try:
                found[offer.name] = (offer.split, offer.label, offer.read())
            except Refusal as why:
                found[offer.name] = (offer.split, offer.label, why.reason)
        elif isinstance(offer, Refused):
            found[offer.what.removeprefix(f"{path.name}: ")] = (None, "", offer.reason)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_a_class(tmp_path: Path, kind: str) -> None:
    files = {"set/owl/a.jpg": photo(1), "set/сова/b.jpg": photo(2), "set/owl/.DS_Store": b"x", "stray.jpg": photo(3)}
    path = pack(tmp_path, kind, files)
    assert is_archive(path)
    assert read(path) == {
        "set/owl/a.jpg": (None, "owl", photo(1)),
        "set/сова/b.jpg": (None, "сова", photo(2)),
        "set/owl/.DS_Store": (None, "", "hidden, or written by a system"),
        "stray.jpg": (None, "", "no class"),
    }
    assert {label for _, label, _ in read(path, "bird").values()} == {"bird", ""}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_no_path_of_an_archive_is_followed(tmp_path: Path, kind: str) -> None:
    names = ["../../owl/a.jpg", "/etc/hawk/b.jpg", "C:\\temp\\hawk\\c.jpg", "owl/../../../d.jpg"]
    found = read(pack(tmp_path, kind, dict.fromkeys(names, photo(1))))
    assert {label for _, label, _ in found.values()} <= {"owl", "etc", "C:", ""}
    assert list(tmp_path.iterdir()) == [tmp_path / f"photos.{kind}"]


def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (
            ("sym", tarfile.SYMTYPE),
            ("hard", tarfile.LNKTYPE),
            ("dev", tarfile.CHRTYPE),
            ("pipe", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(f"owl/{name}.jpg")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert {data for _, _, data in read(path).values()} == {members.A_LINK}
    assert len(read(path)) == 4


def test_links_and_locked_files_of_a_zip_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("owl/link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("owl/locked.jpg", photo(1))
        archive.writestr("owl/large.jpg", bytes(2000))
    data = bytearray(path.read_bytes())
    # Both headers of the second member say that it is encrypted.
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(magic, data.find(magic) + 1) + offset] |= 1
    path.write_bytes(data)
    found = read(path, limits=Limits(1999, 10**6))
    assert [data for _, _, data in found.values()] == [members.A_LINK, "encrypted", "too large"]


@pytest.mark.parametrize("kind", KINDS)
def test_bombs_are_stopped_and_what_came_before_is_kept(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"owl/a.jpg": photo(1), "owl/b.jpg": bytes(9 * 10**5), "hawk/c.jpg": photo(2)}
    path = pack(tmp_path, kind, files)
    of_bytes = read(path, limits=Limits(10**6, 10**5))
    assert of_bytes["owl/a.jpg"][2] == photo(1)
    assert of_bytes["owl/b.jpg and what follows"][2] == "the archive holds too much"
    assert len(of_bytes) == 2
    if kind != "tar":
        monkeypatch.setattr(members, "RATIO_FROM_BYTES", 10**5)
        monkeypatch.setattr(members, "MAX_RATIO", 100)
        assert "owl/b.jpg and what follows" in read(path)
    monkeypatch.setattr(members, "MAX_MEMBERS", 1)
    assert "owl/b.jpg and what follows" in read(path)


def test_a_header_that_is_a_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, extra in (("owl/a.jpg", 0), ("owl/b.jpg", 10**7)):
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = len(photo(1)), {"comment": "x" * extra} if extra else {}
            archive.addfile(member, io.BytesIO(photo(1)))
    found = read(path)
    assert found["owl/a.jpg"][2] == photo(1)
    assert found["owl/a.jpg and what follows"][2] == "the archive is damaged"
    assert path.stat().st_size < 50_000


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@settings(deadline=None, max_examples=60)
@given(where=st.integers(0, 10_000), value=st.integers(1, 255), cut=st.integers(0, 3000))
def test_a_damaged_archive_gives_photos_refusals_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, kind: str, where: int, value: int, cut: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = pack(folder, kind, {"owl/a.jpg": photo(1), "owl/b.jpg": photo(2)})
    data = bytearray(path.read_bytes())
    data[where % len(data)] ^= value
    path.write_bytes(data[: len(data) - cut % len(data)])
    try:
        found = read(path)
    except LakeError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(data, str) or len(data) < 10**6 for _, _, data in found.values())


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_disk_that_fails_for_a_moment_is_no_damage(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(tmp_path, kind, {"owl/a.jpg": photo(1), "owl/b.jpg": photo(2)})
    offers = iter(open_archive(path, "", LIMITS).items)
    offer = next(offers)
    assert isinstance(offer, Photo)

    def fail(*args: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(zipfile.ZipExtFile if kind == "zip" else tarfile.ExFileObject, "read", fail)
        with pytest.raises(Refusal) as told:
            offer.read()
    assert (told.value.reason, told.value.detail, told.value.again) == ("cannot be read", "Input/output error", True)
    offer = next(offers)
    assert isinstance(offer, Photo)
    assert offer.read() == photo(2)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@settings(deadline=None, max_examples=60)
@given(st.lists(names | st.from_regex(r"(\.\./|/|a/|train/){0,4}x\.jpg", fullmatch=True), max_size=5, unique=True))
def test_any_name_is_an_offer_of_a_class_that_can_be_a_folder(
    tmp_path_factory: pytest.TempPathFactory, kind: str, names: list[str]
) -> None:
    path = pack(tmp_path_factory.getbasetemp(), kind, {name: photo(1) for name in names if not name.endswith("/")})
    if kind == "tar" and not is_archive(path):
        return  # an empty tar
    for offer in open_archive(path, "", LIMITS).items:
        if isinstance(offer, Photo):
            assert offer.label == Path(offer.label).name
            assert not offer.label.startswith(".")


def test_a_million_members_do_not_fill_the_memory(tmp_path: Path) -> None:
    path = pack(tmp_path, "tar", {f"owl/{n}.jpg": b"x" for n in range(50)})
    kept = [len(archive.members) for _, archive, _ in tars._members(path, LIMITS)]  # type: ignore[attr-defined]
    assert max(kept) <= 2


def test_names_that_are_utf8_without_saying_so(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("owl/a.jpg", photo(1))
    path.write_bytes(path.read_bytes().replace(b"owl/a.jpg", "с/aa.jpg".encode()))
    assert read(path) == {"с/aa.jpg": (None, "с", photo(1))}


def test_what_is_no_archive(tmp_path: Path) -> None:
    for data in (b"", b"words", photo(1), bytes(1024), b"\x1f\x8b\x08\0"):
        (tmp_path / "a").write_bytes(data)
        assert not is_archive(tmp_path / "a")
