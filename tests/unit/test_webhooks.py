"""Webhooks: who is told what, signatures, how often it is tried, and where nothing is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.errors import InvalidInput
from headrace_model.reach import may_reach
from headrace_model.status import EDGES, Status
from headrace_model.webhook import (
    MOST_TRIES,
    Delivery,
    HookEvent,
    Webhook,
    check_url,
    events_of,
    with_room,
)
from headrace_monitor.hookpost import post, read_networks
from headrace_request.api.webhooks import doubt
from headrace_wire.webhooks import (
    SIGNATURE_HEADER,
    TIME_HEADER,
    decode_delivery,
    decode_webhook,
    encode_delivery,
    encode_webhook,
    is_signed,
    signature,
)

URL = "https://example.org/hook"


def _hook(*events: HookEvent, kind: str = "", name: str = "", url: str = URL) -> Webhook:
    return Webhook("0123456789ab", url, events or tuple(HookEvent), "secret", 1, kind, name)


def test_each_way_to_the_end_is_told_once_and_only_the_first_run_as_a_start() -> None:
    for (before, _), edge in EDGES.items():
        told = events_of(before, edge.to)
        assert (HookEvent.ENDED in told) == edge.to.closed
        assert (HookEvent.STARTED in told) == (edge.to is Status.RUNNING != before)
        bad = edge.to.closed and edge.to not in (
            Status.COMPLETED, Status.CANCELED, Status.STOPPED,
        )  # fmt: skip
        assert (HookEvent.FAILED in told) == bad


def test_a_rule_takes_what_it_names_and_tells_the_most_of_it() -> None:
    failed = events_of("", Status.FAILED)
    assert _hook().takes(failed, "command", "run") is HookEvent.FAILED
    assert _hook(HookEvent.ENDED).takes(failed, "command", "run") is HookEvent.ENDED
    assert _hook(HookEvent.STARTED).takes(failed, "command", "run") is None
    assert _hook(kind="ngen").takes(failed, "command", "run") is None
    assert _hook(kind="command", name="ru").takes(failed, "command", "run")
    assert _hook(name="un").takes(failed, "command", "run") is None


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "ftp://example.org", "https://", "https://user:pass@example.org",
        "https://example.org/#x", "https://example.org/a b", "https://ex\nample.org",
        "https://example.org:99999", "https://example.org:0/", "https://é.org",
        "https://example.org/" + "x" * 500, "https://[::1",
    ],
)  # fmt: skip
def test_what_is_no_address_for_messages_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="url"):
        check_url(url)


@pytest.mark.parametrize("url", ["notaurl", "ftp://example.org"])
def test_who_gives_no_address_is_told_what_is_sent_to(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"https:// .*http:// only .*webhook_networks"):
        check_url(url)


def test_an_event_is_named_and_named_once() -> None:
    for events in ((), (HookEvent.ENDED, HookEvent.ENDED)):
        with pytest.raises(InvalidInput, match="each once"):
            Webhook("0123456789ab", URL, events, "secret", 1)


@given(st.binary(max_size=50), st.text(min_size=1, max_size=20), st.integers(-900, 900))
def test_a_signature_counts_for_its_secret_body_and_five_minutes(
    body: bytes, secret: str, late_s: int
) -> None:
    headers = {TIME_HEADER: "1000000", SIGNATURE_HEADER: signature(secret, "1000000", body)}
    assert is_signed(secret, headers, body, 1_000_000 + late_s) == (abs(late_s) <= 300)
    assert not is_signed(secret + "x", headers, body, 1_000_000)
    assert not is_signed(secret, headers, body + b"x", 1_000_000)
    later = {**headers, TIME_HEADER: "1000001"}
    assert not is_signed(secret, later, body, 1_000_001)
    assert not is_signed(secret, {}, body, 1_000_000)


def test_a_known_signature_stays() -> None:
    """Receivers check it with their own programs: it must never change."""
    right = "sha256=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
    assert signature("secret", "1700000000", b'{"a":1}') == right


def test_a_message_is_tried_for_about_a_day_and_ever_later() -> None:
    each: Delivery | None = Delivery("1-0.x", "ann", "x", "{}")
    now_ms, waits = 0, []
    while each:
        again = each.again(now_ms, "x" * 900)
        if again:
            waits.append(again.next_ms - now_ms)
            assert len(again.error) == 200
            now_ms = again.next_ms
        each = again
    assert len(waits) == MOST_TRIES - 1
    assert waits == sorted(waits)
    assert waits[0] == 10_000
    assert 18 * 3_600_000 < now_ms < 30 * 3_600_000


def test_one_users_messages_do_not_take_the_room_of_others() -> None:
    def delivery(user: str, number: int) -> Delivery:
        return Delivery(f"{user}{number}", user, "hook", "{}")

    waiting = [delivery("ann", number) for number in range(2)]
    new = [delivery("ann", 2), delivery("bob", 0), delivery("ann", 3), delivery("bob", 1)]
    assert [each.id for each in with_room(new, waiting, most=3)] == ["ann2", "bob0", "bob1"]


@pytest.mark.parametrize(
    ("address", "encrypted", "right"),
    [
        ("93.184.216.34", True, True),
        ("93.184.216.34", False, False),
        ("2606:2800:220:1::1", True, True),
        ("10.1.2.3", True, False),
        ("192.168.0.1", True, False),
        ("172.16.0.9", True, False),
        ("127.0.0.1", True, False),
        ("0.0.0.0", True, False),  # noqa: S104 - an address that is refused
        ("169.254.169.254", True, False),
        ("100.64.0.1", True, False),
        ("224.0.0.1", True, False),
        ("255.255.255.255", True, False),
        ("::1", True, False),
        ("::", True, False),
        ("fe80::1%eth0", True, False),
        ("fc00::1", True, False),
        ("ff02::1", True, False),
        ("::ffff:10.0.0.1", True, False),
        ("::ffff:169.254.169.254", True, False),
        ("2002:0a00:0001::1", True, False),
        ("64:ff9b::a00:1", True, False),
        ("2001:0:a00:1::1", True, False),
        ("::10.0.0.1", True, False),
        ("fec0::1", True, False),
        ("192.88.99.1", True, False),
        ("127.1", True, False),
        ("2130706433", True, False),
        ("no address", True, False),
    ],
)
def test_only_public_addresses_are_reached(address: str, encrypted: bool, right: bool) -> None:
    assert may_reach(address, (), encrypted=encrypted) == right


def test_an_operator_allows_networks_and_no_others() -> None:
    networks = read_networks("10.1.0.0/16, ::1/128")
    assert may_reach("10.1.2.3", networks, encrypted=False)
    assert may_reach("::ffff:10.1.2.3", networks, encrypted=False)
    assert may_reach("::1", networks, encrypted=True)
    assert not may_reach("10.2.2.3", networks, encrypted=True)
    assert read_networks("") == ()
    with pytest.raises(InvalidInput, match="webhook_networks"):
        read_networks("10.1.0.0/33")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "https://127.0.0.1:9/x", "https://localhost:9/x",
            "http://[::1]:9/x", "https://0x7f000001:9/"]
)  # fmt: skip
async def test_nothing_is_sent_to_our_own_machine_by_whatever_name(url: str) -> None:
    told = await post(_hook(url=url), Delivery("1-0.x", "ann", "x", "{}"), ())
    assert "none that webhooks may reach" in told


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://127.0.0.1:8080/hook", "no public address"),
        ("https://localhost/hook", "no public address"),
        ("https://10.1.2.3/", "no public address"),
        ("https://[::ffff:10.0.0.1]/", "no public address"),
        ("https://no-such-host.invalid/hook", "no public address"),
        ("http://8.8.8.8/hook", "by https:// alone"),
        ("http://no-such-host.invalid/hook", "by https:// alone"),
        ("http://127.0.0.1/hook", "by https:// alone"),
    ],
)
async def test_what_may_not_arrive_is_said_when_it_is_added(url: str, why: str) -> None:
    told = await doubt(url)
    assert why in told
    assert "webhook_networks" in told
    assert "10." not in told  # it is no way to look up names of our network


async def test_a_public_address_is_added_without_a_word() -> None:
    assert await doubt("https://8.8.8.8/hook") == ""


def test_records_are_read_as_they_were_written() -> None:
    hook, told = _hook(name="run"), Delivery("1-0.x", "ann", "x", "{}", 2, 9, "why")
    assert decode_webhook(encode_webhook(hook)) == hook
    assert decode_delivery(encode_delivery(told)) == told
