"""The glossary and the code use the same words: each class it names exists, each word is defined once."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
CLASS = re.compile(r"^ *class (\w+)", re.MULTILINE)


def test_each_class_that_the_glossary_names_exists() -> None:
    classes = {
        name for path in (ROOT / "src").rglob("*.py") for name in CLASS.findall(path.read_text(encoding="utf-8"))
    }
    named = re.findall(r"`([A-Z][a-z]+\w*)`", GLOSSARY.partition("## In the code")[2])

    assert len(named) > 30
    assert sorted(set(named) - classes) == []


def test_a_word_is_defined_once() -> None:
    words = [word for entry in re.findall(r"^- \*\*(.+?)\*\*:", GLOSSARY, re.MULTILINE) for word in entry.split(", ")]

    assert sorted(words) == sorted(set(words))
    assert len(words) > 50
