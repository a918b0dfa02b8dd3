"""Hooks of mkdocs: pages that are files of the repository, and formulas that browsers draw themselves."""

import html
import pathlib
import re

from latex2mathml.converter import convert

ROOT = pathlib.Path(__file__).parents[2]
INCLUDED = re.compile(r"^<!-- include: (\S+?)(?:, lines (\d+) to (\d+))? -->$", re.MULTILINE)
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put files of the repository, or lines of them, where a page asks for them; their links are from docs/ here."""
    return INCLUDED.sub(_included, markdown)


def on_page_content(content: str, **_: object) -> str:
    """Make MathML of formulas: no script, and no request to another server."""
    return FORMULA.sub(_drawn, content)


def _included(found: re.Match) -> str:
    lines = (ROOT / found[1]).read_text().splitlines()
    if found[2]:
        lines = lines[int(found[2]) - 1 : int(found[3])]
    return "\n".join(lines).replace("](docs/", "](")


def _drawn(found: re.Match) -> str:
    display = "block" if found[2] == "[" else "inline"
    return convert(html.unescape(found[3]), display=display)
