"""fledged serve, LitServe and BentoML with the same model and photos: requests a second and the slowest answers.

    apt-get install wrk
    python -m venv .venv-servers && .venv-servers/bin/pip install litserve bentoml onnxruntime pillow
    FLEDGED_SERVERS=.venv-servers/bin/python python -m benchmarks servers

Each server is started anew, alone, on the same two cores; wrk keeps its connections and sends forms, of one photo each,
in turns from all photos. The peers do what people write around an ONNX model, in workers of one thread, one a core.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks import results
from benchmarks.build import DATA, WEIGHTS
from fledged.predicting.predictor import load
from fledged.product_files import open_product
from fledged.products import Bundle
from fledged.workspace import Workspace

PYTHON = os.environ.get("FLEDGED_SERVERS", "")
N_PHOTOS, SECONDS, ROUNDS, CLIENTS = 64, 8, 3, (1, 32, 128)
_JOBS = Path(__file__).with_name("peer_jobs")
# The peers keep all who ask in line: with a line that is as long, fledged is asked on equal terms.
_LONG_LINE = "fledged serve, 256 in line"
_NAMES = ("fledged serve", _LONG_LINE, "LitServe", "BentoML")
_BOUNDARY = "a-form-of-one-photo"


def main(given: Path | None = None) -> None:
    """Measure in rounds and write the table."""
    lake = DATA / "ants_vs_bees"
    if not (PYTHON and lake.is_dir() and shutil.which("wrk")):
        print("skipped: this needs wrk, FLEDGED_SERVERS and the photos of FLEDGED_REAL_DATA; see the module")
        return
    with tempfile.TemporaryDirectory() as work:
        if given is None:
            build = [sys.executable, "-m", "fledged", "build", str(lake), "--work", work, "--weights", str(WEIGHTS)]
            subprocess.run(build, check=True, capture_output=True)
            given = Workspace(work).load(Bundle).folder
        script = Path(work) / "photos.lua"
        script.write_text(_lua(sorted((lake / "val").rglob("*.jpg"))[:N_PHOTOS], Path(work)))
        found: dict[tuple[str, int], list[tuple[float, float, float, int]]] = {}
        floors = []
        for _ in range(ROUNDS):
            floors.append(_floor(open_product(Bundle, given), lake))
            for name in _NAMES:
                with _served(name, given) as url:
                    for n in CLIENTS:
                        found.setdefault((name, n), []).append(_load(url, n, script))
    floor = sorted(floors)[ROUNDS // 2]
    rows: list[list[object]] = []
    for n in CLIENTS:
        for name in _NAMES:
            rate, p50, p99, n_bad = (sorted(column)[ROUNDS // 2] for column in zip(*found[name, n], strict=True))
            ours = sorted(one[0] for one in found[_NAMES[0], n])[ROUNDS // 2]
            rows.append(
                [n, name, f"{rate:.0f}", f"{rate / ours:.2f}", f"{rate / floor:.2f}", f"{p50:.0f}", f"{p99:.0f}", n_bad]
            )
    results.write(
        "Servers",
        "FLEDGED_SERVERS=.venv-servers/bin/python python -m benchmarks servers",
        ["clients", "server", "requests/s", "fledged = 1", "floor = 1", "p50 ms", "p99 ms", "refused"],
        rows,
        f"Medians of {ROUNDS} rounds of {SECONDS} s each; {_versions()}. {N_PHOTOS} photos of ants_vs_bees in forms, "
        "mobilenet_v2 at 224 px in\nfloat32. wrk shares the two cores with the server. fledged keeps 64 requests in "
        "line and refuses more with 429: rates are\nthose of answers. The peers refuse nobody.\n"
        "Floor: decoding and answering in one process, "
        f"one photo a core and no HTTP: {floor:.0f} a second.",
    )


def _floor(bundle: Bundle, lake: Path) -> float:
    """Answers a second without a server: the same photos, as many at a time as there are cores, a thread each."""
    photos = [path.read_bytes() for path in sorted((lake / "val").rglob("*.jpg"))[:N_PHOTOS]]
    predictor = load(bundle, threads=1)
    start_s, n = time.perf_counter(), 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        while time.perf_counter() - start_s < SECONDS:
            n += len(list(pool.map(predictor.predict, photos)))
        return n / (time.perf_counter() - start_s)


def _lua(photos: list[Path], folder: Path) -> str:
    """A script of wrk that posts these photos in turns."""
    for i, photo in enumerate(photos, 1):
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="{i}.jpg"\r\n'
        body = (
            f"{head}Content-Type: image/jpeg\r\n\r\n".encode()
            + photo.read_bytes()
            + f"\r\n--{_BOUNDARY}--\r\n".encode()
        )
        (folder / f"{i}.form").write_bytes(body)
    return f"""
