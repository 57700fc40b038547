"""Every file of a product, with a bit flipped or cut off at 64 places: found when it is opened, and named."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fledged.errors import ProductError
from fledged.product_files import MAKERS, open_product
from fledged.products import Bundle, Dataset, Product, Review, Run, Snapshot
from fledged.settings.training import TrainConfig
from fledged.training import checkpoints
from fledged.training.loop import Progress
from fledged.workspace import Workspace
from fledged.writing import write_bytes
from tests.bundles import make_tiny_bundle

N_PLACES = 64
KINDS: tuple[type[Product], ...] = (Snapshot, Review, Dataset, Run, Bundle)


def copy_of(kind: type[Product], work: Path, product_id: str | None, folder: Path) -> Path:
    """A product's folder, to be damaged. Weights are cut to a few kB, so that hashing them 128 times takes no time."""
    if kind is Bundle:
        return make_tiny_bundle(folder / "work").folder
    source = Workspace(work).load(kind, product_id).folder
    shutil.copytree(source, folder / "copy")
    large = [file for file in (folder / "copy").iterdir() if file.stat().st_size > 2**20]
    for file in large:
        file.write_bytes(file.read_bytes()[:5000])
    if large:
        record = folder / "copy" / f"{kind.kind}.json"
        product = kind.model_validate_json(record.read_bytes())
        folder = Workspace(folder / "anew").folder(kind.kind, product.id)
        shutil.copytree(record.parent, folder)
        Workspace(folder.parents[1]).save(product)
        return folder
    return folder / "copy"


def damages(data: bytes, draw: random.Random) -> list[bytes]:
    """64 times one bit flipped, and 64 times cut off; the first and the last byte are among the places."""
    places = [0, len(data) - 1, *(draw.randrange(len(data)) for _ in range(N_PLACES - 2))]
    flipped = [data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :] for at in places]
    return flipped + [data[:at] for at in places]


def refusal(kind: type[Product], folder: Path) -> str:
    """Why it is not opened; "" if it is."""
    try:
        open_product(kind, folder)
    except ProductError as error:
        return str(error)
    return ""


def differing(data: bytes, damaged: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Where, the text around it, and what came of it."""
    for at, (was, now) in enumerate(zip(data, damaged, strict=False)):
        if was != now:
            yield at, data[max(0, at - 20) : at + 20], damaged[max(0, at - 20) : at + 20]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.kind))
def test_a_damaged_file_of_a_product_is_named(
    kind: type[Product], work: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run_id = request.getfixturevalue("run").id if kind is Run else None
    folder = copy_of(kind, work, run_id, tmp_path)
    names = [*open_product(kind, folder).files, f"{kind.kind}.json"]
    assert len(names) > 1
    draw = random.Random(8)
    for name in names:
        data = (folder / name).read_bytes()
        for damaged in damages(data, draw) if data else [b"\0"]:
            (folder / name).write_bytes(damaged)
            words = refusal(kind, folder)
            assert name in words or name == names[-1], (name, damaged[:100], words)
            assert MAKERS[kind.kind] in words or "format" in words, (name, list(differing(data, damaged)), words)
        (folder / name).write_bytes(data)
    assert open_product(kind, folder)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    begun = checkpoints.begin("0123456789ab", "d", TrainConfig(), workspace)
    progress = Progress(model={"w": torch.arange(100.0)}, optimizer={}, average={}, best={"w": torch.ones(3)})
    checkpoints.save(progress, begun, workspace)
    kept = checkpoints.find("0123456789ab", workspace)
    assert kept is not None
    file = tmp_path / "checkpoints" / kept.file
    data = file.read_bytes()
    for damaged in damages(data, random.Random(9)):
        file.write_bytes(damaged)
        with pytest.raises(ProductError, match=r"The checkpoint is damaged.*Train again without --resume"):
            checkpoints.load(kept, workspace)
    file.write_bytes(data)
    assert torch.equal(checkpoints.load(kept, workspace).model["w"], torch.arange(100.0))


@pytest.mark.parametrize("text", [b"", b"{", b'{"run_id": 5}', b"[]", b'{"run": "x"}', b"\xff"])
def test_a_damaged_note_of_the_last_checkpoint_is_one_line(tmp_path: Path, text: bytes) -> None:
    workspace = Workspace(tmp_path)
    write_bytes(tmp_path / "checkpoints" / "latest.json", text)
    with pytest.raises(ProductError, match=r"latest\.json"):
        checkpoints.latest(workspace)


def test_a_record_of_before_there_were_seals_is_opened(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    record = bundle.folder / "bundle.json"
    told = json.loads(record.read_text())
    del told["seal"]
    record.write_text(json.dumps(told))
    assert open_product(Bundle, bundle.folder).classes == bundle.classes
