"""Errors say what, where and how to mend it, in one line."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fledged.errors import FledgedError, LakeError, MissingExtra, RequestError, naming


def test_what_where_and_remedy_stand_in_one_line() -> None:
    error = LakeError("There is no photo", where=Path("a\nb"), remedy="Add one.")
    assert str(error) == "There is no photo (a b). Add one."


def test_nothing_in_a_line_is_obeyed_by_a_terminal() -> None:
    error = LakeError("There is no photo", where=Path("\x1b[2Jowl\x9b\u202egpj\ud800"))
    assert str(error) == "There is no photo (\\x1b[2Jowl\\x9b\\u202egpj\\ud800)."


def test_a_missing_extra_names_its_install_line() -> None:
    assert str(MissingExtra("train", "torch")).endswith("Install it with: pip install 'fledged[train]'")


def test_a_request_error_carries_its_http_status() -> None:
    assert RequestError("no photo", status=415).status == 415


@pytest.mark.parametrize("kind", FledgedError.__subclasses__())
def test_the_tree_in_the_module_names_every_error(kind: type[FledgedError]) -> None:
    import fledged.errors

    assert f"{kind.__name__} " in str(fledged.errors.__doc__)


def test_an_error_of_reading_is_told_with_its_file_unless_it_names_one() -> None:
    with pytest.raises(OSError, match="a/photo") as nameless, naming(Path("a/photo")):
        raise OSError(errno.EIO, "Input/output error")
    assert nameless.value.filename == "a/photo"
    with pytest.raises(OSError, match="another"), naming(Path("a/photo")):
        raise OSError(errno.EIO, "Input/output error", "another")
    with pytest.raises(OSError, match=r"Input/output error.*a/photo") as wordless, naming(Path("a/photo")):
        raise OSError("Input/output error (os error 5)")
    assert wordless.value.strerror == "Input/output error (os error 5)"
