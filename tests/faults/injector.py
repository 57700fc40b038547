"""Runs commands of fledged in children of a warm process, and ends or fails their Nth file operation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.faults.stand_ins import lay_wheels
from tests.faults.state import State

HERE = Path(__file__).parent
_WARM = [sys.executable, "-m", "tests.faults.warm"]
MISSING = "" if shutil.which("gcc") and sys.platform == "linux" else "the shim needs Linux and gcc"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int  # the exit code; the negated signal if it was killed
    out: str
    err: str
    count: int  # operations of the kinds that were asked for
    hit: str  # the operation that was ended or failed
    hit_at: int  # its number among those of all kinds, from 1 on; 0 if there were not so many
    kinds_after: int  # of the operations that came after it
    sequence: bytes  # the kind of each operation, of all kinds


class Injector:
    """A warm process and its shared page. Close it after use."""

    def __init__(self, folder: Path) -> None:
        shim = folder / "shim.so"
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", shim, HERE / "shim.c", "-ldl"], check=True)
        self.folder = folder
        self._modules: list[str] = []
        self.state = State(folder / "state")
        lay_wheels(folder / "wheels")
        (folder / "tmp").mkdir()  # killed commands leave their temporary folders
        root = HERE.parents[1]
        paths = [str(root), str(root / "src")]
        self._env = os.environ | {
            "LD_PRELOAD": str(shim),
            "FAULTS_STATE": str(folder / "state"),
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_WAIT_POLICY": "PASSIVE",
            # No hub of weights is asked, and nobody waits for one.
            "HF_HUB_OFFLINE": "1",
            "https_proxy": "http://127.0.0.1:9",
            "MALLOC_ARENA_MAX": "2",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(folder / "wheels"),
            "TMPDIR": str(folder / "tmp"),
        }
        self._process = subprocess.Popen(
            _WARM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, env=self._env
        )
        self.threads = self._answer()["threads"]

    def run(
        self,
        argv: list[str],
        root: Path,
        mode: str = "count",
        kinds: int = 63,
        nth: int = 0,
        error: int = 0,
        trace: Path | None = None,
        is_fresh: bool = False,
    ) -> Outcome:
        """Run a command (or `module:function` with arguments), with a fault at its Nth operation below `root`.

        Into `trace`, an empty folder, go the operations and what `power.py` reads. One that `is_fresh` is no fork.
        """
        out, err = self.folder / "out", self.folder / "err"
        (self.folder / "out.modules").unlink(missing_ok=True)
        self.state.order(root, mode, kinds, nth, error, trace)
        request = {"argv": argv, "cwd": str(root.parent), "out": str(out), "err": str(err), "modules": self._modules}
        if is_fresh:
            code = subprocess.run([*_WARM, json.dumps(request)], check=False, cwd=self.folder, env=self._env).returncode
        else:
            self._requests.write((json.dumps(request) + "\n").encode())
            self._requests.flush()
            code = os.waitstatus_to_exitcode(self._answer()["status"])
        self.state.disarm()
        modules = self.folder / "out.modules"
        self._modules = json.loads(modules.read_text()) if modules.exists() else []
        said, errors = [file.read_text(errors="replace") if file.exists() else "" for file in (out, err)]
        seen = self.state
        return Outcome(code, said, errors, seen.count, seen.hit, seen.hit_at, seen.kinds_after, seen.sequence)

    def close(self) -> None:
        """End the process."""
        self._requests.close()
        self._process.wait(timeout=30)
        if self._process.stdout:
            self._process.stdout.close()

    @property
    def _requests(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the warm process has ended")
        answer: dict[str, int] = json.loads(line)
        return answer
