from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from tamago.cluster import sticky
from tamago.cluster.bind_errors import PortInUseError, StickyUnavailableError
from tamago.cluster.sockets import Listener, ListenOptions, open_listeners

SLOTS = 4


# ── the program ─────────────────────────────────────────────────────────────────────────────────────────────────────


def run(code: list[sticky.Instruction], packet: bytes) -> int:  # noqa: C901, PLR0912  one case an instruction
    """Run a program as the kernel would, on a packet that begins with its IP header."""
    a = x = at = 0
    while True:
        op, if_true, if_false, k = code[at]
        offset = k - 0xFFF00000
        at += 1
        match op:
            case 0x30:
                a = packet[offset]
            case 0x20:
                a = int.from_bytes(packet[offset : offset + 4])
            case 0x24:
                a = a * k & 0xFFFFFFFF
            case 0x94:
                a %= k
            case 0x74:
                a >>= k
            case 0xAC:
                a ^= x
            case 0x07:
                x = a
            case 0x05:
                at += k
            case 0x15:
                at += if_true if a == k else if_false
            case 0x06:
                return k
            case 0x16:
                return a
            case _:
                raise AssertionError(f"unknown instruction {op:#x}")


def packet(address: bytes) -> bytes:
    if len(address) == 4:
        return b"\x45" + bytes(11) + address + bytes(4)
    return b"\x60" + bytes(7) + address + bytes(16)


ADDRESSES = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)


@given(ADDRESSES, st.integers(1, sticky.MAX_SLOTS))
def test_the_program_picks_the_slot_that_is_foretold(address: bytes, slots: int) -> None:
    index = run(sticky.program(slots), packet(address))
    assert index == sticky.slot_index(address, slots)
    assert 0 <= index < slots


@given(ADDRESSES, st.integers(1, 40), st.data())
def test_an_empty_slot_is_served_by_another_one_and_no_other_client_moves(address: bytes, slots: int, data: st.DataObject) -> None:
    empty = data.draw(st.sets(st.integers(0, slots - 1), max_size=slots - 1))
    usual = sticky.slot_index(address, slots)
    index = run(sticky.program(slots, sticky.neighbours(slots, empty)), packet(address))
    assert index not in empty
    if usual not in empty:
        assert index == usual


def test_with_every_slot_empty_nothing_is_moved() -> None:
    assert sticky.neighbours(3, {0, 1, 2}) == {}
    assert sticky.neighbours(3, {1, 2}) == {1: 0, 2: 0}


@pytest.mark.parametrize("network", ["10.0.0.0/22", "fd00::/118"])
@pytest.mark.parametrize("slots", [2, 3, 8])
def test_neighbouring_addresses_spread_evenly(network: str, slots: int) -> None:
    assert even([address.packed for address in ipaddress.ip_network(network)], slots)


@pytest.mark.parametrize("slots", [2, 3, 8])
def test_addresses_that_differ_elsewhere_than_at_their_end_spread_evenly(slots: int) -> None:
    assert even([bytes([10, high, low, 7]) for high in range(4) for low in range(256)], slots)
    assert even([ipaddress.ip_address(f"2001:db8:{number:x}::1").packed for number in range(1024)], slots)


def even(addresses: list[bytes], slots: int) -> bool:
    counts = Counter(sticky.slot_index(address, slots) for address in addresses)
    fair = len(addresses) / slots
    return all(abs(counts[slot] - fair) < fair * 0.25 for slot in range(slots))


def test_the_largest_program_is_one_the_kernel_takes() -> None:
    most = sticky.program(sticky.MAX_SLOTS, dict.fromkeys(range(sticky.MAX_SLOTS), 0))
    assert len(most) <= 4096
    assert len(sticky.encode(most)) == 8 * len(most)


