"""One table, laid out for a terminal, for a page (Markdown), for a spreadsheet (CSV) and for an article (LaTeX).

A table is a header and rows of cells; cells are texts, and numbers are written as they should be read.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence

Row = Sequence[str]

_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?")
_SPECIAL = {"\\": r"\textbackslash{}"} | {c: rf"\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}"}


def text(header: Row, rows: Sequence[Row]) -> str:
    """Columns in line; numbers to the right, where all cells of a column are numbers or empty."""
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    right = [all(not row[i] or _NUMBER.fullmatch(row[i]) for row in rows) for i in range(len(header))]

    def line(cells: Row) -> str:
        padded = zip(cells, widths, right, strict=True)
        return "  ".join(cell.rjust(n) if number else cell.ljust(n) for cell, n, number in padded).rstrip()

    return "\n".join(map(line, lines))


def markdown(header: Row, rows: Sequence[Row]) -> str:
    """A table of a page, with its last line ended."""
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def comma_separated(header: Row, rows: Sequence[Row]) -> str:
    """CSV (RFC 4180, with plain line ends)."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return file.getvalue()


def latex(header: Row, rows: Sequence[Row]) -> str:
    """A tabular with the rules of the package booktabs."""
    lines = [" & ".join(map(_escaped, cells)) + r" \\" for cells in (header, *rows)]
    columns = "l" + "r" * (len(header) - 1)
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:]]
    return "\n".join([*body, r"\bottomrule", r"\end{tabular}", ""])


def share(found: Mapping) -> str:
    """A cell with a share of `twolayer.statistics`, in per cent, and its interval."""
    low, high = (100 * end for end in found["interval"])
    return f"{100 * found['share']:.1f} % ({low:.1f} to {high:.1f})"


def _escaped(cell: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in cell)


FORMS: dict[str, Callable[[Row, Sequence[Row]], str]] = {
    "text": lambda header, rows: text(header, rows) + "\n",
    "markdown": markdown,
    "csv": comma_separated,
    "latex": latex,
}
