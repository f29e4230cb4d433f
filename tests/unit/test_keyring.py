"""Secrets are encrypted so that only this Headrace opens them, for their owner and name alone."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.errors import InvalidInput
from headrace_service.keyring import Keyring, new_key

KEYS = {"k2": b"2" * 32, "k1": b"1" * 32}


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secrets.key"
    path.write_text(text)
    path.chmod(mode)
    return path


@given(st.binary(max_size=2_000))
def test_what_is_locked_is_opened_unchanged_and_looks_different_each_time(value: bytes) -> None:
    ring = Keyring(KEYS)
    boxes = {ring.lock("ann", "token", value) for _ in range(3)}
    assert len(boxes) == 3
    assert {ring.unlock("ann", "token", box) for box in boxes} == {value}
    assert all(box.startswith("1.k2.") for box in boxes)


def test_a_box_opens_for_its_owner_and_name_alone() -> None:
    ring = Keyring(KEYS)
    box = ring.lock("ann", "token", b"s3cret")
    for owner, name in (("bob", "token"), ("ann", "other"), ("ann/token", ""), ("", "ann/token")):
        with pytest.raises(InvalidInput):
            ring.unlock(owner, name, box)


def test_a_box_that_was_changed_anywhere_does_not_open() -> None:
    ring = Keyring(KEYS)
    head, _, text = ring.lock("ann", "token", b"s3cret").rpartition(".")
    sealed = base64.b64decode(text)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(InvalidInput) as caught:
            ring.unlock("ann", "token", f"{head}.{base64.b64encode(changed).decode()}")
        assert "s3cret" not in str(caught.value)
    for box in (
        "",
        "1",
        "1.k2",
        "1.k2.",
        "2.k2." + text,
        "1.k1." + text,
        "1.k9." + text,
        "1.k2.!",
    ):
        with pytest.raises(InvalidInput):
            ring.unlock("ann", "token", box)


def test_a_new_key_on_top_encrypts_and_the_old_one_still_opens(state_dir: Path) -> None:
    old = new_key("a")
    box = Keyring.load(key_file(state_dir, old)).lock("ann", "token", b"s3cret")
    both = Keyring.load(key_file(state_dir, new_key("b") + old))
    assert both.unlock("ann", "token", box) == b"s3cret"
    assert both.lock("ann", "token", b"").startswith("1.b.")
    with pytest.raises(InvalidInput) as caught:
        Keyring.load(key_file(state_dir, new_key("b"))).unlock("ann", "token", box)
    assert "headrace secrets set token" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "\n", "k1\n", "k1 x\n", "k1 " + base64.b64encode(b"1" * 31).decode(), "K! " + "A" * 44],
)
def test_a_file_without_a_good_key_is_refused_without_telling_it(
    state_dir: Path, text: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        Keyring.load(key_file(state_dir, text))
    assert not text.strip() or text.split(" ")[-1].strip() not in str(caught.value)


def test_the_same_id_twice_is_refused(state_dir: Path) -> None:
    with pytest.raises(InvalidInput):
        Keyring.load(key_file(state_dir, new_key("a") + new_key("a")))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_file_that_others_may_open_is_refused(state_dir: Path, mode: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        Keyring.load(key_file(state_dir, new_key(), mode))
    assert "chmod 600" in str(caught.value)
