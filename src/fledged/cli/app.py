"""The shell's frame: what all commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import fledged
from fledged import DEFAULT_WORK as DEFAULT
from fledged.errors import ConfigError
from fledged.progress import is_first_process, n_processes

if TYPE_CHECKING:
    from fledged.products import Product

# Verbs, products and their words are imported by the command that needs them: `fledged --help` waits for none of them.

app = typer.Typer(
    help="From a messy folder of photos to a small, honest, deployed image classifier.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help and one-line errors, and a start without Rich
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

Work = Annotated[
    Path, typer.Option("--work", metavar="DIR", help="Working folder: all products are kept there; s3://…, gs://… too.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]
Assign = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.NAME=VALUE", help="Any setting of docs/settings.md; may be repeated."),
]
DatasetId = Annotated[str | None, typer.Argument(help="A dataset's id; the newest without.")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same result.")]
GroupBy = Annotated[str | None, typer.Option(metavar="REGEX", help="Photos whose names match alike stay in one split.")]
KeepSplits = Annotated[
    bool | None, typer.Option("--keep-splits", help="Respect the lake's own train, val and test folders.")
]
DropClasses = Annotated[list[str] | None, typer.Option("--drop-classes", metavar="CLASS", help="Leave a class out.")]
Backbone = Annotated[
    str | None,
    typer.Option(help="auto, mobilenet_v2, resnet18, vgg11, efficientnet_lite0 or timm:NAME."),
]
Weights = Annotated[str | None, typer.Option(metavar="FILE", help="The backbone's weights, safetensors.")]
Mode = Annotated[str | None, typer.Option(help="transfer, finetune, gradual or scratch.")]
Epochs = Annotated[int | None, typer.Option(help="Rounds through the photos; 0 takes the mode's own.")]
Apply = Annotated[
    Literal["advice"] | None,
    typer.Option(help="advice: drop and relabel what the findings advise, where nobody has decided."),
]
Engine = Annotated[
    Literal["local", "ray"] | None, typer.Option("--engine", help="Who works on the photos: this machine, or Ray's.")
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="auto|HOST:PORT", help="The Ray cluster; without, one is started here."),
]
Lake = Annotated[Path, typer.Argument(metavar="PHOTOS", help="A folder with one folder of photos a class; s3://… too.")]
Sample = Annotated[
    int | None,
    typer.Option(metavar="N", help="Look at N photos alone, evenly of each class; for a first look at a large lake."),
]


# What several processes do together, where a launcher started them.
_TOGETHER = ("train", "find-lr")


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
    elif context.invoked_subcommand not in _TOGETHER and n_processes() > 1:
        error = ConfigError(
            f"`fledged {context.invoked_subcommand}` is not for several processes: only a training is",
            remedy="Run it without torchrun or accelerate launch.",
        )
        error.is_told = not is_first_process()
        raise error


def engine_of(engine: str | None, address: str | None) -> dict[str, object]:
    """The flags of the engine, as verbs take them."""
    return {"name": engine, "address": address}


def settings_of(section: str, assign: list[str] | None, **flags: object) -> dict[str, Any]:
    """Flags, overlaid by --set; a section of another verb is a mistake worth a word."""
    from fledged.config import overlaid, parse_assignments

    assigned = parse_assignments(assign or [])
    for other in assigned.keys() - {section}:
        raise ConfigError(f"`fledged {section}` takes no setting of `{other}`", remedy=f"Write --set {section}.…=…")
    return overlaid(flags, assigned.get(section, {}))


def settings_of_two(
    section: str, assign: list[str] | None, training: dict[str, Any], **flags: object
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of a verb that is about trainings: its own settings and those of the training, each overlaid by --set."""
    from fledged.config import overlaid, parse_assignments

    assigned = parse_assignments(assign or [])
    for other in assigned.keys() - {"train", section}:
        verb = section.replace("_", "-")
        raise ConfigError(f"`fledged {verb}` takes no setting of `{other}`", remedy="Write --set train.…=…")
    return overlaid(flags, assigned.get(section, {})), overlaid(training, assigned.get("train", {}))


def tell(product: Product, work: Path, as_json: bool) -> None:
    """Print what was made: its record, or a few lines with the next step; of several processes one prints."""
    if not is_first_process():
        return
    if as_json:
        print(product.model_dump_json(indent=2))
        return
    from fledged import summary

    for line in summary.lines(product):
        print(line + (at(work) if line.rpartition(": ")[2].startswith("fledged ") else ""))
    from fledged.places import looks_remote, resolved

    if looks_remote(work):
        print(f"Kept  {resolved(work)}/{product.kind}s/{product.id}")


def at(work: Path) -> str:
    """The flag that a suggested command needs to find the same working folder."""
    from fledged.workspace import located

    return "" if work == DEFAULT else f" --work {located(work)}"
