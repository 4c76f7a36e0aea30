from pathlib import Path

from benchmarks import method_docs

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_table_of_methods_is_up_to_date():
    page = method_docs.DOCS.read_text(encoding="utf-8")
    assert method_docs.fill(page) == page, "run python -m benchmarks.method_docs"


def test_the_method_in_the_guide_is_the_one_in_the_example():
    source = (DOCS / "example_plugin" / "src" / "camzoo_sign" / "__init__.py").read_text(
        encoding="utf-8"
    )
    start = source.index("@register_cam")
    assert source[start:].strip() in (DOCS / "plugins.md").read_text(encoding="utf-8")
