"""Commands on models: try rates, train, judge, compare."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

import fledged
from fledged import DEFAULT_WORK as DEFAULT
from fledged.cli.app import (
    Address,
    AsJson,
    Assign,
    Backbone,
    DatasetId,
    Engine,
    Epochs,
    Mode,
    Seed,
    Weights,
    Work,
    app,
    at,
    engine_of,
    settings_of,
    settings_of_two,
    tell,
)
from fledged.errors import ConfigError
from fledged.fitting.stopping import AGAIN, terminable
from fledged.progress import n_processes

BatchSize = Annotated[int | None, typer.Option(help="Photos a step; 0 takes the mode's own.")]
Views = Annotated[int | None, typer.Option(help="Versions of a photo where frozen blocks are computed once.")]
Track = Annotated[
    list[str] | None,
    typer.Option(metavar="TRACKER", help="Pass figures on to tensorboard, wandb or mlflow; may be repeated."),
]
Unfreeze = Annotated[int | None, typer.Option(help="Last blocks to train as well; 0 none, -1 all.")]


@app.command("find-lr")
def find_lr(
    dataset: DatasetId = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    backbone: Backbone = None,
    weights: Weights = None,
    mode: Mode = None,
    batch_size: BatchSize = None,
    unfreeze: Unfreeze = None,
    views: Views = None,
    seed: Seed = None,
    low: Annotated[float | None, typer.Option(help="The first rate.")] = None,
    high: Annotated[float | None, typer.Option(help="The last rate, unless the loss runs away before.")] = None,
    steps: Annotated[int | None, typer.Option(help="Rates from low to high, one a step.")] = None,
) -> None:
    """Try learning rates on training photos, before training: a RangeTest, and its page."""
    training = {
        "backbone": backbone,
        "weights": weights,
        "mode": mode,
        "batch_size": batch_size,
        "unfreeze": unfreeze,
        "views": views,
        "seed": seed,
    }
    tried, asked = settings_of_two("find_lr", assign, training, low=low, high=high, steps=steps)
    made = fledged.find_lr(dataset, work=work, train=asked, **tried)
    tell(made, work, as_json)


@app.command()
def train(
    dataset: DatasetId = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    backbone: Backbone = None,
    weights: Weights = None,
    mode: Mode = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak rate; 0 takes the mode's own.")] = None,
    unfreeze: Unfreeze = None,
    views: Views = None,
    seed: Seed = None,
    track: Track = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    time: Annotated[
        str | None, typer.Option(metavar="90s|10m|1h30m", help="Choose what fits into this time, and keep to it.")
    ] = None,
    show_augmented: Annotated[
        bool, typer.Option("--show-augmented", help="Show photos beside their augmented views, and train nothing.")
    ] = False,
    engine: Engine = None,
    address: Address = None,
) -> None:
    """Train a classifier: a Run."""
    settings = settings_of(
        "train",
        assign,
        backbone=backbone,
        weights=weights,
        mode=mode,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        unfreeze=unfreeze,
        views=views,
        seed=seed,
        track={"to": tuple(track)} if track else None,
    )
    if show_augmented:
        with fledged.naming_extras():
            from fledged.augmenting.before_after import show_augmented as show
        shown = show(dataset, work=work, **settings)
        print(f"Augmented {shown.n_photos} photos, {shown.n_views} views each, by {shown.augment.preset}")
        print(f"Saved {shown.picture}\nPage  {shown.page}")
        print(f"Next: fledged train{at(work)}, or another preset: --set train.augment=NAME (docs/training.md)")
        return
    on = engine_of(engine, address)
    # While torch is imported, which takes seconds, nobody else hears of a signal. Of several processes none does.
    with terminable(AGAIN) if n_processes() == 1 else contextlib.nullcontext():
        made = fledged.train(dataset, work=work, resume=resume, time=time, engine=on, **settings)
    tell(made, work, as_json)


@app.command()
def tune(
    dataset: DatasetId = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    backbone: Backbone = None,
    weights: Weights = None,
    mode: Mode = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    unfreeze: Unfreeze = None,
    views: Views = None,
    trials: Annotated[int | None, typer.Option(help="Settings that are tried, the usual ones first.")] = None,
    folds: Annotated[int | None, typer.Option(help="Parts of train and val; each judges once.")] = None,
    seed: Seed = None,
    time: Annotated[str | None, typer.Option(metavar="90s|10m|1h30m", help="After it no trial is begun.")] = None,
) -> None:
    """Search for a training's settings on folds of train and val: rate, decay, smoothing, head, views."""
    from fledged.searching.tuning import tuning_lines

    training = {"backbone": backbone, "weights": weights, "mode": mode, "epochs": epochs, "batch_size": batch_size}
    training |= {"unfreeze": unfreeze, "views": views}
    tuned, asked = settings_of_two("tune", assign, training, trials=trials, folds=folds, seed=seed)
    done = fledged.tune(dataset, work=work, train=asked, time=time, **tuned)
    for line in [done.model_dump_json(indent=2)] if as_json else tuning_lines(done):
        print(line + (at(work) if "Next: " in line and not as_json else ""))


