"""What two patterns have in common: whether one takes every path of the other, and whether no path fits both.

Two custom converters are taken for unrelated, so both answers are True only when it is certain.
"""

from __future__ import annotations

from collections.abc import Sequence

from tamago.app.routing.pattern import Param, Pattern, Segment, literal_of, param_of


def covers(first: Pattern, second: Pattern) -> bool:
    """Return whether `first` certainly matches every path that `second` matches."""
    if not second.lead.startswith(first.lead):
        return False
    if second.static is not None:
        return first.match(second.static) is not None
    return first.shape == second.shape or _covers_by_segment(first.segments, second.segments)


def _covers_by_segment(first: Sequence[Segment], second: Sequence[Segment]) -> bool:
    for index, segment in enumerate(first):
        if index == len(second):
            return False
        if _spans(segment):
            return index == len(first) - 1
        if not _segment_covers(segment, second[index]):
            return False
    return len(first) == len(second)


def disjoint(first: Pattern, second: Pattern) -> bool:
    """Return whether certainly no path matches both."""
    if not (first.lead.startswith(second.lead) or second.lead.startswith(first.lead)):
        return True
    for one, other in zip(first.segments, second.segments, strict=False):
        if _spans(one) or _spans(other):
            return False
        if _segments_disjoint(one, other) or _segments_disjoint(other, one):
            return True
    return len(first.segments) != len(second.segments)


def _spans(segment: Segment) -> bool:
    param = param_of(segment)
    return param is not None and param.converter.segments


def _segment_covers(one: Segment, other: Segment) -> bool:
    if _spans(other):
        return False
    param = param_of(one)
    if param is not None and (text := literal_of(other)) is not None:
        return param.converter.accepts(text)
    return _kinds(one) == _kinds(other) or (param is not None and param.converter.name == "str")


def _kinds(segment: Segment) -> list[object]:
    return [part.converter.name if isinstance(part, Param) else part.text for part in segment]


def _segments_disjoint(one: Segment, other: Segment) -> bool:
    text = literal_of(one)
    if text is None:
        return False
    if (wanted := literal_of(other)) is not None:
        return text != wanted
    param = param_of(other)
    return param is not None and not param.converter.accepts(text)
