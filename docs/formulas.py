"""A hook of mkdocs: formulas become MathML, which browsers draw without a script or a network."""

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(text, **_):
    """The page with its formulas drawn; the extension arithmatex has marked them."""
    return FORMULA.sub(_drawn, text)


def _drawn(formula):
    tag, tex = formula[1], html.unescape(formula[2].strip())
    display = "block" if tag == "div" else "inline"
    return f'<{tag} class="arithmatex">{convert(tex, display=display)}</{tag}>'
