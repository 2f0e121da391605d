"""Sticky sessions: a classic BPF program that gives each client address its slot. Assembled here; the kernel is asked in sockets.py.

The program runs for each new connection, with the packet before it. It hashes the client's address (not its port), takes the hash modulo
the number of slots, and returns the index of that slot's socket in the SO_REUSEPORT group. A slot that is empty for long is mapped to
another one by two more instructions, so a changed table means attaching a new program, which the kernel swaps at once.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

SO_ATTACH_REUSEPORT_CBPF: Final = 51

MAX_SLOTS: Final = 1024
"""The kernel takes 4,096 instructions; a program that maps every slot elsewhere has two a slot and 60 more."""

_NETWORK_HEADER: Final = 0xFFF00000
"""SKF_NET_OFF: loads at this offset count from the IP header, whatever the packet starts with."""

_IPV4_SOURCE: Final = 12
_IPV6_SOURCE: Final = 8
_WORD: Final = 0xFFFFFFFF

# Opcodes, from linux/bpf_common.h; each is class | size | mode, or class | operation | source.
_LOAD_WORD: Final = 0x20
_LOAD_BYTE: Final = 0x30
_MULTIPLY: Final = 0x24
_MODULO: Final = 0x94
_SHIFT_RIGHT: Final = 0x74
_XOR_X: Final = 0xAC
_COPY_TO_X: Final = 0x07
_JUMP: Final = 0x05
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_RETURN_A: Final = 0x16

# The multipliers and shifts of murmur3's finalizer. Addresses in use differ in a few bits only, often the same ones; modulo alone would
# put all clients of 10.0.x.7 into one slot.
_SPREAD: Final = 0x9E3779B1
_MIX: Final = ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, None))


class Instruction(NamedTuple):
    """One `struct sock_filter`."""

    code: int
    jump_true: int = 0
    jump_false: int = 0
    operand: int = 0


def program(slots: int, moved: Mapping[int, int] | None = None) -> list[Instruction]:
    """Assemble the program for `slots` sockets. `moved` maps the index of an empty slot to the one that serves for it (both from 0)."""
    if not 1 <= slots <= MAX_SLOTS:
        raise ValueError(f"sticky sessions need 1 to {MAX_SLOTS} slots, not {slots}")
    code = [
        Instruction(_LOAD_BYTE, operand=_NETWORK_HEADER),
        Instruction(_SHIFT_RIGHT, operand=4),  # the IP version
        *_branch_on_version(_load_ipv6(), _load_ipv4()),
        *_finalize(),
        Instruction(_MODULO, operand=slots),
    ]
    for index, other in sorted((moved or {}).items()):
        if not (0 <= index < slots and 0 <= other < slots):
            raise ValueError(f"cannot move slot {index} to {other}: there are {slots}")
        code += [Instruction(_JUMP_IF_EQUAL, 0, 1, index), Instruction(_RETURN, operand=other)]
    return [*code, Instruction(_RETURN_A)]


def encode(code: list[Instruction]) -> bytes:
    """Return the program as the kernel reads it, an array of `struct sock_filter`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def slot_index(address: bytes, slots: int) -> int:
    """Return what the program answers for a packed IPv4 or IPv6 address (4 or 16 bytes) when no slot is moved."""
    (value, *words) = struct.unpack(f"!{len(address) // 4}I", address)
    for word in words:
        value = (value * _SPREAD & _WORD) ^ word
    for shift, factor in _MIX:
        value ^= value >> shift
        if factor is not None:
            value = value * factor & _WORD
    return int(value % slots)


def neighbours(slots: int, empty: set[int]) -> dict[int, int]:
    """Map each empty slot to the next one that is not, going round; with none left, nothing is moved: connections wait for their slot."""
    if len(empty) >= slots:
        return {}
    moved = {}
    for index in sorted(empty):
        other = index
        while other in empty:
            other = (other + 1) % slots
        moved[index] = other
    return moved


def _load_ipv4() -> list[Instruction]:
    return [Instruction(_LOAD_WORD, operand=_NETWORK_HEADER + _IPV4_SOURCE)]


def _load_ipv6() -> list[Instruction]:
    """Fold the four words of the address into one."""
    code = [Instruction(_LOAD_WORD, operand=_NETWORK_HEADER + _IPV6_SOURCE)]
    for offset in (4, 8, 12):
        code += [
            Instruction(_MULTIPLY, operand=_SPREAD),
            Instruction(_COPY_TO_X),
            Instruction(_LOAD_WORD, operand=_NETWORK_HEADER + _IPV6_SOURCE + offset),
            Instruction(_XOR_X),
        ]
    return code


def _branch_on_version(if_six: list[Instruction], otherwise: list[Instruction]) -> list[Instruction]:
    if_six = [*if_six, Instruction(_JUMP, operand=len(otherwise))]
    return [Instruction(_JUMP_IF_EQUAL, 0, len(if_six), 6), *if_six, *otherwise]


def _finalize() -> list[Instruction]:
    code = []
    for shift, factor in _MIX:
        code += [Instruction(_COPY_TO_X), Instruction(_SHIFT_RIGHT, operand=shift), Instruction(_XOR_X)]
        if factor is not None:
            code.append(Instruction(_MULTIPLY, operand=factor))
    return code
