"""A hash of what a class is written as: the code of its module, without words about it."""

from __future__ import annotations

import ast
import hashlib
import inspect


def source_digest(cls: type) -> str:
    """Return the hash of the module a class is written in; an edited plug-in gets another one.

    Comments, docstrings and the layout of lines do not count: no result depends on them. Code of
    other modules that the class calls does not count either.

    Returns:
        16 hexadecimal digits.
    """
    try:
        code = _bare(inspect.getsource(inspect.getmodule(cls) or cls))
    except (OSError, TypeError):  # defined in an interactive session: nothing to read
        code = repr(cls)
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def _bare(source: str) -> str:
    """Source as Python itself would write it, without strings that are statements."""
    return ast.unparse(_WithoutWords().visit(ast.parse(source)))


class _WithoutWords(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        words = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if words else node
