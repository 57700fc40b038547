"""From messy photos to one and the same Prediction by Python, by the shell and over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import fledged
from demo.drawing import Planted
from fledged.errors import ConfigError, WeightsError
from fledged.products import Bundle, Product
from fledged.progress import silent
from tests.faults.promises import TELL_TIMES, broken_listings, digest
from tests.preloaded import python
from tests.serving.asking import asking, until
from tests.tiny import BACKBONE, TINY, TINY_FLAGS

SETTINGS: dict[str, dict[str, object]] = {
    "prepare": {"shorter_side_px": 64},
    "train": TINY | {"input": {"size_px": 64}, "views": 1, "epochs": 5},
}
FLAGS = [
    *TINY_FLAGS,
    *("--epochs", "5", "--set", "train.input.size_px=64", "--set", "train.views=1"),
    *("--set", "prepare.shorter_side_px=64"),
]


def shell(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [*python(), "-m", "fledged", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert not check or done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def built(messy_lake: tuple[Path, Planted], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle, list[str]]:
    work = tmp_path_factory.mktemp("flow")
    made: list[Product] = []
    bundle = fledged.build(messy_lake[0], work=work, report=silent, made=made.append, settings=SETTINGS)
    return work, bundle, [product.kind for product in made]


@pytest.fixture(scope="module")
def photo(messy_lake: tuple[Path, Planted]) -> Path:
    lake, planted = messy_lake
    unfit = {*planted.unreadable, *planted.skipped}
    return lake / next(path for path in planted.photos if path not in unfit)


def test_the_chain_makes_every_product_in_order(built: tuple[Path, Bundle, list[str]]) -> None:
    work, bundle, kinds = built
    assert kinds == ["snapshot", "review", "dataset", "run", "report", "bundle"]
    assert (bundle.folder / "model.onnx").stat().st_size < 50 * 2**20
    assert (work / "reports" / bundle.report_id / "report.html").exists()


def test_asking_twice_does_the_work_once(
    built: tuple[Path, Bundle, list[str]], messy_lake: tuple[Path, Planted]
) -> None:
    work, bundle, _ = built
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file() and path.name != ".lock"}
    assert fledged.build(messy_lake[0], work=work, report=silent, settings=SETTINGS) == bundle
    after = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before


def test_the_shell_makes_the_same_products(
    built: tuple[Path, Bundle, list[str]], messy_lake: tuple[Path, Planted], tmp_path: Path
) -> None:
    work, bundle, _ = built
    done = shell("build", messy_lake[0], "--work", tmp_path, *FLAGS)
    # A report's id and a bundle's hang on their parents alone, so equal ids say that every step was equal.
    assert bundle.id in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[:6]] == [
        *("Snapshot", "Review", "Dataset", "Run", "Report", "Bundle")
    ]
    assert json.loads(shell("build", messy_lake[0], "--work", tmp_path, *FLAGS, "--json").stdout)["id"] == bundle.id
    # Tables, splits, shards, weights, figures and the model: the same bytes, but for what tells times.
    ours, theirs = digest(work), digest(tmp_path)
    lasting = [path for path in ours | theirs if not path.startswith("cache/") and Path(path).name not in TELL_TIMES]
    assert [path for path in lasting if ours.get(path) != theirs.get(path)] == []
    kinds = {Path(path).suffix for path in lasting}
    assert {".parquet", ".csv", ".safetensors", ".json", ".svg", ".png", ".onnx", ".toml"} <= kinds


def test_a_sample_is_a_first_look_that_says_so(clean_lake: Path, tmp_path: Path) -> None:
    n = sum(1 for _ in clean_lake.rglob("*.jpg"))
    told = shell("build", clean_lake, "--work", tmp_path, "--sample", n - 4, *FLAGS).stdout.splitlines()
    assert f"{n - 4} photos of {n}, a sample" in told[0]
    assert told[-2:-1] == ["A first look; without --sample the other 4 photos are read too"]


def test_the_lake_is_never_written_to(built: tuple[Path, Bundle, list[str]], messy_lake: tuple[Path, Planted]) -> None:
    lake, planted = messy_lake
    there = {path.relative_to(lake).as_posix() for path in lake.rglob("*") if path.is_file()}
    assert there == set(planted.photos)


LAMBDA = """
import json, sys
from pathlib import Path
from typing import Any
from fledged.serving.function import handler
from tests.events import event
answer = handler(event("url", "POST", "/classify", Path(sys.argv[1]).read_bytes()), None)
print(answer["body"])
"""


def asked_on_lambda(bundle: Bundle, photo: Path) -> dict[str, Any]:
    """What the function answers to an event that holds this photo."""
    environment = os.environ | {"FLEDGED_BUNDLE": str(bundle.folder), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", LAMBDA, str(photo)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_python_shell_http_and_lambda_answer_alike(built: tuple[Path, Bundle, list[str]], photo: Path) -> None:
    work, bundle, _ = built
    ours = fledged.load(bundle).predict(photo)
    said = json.loads(shell("predict", photo, "--work", work, "--json", "--top-k", 4).stdout)
    server = subprocess.Popen(
        [*python(), "-m", "fledged", "serve", "--work", str(work), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1].rstrip("/")
        sent = httpx.post(f"{url}/classify", files={"photo": photo.read_bytes()}, timeout=30).json()
        raw = httpx.post(f"{url}/classify", content=photo.read_bytes(), timeout=30).json()
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        if server.stdout is not None:
            server.stdout.close()
    for answer in (said, sent, raw, asked_on_lambda(bundle, photo)):
        assert answer["label"] == ours.label
        assert answer["bundle_id"] == bundle.id
        assert (answer["accepted"], answer["unknown_score"]) == (ours.accepted, ours.unknown_score)
        assert [entry["score"] for entry in answer["top_k"]] == [
            entry.score for entry in ours.top_k[: len(answer["top_k"])]
        ]


def test_predict_answers_folders_and_names_what_it_cannot_read(
    built: tuple[Path, Bundle, list[str]], messy_lake: tuple[Path, Planted]
) -> None:
    work, _, _ = built
    lake, planted = messy_lake
    lines = shell("predict", lake, "--work", work).stdout.splitlines()
    unreadable = [line for line in lines if "\terror: " in line]
    assert len(unreadable) >= len(planted.unreadable)
    assert len(lines) > len(unreadable)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--epoch", "3"], "--epochs"),
        (["trian"], "Did you mean 'train'"),
        (["train", "--epochs", "many"], "train --help"),
        (["train", "--set", "train.epoch=3"], "Did you mean `epochs`"),
        (["train", "--mode", "tranfser"], "transfer"),
        (["train", "--backbone", "resnet17"], "no such backbone"),
        (["evaluate", "run:ffff"], "does not exist"),
        (["scan", "nowhere"], "There is no such folder"),
        (["predict", "nowhere.jpg"], "nowhere.jpg"),
        (["serve", "--port", "99999"], "65535"),
    ],
)
def test_mistakes_are_one_line_with_a_remedy_and_exit_code_2(
    built: tuple[Path, Bundle, list[str]], words: list[str], said: str
) -> None:
    done = shell(*words, "--work", built[0], check=False)
    assert done.returncode == 2
    output = done.stderr + done.stdout
    assert said in output
    assert len(output.strip().splitlines()) == 1


def test_a_wrong_setting_is_found_before_any_work_is_done(tmp_path: Path, clean_lake: Path) -> None:
    with pytest.raises(ConfigError, match="epochs"):
        fledged.build(clean_lake, work=tmp_path / "work", settings={"train": {"epoch": 3}})
    with pytest.raises(WeightsError, match="no such weights file"):
        fledged.build(clean_lake, work=tmp_path / "work", settings={"train": {"weights": "gone.safetensors"}})
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(("classes", "said"), [(1, "two classes"), (2, "--drop-classes")])
def test_a_lake_that_is_too_small_is_a_clear_error(tmp_path: Path, clean_lake: Path, classes: int, said: str) -> None:
    lake = tmp_path / "lake"
    folders = sorted(path for path in clean_lake.iterdir() if path.is_dir())
    shutil.copytree(folders[0], lake / "first")
    if classes == 2:
        (lake / "second").mkdir()
        shutil.copy(min(folders[1].iterdir()), lake / "second")
    done = shell("build", lake, "--work", tmp_path / "work", check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert (tmp_path / "work" / "reviews").exists() == (classes == 2)  # one class is seen after the scan


@contextlib.contextmanager
def stopped_after(server: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Whatever fails in the block, it does not wait for a server that nobody stops."""
    try:
        yield server
    finally:
        server.terminate()
        server.communicate(timeout=30)


