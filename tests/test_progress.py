"""Telling how far the work is."""

import pytest

from dhop.runtime.progress import reporting


def test_a_bar_ends_full_though_the_work_ended_early(capsys):
    pytest.importorskip("rich")
    with reporting(True, 500, "iterations") as advance:
        advance(3)
    shown = capsys.readouterr().out
    assert "iterations" in shown
    assert "100%" in shown


def test_a_bar_of_work_that_failed_stays_where_it_was(capsys):
    pytest.importorskip("rich")

    def work():
        with reporting(True, 500, "iterations") as advance:
            advance(50)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert "10%" in capsys.readouterr().out


def test_a_progress_that_knows_stages_is_told_their_names():
    class Told(list):
        def begin(self, what):
            self.append(what)

        def __call__(self, done, total):
            self.append((done, total))

    told = Told()
    with reporting(told, 3, "first") as advance:
        advance(2)
    with reporting(told, 1, "second"):
        pass
    assert told == ["first", (0, 3), (2, 3), "second", (0, 1)]
