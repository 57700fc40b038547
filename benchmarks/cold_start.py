"""What a cold start on AWS Lambda costs: the very zip, unpacked, against torch and torchvision doing the same.

    python -m benchmarks.cold_start BUNDLE      # a bundle's folder, of mobilenet_v2

One core, modules compiled ahead, files in the page cache: import, open the model, first answer. Lambda adds what it
takes to fetch the package and to start a machine, which nobody can measure here.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from PIL import Image

from benchmarks import results
from fledged.deploying.deploy import deploy
from fledged.deploying.package import find_interpreter
from fledged.networks import backbones
from fledged.progress import silent

ROUNDS = 9
_SIZE_PX = (640, 480)

_OURS = """
import time
start_s = time.perf_counter()
import base64, sys
photo = base64.b64encode(open(sys.argv[1], "rb").read()).decode()
from fledged.serving.function import handler
ready_s = time.perf_counter() - start_s
event = {
    "version": "2.0", "rawPath": "/classify", "rawQueryString": "", "headers": {"content-type": "image/jpeg"},
    "requestContext": {"http": {"method": "POST", "path": "/classify", "sourceIp": "", "protocol": "HTTP/1.1"}},
    "body": photo, "isBase64Encoded": True,
}
assert handler(event, None)["statusCode"] == 200
first_s = time.perf_counter() - start_s
handler(event, None)
"""

_TORCH = """
import time
start_s = time.perf_counter()
import io, sys
import torch
from PIL import Image
from torchvision import transforms
torch.set_num_threads(1)
model = torch.jit.load(sys.argv[2])
ready_s = time.perf_counter() - start_s
resize = transforms.Compose([
    transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])
def handler(data):
    with torch.no_grad():
        return model(resize(Image.open(io.BytesIO(data)).convert("RGB"))[None]).softmax(1).tolist()
data = open(sys.argv[1], "rb").read()
handler(data)
first_s = time.perf_counter() - start_s
handler(data)
"""

_TOLD = """
last_s = time.perf_counter() - start_s - first_s
import json
# Not getrusage: its maximum is inherited from the process that started this one.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
print(json.dumps([ready_s, first_s, last_s, peak]))
"""


def measure(bundle: Path) -> None:
    """In turns, so that a busy moment hits all alike, and a table."""
    python = find_interpreter("3.13")
    if python is None:
        sys.exit("error: Python 3.13 is not at hand")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        packed = deploy(bundle, work=root / "work", report=silent)
        with zipfile.ZipFile(packed.folder / "function.zip") as archive:
            archive.extractall(root / "task")
        Image.radial_gradient("L").resize(_SIZE_PX).convert("RGB").save(root / "photo.jpg")
        network = backbones.empty("mobilenet_v2").eval()
        torch.jit.trace(network, torch.zeros(1, 3, 224, 224)).save(str(root / "model.pt"))  # type: ignore[no-untyped-call]
        commands = {
            "the zip": [python, "-c", _OURS + _TOLD, str(root / "photo.jpg")],
            "torch.jit and torchvision": [
                *(sys.executable, "-c", _TORCH + _TOLD),
                *(str(root / "photo.jpg"), str(root / "model.pt")),
            ],
        }
        told: dict[str, list[list[float]]] = {name: [] for name in commands}
        for number in range(ROUNDS + 1):
            for name, command in commands.items():
                environment = os.environ | {"PYTHONPATH": str(root / "task")} if name == "the zip" else dict(os.environ)
                one_core = ["taskset", "-c", "0", *command]
                done = subprocess.run(one_core, capture_output=True, text=True, check=True, env=environment)
                if number:  # the first one fills the page cache
                    told[name].append(json.loads(done.stdout))
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in told.items()}
    zipped_mb, unpacked_mb = packed.n_bytes / 2**20, packed.n_bytes_unpacked / 2**20
    theirs = medians["torch.jit and torchvision"]
    results.write(
        "Cold start: the package for Lambda against torch",
        "python -m benchmarks.cold_start BUNDLE",
        ["what", "s to import and open", "s to the first answer", "of torch's", "ms of the next answer", "peak MiB"],
        [
            [name, f"{ready:.3f}", f"{first:.3f}", f"{first / theirs[1]:.2f}", f"{last * 1000:.1f}", f"{peak:.0f}"]
            for name, (ready, first, last, peak) in medians.items()
        ],
        f"One core, mobilenet_v2, a JPEG of {_SIZE_PX[0]} x {_SIZE_PX[1]}, medians of {ROUNDS} processes in turns.\n"
        f"The zip has {zipped_mb:.1f} MB ({unpacked_mb:.0f} MB unpacked) and answers the whole HTTP event; torch is\n"
        "given the photo's bytes alone.",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="a bundle's folder")
    measure(parser.parse_args().bundle)
