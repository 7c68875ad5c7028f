"""The glossary and the code use the same words: each class it names exists, each word is defined once."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
CLASSES = {
    node.name: path.relative_to(ROOT)
    for path in sorted((ROOT / "src").rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.ClassDef)
}


@pytest.mark.parametrize("name", re.findall(r"`([A-Z][a-z]+\w*)`", GLOSSARY.partition("## In the code")[2]))
def test_a_class_that_the_glossary_names_exists(name: str) -> None:
    assert name in CLASSES


def test_a_word_is_defined_once() -> None:
    words = [word for entry in re.findall(r"^- \*\*(.+?)\*\*:", GLOSSARY, re.MULTILINE) for word in entry.split(", ")]

    assert sorted(words) == sorted(set(words))
    assert len(words) > 50
