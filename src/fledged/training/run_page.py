"""The page of a run: one HTML file that asks nothing of any network, and its curves as a picture."""

from __future__ import annotations

from pathlib import Path

from fledged.networks.census import NetworkSize
from fledged.pages.template import environment
from fledged.products import WEIGHTS_FILE, Dataset, Run
from fledged.training import stages
from fledged.training.curves import charts, every_of, span_of
from fledged.training.picture import png
from fledged.training.unusual import unusual
from fledged.writing import write_bytes

PAGE = "run.html"
PICTURE = "curves.png"


def write(run: Run, dataset: Dataset, size: NetworkSize) -> None:
    """Write page and picture into the run's folder, where its weights, history and steps are already."""
    drawn = charts(run.history(), run.steps(), run.best_epoch)
    title = f"{run.backbone.name}, {run.mode}: {run.val_accuracy:.1%} of the validation photos right (run {run.id})"
    write_bytes(run.folder / PICTURE, png(drawn, title))
    write_bytes(run.folder / PAGE, render(run, dataset, size).encode())


def render(run: Run, dataset: Dataset, size: NetworkSize) -> str:
    """The whole page; the same run gives the same bytes. The stages that it is one of are read from its folder."""
    history, steps = run.history(), run.steps()
    pages = environment(Path(__file__).parent)
    pages.filters |= {"rate": "{:.2g}".format, "duration": duration}
    return pages.get_template("run.html.jinja").render(
        run=run,
        dataset=dataset,
        size=size,
        n_val=dataset.n_in("val"),
        megabytes=(run.folder / WEIGHTS_FILE).stat().st_size / 1e6,
        charts=charts(history, steps, run.best_epoch),
        history=history.to_dicts(),
        n_steps=len(steps),
        span=span_of(len(steps)),
        every=every_of(len(steps)),
        unusual=unusual(run.settings, dataset),
        staged=stages.told_of(run),
    )


def duration(seconds: float) -> str:
    """0.8 s, 42 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
