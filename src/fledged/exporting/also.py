"""Other formats of a bundle's run, beside the bundle: none of them is served, each passes the same gate.

exports/<bundle id>/exports.json        what was written, and how it answers beside the run
exports/<bundle id>/<format>/…          the files
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import fledged
from fledged import progress
from fledged.errors import ConfigError, ProductError, suggestion
from fledged.exporting.formats import coreml, executorch, openvino, torchscript
from fledged.exporting.formats.source import Answering, Source
from fledged.exporting.parity import Ask, Gate, ask_all, parity_of
from fledged.exporting.served import in_fp32
from fledged.exporting.speed import speed_of
from fledged.measured import Parity
from fledged.networks.inference import Knowing, load_classifier, load_regions
from fledged.products import Bundle, Dataset, Report, Run
from fledged.records import Record
from fledged.settings.results import ExportConfig
from fledged.workspace import Workspace
from fledged.writing import bytes_of_file, sha256_of_file, write_bytes

Format = Literal["torchscript", "openvino", "executorch", "coreml"]
FORMATS: tuple[Format, ...] = get_args(Format)

_CONVERT: dict[Format, Callable[[Source, Path], Ask | None]] = {
    "torchscript": torchscript.convert,
    "openvino": openvino.convert,
    "executorch": executorch.convert,
    "coreml": coreml.convert,
}
_RECORD = "exports.json"


class Written(Record):
    """One format."""

    format: Format
    files: dict[str, str]  # name inside the format's folder -> sha256
    n_bytes: int
    parity: Parity | None  # None where this machine cannot run the format: nobody has checked its answers


class Exports(Record):
    """All formats that were written beside a bundle; float32 each."""

    bundle_id: str
    run_id: str
    written: tuple[Written, ...]


def checked(formats: Sequence[str]) -> tuple[Format, ...]:
    """The names, once each. Raises ConfigError for one that is not known."""
    for name in formats:
        if name not in FORMATS:
            raise ConfigError(
                f"There is no format `{name}`",
                where="--also",
                remedy=suggestion(name, {str(known): known for known in FORMATS}),
            )
    return tuple(name for name in FORMATS if name in formats)


def export_also(
    formats: Sequence[Format],
    bundle: Bundle,
    judged: Report,
    config: ExportConfig,
    workspace: Workspace,
    report: progress.Report,
) -> Exports:
    """Each format's files, written only if it answers as the run did. Raises ParityError, and MissingExtra."""
    run, dataset = workspace.load(Run, bundle.run_id), workspace.load(Dataset, bundle.dataset_id)
    temperature = run.calibration.temperature if run.calibration else 1.0
    regions = load_regions(run) if run.unknown else None
    network = Answering(Knowing(load_classifier(run), temperature, regions))
    source = Source(network, in_fp32(run, workspace).onnx, run.preprocess.size_px)
    place = _folder(bundle, workspace)
    for name in formats:
        with tempfile.TemporaryDirectory() as folder:
            with fledged.naming_extras():
                ask = _CONVERT[name](source, Path(folder))
            parity = None
            if ask is not None:
                remedy = f"{name} was not written; the bundle was. Please report this with the backbone's name."
                limit = config.max_abs_difference
                gate = Gate(limit, limit, 1.0, 0.0, remedy)
                asked = ask_all(ask, judged, dataset, run.preprocess, config.parity_photos, report)
                parity = parity_of(asked, gate, name)
                parity = parity.model_copy(update={"speed": speed_of(ask, source.size_px)})
            files = _kept(Path(folder), place / name)
        n_bytes = sum((place / name / file).stat().st_size for file in files)
        if parity is not None:
            parity = parity.model_copy(update={"n_bytes": n_bytes})
        row = Written(format=name, files=files, n_bytes=n_bytes, parity=parity)
        earlier = _open(bundle, workspace)
        written = (*(known for known in earlier if known.format != name), row)
        exports = Exports(bundle_id=bundle.id, run_id=run.id, written=written)
        write_bytes(place / _RECORD, exports.model_dump_json(indent=2).encode())
        workspace.share(place)
    return exports


def export_lines(bundle: Bundle, work: Path) -> list[str]:
    """A table: the bundle, other bundles of its run, and what lies beside it; nothing where it is alone."""
    workspace = Workspace(work)
    rows: list[tuple[str, ...]] = [
        ("format", "MB", "ms, 1 photo", "ms, 32", "accuracy", "less the run's", "same label", "largest difference")
    ]
    rows.append(_row(f"onnx {bundle.precision}", bundle.parity.n_bytes or 0, bundle.parity))
    # Of a bucket each would be fetched for this.
    known = workspace.all(Bundle) if workspace.mirror is None else ()
    others = [other for other in known if other.run_id == bundle.run_id and other.id != bundle.id]
    rows += [_row(f"onnx {other.precision}, {other.id}", other.parity.n_bytes or 0, other.parity) for other in others]
    rows += [_row(written.format, written.n_bytes, written.parity) for written in _open(bundle, workspace)]
    if len(rows) == 2:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    n = (
        f"On {bundle.parity.n_photos:,} test photos, each format in its own runtime, beside the run's own answers; "
        "times are those of the moment when each was written"
    )
    told = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [n, *told, *([f"Saved {place}"] if (place := _folder(bundle, workspace)).exists() else [])]


def _row(name: str, n_bytes: int, parity: Parity | None) -> tuple[str, ...]:
    size = f"{n_bytes / 1e6:.1f}"
    if parity is None:
        return (name, size, *["–"] * 5, "not checked: it does not run on this machine")
    speed, accuracy, less = parity.speed, parity.accuracy, parity.accuracy_difference
    return (
        name,
        size,
        f"{speed.ms_1:.1f}" if speed else "–",
        f"{speed.ms_32:.0f}" if speed else "–",
        f"{accuracy.value:.1%}" if accuracy else "–",
        f"{100 * less.value:+.1f} ({100 * less.low:+.1f} to {100 * less.high:+.1f}) points" if less else "–",
        f"{parity.label_agreement:.1%}",
        f"{parity.max_abs_difference:.0e}",
    )


def _folder(bundle: Bundle, workspace: Workspace) -> Path:
    return workspace.root / "exports" / bundle.id


def _open(bundle: Bundle, workspace: Workspace) -> tuple[Written, ...]:
    path = _folder(bundle, workspace) / _RECORD
    try:
        return Exports.model_validate_json(bytes_of_file(path)).written
    except FileNotFoundError:
        return ()
    except ValueError as error:
        raise ProductError("This record of exports is damaged", where=path, remedy="Delete it.") from error


def _kept(made: Path, place: Path) -> dict[str, str]:
    """Copies what was made to its place, and names each file with its sha256."""
    names = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    for name in names:
        write_bytes(place / name, (made / name).read_bytes())
    return {name: sha256_of_file(place / name) for name in names}