@app.command()
def reproduce(
    run: Annotated[str | None, typer.Argument(help="A run's id; the newest without.")] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Train a run again from its record, and compare weights and figures; exit code 1 where they differ."""
    from fledged import summary

    done = fledged.reproduce(run, work=work)
    print(done.model_dump_json(indent=2) if as_json else "\n".join(summary.reproduction_lines(done)))
    if not done.is_equal:
        raise typer.Exit(1)


@app.command()
def evaluate(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|BUNDLE] [FOLDER]",
            help="run:ID, bundle:ID (or bundle:newest) or a bundle's folder; a folder of labelled photos.",
        ),
    ] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    track: Annotated[
        list[str] | None,
        typer.Option(metavar="TRACKER", help="Pass figures and pictures on to tensorboard."),
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option(metavar="FIGURE=SHARE", help="Fail below it: accuracy=0.95, recall:owl=0.9. May be repeated."),
    ] = None,
    engine: Engine = None,
    address: Address = None,
) -> None:
    """Judge a run on its test split, or on a folder of labelled photos: a Report."""
    from fledged.gates import check, gates_of

    gates = gates_of(at_least or [])
    subject, folder = _subject_and_folder(subjects or [])
    settings = settings_of("evaluate", assign, track=tuple(track) if track else None)
    made = fledged.evaluate(subject, folder, work=work, engine=engine_of(engine, address), **settings)
    if as_json:
        tell(made, work, as_json)
    else:
        from fledged.cli.judged import show

        show(made, work)
    check(made, gates)


@app.command()
def compare(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|BUNDLE]... [FOLDER]",
            help="run:ID, bundle:ID or a bundle's folder; a folder of labelled photos.",
        ),
    ] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    backbones: Annotated[str, typer.Option(metavar="A,B,…", help="Backbones to train with each of the modes.")] = "",
    modes: Annotated[str, typer.Option(metavar="A,B,…", help="Of transfer, finetune, gradual, scratch.")] = "",
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|BACKBONE=FILE", help="Of the backbone, or of one of them; may be repeated."),
    ] = None,
) -> None:
    """Judge models on the same photos, side by side: all runs of a dataset, named ones, or ones trained now."""
    folders = [word for word in subjects or [] if _is_of_photos(word)]
    if len(folders) > 1:
        raise ConfigError("Give one folder of photos at most", where=" ".join(folders))
    of_all, of_each = _weights(weights or [], _listed(backbones))
    compared = fledged.compare(
        *[word for word in subjects or [] if word not in folders],
        folder=folders[0] if folders else None,
        backbones=_listed(backbones),
        modes=_listed(modes),
        work=work,
        settings=settings_of("train", assign, weights=of_all),
        weights=of_each,
    )
    if as_json:
        print(compared.model_dump_json(indent=2))
        return
    from fledged import summary

    for line in summary.comparison_lines(compared):
        print(line + (at(work) if "Next: " in line else ""))


def _weights(words: list[str], backbones: list[str]) -> tuple[str | None, dict[str, str]]:
    """The file of all backbones, and that of each which has one of its own."""
    of_each = dict(word.split("=", 1) for word in words if word.partition("=")[0] in backbones)
    of_all = [word for word in words if word.partition("=")[0] not in backbones]
    if len(of_all) > 1 or (of_all and len(backbones) > 1):
        raise ConfigError(
            f"It is not said which backbone the weights {of_all[0]} are of",
            where="--weights",
            remedy=f"Name it, as in --weights {backbones[0] if backbones else 'BACKBONE'}=FILE, and in --backbones.",
        )
    return (of_all[0] if of_all else None), of_each


def _is_of_photos(word: str) -> bool:
    """A folder, here or behind an address, that is no bundle."""
    from fledged.places import looks_remote
    from fledged.product_files import is_product
    from fledged.products import Bundle

    if looks_remote(word):
        return (
            not word.startswith(("http://", "https://")) and not word.endswith(".zip") and not is_product(Bundle, word)
        )
    return Path(word).is_dir() and not is_product(Bundle, word)


def _listed(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _subject_and_folder(words: list[str]) -> tuple[str | None, str | None]:
    folders = [word for word in words if _is_of_photos(word)]
    subjects = [word for word in words if word not in folders]
    if len(folders) > 1 or len(subjects) > 1:
        raise ConfigError("Give one run or bundle and one folder at most", where=" ".join(words))
    return subjects[0] if subjects else None, folders[0] if folders else None
