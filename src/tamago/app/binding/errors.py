"""What is wrong with handlers and services, for their author, at boot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tamago.errors import TamagoError


class _BootError(TamagoError):
    """Everything that is wrong at once; `problems` has a sentence for each."""

    def __init__(self, problems: Sequence[str], *, hint: str) -> None:
        together = problems[0] if len(problems) == 1 else "\n  ".join([f"{len(problems)} things are wrong:", *problems])
        super().__init__(together, hint=hint)
        self.problems = tuple(problems)


_PARAMETERS: Final = (
    "a parameter has a name of the path, or an annotation that says what it is: a type for a query value, a struct "
    "for the body, or Annotated[type, Query() or Header() or Cookie() or Body()]"
)
_SHAPES: Final = "a handler is a function or a method of a controller: async def, with yield for a stream, or def for what blocks"


class HandlerError(_BootError):
    """Handlers that cannot be called. `unfilled`: because of parameters that cannot be filled, and not only because of what they are."""

    def __init__(self, problems: Sequence[str], *, unfilled: bool) -> None:
        super().__init__(problems, hint=_PARAMETERS if unfilled else _SHAPES)
        self.unfilled = unfilled


class InjectionError(_BootError):
    """Services that cannot be given to those who ask for them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems, hint="where annotations are not enough, take a service by its name: self.service.NAME")
