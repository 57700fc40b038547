"""The same products, caches and answers from this machine's cores and from Ray, whoever works and is killed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fledged.embedding.activations import Store, activations_of, shape_of
from fledged.embedding.features import features_of
from fledged.embedding.graphs import embedding_of, onward
from fledged.engine import LOCAL, Engine
from fledged.fitting.batches import read_split
from fledged.measuring.answering import answer
from fledged.measuring.photos import of_test_split
from fledged.measuring.subject import find_subject
from fledged.networks.blocks import chain, cut
from fledged.networks.inference import load_classifier
from fledged.predicting.files import read
from fledged.predicting.many import answer_many
from fledged.predicting.predictor import load
from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.reviewing.neighbours import nearest
from fledged.reviewing.review import review
from fledged.scanning.scan import scan
from fledged.settings.results import EvaluateConfig
from fledged.workspace import Workspace
from tests.aws import buckets, upload
from tests.bundles import make_tiny_bundle
from tests.minutes import needs_minutes
from tests.spreading import losses
from tests.tiny import TINY

HERE = Path(__file__).parent


def content(work: Path) -> dict[str, str]:
    """The hash of each file of a working folder, but for times; of networks only that they are there."""
    return {str(path.relative_to(work)): _hash(path) for path in sorted(work.rglob("*")) if path.is_file()}


def _hash(path: Path) -> str:
    if path.suffix in (".onnx", ".lock"):
        return ""
    data = path.read_bytes()
    if path.suffix == ".json":
        record = json.loads(data)
        if isinstance(record, dict):
            # The seal is over the times too.
            record |= {
                "created_at": "",
                "seconds": 0,
                "seal": "",
                "files": {**record.get("files", {}), "overview.html": ""},
            }
            data = json.dumps(record, sort_keys=True).encode()
    if path.suffix == ".html":
        data = b""  # says when it was made
    return hashlib.sha256(data).hexdigest()


def flow(lake: Path, work: Path, engine: str) -> dict[str, str]:
    on = {"name": engine}
    snapshot = scan(lake, work=work, report=silent, engine=on)
    found = review(snapshot, work=work, report=silent, engine=on, train=TINY)
    prepare(None, found, work=work, report=silent, engine=on, shorter_side_px=64)
    return content(work)


@needs_minutes
def test_a_lake_becomes_the_same_files(ray_engine: Engine, clean_lake: Path, tmp_path: Path) -> None:
    here, there = (flow(clean_lake, tmp_path / name, name) for name in ("local", "ray"))
    assert len(here) > 10
    assert here == there


def test_any_number_of_workers_makes_the_same_files(
    ray_engine: Engine, clean_lake: Path, work: Path, tmp_path: Path
) -> None:
    made = []
    for name, workers in (("local", 1), ("ray", 1), ("ray", 2), ("ray", 4)):
        own, on = tmp_path / f"{name}{workers}", {"name": name}
        shutil.copytree(work, own, ignore=shutil.ignore_patterns("copies", "datasets"))
        snapshot = scan(clean_lake, work=own / "fresh", report=silent, engine=on, workers=workers)
        dataset = prepare(work=own, report=silent, engine=on, workers=workers, shorter_side_px=80)
        # Records name how many workers there were.
        files = [snapshot.files["photos.parquet"], {**dataset.files}]
        made.append((snapshot.id, dataset.id, files))
    assert len(dataset.files) > 3
    assert all(each == made[0] for each in made[1:])


@needs_minutes
def test_photos_in_a_bucket_become_the_same_files(clean_lake: Path, tmp_path: Path) -> None:
    settings = "".join(f"{name} = '{value}'\n" for name, value in TINY.items())
    (tmp_path / "fledged.toml").write_text(f"[prepare]\nshorter_side_px = 64\n[train]\n{settings}")
    with buckets(tmp_path / "cache", "lake") as client:
        upload(client, clean_lake, "lake", "birds")
        for engine in ("local", "ray"):  # each in processes of its own, that know where the bucket is
            for words in (["scan", "s3://lake/birds"], ["review", "--no-open"], ["prepare"]):
                done = fledged(*words, "--work", engine, "--engine", engine, folder=tmp_path)
                assert done.returncode == 0, done.stderr
            shutil.rmtree(tmp_path / engine / "cache" / "probes")  # of photos that are older than a moment
    here, there = (content(tmp_path / name) for name in ("local", "ray"))
    assert len(here) > 10
    assert here == there


def test_features_and_activations_are_the_same_bits(
    ray_engine: Engine, run: Run, dataset: Dataset, tmp_path: Path
) -> None:
    photos = read_split(dataset, "train").head(21)
    backbone = load_classifier(run).embed.backbone
    blocks, _ = cut(chain(run.backbone.name, backbone), 1, run.backbone.name)
    networks = Workspace(tmp_path / "networks")
    whole = embedding_of(run.backbone.name, backbone, run.preprocess, networks)
    first = embedding_of("first", blocks[:-1], run.preprocess, networks)
    later = onward(first, "later", blocks[-1:], shape_of(first), networks)
    made = []
    for number, on in enumerate(replace(e, workers=n) for e, n in [(LOCAL, 3), *((ray_engine, n) for n in (1, 2, 4))]):
        workspace = Workspace(tmp_path / str(number))
        features = features_of(photos, replace(whole, on=on), 0, workspace, silent)
        frozen = replace(later, on=on, base=replace(first, on=on))
        kept = activations_of(photos, frozen, 2, (), Store(workspace, 10**9, silent))
        everything = kept.take(np.zeros(21, np.int64), np.arange(21))
        made.append((features.tobytes(), everything.tobytes(), content(workspace.root)))
    assert all(each == made[0] for each in made[1:])


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_predictions_are_the_same_bits_and_failures_the_same_words(
    ray_engine: Engine, clean_lake: Path, tmp_path: Path, workers: int
) -> None:
    make_tiny_bundle(tmp_path)
    predictor = load(work=tmp_path, threads=1)
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    photos = [*sorted(clean_lake.rglob("*.jpg"))[:13], tmp_path / "broken.jpg", tmp_path / "absent.jpg"]
    asked = [(photo.name, partial(read, photo)) for photo in photos]
    here = [(name, said.model_copy(update={"seconds": 0})) for name, said in answer_many(predictor, asked, 3)]
    on = replace(ray_engine, workers=workers)
    there = [(name, said.model_copy(update={"seconds": 0})) for name, said in answer_many(predictor, asked, 3, on)]
    assert len(here) == len(photos)
    assert here == there


def test_near_duplicates_are_searched_with_the_same_result(ray_engine: Engine) -> None:
    features = np.random.default_rng(5).normal(size=(3000, 16)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    here, there = (nearest(features, 6, on, exact_below=100) for on in (LOCAL, replace(ray_engine, workers=2)))
    assert np.array_equal(here.index_NK, there.index_NK)
    assert np.array_equal(here.cosine_NK, there.cosine_NK)


def test_an_evaluation_has_the_same_answers(ray_engine: Engine, run: Run, dataset: Dataset, work: Path) -> None:
    judged = find_subject(Workspace(work), run)
    photos = of_test_split(dataset, run.classes)
    here, there = (answer(photos, judged, EvaluateConfig(), silent, on) for on in (LOCAL, ray_engine))
    assert here.table().equals(there.table())


def fledged(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command, in a process of its own."""
    command = [sys.executable, "-m", "fledged", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=250, env=env)


