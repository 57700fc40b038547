"""Lists of addresses and CSV manifests."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.collecting.offers import Link, Offer, Photo, Refused
from fledged.collecting.tables import open_csv, read_url_list
from fledged.errors import ConfigError
from tests.collecting.photos import photo


def rows(folder: Path, text: str, label: str = "") -> list[Offer]:
    path = folder / "table.csv"
    path.write_bytes(text.encode())
    return list(open_csv(path, label, 10**6).items)


def test_a_manifest_names_files_and_addresses(tmp_path: Path) -> None:
    (tmp_path / "barn").mkdir()
    (tmp_path / "barn/1.jpg").write_bytes(photo(1))
    first, second, third = rows(
        tmp_path,
        "\ufeffimage_path,label,group,split,url\nbarn/1.jpg,owl,nest 7,Valid,\n"
        ",hawk,,,https://example.org/2.jpg\nbarn/none.jpg,owl,,,\n",
    )
    assert isinstance(first, Photo)
    assert (first.label, first.group, first.split, first.read()) == ("owl", "nest 7", "val", photo(1))
    assert second == Link("https://example.org/2.jpg", "hawk", engine="table.csv")
    assert isinstance(third, Photo)
    with pytest.raises(Exception, match="there is no such file"):
        third.read()


def test_backslashes_of_windows_and_addresses_in_the_column_of_files_are_understood(tmp_path: Path) -> None:
    (tmp_path / "barn").mkdir()
    (tmp_path / "barn/1.jpg").write_bytes(photo(1))
    (tmp_path / "a\\b.jpg").write_bytes(photo(2))
    first, second, third = rows(
        tmp_path, "image_path,label\nbarn\\1.jpg,owl\na\\b.jpg,owl\nHTTPS://example.org/2.jpg,hawk\n"
    )
    assert isinstance(first, Photo)
    assert isinstance(second, Photo)
    assert (first.read(), second.read()) == (photo(1), photo(2))
    assert third == Link("HTTPS://example.org/2.jpg", "hawk", engine="table.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_other_spellings_are_understood(tmp_path: Path, delimiter: str) -> None:
    text = delimiter.join(("Link", "Class_Name")) + "\r\n" + delimiter.join(("https://example.org/1", " owl ")) + "\r\n"
    assert rows(tmp_path, text) == [Link("https://example.org/1", "owl", engine="table.csv")]


def test_rows_that_say_too_little_are_named(tmp_path: Path) -> None:
    offers = rows(tmp_path, 'url,label\nhttps://example.org/1,\n,owl\n\n"a",../owl\nb\n')
    assert [(o.what, o.reason) for o in offers if isinstance(o, Refused)] == [
        ("table.csv: line 2", "no class"),
        ("table.csv: line 3", "names no photo"),
        ("table.csv: line 5", "not a class name"),
        ("table.csv: line 6", "no class"),
    ]


def test_in_a_class_other_labels_are_left_out(tmp_path: Path) -> None:
    offers = rows(
        tmp_path, "url,label\nhttps://a.example/1,owl\nhttps://a.example/2,hawk\nhttps://a.example/3,\n", "owl"
    )
    assert [offer.url for offer in offers if isinstance(offer, Link)] == ["https://a.example/1", "https://a.example/3"]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "url\nx\n", "label\nowl\n"])
def test_a_table_without_the_columns_is_a_clear_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="Its first line must name the columns label, and image_path or url"):
        rows(tmp_path, text)


def test_what_is_no_text_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"url,label\n\xff\xfe,owl\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        open_csv(tmp_path / "table.csv", "", 1)


def test_a_list_is_an_address_a_line(tmp_path: Path) -> None:
    (tmp_path / "owls.txt").write_bytes(
        "\ufeff# owls\r\nhttps://a.example/1\r\n\r\n  https://a.example/сова  \n".encode()
    )
    offers = read_url_list(tmp_path / "owls.txt", "owl")
    assert [o.url for o in offers if isinstance(o, Link)] == ["https://a.example/1", "https://a.example/сова"]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(cells, cells, cells), max_size=6), st.sampled_from(",;\t"))
def test_every_row_of_a_written_table_is_an_offer(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, str, str]], delimiter: str
) -> None:
    buffer = io.StringIO()
    table = csv.writer(buffer, delimiter=delimiter)
    table.writerow(("url", "label", "group"))
    table.writerows(written)
    offers = rows(tmp_path_factory.getbasetemp(), buffer.getvalue())
    meant = [row for row in written if any(cell.strip() for cell in row)]
    assert len(offers) == len(meant)
    for offer, (url, _, group) in zip(offers, meant, strict=True):
        if isinstance(offer, Link):
            assert (offer.url, offer.group) == (url.strip(), group.strip() or None)
            assert "/" not in offer.label


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300))
def test_any_text_is_a_table_or_a_one_line_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    try:
        rows(tmp_path_factory.getbasetemp(), text)
    except ConfigError as error:
        assert "\n" not in str(error)
    except UnicodeEncodeError:
        pass  # not a text that a file can hold