@pytest.mark.parametrize("slots", [0, sticky.MAX_SLOTS + 1])
def test_a_number_of_slots_that_makes_no_program_is_refused(slots: int) -> None:
    with pytest.raises(ValueError, match="1 to"):
        sticky.program(slots)
    with pytest.raises(ValueError, match="cannot move"):
        sticky.program(2, {0: 2})


# ── the kernel ──────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def sticky_listener(bind: str, slots: int = SLOTS) -> Iterator[Listener]:
    (listener,) = open_listeners([bind], options=ListenOptions(slots=slots), environ={})
    try:
        yield listener
    finally:
        listener.close()


def slot_of_connection(listener: Listener, source: str) -> int:
    """Connect from `source` and return the index of the socket the connection arrives at."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family) as client:
        client.bind((source, 0))
        client.connect(("::1" if ":" in source else "127.0.0.1", listener.port))
        (arrived,), _, _ = select.select(listener.sockets, [], [])
        connection, _ = arrived.accept()
        connection.close()
    return listener.sockets.index(arrived)


def foretold(source: str, slots: int = SLOTS) -> int:
    return sticky.slot_index(ipaddress.ip_address(source).packed, slots)


SOURCES = [f"127.0.{number % 3}.{number}" for number in range(1, 40)]


def test_the_kernel_sends_each_client_to_its_slot_whatever_its_port() -> None:
    with sticky_listener("127.0.0.1:0") as listener:
        assert listener.sticky
        for source in SOURCES * 2:
            assert slot_of_connection(listener, source) == foretold(source)
        assert {foretold(source) for source in SOURCES} == set(range(SLOTS))


def test_the_kernel_sends_ipv6_and_ipv4_clients_of_one_listener_to_their_slots() -> None:
    with sticky_listener(":0") as listener:
        assert slot_of_connection(listener, "::1") == slot_of_connection(listener, "::1") == foretold("::1")
        for source in SOURCES[:10]:
            assert slot_of_connection(listener, source) == foretold(source)


def test_clients_of_an_empty_slot_move_and_come_back() -> None:
    with sticky_listener("127.0.0.1:0") as listener:
        source = SOURCES[0]
        usual = foretold(source)
        listener.move(sticky.neighbours(SLOTS, {usual}))
        assert slot_of_connection(listener, source) == (usual + 1) % SLOTS
        listener.move({})
        assert slot_of_connection(listener, source) == usual


def test_slots_can_be_added_and_taken_away() -> None:
    with sticky_listener("127.0.0.1:0", 2) as listener:
        grown, nothing = listener.resized(5, backlog=16)
        assert nothing == ()
        assert [slot_of_connection(grown, source) for source in SOURCES] == [foretold(source, 5) for source in SOURCES]
        shrunk, left_over = grown.resized(2, backlog=16)
        assert shrunk.sockets == listener.sockets
        for sock in left_over:
            sock.close()
        assert [slot_of_connection(shrunk, source) for source in SOURCES] == [foretold(source, 2) for source in SOURCES]


def test_each_slot_has_its_socket() -> None:
    with sticky_listener("127.0.0.1:0") as listener:
        assert [listener.for_slot(slot) for slot in range(1, SLOTS + 1)] == list(listener.sockets)


def test_a_second_sticky_cluster_does_not_quietly_share_the_port() -> None:
    with sticky_listener("127.0.0.1:0") as listener, pytest.raises(PortInUseError):
        open_listeners([f"127.0.0.1:{listener.port}"], options=ListenOptions(slots=2), environ={})


def test_where_the_kernel_refuses_the_program_the_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sticky, "SO_ATTACH_REUSEPORT_CBPF", 9999)
    with pytest.raises(StickyUnavailableError, match="refused the program") as caught:
        open_listeners(["127.0.0.1:0"], options=ListenOptions(slots=2), environ={})
    assert "without --sticky" in caught.value.hint


def test_elsewhere_than_on_linux_the_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(StickyUnavailableError, match="only Linux"):
        open_listeners(["127.0.0.1:0"], options=ListenOptions(slots=2), environ={})
