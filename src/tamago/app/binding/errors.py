"""What is wrong with handlers and services, for their author, at boot."""

from __future__ import annotations

from collections.abc import Sequence

from tamago.errors import TamagoError


class _BootError(TamagoError):
    """Everything that is wrong at once; `problems` has a sentence for each."""

    def __init__(self, problems: Sequence[str], *, hint: str) -> None:
        together = problems[0] if len(problems) == 1 else "\n  ".join([f"{len(problems)} things are wrong:", *problems])
        super().__init__(together, hint=hint)
        self.problems = tuple(problems)


class HandlerError(_BootError):
    """Handlers whose parameters cannot be filled."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            problems,
            hint="a parameter has a name of the path, or an annotation that says what it is: a type for a query value, a struct "
            "for the body, or Annotated[type, Query() or Header() or Cookie() or Body()]",
        )


class InjectionError(_BootError):
    """Services that cannot be given to those who ask for them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems, hint="where annotations are not enough, take a service by its name: self.service.NAME")
