"""Every command block of the README runs, in order, in one folder, on a small drawn lake."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.drawing import draw_lake
from tests import preloaded

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```(sh|python|console)\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader would be: a folder with `photos/` and a settings file that keeps this test quick."""
    place = tmp_path_factory.mktemp("readme")
    planted = draw_lake(place / "photos", n_per_class=9, size_px=(96, 72))
    # The README's `photo.jpg`, and its labelled folder of new photos.
    draw_lake(place / "new_photos", n_per_class=2, seed=8, defects=False, size_px=(96, 72))
    # The README's archive: its photos go into `photos/`.
    draw_lake(place / "downloads", n_per_class=2, seed=9, defects=False, size_px=(96, 72))
    shutil.make_archive(str(place / "downloads"), "zip", place / "downloads")
    good = next(path for path in planted.photos if path.endswith((".jpg", ".JPG")) and path not in planted.unreadable)
    (place / "photo.jpg").write_bytes((place / "photos" / good).read_bytes())
    (place / "fledged.toml").write_text(
        "[prepare]\nshorter_side_px = 64\n[train]\nviews = 1\nbackbone = 'efficientnet_lite0'\ninput.size_px = 64\n"
    )
    return place


def run(script: str, folder: Path) -> None:
    path = os.pathsep.join([str(preloaded.commands()), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def test_the_readme_shows_the_two_commands() -> None:
    text = "\n".join(block for _, block in BLOCKS)
    assert "make demo" in text
    assert "make test" in text


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=lambda number: f"block{number + 1}")
def test_a_block_runs(number: int, folder: Path) -> None:
    kind, text = BLOCKS[number]
    if kind == "python":
        (folder / "block.py").write_text(text)
        run(f"{shlex.join(preloaded.python())} block.py", folder)
        return
    for line in text.splitlines():
        command = line.partition("  #")[0].strip()
        if not command or command.startswith("#"):
            continue
        if command.startswith("git clone"):
            continue  # the reader's first step; here the clone is this one
        if command.startswith("make "):
            # Running `make test` in the tests would never end: its target must exist and its recipe must parse.
            run(f"make --dry-run --always-make {command.removeprefix('make ')}", ROOT)
        elif command.startswith("pip install"):
            extra = re.search(r"\[(\w+)\]", command)
            assert extra is None or f"\n{extra.group(1)} = [" in (ROOT / "pyproject.toml").read_text()
        elif command.startswith("fledged serve"):
            serve(command, folder)
        else:
            run(command, folder)


def serve(command: str, folder: Path) -> None:
    """Start the server as the README says, on a free port, until it answers."""
    words = [*preloaded.python(), "-m", *command.split(), "--port", "0"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("Serving http://")
        time.sleep(0.1)
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
