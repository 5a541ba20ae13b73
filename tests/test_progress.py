import io
import sys

import pytest

from mlssm.progress import track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_written_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track([1, 2, 3], "counting")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_on_stderr_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track((number for number in (1, 2)), "counting", total=2)) == [1, 2]
    assert "counting" in terminal.getvalue()
    assert capsys.readouterr().out == ""


def test_it_ends_with_what_it_goes_through() -> None:
    def fails() -> None:
        for item in track([1, 2], "counting"):
            raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        fails()
    assert list(track([], "nothing")) == []
