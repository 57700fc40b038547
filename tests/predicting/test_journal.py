"""What a killed run has answered counts, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fledged.errors import ConfigError
from fledged.predicting.answers import Answer
from fledged.predicting.asked import Asked
from fledged.predicting.journal import answered
from fledged.products import ClassScore, Failure, Prediction


def asked(n: int) -> list[Asked]:
    return [(f"\udcff{i}.jpg", bytes) for i in range(n)]  # names need not be UTF-8


def say(name: str) -> Prediction | Failure:
    if name.endswith("3.jpg"):
        return Failure(error="broken", remedy="mend it")
    score = 1 / (7 + len(name))
    top = (ClassScore(label="ä\n", score=score),)
    return Prediction(label="ä\n", confidence=score, top_k=top, bundle_id="b", seconds=0.1, unknown_score=score / 3)


class Answering:
    """Remembers what it was asked."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.names: list[str] = []
        self.dies_at = dies_at

    def __call__(self, photos: Iterator[Asked]) -> Iterator[Answer]:
        for name, _ in photos:
            if len(self.names) == self.dies_at:
                raise KeyboardInterrupt
            self.names.append(name)
            yield name, say(name)


def begun(path: Path, n: int, dies_at: int) -> list[bytes]:
    with pytest.raises(KeyboardInterrupt):
        list(answered(path, "b", asked(n), Answering(dies_at)))
    return path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("dies_at", [0, 1, 4, 7, 9, 10])
def test_it_goes_on_with_the_batch_that_was_not_whole(tmp_path: Path, dies_at: int) -> None:
    path = tmp_path / "new" / "a.csv.unfinished"
    begun(path, 11, dies_at)
    rest = Answering()
    found = list(answered(path, "b", asked(11), rest))
    assert found == [(name, say(name)) for name, _ in asked(11)]
    assert rest.names == [name for name, _ in asked(11)][dies_at // 4 * 4 :]
    finished = Answering()
    assert list(answered(path, "b", asked(11), finished)) == found
    assert finished.names == []  # it was killed before the answers were in their place


@pytest.mark.parametrize("at", [0, 3, 5, 8])
def test_a_line_that_was_cut_off_or_damaged_ends_it(tmp_path: Path, at: int) -> None:
    path = tmp_path / "kept"
    lines = begun(path, 11, 10)
    expected = [(name, say(name)) for name, _ in asked(11)]
    for spoilt in (lines[at + 1][:-5], lines[at + 1][:-1], b'{"file": 1}\n', b"[]\n", b"\0\n"):
        path.write_bytes(b"".join([*lines[: at + 1], spoilt]))
        rest = Answering()
        assert list(answered(path, "b", asked(11), rest)) == expected
        assert len(rest.names) == 11 - at // 4 * 4


def test_other_photos_and_another_bundle_are_asked(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    begun(path, 11, 10)
    others, rest = [*asked(5), ("other.jpg", bytes), *asked(4)], Answering()
    assert [name for name, _ in answered(path, "b", others, rest)] == [name for name, _ in others]
    assert len(rest.names) == 10 - 4
    fewer = Answering()
    assert len(list(answered(path, "b", asked(4), fewer))) == 4
    assert fewer.names == []
    again = Answering()
    assert len(list(answered(path, "another", asked(4), again))) == 4
    assert len(again.names) == 4


def test_a_file_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.unfinished"
    path.write_text("my notes\n")
    with pytest.raises(ConfigError, match="written over"):
        list(answered(path, "b", asked(2), Answering()))
    assert path.read_text() == "my notes\n"


def test_a_beginning_that_was_cut_off_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.unfinished"
    path.write_text('{"answ')
    assert list(answered(path, "b", asked(2), Answering())) == [(name, say(name)) for name, _ in asked(2)]
