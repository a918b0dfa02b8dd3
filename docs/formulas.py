"""Formulas as MathML, which browsers draw themselves: no script, and no request to another server."""

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: object) -> str:
    """A hook of mkdocs: called with the HTML of each page."""
    return FORMULA.sub(_drawn, content)


def _drawn(found: re.Match) -> str:
    display = "block" if found[2] == "[" else "inline"
    return convert(html.unescape(found[3]), display=display)
