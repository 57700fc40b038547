"""`fledged predict`: photos from anywhere, answers to anywhere, and exit codes that scripts can rely on."""

from __future__ import annotations

import csv
import http.server
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from fledged.cli import app
from fledged.errors import ConfigError, FledgedError, MissingExtra, RequestError
from fledged.predicting.predictor import Predictor
from tests.bundles import make_tiny_bundle
from tests.serving.photos import COLOURS, GREY, jpeg


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("work"), knows_limits=True).folder.parent.parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, data in {
        "in/red.jpg": jpeg("red"),
        "in/deep/green.jpg": jpeg("green"),
        "in/notes.txt": b"no photo",
        "[1].jpg": jpeg("blue"),
        "grey.png": GREY,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(work: Path, *arguments: object, stdin: bytes = b"", code: int = 0) -> Result:
    done = CliRunner().invoke(app, ["predict", "--work", str(work), *map(str, arguments)], input=stdin)
    if isinstance(done.exception, FledgedError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


def answers(done: Result) -> dict[str, str]:
    """File to label, "unknown" or the error."""
    told = {}
    for line in map(json.loads, done.stdout.splitlines()):
        told[line["file"]] = line.get("error") or (line["label"] if line["accepted"] else "unknown")
    return told


def test_files_folders_and_patterns(work: Path, folder: Path) -> None:
    told = answers(predict(work, "[1].jpg", "in", "--json"))
    not_a_photo = "This is not a photo in a known format"
    assert told == {"[1].jpg": "blue", "in/deep/green.jpg": "green", "in/notes.txt": not_a_photo, "in/red.jpg": "red"}
    assert answers(predict(work, "in/**/*.jpg", "--json")) == {"in/deep/green.jpg": "green", "in/red.jpg": "red"}
    # A folder that a pattern matches stands for its photos, as it does where the shell expands the pattern.
    assert answers(predict(work, "i?/*", "--json")).keys() == {"in/deep/green.jpg", "in/notes.txt", "in/red.jpg"}
    assert answers(predict(work, folder / "*.png", "--json")) == {str(folder / "grey.png"): "unknown"}
    with pytest.raises(RequestError, match="Nothing matches"):
        predict(work, "in/*.heic")
    with pytest.raises(RequestError, match="no such photo or folder"):
        predict(work, "nowhere.jpg")
    with pytest.raises(RequestError, match="There is no photo"):
        predict(work)


def test_a_photo_from_stdin(work: Path) -> None:
    assert answers(predict(work, "-", "--json", stdin=jpeg("green"))) == {"-": "green"}
    with pytest.raises(ConfigError, match="once only"):
        predict(work, "-", "--from", "-")


@pytest.mark.parametrize(
    "listed", [b"in/red.jpg\ngrey.png\n", b"in/red.jpg\0grey.png\0", b"\xef\xbb\xbfin/red.jpg\r\n\r\ngrey.png"]
)
def test_a_list_of_paths_from_stdin_or_a_file(work: Path, folder: Path, listed: bytes) -> None:
    wanted = {"in/red.jpg": "red", "grey.png": "unknown"}
    assert answers(predict(work, "--from", "-", "--json", stdin=listed)) == wanted
    Path("list.txt").write_bytes(listed)
    assert answers(predict(work, "--from", "list.txt", "--json")) == wanted


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_is_answered_row_by_row(work: Path, folder: Path, suffix: str) -> None:
    names = ["red.jpg", "gone.jpg", None, "http://127.0.0.1/a.jpg", "deep/green.jpg"]
    table = pl.DataFrame({"id": range(5), "Path": names})
    file = folder / f"in/table{suffix}"
    if suffix == ".parquet":
        table.write_parquet(file)
    else:
        table.write_csv(file, separator="\t" if suffix == ".tsv" else ",")
    told = answers(predict(work, "--from", file, "--json"))
    assert list(told) == ["red.jpg", "gone.jpg", "row 3", "http://127.0.0.1/a.jpg", "deep/green.jpg"]
    assert [told["red.jpg"], told["deep/green.jpg"]] == ["red", "green"]
    assert [told["gone.jpg"], told["row 3"]] == ["There is no such photo", "This row names no photo"]
    assert told["http://127.0.0.1/a.jpg"] == "This is an address"  # of a table, never asked
    assert answers(predict(work, "--from", file, "--column", "Path", "--json")) == told
    with pytest.raises(ConfigError, match=r"no column `where`.*id, Path"):
        predict(work, "--from", file, "--column", "where")


def test_tables_that_are_none(work: Path, folder: Path) -> None:
    Path("a.csv").write_text("id,label\n1,owl\n")
    Path("a.parquet").write_bytes(b"PAR1 no")
    Path("latin.csv").write_bytes(b"path\n\xe9.jpg\n")
    for name, match in {
        "a.csv": "no column that names photos",
        "a.parquet": "no Parquet file",
        "latin.csv": "not UTF-8",
        "gone.csv": "Cannot be read",
    }.items():
        with pytest.raises(ConfigError, match=match):
            predict(work, "--from", name)
    with pytest.raises(ConfigError, match="no columns"):
        predict(work, "--from", "-", "--column", "path", stdin=b"in/red.jpg")
    with pytest.raises(ConfigError, match="no table"):
        predict(work, "in", "--column", "path")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet"])
def test_answers_are_written_whole(work: Path, folder: Path, suffix: str) -> None:
    to = folder / f"out/answers{suffix}"
    done = predict(work, "in", "grey.png", "--to", to, "--top-k", 2)
    assert "Answered 3 of 4 photos; 1 could not be read" in done.stdout
    assert "unknown 1" in done.stdout
    assert [path.name for path in to.parent.iterdir()] == [to.name]
    if suffix == ".parquet":
        rows = pl.read_parquet(to).to_dicts()
    elif suffix == ".csv":
        rows = pl.read_csv(to).to_dicts()
    elif suffix == ".json":
        rows = json.loads(to.read_bytes())
    else:
        rows = [json.loads(line) for line in to.read_text().splitlines()]
    assert [row["file"] for row in rows] == ["in/deep/green.jpg", "in/notes.txt", "in/red.jpg", "grey.png"]
    assert [row.get("accepted") for row in rows] == [True, None, True, False]
    assert rows[1]["error"] == "This is not a photo in a known format"
    assert rows[2]["label"] == "red"
    if suffix in (".csv", ".parquet"):
        assert rows[2]["label_2"] in ("green", "blue")
        assert 0 <= rows[2]["score_2"] < rows[2]["confidence"]


def test_an_interrupted_run_leaves_the_earlier_file(work: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.csv").write_text("earlier")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fledged.predicting.predictor.Predictor.predict_batch", stop)
    assert predict(work, "in", "--to", "a.csv", code=130)
    assert Path("a.csv").read_text() == "earlier"
    assert not list(folder.glob(".*.part"))


KILLED = """
import os, sys
from fledged.cli import app
from fledged.predicting import journal
from fledged.predicting.predictor import Predictor
journal._FLUSH_EVERY, answer, begun = 1, Predictor.predict_batch, []
def dying(*arguments):
    begun.append(1)
    if len(begun) == 7:  # when three are answered
        os.kill(os.getpid(), 9)
    return answer(*arguments)
Predictor.predict_batch = dying
app(["predict", *sys.argv[1:]])
"""


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_killed_run_goes_on(work: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    (folder / "many").mkdir()
    for n in range(30):
        (folder / f"many/{n:02}.jpg").write_bytes(jpeg(list(COLOURS)[n % len(COLOURS)]) if n % 7 else b"no photo")
    to, kept = Path(f"a{suffix}"), Path(f"a{suffix}.unfinished")
    flags = ["many", "--to", str(to), "--work", str(work), "--top-k", "2", "--resume"]
    assert subprocess.run([sys.executable, "-c", KILLED, *flags], check=False).returncode == -9
    assert not to.exists()
    n_kept = len(kept.read_bytes().splitlines()) - 1
    assert 12 <= n_kept < 30
    asked: list[int] = []
    answer = Predictor.predict_batch

    def counting(self: Predictor, photos: list[Any], top_k: int) -> Any:
        asked.append(len(photos))
        return answer(self, photos, top_k)

    monkeypatch.setattr(Predictor, "predict_batch", counting)
    predict(work, *flags)
    assert sum(asked) == 30 - n_kept // 4 * 4
    assert not kept.exists()
    predict(work, "many", "--to", f"whole{suffix}", "--top-k", 2)
    read = pl.read_csv if suffix == ".csv" else pl.read_parquet
    assert read(to).drop("seconds").equals(read(f"whole{suffix}").drop("seconds"))
    with pytest.raises(ConfigError, match="There is no file to go on with"):
        predict(work, "many", "--resume")


def test_what_cannot_be_written_is_told_before_any_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / "no bundle here"
    with pytest.raises(ConfigError, match="does not say what to write"):
        predict(nowhere, "in", "--to", "answers.xlsx")
    with pytest.raises(ConfigError, match="cannot be written as well"):
        predict(nowhere, "--from", "a.csv", "--to", folder / "a.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"fledged\[train\]"):
        predict(nowhere, "in", "--to", "answers.parquet")


def test_exit_codes(work: Path, folder: Path) -> None:
    some = predict(work, "in", code=0)
    assert "1 of 3 photos could not be read" in some.stderr
    predict(work, "in", "--strict", code=1)
    predict(work, "in/red.jpg", "--strict", code=0)
    predict(work, "in/notes.txt", code=2)


def test_lines_for_people(work: Path, folder: Path) -> None:
    lines = predict(work, "in", "grey.png").stdout.splitlines()
    assert lines[1:] == ["in/notes.txt\terror: This is not a photo in a known format", lines[2], lines[3]]
    assert lines[2].startswith("in/red.jpg\tred 9")
    assert lines[3].startswith("grey.png\tunknown, its likeliest:\t")


def test_names_cannot_move_the_cursor_nor_break_a_table(work: Path, folder: Path) -> None:
    names = ["\x1b[2Jred\t.jpg", 'a,"b"\nc.jpg', os.fsdecode(b"caf\xe9.jpg")]
    for name in names:
        Path(name).write_bytes(jpeg("red"))
    lines = predict(work, *names).stdout.splitlines()
    told = [r"\x1b[2Jred\t.jpg", r'a,"b"\nc.jpg', r"caf\udce9.jpg"]
    assert [line.split("\t")[0] for line in lines] == told
    predict(work, *names, "--to", "a.csv")
    rows = list(csv.DictReader(io.StringIO(Path("a.csv").read_text(), newline="")))
    assert [row["file"] for row in rows] == [*names[:2], told[2]]


def test_a_spreadsheet_runs_no_name(work: Path, folder: Path) -> None:
    name = "=HYPERLINK(1).jpg"
    Path(name).write_bytes(jpeg("red"))
    predict(work, name, "--to", "a.csv")
    (row,) = csv.DictReader(io.StringIO(Path("a.csv").read_text(), newline=""))
    assert row["file"] == "'" + name
    assert answers(predict(work, "--from", "a.csv", "--json")) == {name: "red"}
    predict(work, "-", "--to", "b.csv", stdin=jpeg("red"))
    assert Path("b.csv").read_text().splitlines()[1].startswith("-,red,")


def test_a_class_cannot_move_the_cursor_either(tmp_path: Path, folder: Path) -> None:
    classes = ("\x1b[2Jred\nx", "=green", "blue")
    other = make_tiny_bundle(tmp_path / "own", classes).folder.parent.parent
    assert predict(other, "in/red.jpg").stdout.startswith("in/red.jpg\t\\x1b[2Jred\\nx 9")
    told = predict(other, "in", "--to", "c.csv").stdout
    assert "\\x1b[2Jred\\nx 1" in told
    assert "\x1b" not in told
    assert ",'=green," in Path("c.csv").read_text()


@pytest.fixture
def photo_url() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/red.jpg" else 404)
            self.end_headers()
            self.wfile.write(jpeg("red"))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_address_is_asked_with_the_guards_of_collect(
    work: Path, photo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    red, gone = f"{photo_url}/red.jpg", f"{photo_url}/gone.jpg"
    private = answers(predict(work, red, "--json", code=2))
    assert "a private address" in private[red]
    told = answers(predict(work, red, gone, "--json", "--set", "collect.allow_private=true"))
    assert told == {red: "red", gone: "Cannot be fetched: HTTP 404"}
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "fledged.collecting.fetch", raising=False)
    with pytest.raises(MissingExtra, match=r"fledged\[collect\]"):
        predict(work, red)
