"""Text in CSV tables, which people open in spreadsheets: there a cell that begins like a formula is one, and is run.

Such a text gets a ' in front, as spreadsheets themselves mark text; JSON, Parquet and what other programs are meant to
read (`manifest.csv`, `splits/`) keep it as it is.
"""

from __future__ import annotations

import re

# https://owasp.org/www-community/attacks/CSV_Injection
# A "-" alone is stdin.
FORMULA = r"(?s)^[=+@\t\r-]."
_FORMULA = re.compile(FORMULA)
_MARKED = re.compile(r"'[=+@\t\r-].", re.DOTALL)


def cell(value: object) -> object:
    """What to write for a value."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def value_of(written: str) -> str:
    """What a cell was made of."""
    return written[1:] if _MARKED.match(written) else written
