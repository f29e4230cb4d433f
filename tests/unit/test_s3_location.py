"""Where an S3 store is, who may use it, and how files are cut."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_adapters.s3.location import Location, parse_location, read_credentials
from headrace_adapters.s3.parts import MOST_PARTS, cut, part_bytes
from headrace_agent.grants import Grant, read_grant
from headrace_model.errors import InvalidInput, Unavailable

AMAZON = "s3.amazonaws.com"


@pytest.mark.parametrize(
    ("url", "endpoint", "bucket", "prefix", "tls"),
    [
        ("s3://127.0.0.1:9000/bucket", "127.0.0.1:9000", "bucket", "", False),
        ("s3://localhost:9000/bucket/", "localhost:9000", "bucket", "", False),
        ("s3://[::1]:9000/bucket/a/b", "[::1]:9000", "bucket", "a/b", False),
        ("s3://store.example:443/bucket/a", "store.example:443", "bucket", "a", True),
        ("s3://127.0.0.1.evil.example:80/bucket", "127.0.0.1.evil.example:80", "bucket", "", True),
        ("s3://bucket", AMAZON, "bucket", "", True),
        ("s3://my.bucket/pre fix/ü", AMAZON, "my.bucket", "pre fix/ü", True),
    ],
)
def test_a_url_names_server_bucket_and_prefix(
    url: str, endpoint: str, bucket: str, prefix: str, tls: bool
) -> None:
    assert parse_location(url) == Location(endpoint, bucket, prefix, "us-east-1", tls)


def test_settings_say_what_the_url_does_not() -> None:
    found = parse_location("s3://bucket", endpoint="localhost:9000", region="eu-west-1", tls="yes")
    assert found == Location("localhost:9000", "bucket", "", "eu-west-1", True)
    assert not parse_location("s3://store.example:80/bucket", tls="no").tls
    assert str(found) == "s3://localhost:9000/bucket"


@pytest.mark.parametrize(
    "url",
    [
        "", "s3://", "s3:///", "s3://ab", "s3://127.0.0.1:9000", "s3://127.0.0.1:9000/",
        "s3://h:9000/Bucket", "s3://bucket/a//b", "s3://bucket/../b", "http://h:9000/bucket",
        "s3://key:secret@host/bucket", "s3://user@host:9000/bucket", "s3://h:9000?x/bucket",
    ],
)  # fmt: skip
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse_location(url)


def test_credentials_never_show(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.touch(mode=0o600)
    file.write_text('{"access_key": "me", "secret_key": "topsecret", "session_token": "hidden"}')
    found = read_credentials(file)
    assert (found.access_key, found.secret_key, found.session_token) == (
        "me",
        "topsecret",
        "hidden",
    )
    assert "topsecret" not in repr(found)
    assert "hidden" not in repr(found)


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ('{"access_key": "me", "secret_key": "topsecret"}', 0o640),
        ('{"access_key": "me", "secret_key": "topsecret"}', 0o604),
        ('{"access_key": "topsecret"}', 0o600),
        ('{"access_key": "", "secret_key": "topsecret"}', 0o600),
        ('["topsecret"]', 0o600),
        ("topsecret", 0o600),
        ("", 0o600),
    ],
)
def test_wrong_credentials_are_refused_without_a_word_of_them(
    tmp_path: Path, text: str, mode: int
) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(InvalidInput) as refused:
        read_credentials(file)
    assert "topsecret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_missing_credentials_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="missing"):
        read_credentials(tmp_path / "missing")


@given(st.integers(0, 2**43), st.sampled_from([5 * 2**20, 16 * 2**20, 64 * 2**20]))
def test_parts_cover_a_file_and_are_never_too_many(size: int, wanted: int) -> None:
    part = part_bytes(size, wanted)
    assert part >= wanted
    assert -(-size // part) <= MOST_PARTS
    if size <= MOST_PARTS * wanted:
        assert part == wanted


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_parts_follow_one_another(size: int, part: int) -> None:
    at = 0
    for number, each in enumerate(cut(size, part), 1):
        assert (each.number, each.offset) == (number, at)
        assert 0 < each.size <= part
        at += each.size
    assert at == size


def test_a_grant_is_read_and_hides_its_urls() -> None:
    assert read_grant({"path": "/a"}) == Grant(path=Path("/a"))
    assert read_grant({"url": "http://s"}) == Grant(url="http://s")
    parts = {"upload": "u", "part_bytes": 5, "parts": ["http://1"], "complete": "http://c"}
    found = read_grant(parts)
    assert found == Grant(parts=("http://1",), part_bytes=5, complete="http://c", upload="u")
    assert "http" not in repr(found) + repr(read_grant({"url": "http://s"}))


@pytest.mark.parametrize("plain", [{}, {"path": 1}, {"torrent": "x"}, {"upload": "u"}])
def test_an_unknown_grant_is_refused(plain: dict[str, object]) -> None:
    with pytest.raises(Unavailable, match="does not know"):
        read_grant(plain)
