from __future__ import annotations

from pathlib import Path

import pytest

from fledged.errors import ConfigError
from fledged.serving.access import is_allowed
from fledged.serving.keys import Keys, read_keys
from fledged.settings.serving import AccessConfig

ONE, TWO, THREE = (f"kestrel-kestrel-kestrel-{number}" for number in range(3))


def test_keys_of_a_file_and_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of the bird club\n{ONE}\n\n  {TWO}  \n")
    keys = read_keys(str(file), {"FLEDGED_API_KEYS": THREE})
    assert all(keys.allow({"x-api-key": key}) for key in (ONE, TWO, THREE))
    assert not keys.allow({"x-api-key": "# of the bird club"})
    assert ONE not in repr(keys)


def test_without_keys_it_is_open() -> None:
    assert read_keys("", {}) == Keys()
    assert Keys().allow({})


@pytest.mark.parametrize(
    "text", ["", "# nothing but a note\n", "short\n", "schlüssel-schlüssel\n", "two words in one key\n"]
)
def test_a_file_without_keys_is_an_error_and_never_an_open_server(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"secrets\.token_urlsafe") as told:
        read_keys(str(file), {})
    assert "short" not in str(told.value)


@pytest.mark.parametrize("text", ["", " ", ",\n"])
def test_an_empty_variable_is_an_error_and_never_an_open_server(text: str) -> None:
    with pytest.raises(ConfigError, match=r"FLEDGED_API_KEYS.*secrets\.token_urlsafe"):
        read_keys("", {"FLEDGED_API_KEYS": text})


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read"):
        read_keys(str(tmp_path / "none"), {})
    (tmp_path / "keys").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="not text"):
        read_keys(str(tmp_path / "keys"), {})


@pytest.mark.parametrize(
    "origin", ["example.org", "https://example.org/", "https://a b", "ftp://example.org", "null", ""]
)
def test_an_origin_has_a_scheme_and_no_path(origin: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        AccessConfig(allow_origins=(origin,))


def test_one_name_is_a_list_of_one() -> None:
    assert AccessConfig.model_validate({"allowed_hosts": "birds.example"}).allowed_hosts == ("birds.example",)


@pytest.mark.parametrize(
    "host", ["localhost:80:80", "localhost:x", "[::1", "[::1]x", "::1", ":80", "[]", "a b", "1.2.3", "0x7f.1"]
)
def test_what_is_no_host(host: str) -> None:
    assert not is_allowed(host, {"localhost"})


def test_a_star_allows_all() -> None:
    assert is_allowed("anything at all", {"*"})
