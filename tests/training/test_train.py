"""A Dataset becomes a Run: seeded, repeatable, stoppable, resumable; the test split is not touched."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors.torch
import torch

from fledged.errors import ConfigError, FledgedError, ProductError, TrainingError, WorkspaceError
from fledged.fitting import loop
from fledged.fitting.judging import Judged
from fledged.networks.backbones import read
from fledged.networks.inference import run_probabilities
from fledged.networks.weights import locate
from fledged.preparing.prepare import prepare
from fledged.products import Dataset, Run
from fledged.progress import silent
from fledged.recipes import PRESETS
from fledged.settings.training import TrainConfig
from fledged.training import checkpoints
from fledged.training.train import train
from fledged.workspace import Workspace
from tests.tiny import BACKBONE, TINY

SMALL: dict[str, Any] = TINY | {"input": {"size_px": 64}, "views": 2, "epochs": 6}


@pytest.fixture
def own_work(work: Path, tmp_path: Path) -> Path:
    """A copy of the working folder, with its features in the cache."""
    shutil.copytree(work, tmp_path / "work")
    return tmp_path / "work"


def weights_of(run: Run) -> bytes:
    return (run.folder / "weights.safetensors").read_bytes()


def stop_after(n_epochs: int) -> Callable[[str, int, int], None]:
    def report(step: str, done: int, total: int) -> None:
        if step == "Training epochs" and done == n_epochs:
            raise KeyboardInterrupt

    return report


def test_a_run_holds_all_that_is_needed_to_answer(run: Run, dataset: Dataset) -> None:
    assert (run.classes, run.n_epochs, run.interrupted) == (dataset.classes, 6, False)
    assert run.settings.backbone == BACKBONE
    assert run.history().height == 6
    lowest = run.history().sort("val_loss").row(0, named=True)
    most = lowest["val_loss"] + lowest["val_loss_error"]
    later = run.history().filter(pl.col("val_loss") <= most, pl.col("learning_rate") < lowest["learning_rate"])
    assert run.best_epoch == max([lowest["epoch"], *later["epoch"]])
    photos = np.zeros((3, 64, 64, 3), np.uint8)
    probabilities = run_probabilities(run)(photos)
    assert probabilities.shape == (3, 4)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_it_learns_the_drawn_photos(run: Run) -> None:
    loss = run.history()["train_loss"]
    assert loss[-1] < loss[0] * 0.9


def test_the_same_question_finds_the_same_run_and_another_seed_does_not(run: Run, work: Path, dataset: Dataset) -> None:
    assert train(dataset, work=work, report=silent, **SMALL) == run
    assert train(dataset, work=work, report=silent, **SMALL | {"seed": 1}).id != run.id


def test_the_same_seed_gives_the_same_bytes(run: Run, own_work: Path, dataset: Dataset) -> None:
    shutil.rmtree(own_work / "runs", ignore_errors=True)
    again = train(dataset, work=own_work, report=silent, **SMALL)
    assert again.id == run.id
    assert weights_of(again) == weights_of(run)


@pytest.mark.parametrize(
    "how",
    [
        {"mode": "finetune", "epochs": 1, "input": {"size_px": 32}},
        {"mode": "gradual", "gradual": {"stages": [0, 1]}, "epochs": 1},
        {"time": "60s", "epochs": 1, "unfreeze": 0},
    ],
    ids=["all blocks", "a head, then the last block", "in a given time"],
)
def test_training_never_opens_the_test_split(
    own_work: Path, run: Run, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Workspace(own_work).load(Dataset)
    opened: list[Path] = []
    for name in ("read_parquet", "scan_parquet"):
        read = getattr(pl, name)

        def watched(source: Any, read: Callable[..., Any] = read, **how: Any) -> Any:
            opened.extend(source if isinstance(source, list) else [source])
            return read(source, **how)

        monkeypatch.setattr(pl, name, watched)
    assert train(dataset, work=own_work, report=silent, **SMALL | {"seed": 5} | how).val_accuracy > 0
    assert set(dataset.shards("train")) <= set(opened)
    assert set(dataset.shards("test")).isdisjoint(opened)


def test_ctrl_c_keeps_the_best_so_far_and_resume_ends_in_the_same_bytes(
    run: Run, own_work: Path, dataset: Dataset
) -> None:
    shutil.rmtree(own_work / "runs", ignore_errors=True)
    stopped = train(dataset, work=own_work, report=stop_after(3), **SMALL)
    assert (stopped.interrupted, stopped.n_epochs) == (True, 3)
    assert run_probabilities(stopped)(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 4)
    resumed = train(work=own_work, report=silent, resume=True)
    assert (resumed.interrupted, resumed.n_epochs, resumed.id) == (False, 6, run.id)
    assert weights_of(resumed) == weights_of(run)
    assert checkpoints.find(run.id, Workspace(own_work)) is None


def judged(monkeypatch: pytest.MonkeyPatch, in_epoch: int, otherwise: Callable[[], Judged]) -> None:
    """Validate as always, but for one epoch."""
    validate, n_epochs = loop.validate, 0

    def watched(*given: Any) -> Judged:
        nonlocal n_epochs
        n_epochs += 1
        return otherwise() if n_epochs == in_epoch else validate(*given)

    monkeypatch.setattr(loop, "validate", watched)


def test_what_was_best_before_a_training_diverged_is_a_run(
    own_work: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = train(dataset, work=own_work, report=stop_after(3), **SMALL | {"seed": 9})
    shutil.rmtree(short.folder)
    judged(monkeypatch, 4, lambda: Judged(float("nan"), 0.0, 0.0))
    words = (
        rf"diverged in epoch 4: .*; run {short.id} has what was best before, epoch {short.best_epoch}.*--learning-rate"
    )
    with pytest.raises(TrainingError, match=words):
        train(dataset, work=own_work, report=silent, **SMALL | {"seed": 9})
    kept = Workspace(own_work).load(Run)
    assert (kept.id, kept.n_epochs, kept.interrupted) == (short.id, 3, True)
    assert weights_of(kept) == weights_of(short)
    assert checkpoints.latest(Workspace(own_work)) is None  # it would diverge again


def test_a_training_that_diverges_at_once_leaves_nothing(
    own_work: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Workspace(own_work).load(Run)
    judged(monkeypatch, 1, lambda: Judged(float("nan"), 0.0, 0.0))
    with pytest.raises(TrainingError, match="diverged in epoch 1"):
        train(dataset, work=own_work, report=silent, **SMALL | {"seed": 10})
    assert Workspace(own_work).load(Run) == before
    assert checkpoints.latest(Workspace(own_work)) is None


def test_what_is_ended_while_its_run_is_written_is_not_trained_again(
    own_work: Path, run: Run, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> Run:
        raise KeyboardInterrupt

    shutil.rmtree(own_work / "runs")
    with monkeypatch.context() as patched:
        patched.setattr("fledged.training.train._CHECKPOINT_EVERY_S", 0)
        patched.setattr("fledged.training.run_files.save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, work=own_work, report=silent, **SMALL)
    so_far = checkpoints.latest(Workspace(own_work))
    assert so_far is not None
    assert len(so_far.history) == 6
    monkeypatch.setattr(loop, "step", None)  # no step is taken any more
    assert weights_of(train(work=own_work, report=silent, resume=True)) == weights_of(run)


def test_what_was_good_before_a_training_diverged_can_be_gone_on_with_where_the_disk_is_full(
    own_work: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Run:
        raise WorkspaceError("The disk is full")

    judged(monkeypatch, 4, lambda: Judged(float("nan"), 0.0, 0.0))
    monkeypatch.setattr("fledged.training.train._CHECKPOINT_EVERY_S", 0)
    monkeypatch.setattr("fledged.training.run_files.save", full)
    with pytest.raises(WorkspaceError, match="disk is full"):
        train(dataset, work=own_work, report=silent, **SMALL | {"seed": 12})
    so_far = checkpoints.latest(Workspace(own_work))
    assert so_far is not None
    assert len(so_far.history) == 3


def test_where_memory_ran_out_it_goes_on_once_there_is_some(
    own_work: Path, run: Run, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> Judged:
        raise torch.OutOfMemoryError("CUDA out of memory")

    shutil.rmtree(own_work / "runs")
    with monkeypatch.context() as patched:
        judged(patched, 4, refused)
        with pytest.raises(TrainingError, match="Memory ran out"):
            train(dataset, work=own_work, report=silent, **SMALL)
    so_far = checkpoints.latest(Workspace(own_work))
    assert so_far is not None
    assert len(so_far.history) == 3
    assert weights_of(train(work=own_work, report=silent, resume=True)) == weights_of(run)


def test_without_resume_a_stopped_run_starts_anew(own_work: Path, dataset: Dataset) -> None:
    shutil.rmtree(own_work / "runs", ignore_errors=True)
    train(dataset, work=own_work, report=stop_after(2), **SMALL)
    again = train(dataset, work=own_work, report=silent, **SMALL)
    assert (again.n_epochs, again.interrupted) == (6, False)


def test_resume_with_other_settings_says_that_it_begins_anew(
    own_work: Path, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    stopped = train(dataset, work=own_work, report=stop_after(1), **SMALL | {"seed": 3})
    train(dataset, work=own_work, report=silent, resume=True, **SMALL | {"seed": 4, "epochs": 1})
    assert f"with other settings, run {stopped.id}: this one begins from the start" in caplog.text
    caplog.clear()
    assert train(dataset, work=own_work, report=silent, resume=True, **SMALL | {"seed": 3}).n_epochs == 6
    assert not caplog.text


def test_resume_says_that_it_goes_on_with_photos_that_are_no_longer_the_newest(
    own_work: Path, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    train(dataset, work=own_work, report=stop_after(2), **SMALL | {"seed": 11})
    with caplog.at_level(logging.INFO, "fledged"):
        train(work=own_work, report=stop_after(4), resume=True)
        assert "photos of dataset" not in caplog.text
        newer = prepare(work=own_work, report=silent, seed=99, shorter_side_px=64)
        resumed = train(work=own_work, report=silent, resume=True)
    assert f"Going on with the photos of dataset {dataset.id}. To train on the newest, {newer.id}" in caplog.text
    assert resumed.dataset_id == dataset.id


def test_a_damaged_checkpoint_is_refused_by_its_hash(own_work: Path, dataset: Dataset) -> None:
    shutil.rmtree(own_work / "runs", ignore_errors=True)
    train(dataset, work=own_work, report=stop_after(2), **SMALL)
    (tensors,) = (own_work / "checkpoints").glob("*.safetensors")
    data = bytearray(tensors.read_bytes())
    data[-10] ^= 1
    tensors.write_bytes(bytes(data))
    with pytest.raises(ProductError, match=r"checkpoint is damaged.*without --resume"):
        train(work=own_work, report=silent, resume=True)


@pytest.mark.parametrize("wrong", [{"unfreeze": 99}, {"learning_rate": 1e30}], ids=["no such block", "too fast"])
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_failed_before_its_first_epoch_does_not_stand_before_what_was_stopped(
    own_work: Path, run: Run, dataset: Dataset, wrong: dict[str, Any]
) -> None:
    shutil.rmtree(own_work / "runs")
    train(dataset, work=own_work, report=stop_after(3), **SMALL)
    with pytest.raises(FledgedError):
        train(dataset, work=own_work, report=silent, **SMALL | wrong)
    assert weights_of(train(work=own_work, report=silent, resume=True)) == weights_of(run)
    assert [path.name for path in (own_work / "checkpoints").iterdir()] == ["latest.json"]


def test_resume_with_nothing_to_resume_is_a_clear_error(own_work: Path) -> None:
    shutil.rmtree(own_work / "checkpoints", ignore_errors=True)
    with pytest.raises(ProductError, match="no checkpoint"):
        train(work=own_work, report=silent, resume=True)


@pytest.mark.parametrize("mode", ["finetune", "scratch"])
def test_the_whole_network_can_be_trained(own_work: Path, dataset: Dataset, mode: str) -> None:
    settings = SMALL | {"mode": mode, "epochs": 2, "batch_size": 8}
    run = train(dataset, work=own_work, report=silent, **settings)
    assert run.settings.batch_norm.statistics == {"finetune": "keep", "scratch": "update"}[mode]
    assert (run.mode, run.n_epochs) == (mode, 2)
    before = train(dataset, work=own_work, report=silent, **SMALL)
    one, other = (safetensors.torch.load_file(r.folder / "weights.safetensors") for r in (run, before))
    assert not torch.equal(one["embed.backbone.conv_stem.weight"], other["embed.backbone.conv_stem.weight"])


def test_photos_must_have_been_shrunk_to_no_less_than_the_model_sees(work: Path, dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"shrunk to 64.*shorter_side_px=224"):
        train(dataset, work=work, report=silent, backbone="efficientnet_lite0")


def test_a_network_of_one_size_is_given_no_other(work: Path, dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"`train\.input\.size_px` is 64; timm:test_vit takes 160 alone"):
        train(dataset, work=work, mode="scratch", backbone="timm:test_vit", input={"size_px": 64})


def test_a_class_of_one_photo_in_a_batch_and_a_last_batch_of_one_are_no_trouble(
    own_work: Path, dataset: Dataset
) -> None:
    n_train = dataset.n_in("train")
    settings = SMALL | {"mode": "scratch", "epochs": 1, "batch_size": n_train - 1}
    assert train(dataset, work=own_work, report=silent, **settings).n_epochs == 1


def test_history_counts_its_epochs(run: Run) -> None:
    assert run.history()["epoch"].to_list() == list(range(1, 7))
    assert run.history().select(pl.all().is_null().any()).row(0) == (False,) * 8


@pytest.mark.parametrize("mode", ["transfer", "scratch"])
def test_balance_changes_the_weights_and_is_part_of_the_run(own_work: Path, dataset: Dataset, mode: str) -> None:
    settings = SMALL | {"mode": mode, "epochs": 1, "batch_size": 16}
    runs = [train(dataset, work=own_work, report=silent, balance=how, **settings) for how in ("none", "sampling")]
    assert runs[0].id != runs[1].id
    assert runs[1].settings.balance == "sampling"
    assert weights_of(runs[0]) != weights_of(runs[1])


@pytest.mark.parametrize("statistics", ["auto", "update"])
def test_the_last_blocks_alone_can_be_trained(own_work: Path, dataset: Dataset, statistics: str) -> None:
    settings = SMALL | {"epochs": 2, "unfreeze": 2, "batch_norm": {"statistics": statistics}}
    run = train(dataset, work=own_work, report=silent, **settings)
    assert (run.mode, run.settings.unfreeze, run.n_epochs) == ("finetune", 2, 2)
    named = read(locate(TrainConfig(**TINY)))
    after = safetensors.torch.load_file(run.folder / "weights.safetensors")
    moved = {name for name, tensor in named.items() if not torch.equal(tensor, after[f"embed.backbone.{name}"])}
    assert moved
    # Frozen is frozen, statistics of BatchNorm included. Where layers learn they are kept unless told otherwise.
    assert all(name.startswith(("blocks.4.", "conv_head", "bn2")) for name in moved)
    assert any(name.startswith("bn2.weight") for name in moved)
    assert any("running_mean" in name for name in moved) == (statistics == "update")
    assert run.settings.batch_norm.statistics == ("update" if statistics == "update" else "keep")


def test_a_head_that_goes_on_from_a_run_begins_with_its_answers(own_work: Path, run: Run, dataset: Dataset) -> None:
    """Also where the photos are others by now, whose features have another mean."""
    few = prepare(work=own_work, report=silent, seed=99, shorter_side_px=64)
    settings = SMALL | {"views": 1, "epochs": 1, "learning_rate": 1e-12}
    again = train(few, work=own_work, report=silent, start=run.id, **settings)
    photos = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    # By logits: each run has a temperature of its own.
    said = []
    for each in (run, again):
        assert each.calibration is not None
        said.append(np.log(run_probabilities(each)(photos)) * each.calibration.temperature)
    centred = [logits - logits.mean(1, keepdims=True) for logits in said]
    np.testing.assert_allclose(centred[1], centred[0], atol=1e-3)


def test_unfreezing_none_is_a_head_alone(own_work: Path, run: Run, dataset: Dataset) -> None:
    again = train(dataset, work=own_work, report=silent, **SMALL | {"mode": "finetune", "unfreeze": 0})
    assert (again.mode, again.id) == ("transfer", run.id)


def test_the_last_blocks_go_on_after_ctrl_c_to_the_same_bytes(own_work: Path, dataset: Dataset) -> None:
    settings = SMALL | {"epochs": 3, "unfreeze": 1}
    whole = weights_of(train(dataset, work=own_work, report=silent, **settings))
    shutil.rmtree(own_work / "runs")
    stopped = train(dataset, work=own_work, report=stop_after(1), **settings)
    assert stopped.interrupted
    assert weights_of(train(work=own_work, report=silent, resume=True)) == whole


@pytest.fixture
def own_work_on_a_full_disk(own_work: Path) -> Iterator[Path]:
    """The working folder without its runs, whose cache is empty and has no room."""
    shutil.rmtree(own_work / "runs")
    shutil.rmtree(own_work / "cache")
    (own_work / "cache").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(own_work / "cache")]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield own_work
    finally:
        subprocess.run(["umount", own_work / "cache"], check=True)


def test_a_cache_without_room_costs_time_alone(
    own_work_on_a_full_disk: Path, run: Run, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    again = train(dataset, work=own_work_on_a_full_disk, report=silent, **SMALL)
    assert weights_of(again) == weights_of(run)
    assert "The graph of the frozen part is not kept" in caplog.text
    assert "Features are not kept, and computed again the next time: Cannot write: No space left" in caplog.text
    assert "run the same command again" not in caplog.text  # it goes on
    train(dataset, work=own_work_on_a_full_disk, report=silent, **{**SMALL, "unfreeze": 2, "epochs": 1})
    assert "Activations are not kept, but computed in each epoch: the disk has no room" in caplog.text


def test_features_that_were_used_least_recently_go_first(own_work: Path, dataset: Dataset) -> None:
    shutil.rmtree(own_work / "cache" / "features", ignore_errors=True)

    def kept_after(preset: str, gigabytes: float) -> set[str]:
        settings = SMALL | {"epochs": 1, "views": 2, "augment": preset, "cache": {"limit_gigabytes": gigabytes}}
        train(dataset, work=own_work, report=silent, **settings)
        return {folder.name for folder in (own_work / "cache" / "features").iterdir()}

    first, both = kept_after("light", 1), kept_after("crop_rotate", 1)
    assert first < both
    last = kept_after("cutout", 0)
    assert not last & (both - first)
    assert len(last) == len(first)  # what was asked for stays, whatever the limit


def test_a_run_begins_with_the_weights_of_another(own_work: Path, run: Run, dataset: Dataset) -> None:
    settings = SMALL | {"epochs": 1, "unfreeze": 1, "learning_rate": 1e-9}
    begun = train(dataset, work=own_work, report=silent, start=run.id[:8], **settings)
    assert begun.settings.start == run.id
    assert begun.val_loss == pytest.approx(run.val_loss, rel=0.05)
    # At this rate nothing moves: what there is, is what there was.
    before, after = (safetensors.torch.load_file(each.folder / "weights.safetensors") for each in (run, begun))
    assert before["head.linear.weight"].abs().max() > 1e-4  # a fresh head's are 0
    torch.testing.assert_close(after["head.linear.weight"], before["head.linear.weight"], rtol=0, atol=1e-6)
    with pytest.raises(ConfigError, match=r"to begin with, has other input.size_px: 64, not 32"):
        train(dataset, work=own_work, report=silent, start=run.id, **SMALL | {"input": {"size_px": 32}})


def test_augmentation_is_part_of_the_run_and_without_it_there_is_one_view(own_work: Path, dataset: Dataset) -> None:
    settings = SMALL | {"epochs": 1}
    runs = {
        preset: train(dataset, work=own_work, report=silent, augment=preset, **settings)
        for preset in ("light", "none", "crop_rotate")
    }
    assert len({run.id for run in runs.values()}) == 3
    assert {preset: run.settings.views for preset, run in runs.items()} == {"light": 2, "none": 1, "crop_rotate": 2}
    assert runs["crop_rotate"].settings.augment.steps == PRESETS["crop_rotate"]
    again = train(dataset, work=own_work, report=silent, augment="none", **settings | {"views": 1})
    assert again == runs["none"]


def test_augmentation_that_does_nothing_or_skews_is_told(
    own_work: Path, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SMALL | {"epochs": 1}
    run = train(dataset, work=own_work, report=silent, augment="cutout", **settings | {"views": 1})
    assert run.settings.augment.preset == "none"
    assert "takes no part" in caplog.text
    train(dataset, work=own_work, report=silent, augment="pad_rotate_cutout", **settings)
    assert "--set train.input.resize=pad" in caplog.text
    caplog.clear()
    train(
        dataset,
        work=own_work,
        report=silent,
        augment="pad_rotate_cutout",
        **settings | {"input": {"size_px": 64, "resize": "pad"}},
    )
    assert not caplog.text


def test_augmentation_reaches_the_photos_of_fine_tuning(own_work: Path, dataset: Dataset) -> None:
    settings = SMALL | {"mode": "scratch", "epochs": 1, "batch_size": 16}
    runs = [train(dataset, work=own_work, report=silent, augment=preset, **settings) for preset in ("none", "cutout")]
    assert weights_of(runs[0]) != weights_of(runs[1])