def test_two_builds_at_once_end_in_the_same_bundle_while_a_server_reads_the_one_before(
    built: tuple[Path, Bundle, list[str]], messy_lake: tuple[Path, Planted], photo: Path, tmp_path: Path
) -> None:
    before, work = built[1].id, tmp_path / "work"
    shutil.copytree(built[0], work)
    serve = [*python(), "-m", "fledged", "serve", "--work", str(work), "--port", "0", "--set", "serve.watch=true"]
    build = [*python(), "-m", "fledged", "build", str(messy_lake[0]), "--work", str(work), "--json", *FLAGS]
    with stopped_after(subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)) as server:
        assert server.stdout is not None
        with asking(server.stdout.readline().split()[-1].rstrip("/"), 1, photo.read_bytes()) as answers:
            until(lambda: bool(answers), seconds=60)
            both = [
                subprocess.Popen([*build, "--seed", "8"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for _ in range(2)
            ]
            outcomes = [process.communicate(timeout=240) for process in both]
            assert [process.returncode for process in both] == [0, 0], outcomes
            (made,) = {json.loads(out)["id"] for out, _ in outcomes}
            until(lambda: answers[-1][1] == made, seconds=60)
    assert server.returncode == 0
    assert {status for status, _ in answers} == {200}
    assert {bundle_id for _, bundle_id in answers} == {before, made}
    assert not broken_listings(work)
    assert {path.name for path in (work / "bundles").iterdir()} == {before, made}
    assert not list(work.rglob("*.part"))


def test_ctrl_c_in_the_shell_is_no_traceback(clean_lake: Path, tmp_path: Path) -> None:
    command = [*python(), "-m", "fledged", "build", str(clean_lake), "--work", str(tmp_path), *FLAGS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # the first product is there
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert re.search(r"Stopped; what was finished is kept", errors)


@pytest.mark.parametrize("place", ["decisions.jsonl", "latest.json"])
def test_what_the_system_refuses_is_one_line_with_the_path(clean_lake: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir()  # a folder where a file belongs
    shell("scan", clean_lake, "--work", tmp_path, check=False)
    done = shell("review", "--work", tmp_path, "--no-open", check=False)
    assert done.returncode == 2
    assert f"Is a directory ({tmp_path / place})" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize(("verb", "size_kib"), [("scan", 200), ("build", 1_500)])  # full early, and late
def test_a_full_disk_at_any_step_is_one_line_and_the_next_try_succeeds(
    clean_lake: Path, tmp_path: Path, verb: str, size_kib: int
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        command = (verb, clean_lake, "--work", disk / "work", *(FLAGS if verb == "build" else ()))
        done = shell(*command, check=False)
        assert done.returncode == 2
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert "No space left on device" in errors[0]
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        assert shell(*command).returncode == 0
    finally:
        subprocess.run(["umount", disk], check=True)


def test_prepare_in_the_shell_splits_as_asked_measures_the_leak_and_hands_over_copies(
    built: tuple[Path, Bundle, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    shutil.copytree(built[0], work)
    (tmp_path / "fledged.toml").write_text(
        f"[train]\nbackbone = '{BACKBONE}'\nweights = '{TINY['weights']}'\ninput.size_px = 64\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["prepare", "--work", work, "--set", "prepare.shorter_side_px=64"]
    told = shell(*words, "--split", "0.6,0.2,0.2", "--measure-leak").stdout
    assert re.search(r"A random split would have claimed \d+\.\d% .* without leaks it is \d+\.\d%", told)
    assert "Kept together: " in told
    assert "Copied" in shell("copy", "tree", "--work", work).stdout
    assert (tmp_path / "tree" / "manifest.csv").exists()
    fold = json.loads(shell(*words, "--fold", "2/4", "--json").stdout)
    assert fold["settings"]["fold"] == "2/4"
    for wrong, said in ((["--split", "0.8,0.1"], "0.7, 0.15, 0.15"), (["--fold", "5/4"], "1/5")):
        done = shell(*words, *wrong, check=False)
        assert done.returncode == 2
        assert said in done.stderr
    done = shell("copy", "tree", "--work", work, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
