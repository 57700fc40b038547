"""The shell: parse, call one verb, print. Everything else is in the verbs."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.exceptions import TyperException

import fledged
from fledged import DEFAULT_WORK as DEFAULT
from fledged.errors import ConfigError, FledgedError

if TYPE_CHECKING:
    from fledged.products import Failure, Prediction, Product

# Verbs, products and their words are imported by the command that needs them: `fledged --help` waits for none of them.

_INTERRUPTED = 130  # what Typer returns after Ctrl-C

app = typer.Typer(
    help="From a messy folder of photos to a small, honest, deployed image classifier.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help and one-line errors, and a start without Rich
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Work = Annotated[Path, typer.Option("--work", metavar="DIR", help="Working folder: all products are kept there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]
Assign = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.NAME=VALUE", help="Any setting of docs/settings.md; may be repeated."),
]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same result.")]
GroupBy = Annotated[str | None, typer.Option(metavar="REGEX", help="Photos whose names match alike stay in one split.")]
KeepSplits = Annotated[
    bool | None, typer.Option("--keep-splits", help="Respect the lake's own train, val and test folders.")
]
Shares = Annotated[str | None, typer.Option("--split", metavar="A,B,C", help="Shares of train, val and test.")]
Fold = Annotated[str | None, typer.Option(metavar="I/K", help="The I-th of K folds is test, the next one val.")]
DropClasses = Annotated[list[str] | None, typer.Option("--drop-classes", metavar="CLASS", help="Leave a class out.")]
Backbone = Annotated[
    str | None,
    typer.Option(help="auto, mobilenet_v2, resnet18, vgg11, efficientnet_lite0 or timm:NAME."),
]
Weights = Annotated[str | None, typer.Option(metavar="FILE", help="The backbone's weights, safetensors.")]
Mode = Annotated[str | None, typer.Option(help="transfer, finetune, gradual or scratch.")]
Epochs = Annotated[int | None, typer.Option(help="Rounds through the photos; 0 takes the mode's own.")]
BatchSize = Annotated[int | None, typer.Option(help="Photos a step; 0 takes the mode's own.")]
Views = Annotated[int | None, typer.Option(help="Versions of a photo where frozen blocks are computed once.")]
Unfreeze = Annotated[int | None, typer.Option(help="Last blocks to train as well; 0 none, -1 all.")]
Apply = Annotated[
    Literal["advice"] | None,
    typer.Option(help="advice: drop and relabel what the findings advise, where nobody has decided."),
]
Lake = Annotated[Path, typer.Argument(metavar="PHOTOS", help="A folder with one folder of photos a class.")]


@app.command()
def build(
    lake: Lake,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    seed: Seed = None,
    group_by: GroupBy = None,
    keep_splits: KeepSplits = None,
    drop_classes: DropClasses = None,
    backbone: Backbone = None,
    weights: Weights = None,
    mode: Mode = None,
    epochs: Epochs = None,
    apply: Apply = None,
) -> None:
    """From a folder of photos to a bundle to serve: scan, review, prepare, train, evaluate, export."""
    from fledged import summary
    from fledged.config import overlaid, parse_assignments

    given: dict[str, dict[str, object]] = {
        "prepare": {
            "seed": seed,
            "group_by": group_by,
            "keep_splits": keep_splits,
            "drop_classes": tuple(drop_classes) if drop_classes else None,
        },
        "train": {"seed": seed, "backbone": backbone, "weights": weights, "mode": mode, "epochs": epochs},
    }
    assigned = parse_assignments(assign or [])
    settings = {name: overlaid(given.get(name, {}), assigned.get(name, {})) for name in given.keys() | assigned.keys()}

    def made(product: Product) -> None:
        if not as_json:
            print(summary.one_line(product), flush=True)

    bundle = fledged.build(lake, work=work, apply=apply, made=made, settings=settings)
    if as_json:
        print(bundle.model_dump_json(indent=2))
    else:
        report = work / "reports" / bundle.report_id / "report.html"
        print(f"Saved {bundle.folder}\nPage  {report}")
        print(f"Next: fledged predict PHOTO{_at(work)}, or: fledged serve{_at(work)}")


@app.command()
def collect(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A plan (.toml), an archive, a CSV table, Parquet files, a list of addresses, a folder.",
        ),
    ],
    lake: Annotated[Path, typer.Argument(metavar="PHOTOS", help="The folder to fill, one folder a class.")],
    label: Annotated[str | None, typer.Option(metavar="CLASS", help="All that SOURCE holds is of this class.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again also for what was refused for good, or removed since.")
    ] = False,
    as_json: AsJson = False,
    assign: Assign = None,
) -> None:
    """Gather photos from addresses, search engines, archives, tables or folders, with where each came from."""
    from fledged import summary

    settings = _settings("collect", assign)
    collected = fledged.collect(source, lake, label=label, retry_failed=retry_failed, **settings)
    lines = [collected.model_dump_json(indent=2)] if as_json else summary.collected_lines(collected)
    print("\n".join(lines))


@app.command()
def scan(lake: Lake, work: Work = DEFAULT, as_json: AsJson = False, assign: Assign = None) -> None:
    """Look at every file once: a Snapshot of the folder."""
    _tell(fledged.scan(lake, work=work, **_settings("scan", assign)), work, as_json)


@app.command()
def review(
    snapshot: Annotated[str | None, typer.Argument(help="A snapshot's id; the newest without.")] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    backbone: Backbone = None,
    weights: Weights = None,
    apply: Apply = None,
    open_page: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open",
            help="A page to decide on, until Ctrl-C. Without either it opens in a terminal, unless --apply or --json.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = 0,
    reviewer: Annotated[str | None, typer.Option(help="Who decides, for the log; the login name without.")] = None,
    drop_cluster: Annotated[
        list[str] | None,
        typer.Option("--drop-cluster", metavar="CLUSTER", help="Advise dropping a cluster of the overview: size:4."),
    ] = None,
) -> None:
    """Find what is wrong with the photos, and decide about it on a page: a Review."""
    settings = _settings("review", assign, drop_clusters=tuple(drop_cluster) if drop_cluster else None)
    eyes = {"backbone": backbone, "weights": weights}
    made = fledged.review(snapshot, apply=apply, work=work, train=eyes, **settings)
    if open_page is None:
        open_page = sys.stdout.isatty() and not (apply or as_json)
    if open_page:
        from fledged import summary
        from fledged.reviewing.desk import open_browser, open_desk

        def ready(url: str) -> None:
            told = [summary.one_line(made), f"Reviewing {url}"]
            told.append("Ctrl-C when you are done; decisions are saved as you make them. Next: fledged prepare")
            print("\n".join(told) + _at(work), file=sys.stderr if as_json else sys.stdout, flush=True)
            open_browser(url)

        open_desk(made, work=work, reviewer=reviewer, port=port, on_ready=ready)
        made = fledged.review(made.snapshot_id, work=work, train=eyes, **settings)
    _tell(made, work, as_json)


@app.command()
def prepare(
    review: Annotated[str | None, typer.Argument(help="A review's id; the newest without.")] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
    seed: Seed = None,
    split: Shares = None,
    fold: Fold = None,
    group_by: GroupBy = None,
    keep_splits: KeepSplits = None,
    drop_classes: DropClasses = None,
    measure_leak: Annotated[
        bool, typer.Option("--measure-leak", help="Find out what a random split would have claimed.")
    ] = False,
) -> None:
    """Split the photos without leaks and shrink them: a Dataset."""
    settings = _settings(
        "prepare",
        assign,
        seed=seed,
        split=tuple(split.split(",")) if split else None,
        fold=fold,
        group_by=group_by,
        keep_splits=keep_splits,
        drop_classes=tuple(drop_classes) if drop_classes else None,
    )
    _tell(fledged.prepare(None, review, work=work, measure_leak=measure_leak, **settings), work, as_json)


@app.command()
def copy(
    to: Annotated[Path, typer.Argument(help="A new folder; for csv a new file.")],
    dataset: Annotated[str | None, typer.Argument(help="A dataset's id; the newest without.")] = None,
    work: Work = DEFAULT,
    format: Annotated[
        str, typer.Option(help="imagefolder (original files), csv (a list of them) or parquet (shrunk).")
    ] = "imagefolder",
) -> None:
    """Write a dataset for other tools: its photos in folders, a CSV manifest, or Parquet."""
    from fledged import summary

    copied = fledged.copy(dataset, to, format=format, work=work)  # type: ignore[arg-type]
    left_out = f"; left out {summary.counted(copied.left_out)}" if copied.left_out else ""
    print(f"Copied {copied.n_photos:,} photos as {copied.format} to {copied.to}{left_out}")


@app.command("find-lr")
def find_lr(
    dataset: Annotated[str | None, typer.Argument(help="A dataset's id; the newest without.")] = None,
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
    from fledged.config import overlaid, parse_assignments

    assigned = parse_assignments(assign or [])
    for other in assigned.keys() - {"train", "find_lr"}:
        raise ConfigError(f"`fledged find-lr` takes no setting of `{other}`", remedy="Write --set train.…=…")
    training = {
        "backbone": backbone,
        "weights": weights,
        "mode": mode,
        "batch_size": batch_size,
        "unfreeze": unfreeze,
        "views": views,
        "seed": seed,
    }
    tried: dict[str, Any] = overlaid({"low": low, "high": high, "steps": steps}, assigned.get("find_lr", {}))
    made = fledged.find_lr(dataset, work=work, train=overlaid(training, assigned.get("train", {})), **tried)
    _tell(made, work, as_json)


@app.command()
def train(
    dataset: Annotated[str | None, typer.Argument(help="A dataset's id; the newest without.")] = None,
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    show_augmented: Annotated[
        bool, typer.Option("--show-augmented", help="Show photos beside their augmented views, and train nothing.")
    ] = False,
) -> None:
    """Train a classifier: a Run."""
    settings = _settings(
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
    )
    if show_augmented:
        with fledged.naming_extras():
            from fledged.training.before_after import show_augmented as show
        shown = show(dataset, work=work, **settings)
        print(f"Augmented {shown.n_photos} photos, {shown.n_views} views each, by {shown.augment.preset}")
        print(f"Saved {shown.picture}\nPage  {shown.page}")
        print(f"Next: fledged train{_at(work)}, or another preset: --set train.augment=NAME (docs/training.md)")
        return
    _tell(fledged.train(dataset, work=work, resume=resume, **settings), work, as_json)


@app.command()
def evaluate(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|BUNDLE] [FOLDER]", help="run:ID, bundle:ID or a bundle's folder; a folder of labelled photos."
        ),
    ] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
) -> None:
    """Judge a run on its test split, or on a folder of labelled photos: a Report."""
    subject, folder = _subject_and_folder(subjects or [])
    _tell(fledged.evaluate(subject, folder, work=work, **_settings("evaluate", assign)), work, as_json)


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
    modes: Annotated[str, typer.Option(metavar="A,B,…", help="transfer, finetune, scratch: modes to train with.")] = "",
    weights: Weights = None,
) -> None:
    """Judge models on the same photos, side by side: all runs of a dataset, named ones, or ones trained now."""
    folders = [word for word in subjects or [] if Path(word).is_dir() and not (Path(word) / "bundle.json").exists()]
    if len(folders) > 1:
        raise ConfigError("Give one folder of photos at most", where=" ".join(folders))
    compared = fledged.compare(
        *[word for word in subjects or [] if word not in folders],
        folder=folders[0] if folders else None,
        backbones=_listed(backbones),
        modes=_listed(modes),
        work=work,
        settings=_settings("train", assign, weights=weights),
    )
    if as_json:
        print(compared.model_dump_json(indent=2))
        return
    from fledged import summary

    for line in summary.comparison_lines(compared):
        print(line + (_at(work) if "Next: " in line else ""))


@app.command()
def export(
    run: Annotated[str | None, typer.Argument(help="A run's id; the newest without.")] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    assign: Assign = None,
) -> None:
    """Write the run as ONNX with all that serving needs, checked on real photos: a Bundle."""
    _tell(fledged.export(run, work=work, **_settings("export", assign)), work, as_json)


@app.command()
def predict(
    photos: Annotated[list[Path], typer.Argument(help="Photos, and folders of photos.")],
    bundle: Annotated[str | None, typer.Option(help="A bundle's id or folder; the newest without.")] = None,
    work: Work = DEFAULT,
    as_json: AsJson = False,
    top_k: Annotated[int, typer.Option(min=1, help="Classes to name for each photo.")] = 1,
) -> None:
    """Say what is on photos. Needs no torch."""
    from fledged.products import Prediction
    from fledged.serving.predictor import find_photos

    predictor = fledged.load(bundle, work=work)
    n_answered = 0
    for path, answer in predictor.predict_many(find_photos(photos), top_k=top_k):
        n_answered += isinstance(answer, Prediction)
        print(_prediction_json(path, answer) if as_json else _prediction_line(path, answer), flush=True)
    if not n_answered:
        raise typer.Exit(2)


@app.command()
def serve(
    bundle: Annotated[str | None, typer.Argument(help="A bundle's id or folder; the newest without.")] = None,
    work: Work = DEFAULT,
    host: Annotated[str | None, typer.Option(help="Address to listen on; loopback unless given.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free port.")] = None,
    assign: Assign = None,
) -> None:
    """Answer photos over HTTP, with a page to drop them on. Needs no torch."""

    def ready(url: str) -> None:
        print(f"Serving {url}\nTry it:  curl -F photo=@PHOTO {url.rstrip('/')}/classify\nStop it: Ctrl-C", flush=True)

    fledged.serve(bundle, work=work, on_ready=ready, **_settings("serve", assign, host=host, port=port))


def _version(asked: bool) -> None:
    if asked:
        print(f"fledged {fledged.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """The entry point: every error becomes one line and exit code 2."""
    logging.basicConfig(format="%(message)s", level=logging.ERROR)
    logging.getLogger("fledged").setLevel(logging.INFO)
    try:
        code = app(standalone_mode=False)
        if code == _INTERRUPTED:
            print("Stopped; what was finished is kept.", file=sys.stderr)
        sys.exit(code)
    except TyperException as error:  # a wrong flag, command or value
        print(f"error: {' '.join(str(error.format_message()).split())} Help: fledged --help", file=sys.stderr)
        sys.exit(2)
    except FledgedError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of ours.
        sys.stderr.close()
        sys.exit(1)


def _settings(section: str, assign: list[str] | None, **flags: object) -> dict[str, Any]:
    """Flags, overlaid by --set; a section of another verb is a mistake worth a word."""
    from fledged.config import overlaid, parse_assignments

    assigned = parse_assignments(assign or [])
    for other in assigned.keys() - {section}:
        raise ConfigError(f"`fledged {section}` takes no setting of `{other}`", remedy=f"Write --set {section}.…=…")
    return overlaid(flags, assigned.get(section, {}))


def _listed(words: str) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()]


def _subject_and_folder(words: list[str]) -> tuple[str | None, str | None]:
    folders = [word for word in words if Path(word).is_dir() and not (Path(word) / "bundle.json").exists()]
    subjects = [word for word in words if word not in folders]
    if len(folders) > 1 or len(subjects) > 1:
        raise ConfigError("Give one run or bundle and one folder at most", where=" ".join(words))
    return subjects[0] if subjects else None, folders[0] if folders else None


def _tell(product: Product, work: Path, as_json: bool) -> None:
    if as_json:
        print(product.model_dump_json(indent=2))
        return
    from fledged import summary

    for line in summary.lines(product):
        print(line + (_at(work) if "Next: " in line else ""))


def _at(work: Path) -> str:
    return "" if work == DEFAULT else f" --work {work}"


def _prediction_line(path: Path, answer: Prediction | Failure) -> str:
    from fledged.products import Failure

    name = str(path).encode(errors="backslashreplace").decode().replace("\n", "\\n")
    if isinstance(answer, Failure):
        return f"{name}\terror: {answer.error}"
    return f"{name}\t" + "\t".join(f"{entry.label} {entry.score:.1%}" for entry in answer.top_k)


def _prediction_json(path: Path, answer: Prediction | Failure) -> str:
    return json.dumps({"file": str(path)} | answer.model_dump(mode="json"))
