"""Formulas as MathML, which browsers draw by themselves: no script, no fonts, nothing from the network."""

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx


def markup(formula: str, *, is_block: bool = False) -> str:
    """Write a formula in TeX as MathML; a comma in braces, as in 3{,}585, stands close."""
    return convert(formula.replace("{,}", r"\text{,}"), display="block" if is_block else "inline")


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(markup(node.astext()))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, which scrolls by itself where it is wider than the page."""
    translator.body.append(f'<div class="formula">{markup(node.astext(), is_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Make this the way in which the site writes formulas."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