local headers = {{["Content-Type"] = "multipart/form-data; boundary={_BOUNDARY}"}}
local bodies, turn = {{}}, math.random({len(photos)})
for i = 1, {len(photos)} do
  local file = io.open("{folder}/" .. i .. ".form", "rb")
  bodies[i] = file:read("*a")
  file:close()
end
request = function()
  turn = turn % {len(photos)} + 1
  return wrk.format("POST", "/classify", headers, bodies[turn])
end
done = function(summary, latency, requests)
  io.write(string.format("told %d %d %f %f %f\\n", summary.requests, summary.errors.status + summary.errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def _load(url: str, n: int, script: Path) -> tuple[float, float, float, int]:
    """Answers a second, p50 and p99 in ms, and how many were refused."""
    command = ["wrk", "-t", "1", "-c", str(n), "--timeout", "60s", "-s", str(script), url]
    subprocess.run([*command, "-d", "2s"], check=True, capture_output=True)  # warm up
    told = subprocess.run([*command, "-d", f"{SECONDS}s"], check=True, capture_output=True, text=True).stdout
    match = re.search(r"told (\d+) (\d+) (\S+) (\S+) (\S+)", told)
    assert match, told
    n_all, n_bad = int(match[1]), int(match[2])
    return (n_all - n_bad) / float(match[3]), float(match[4]), float(match[5]), n_bad


@contextlib.contextmanager
def _served(name: str, bundle: Path) -> Iterator[str]:
    port = _free_port()
    serve = [sys.executable, "-m", "fledged", "serve", str(bundle), "--port", str(port)]
    command = {
        "fledged serve": serve,
        _LONG_LINE: [*serve, "--set", "serve.max_waiting=256"],
        "LitServe": [PYTHON, str(_JOBS / "litserve_job.py"), str(bundle), str(port)],
        "BentoML": [
            PYTHON,
            "-m",
            "bentoml",
            "serve",
            "bentoml_job:Classifier",
            "--port",
            str(port),
            "--host",
            "127.0.0.1",
        ],
    }[name]
    environment = os.environ | {"BUNDLE": str(bundle), "BENTOML_DO_NOT_TRACK": "1", "PYTHONPATH": _python_path(name)}
    url = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, cwd=_JOBS, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            photo = next((DATA / "ants_vs_bees" / "val").rglob("*.jpg")).read_bytes()
            for _ in range(240):
                with contextlib.suppress(httpx.HTTPError):
                    answer = httpx.post(f"{url}/classify", files={"photo": ("1.jpg", photo, "image/jpeg")}, timeout=60)
                    if answer.status_code == 200:
                        assert answer.json()["label"] in ("ants", "bees")
                        break
                if process.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(log.read().decode()[-2000:])
                time.sleep(0.5)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _python_path(name: str) -> str:
    return os.environ.get("PYTHONPATH", "") if name.startswith("fledged") else str(_JOBS)


def _versions() -> str:
    ask = "from importlib.metadata import version as v; print('LitServe', v('litserve') + ', BentoML', v('bentoml'))"
    return subprocess.run([PYTHON, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a bundle's folder; built anew without")
    main(parser.parse_args().bundle)
