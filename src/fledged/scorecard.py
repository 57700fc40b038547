"""A report for the terminal: figures by class and the confusion matrix, as wide as the terminal is."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from fledged.measured import ClassFigures, Figure
from fledged.pages.words import shortened
from fledged.products import Report

PLAIN_WIDTH = 100  # where nobody looks on
_MOST_ROWS = 30  # classes, the weakest first
_MOST_IN_MATRIX = 10  # classes
_MOST_PAIRS = 5
_SHORTEST_NAME, _LONGEST_NAME = 8, 28

_DIM, _GOOD, _BAD = "dim", "cyan", "red"

Cell = tuple[str, str]  # text and style


def scorecard(report: Report, width: int = PLAIN_WIDTH) -> list[Text]:
    """Lines, none of them longer than `width` unless that is less than 32."""
    return [*_overall(report, width), Text(), *_by_class(report, width), Text(), *_confusion(report, width)]


def _overall(report: Report, width: int) -> list[Text]:
    overall = report.overall
    if overall is None:  # of an earlier version
        figures = [("balanced accuracy", f"{report.balanced_accuracy:.1%}", "")]
        figures += [("macro F1", f"{report.macro_f1:.3f}", ""), ("log loss", f"{report.log_loss:.3f}", "")]
    else:
        figures = [("balanced accuracy", *_percent(overall.balanced_accuracy))]
        figures += [(f"top {top.k}", *_percent(top.accuracy)) for top in overall.top_k]
        figures += [
            (name, f"{figure.value:.3f}", f"({figure.low:.3f} to {figure.high:.3f})")
            for name, figure in (
                ("macro F1", overall.macro_f1),
                ("weighted F1", overall.weighted_f1),
                ("log loss", overall.log_loss),
                ("Brier score", overall.brier),
            )
        ]
    lines, line = [], Text()
    for name, value, interval in figures:
        interval = interval if len(f"{name} {value} {interval}") <= width else ""
        words = Text.assemble((f"{name} ", _DIM), value, (f" {interval}" if interval else "", _DIM))
        if line.plain and len(line) + 3 + len(words) > width:
            lines.append(line)
            line = Text()
        line = Text.assemble(line, "   " if line.plain else "", words)
    return [*lines, line]


def _by_class(report: Report, width: int) -> list[Text]:
    """Weakest first. Where it is narrow intervals go first, those of recall last, then F1 and precision."""
    entries = sorted(report.by_class, key=lambda entry: (entry.support == 0, entry.recall.value))
    shown = entries[:_MOST_ROWS]
    longest = max([len("class"), *(cell_len(_in_a_line(entry.label)) for entry in shown)])
    name = min(longest, _LONGEST_NAME)
    rows: list[list[Cell]] = []
    for columns in (_ALL, _ALL[:4] + _ALL[5:], _ALL[:2] + _ALL[3:4] + _ALL[5:], ("class", "recall", "F1", "photos")):
        rows = [[(column, _DIM) for column in columns]]
        rows += [[_cell(entry, column, name, report.accuracy) for column in columns] for entry in shown]
        if sum(_widths(rows)) + 2 * (len(columns) - 1) <= width:
            break
    else:
        spare = width - (sum(_widths(rows)[1:]) + 2 * (len(rows[0]) - 1))
        name = max(_SHORTEST_NAME, min(name, spare))
        rows = [rows[0], *([(_shortened(row[0][0], name), row[0][1]), *row[1:]] for row in rows[1:])]
    lines = _table(rows)
    if len(entries) > len(shown):
        lines.append(Text(f"and {len(entries) - len(shown)} better ones", _DIM))
    return lines


_ALL = ("class", "recall", "(95% interval)", "precision", "of precision", "F1", "photos")


def _cell(entry: ClassFigures, column: str, name: int, accuracy: Figure) -> Cell:
    is_weak = entry.support > 0 and entry.recall.high < accuracy.low
    match column:
        case "class":
            return _shortened(entry.label, name), "bold"
        case "recall":
            return ("–", _DIM) if not entry.support else (f"{entry.recall.value:.1%}", _BAD if is_weak else _GOOD)
        case "(95% interval)":
            return ("", "") if not entry.support else (_percent(entry.recall)[1], _DIM)
        case "precision":
            return f"{entry.precision:.1%}", ""
        case "of precision":
            return _percent(entry.precision_interval)[1] if entry.precision_interval else "", _DIM
        case "F1":
            return f"{entry.f1:.3f}", ""
    return f"{entry.support:,}", ""


def _confusion(report: Report, width: int) -> list[Text]:
    n = len(report.classes)
    pairs = sorted(
        ((count, t, p) for t, row in enumerate(report.confusion) for p, count in enumerate(row) if count and t != p),
        key=lambda pair: (-pair[0], pair[1:]),
    )
    if n <= _MOST_IN_MATRIX:
        rows: list[list[Cell]] = [[("it is \\ answered", _DIM), *((_shortened(c, 12), "bold") for c in report.classes)]]
        for t, row in enumerate(report.confusion):
            cells = [(f"{count:,}", _GOOD if t == p else _BAD if count else _DIM) for p, count in enumerate(row)]
            rows.append([(_shortened(report.classes[t], 20), "bold"), *cells])
        if sum(_widths(rows)) + 2 * n <= width:
            return _table(rows)
    if not pairs:
        return [Text("Nothing was taken for anything else")]
    lines = []
    for count, t, p in pairs[:_MOST_PAIRS]:
        said = f"{count:,} of {sum(report.confusion[t]):,}"
        name = max(5, min(24, (width - len(said) - len("  taken for ")) // 2))
        names = f"{_shortened(report.classes[t], name)} taken for {_shortened(report.classes[p], name)}"
        lines.append(Text.assemble((said, _BAD), f" {names}"))
    return lines


def _table(rows: Sequence[Sequence[Cell]]) -> list[Text]:
    """The first column to the left, the others to the right."""
    widths = _widths(rows)
    lines = []
    for row in rows:
        cells = [
            (_padded(text, size, is_left=i == 0), style)
            for i, ((text, style), size) in enumerate(zip(row, widths, strict=True))
        ]
        parts = [part for cell in cells for part in ("  ", cell)][1:]
        line = Text.assemble(*parts)
        line.rstrip()
        lines.append(line)
    return lines


def _widths(rows: Sequence[Sequence[Cell]]) -> list[int]:
    return [max(cell_len(text) for text, _ in column) for column in zip(*rows, strict=True)]


def _percent(figure: Figure) -> tuple[str, str]:
    return f"{figure.value:.1%}", f"({figure.low:.1%} to {figure.high:.1%})"


def _in_a_line(name: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def _shortened(name: str, most: int) -> str:
    return shortened(_in_a_line(name), most)


def _padded(text: str, n_columns: int, is_left: bool) -> str:
    """As wide as that on a terminal, where a Chinese character takes two columns."""
    space = " " * (n_columns - cell_len(text))
    return text + space if is_left else space + text