def python(*words: object) -> subprocess.CompletedProcess[str]:
    """This file's neighbour, run in a process of its own."""
    paths = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, HERE / "losses.py", *words]
    env = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=250, env=env)


@needs_minutes
def test_machines_that_are_killed_change_nothing(clean_lake: Path, work: Path, tmp_path: Path) -> None:
    for name in ("here", "there"):
        shutil.copytree(work, tmp_path / name)
        make_tiny_bundle(tmp_path / name)
    done = python("there", clean_lake, tmp_path / "there")
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)  # where nothing of Ray's own words may be
    here = list(losses.flow(clean_lake, tmp_path / "here", LOCAL, silent))
    assert there["killed"] == ["Scanning photos", "Shrinking photos", "Predicting"]
    assert len(here[-1]) == 40
    assert there["made"] == json.loads(json.dumps(here))


def test_a_scan_that_was_killed_goes_on_where_it_was(clean_lake: Path, tmp_path: Path) -> None:
    killed = python("die", clean_lake, tmp_path / "work")
    assert killed.returncode == -9
    totals: dict[str, int] = {}
    scan(clean_lake, work=tmp_path / "work", report=lambda step, done, total: totals.update({step: total}))
    assert totals["Scanning photos"] == 40 - 16
    assert not list((tmp_path / "work").glob("cache/probes/*/"))
    scan(clean_lake, work=tmp_path / "other", report=silent)
    one, other = (pl.read_parquet(*(tmp_path / name).glob("snapshots/*/photos.parquet")) for name in ("work", "other"))
    assert one.equals(other)
