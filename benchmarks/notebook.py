"""Run the notebook of the docs and keep what its cells say: ``python -m benchmarks.notebook``.

Cells are run in order in one fresh namespace and in a folder of their own, as Jupyter would run
them; what they print and the value of their last expression become their outputs, as text. So no
notebook server is needed to test it or to write it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import linecache
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[1] / "docs" / "start.ipynb"
Cell = dict[str, Any]


def run(cells: list[Cell], folder: Path) -> Iterator[tuple[Cell, list[dict[str, Any]]]]:
    """Run code cells in ``folder``; yield each with its outputs."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(folder):
        for cell in cells:
            if cell["cell_type"] == "code":
                yield cell, _outputs(cell, names)


def read(path: Path = NOTEBOOK) -> dict[str, Any]:
    """Return a notebook."""
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Run all cells and write their outputs into the notebook."""
    notebook = read()
    with tempfile.TemporaryDirectory() as folder:
        for count, (cell, outputs) in enumerate(run(notebook["cells"], Path(folder)), start=1):
            cell["execution_count"] = count
            cell["outputs"] = [
                output | ({"execution_count": count} if "data" in output else {})
                for output in outputs
            ]
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    NOTEBOOK.write_text(f"{text}\n", encoding="utf-8")


def _outputs(cell: Cell, names: dict[str, Any]) -> list[dict[str, Any]]:
    source = "".join(cell["source"])
    title = f"<cell {cell['id']}>"
    linecache.cache[title] = len(source), None, source.splitlines(keepends=True), title
    tree = ast.parse(source, title)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed, shown = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, title, "exec"), names)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), title, "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(printed)})
    if shown is not None:
        data = {"text/plain": _lines(io.StringIO(repr(shown)))}
        outputs.append({"data": data, "metadata": {}, "output_type": "execute_result"})
    return outputs


def _lines(text: io.StringIO) -> list[str]:
    return text.getvalue().splitlines(keepends=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
