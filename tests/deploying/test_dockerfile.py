"""The Dockerfile's steps, done in a plain folder: what they make is a server that runs as nobody and writes nothing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fledged.deploying.deploy import deploy
from fledged.predicting.predictor import load
from fledged.products import Bundle, Package
from fledged.progress import silent
from tests.deploying.dockerfile import Stage, build, stages
from tests.serving.photos import jpeg

NOBODY = 10001


@pytest.fixture(scope="module")
def apart(bundle: Bundle, work: Path) -> Package:
    """With its bundle beside it."""
    return deploy(bundle, work=work, report=silent, model={"bucket": "bundles-of-owls"})


@pytest.fixture(params=["packed", "apart"])
def made(request: pytest.FixtureRequest) -> Package:
    package: Package = request.getfixturevalue(request.param)
    return package


def of(package: Package) -> dict[str, Stage]:
    return stages((package.folder / "Dockerfile").read_text())


def test_it_says_what_a_container_should_be(made: Package) -> None:
    found = of(made)
    assert list(found) == ["unpacked", "lambda", "server"]
    assert found["lambda"].base == "public.ecr.aws/lambda/python:3.13"
    assert {found["unpacked"].base, found["server"].base} == {"python:3.13-slim"}
    assert int(found["server"].last("USER")) > 0
    assert re.fullmatch(r"[0-9]+", found["server"].last("EXPOSE"))
    for stage in found.values():
        for instruction, rest in stage.steps:
            assert instruction in {"COPY", "RUN", "CMD", "USER", "ENV", "EXPOSE", "HEALTHCHECK"}
            sources = rest.split()[:-1] if instruction == "COPY" else []
            for source in sources if not rest.startswith("--from=") else []:
                assert (made.folder / source).is_file(), source


@pytest.fixture
def root(made: Package) -> Iterator[Path]:
    """The stages, built; where nobody can write, if mounting is allowed."""
    folder = Path(tempfile.mkdtemp(prefix="fledged-container-"))  # pytest's own is closed to others
    folder.chmod(0o755)
    for stage in of(made).values():
        build(stage, made.folder, folder)
    _put_python(folder)
    is_mounted = not subprocess.run(["mount", "--bind", folder, folder], check=False, capture_output=True).returncode
    if is_mounted:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    yield folder
    if is_mounted:
        subprocess.run(["umount", folder], check=True)
    shutil.rmtree(folder)


def _put_python(root: Path) -> None:
    """What the image brings: a Python that anybody may run, with the libraries of this one."""
    base: str = getattr(sys, "_base_executable", sys.executable)
    others = [base, shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin") or base]
    chosen = next((python for python in others if nobody(python)), base)
    subprocess.run([chosen, "-m", "venv", "--without-pip", root / "python"], check=True, timeout=60)
    (libraries,) = (root / "python").glob("lib/python*/site-packages")
    (libraries / "image.pth").write_text(f"{root / 'site'}\n{sysconfig.get_path('purelib')}\n")


def nobody(python: str | Path) -> int | None:
    """Who the server runs as; None where that cannot be changed, or where others may not run this Python."""
    with contextlib.suppress(OSError):
        if os.geteuid() == 0:
            tried = subprocess.run([python, "-c", "import zlib"], user=NOBODY, check=False, capture_output=True)
            return None if tried.returncode else NOBODY
    return None


def test_its_server_answers_as_the_bundle_does_here(made: Package, root: Path, bundle: Bundle) -> None:
    server = of(made)["server"]
    environment = {
        "PATH": f"{root / 'python' / 'bin'}:/usr/bin:/bin",
        **dict(rest.split("=") for word, rest in server.steps if word == "ENV"),
    }
    python = root / "python" / "bin" / "python"
    program, *words = server.command(root)
    # By this Python, and not by the one that pip wrote into the script.
    command = [str(python), str(root / "site" / "bin" / program), *map(str, words), "--port", "0"]
    with subprocess.Popen(
        command, env=environment, cwd="/", user=nobody(python), stdout=-1, stderr=-1, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            address = re.search(r"http://localhost:(\d+)/", told)
            assert address is not None, told or process.communicate()[1]
            url = f"http://127.0.0.1:{address[1]}"
            answer = httpx.post(f"{url}/classify", content=jpeg("green"), timeout=60).json()
            here = load(bundle).predict(jpeg("green"))
            assert (answer["bundle_id"], answer["label"]) == (bundle.id, "green")
            assert [entry["score"] for entry in answer["top_k"]] == [entry.score for entry in here.top_k]
            healthy = [word.replace(":8000", f":{address[1]}") for word in server.command(root, "HEALTHCHECK")]
            assert subprocess.run(healthy, env=environment, check=False, timeout=60).returncode == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_its_function_is_the_package(made: Package, root: Path) -> None:
    task = root / "task"
    handler = of(made)["lambda"].command(root)[0].rpartition(".")[0]
    assert (task / f"{handler.replace('.', '/')}.py").is_file()
    assert (task / "bundle" / "model.onnx").is_file()
