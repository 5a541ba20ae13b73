import io
import logging
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import track

from mlssm.tracking.console import ConsoleLog, console_log
from mlssm.tracking.lifecycle import tracked_run

log = logging.getLogger("mlssm.somewhere")


def kept(store, run) -> str:
    return Path(store.client.download_artifacts(run.run_id, "console.log")).read_text()


def test_what_is_printed_and_logged_is_kept_in_the_format_of_the_log(store, tmp_path, capsys):
    log.setLevel(logging.INFO)
    with tracked_run(store, "a", {}, {}, folder=tmp_path) as run:
        Console().print("[bold]R2[/bold] 0.8")
        log.info("prepared %d dates", 20)
        print("without an end", end="")
    lines = kept(store, run).splitlines()
    assert (lines[0], lines[-1]) == ("R2 0.8", "without an end")
    assert any(line.endswith("prepared 20 dates") for line in lines)
    assert capsys.readouterr().out == "R2 0.8\nwithout an end"
    assert (tmp_path / "console.log").read_text() == kept(store, run)


def test_a_failure_is_kept_with_its_traceback(store, tmp_path):
    def fail() -> None:
        print("before")
        raise ZeroDivisionError("no patch")

    with pytest.raises(ZeroDivisionError), tracked_run(store, "a", {}, {}, folder=tmp_path) as run:
        fail()
    text = kept(store, run)
    assert text.startswith("before\nTraceback")
    assert text.endswith("ZeroDivisionError: no patch\n")


def test_lines_that_a_terminal_overwrites_are_left_out_and_colours_too(tmp_path, monkeypatch):
    stdout = sys.stdout
    with console_log(tmp_path / "console.log"):
        print("\r 10%|#  |", end="")
        print("\r100%|###|")
        print("\x1b[31mred\x1b[0m")
        terminal = Console(force_terminal=True, width=60)
        for _ in track(range(3), "bar", console=terminal):
            pass
        terminal.print("after [bold]the[/bold] bar", highlight=False)
        kept_by_someone = sys.stdout
    assert sys.stdout is stdout
    print("later", file=kept_by_someone)
    text = (tmp_path / "console.log").read_text()
    assert text.splitlines()[0] == "red"
    assert text.splitlines()[-1] == "after the bar"
    assert "#" not in text
    assert "\x1b" not in text


def test_it_is_appended_to_and_holds_no_password(tmp_path):
    for number in range(2):
        with console_log(tmp_path / "console.log"):
            print(f"postgresql://who:secret{number}@host/db")
    first, goes_on, second = (tmp_path / "console.log").read_text().splitlines()
    assert (first, second) == ("postgresql://***@host/db", "postgresql://***@host/db")
    assert goes_on.startswith("--- goes on 20")


class Closed(io.StringIO):
    """A pipe whose reader has gone: `train.py | head -1`."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_run_ends_as_it_does_whoever_reads_what_it_prints(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Closed())
    with tracked_run(store, "a", {}, {}, folder=tmp_path / "job") as run:
        Console().print("a table")
        print("a line", flush=True)
    assert store.client.get_run(run.run_id).info.status == "FINISHED"
    assert "a table\na line\n" in (tmp_path / "job" / "console.log").read_text()


def test_a_full_disk_takes_the_console_log_and_not_the_run(tmp_path):
    with Path("/dev/full").open("w") as full:
        console = ConsoleLog(full)
        console.write("a line\n")
        console.close()
