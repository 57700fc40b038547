"""Every file of a product, with a bit flipped or cut off at 64 places: found when it is opened, and named."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fledged.deploying.deploy import deploy
from fledged.errors import ProductError
from fledged.evaluating.evaluate import evaluate
from fledged.fitting.epochs import Progress
from fledged.product_files import MAKERS, open_product, write_record
from fledged.products import Bundle, Dataset, Package, Product, RangeTest, Report, Review, Run, Snapshot
from fledged.progress import silent
from fledged.settings.training import TrainConfig
from fledged.training import checkpoints
from fledged.training.lr_finder import find_lr
from fledged.workspace import Workspace
from fledged.writing import write_bytes
from tests.bundles import make_tiny_bundle
from tests.serving.photos import encoded, picture
from tests.tiny import TINY

N_PLACES = 64
OF_THE_CHAIN: tuple[type[Product], ...] = (Snapshot, Review, Dataset, Run)
KINDS = (*OF_THE_CHAIN, RangeTest, Report, Bundle, Package)


@pytest.fixture
def product(
    kind: type[Product], work: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Product:
    """One of this kind, of this test alone."""
    own = tmp_path / "work"
    if kind in OF_THE_CHAIN:
        product_id = request.getfixturevalue("run").id if kind is Run else None
        shutil.copytree(work, own)
        return Workspace(own).load(kind, product_id)
    if kind is RangeTest:
        shutil.copytree(work, own)
        return find_lr(work=own, report=silent, train=TINY | {"input": {"size_px": 64}, "views": 1}, steps=20)
    bundle = make_tiny_bundle(own)
    if kind is Package:
        (tmp_path / "libraries").mkdir()
        (tmp_path / "libraries" / "library.py").write_text("here = True")
        monkeypatch.setattr("fledged.deploying.distributions.unpacked", lambda *_: tmp_path / "libraries")
        return deploy(bundle, work=own, report=silent, model={"bucket": "photos"})
    if kind is Report:
        for colour in ("red", "green"):
            write_bytes(tmp_path / "birds" / colour / "1.jpg", encoded(picture(colour, (64, 48)), "JPEG"))
        return evaluate(bundle, tmp_path / "birds", work=own, report=silent)
    return bundle


def shorten(product: Product) -> None:
    """Cut large files to a few kB and write the record anew: hashing them 128 times then takes no time."""
    for name in product.files:
        file = product.folder / name
        file.write_bytes(file.read_bytes()[:5000])
    write_record(product, product.folder)


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
def test_a_damaged_file_of_a_product_is_named(kind: type[Product], product: Product) -> None:
    shorten(product)
    folder = product.folder
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
