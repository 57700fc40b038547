"""Writes settings.md from the settings themselves: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annotated_types import Ge, Gt, Le, Lt

from fledged.config import SECTIONS, parts_of
from fledged.recipes import STEPS
from fledged.records import Record

_HEAD = """# Settings

Every knob of every verb, its default and its range. Written by `make docs` from `src/fledged/settings`.

A section with a dot is a table in another: `[train.optimize]` in the file, `--set train.optimize.schedule=step`, and
`fledged.train(optimize={"schedule": "step"})`.

A setting is given, the later winning over the earlier, in `fledged.toml` in the current folder

```toml
[train]
epochs = 40
```

or as a flag (`fledged train --epochs 40`; `--set train.epochs=40` works for all of them) or as an argument in Python
(`fledged.train(epochs=40)`). An unknown name is an error that names the nearest known one.
"""


def text() -> str:
    """The page."""
    parts = [_HEAD]
    for section, config in SECTIONS.items():
        parts += _section(section, config)
    parts += _steps()
    return "".join(parts)


def _steps() -> Iterator[str]:
    yield "\n## Steps of train.augment.steps\n\n[training.md](training.md#augmentation) tells what they are for.\n"
    yield "\n| step | setting | default | range | what it is |\n|---|---|---|---|---|\n"
    for name, kind in STEPS.items():
        settings = {setting: field for setting, field in kind.model_fields.items() if setting != "step"}
        yield f"| `{name}` | | | | {kind.__doc__} |\n"
        for setting, field in settings.items():
            yield f"| | `{setting}` | `{field.default!r}` | {_range(field.metadata)} | {field.description} |\n"


def _section(section: str, config: type[Record]) -> Iterator[str]:
    yield f"\n## {section}\n\n{config.__doc__}\n\n| setting | default | range | what it is |\n|---|---|---|---|\n"
    tables = parts_of(config)
    for name, field in config.model_fields.items():
        if name not in tables:
            yield f"| `{name}` | `{field.default!r}` | {_range(field.metadata)} | {field.description} |\n"
    for name, table in tables.items():
        yield from _section(f"{section}.{name}", table)


def _range(bounds: list[object]) -> str:
    signs = []
    for bound in bounds:
        match bound:
            case Ge(ge=value):
                signs.append(f"≥ {value:g}")
            case Gt(gt=value):
                signs.append(f"> {value:g}")
            case Le(le=value):
                signs.append(f"≤ {value:g}")
            case Lt(lt=value):
                signs.append(f"< {value:g}")
    return ", ".join(signs)


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(text())
