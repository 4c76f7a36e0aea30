"""The hash of a method's code changes with what it does and with nothing else."""

import importlib.util
import sys
from itertools import count

import pytest

from camzoo.harness.source import source_digest

ORIGINAL = '''
"""About the module."""
import math


class Method:
    """About the class."""

    power = 2

    def saliency(self, view):
        """About the function."""
        return math.sqrt(view) ** self.power  # a comment
'''
_NUMBERS = count()


@pytest.fixture
def digest(tmp_path):
    """Hash of the class ``Method`` of a module with the given text."""

    def of(text):
        path = tmp_path / f"written_{next(_NUMBERS)}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, path.stem, module)
            spec.loader.exec_module(module)
            return source_digest(module.Method)

    return of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("About the module.", "Other words."),
        ("About the class.", "Other words."),
        ('        """About the function."""\n', ""),
        ("  # a comment", ""),
        ("    power = 2\n", '    power = 2\n    """About the attribute."""\n'),
        (
            "math.sqrt(view) ** self.power",
            "(\n            math.sqrt(view)\n            ** self.power)",
        ),
    ],
)
def test_words_and_layout_do_not_count(digest, old, new):
    assert old in ORIGINAL
    assert digest(ORIGINAL.replace(old, new)) == digest(ORIGINAL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("power = 2", "power = 3"),
        ("math.sqrt(view)", "math.exp(view)"),
        ("** self.power", "* self.power"),
        ("import math\n", "import math\n\nHELPER = 'text that code may read'\n"),
        ("        return math", "        view = view + 1\n        return math"),
    ],
)
def test_code_counts_wherever_it_stands_in_the_module(digest, old, new):
    assert old in ORIGINAL
    assert digest(ORIGINAL.replace(old, new)) != digest(ORIGINAL)


def test_a_class_without_a_source_file_has_a_hash_of_its_own():
    first, second = type("First", (), {}), type("Second", (), {})
    first.__module__ = second.__module__ = "typed_at_a_prompt"
    assert len(source_digest(first)) == 16
    assert source_digest(first) != source_digest(second)
