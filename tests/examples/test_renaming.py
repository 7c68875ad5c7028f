"""The example of a guest who is renamed: both ways show the same, and it prints a line for each."""

import pytest

from examples.renaming import main


def test_both_ways_show_the_same_and_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    main(200)

    lines = capsys.readouterr().out.splitlines()
    assert [line[:26].strip() for line in lines[1:]] == ["a reference, joined", "copied, by concerns"] * 2
    assert [line[26:].split()[0] for line in lines[1:]] == ["2", "2", "20", "20"]
