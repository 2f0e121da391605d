"""Finds what `module:attribute` names, and says helpfully why it can't. Knows nothing of what the attribute is for."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tamago.errors import ExitCode, TamagoError


class BadReferenceError(TamagoError):
    """The text is no `module:attribute`."""

    exit_code = ExitCode.USAGE

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} does not name an application",
            hint="write it as module:attribute, such as main:app; a factory as main:create_app()",
        )
        self.text = text


class ModuleMissingError(TamagoError):
    """There is no such module."""

    def __init__(self, module: str, directory: str, *, missing: str) -> None:
        inside = "" if missing == module else f" ({missing!r} was not found)"
        super().__init__(
            f"there is no module {module!r}{inside}",
            hint=f"it was looked for in {directory} and in what is installed for {sys.executable}",
        )
        self.module = module
        self.directory = directory
        self.missing = missing


class AttributeMissingError(TamagoError):
    """The module has no such attribute."""

    def __init__(self, module: str, attribute: str, *, file: str | None, suggestions: Iterable[str] = ()) -> None:
        self.suggestions = tuple(suggestions)
        where = f" ({file})" if file else ""
        choices = " or ".join(f"{module}:{name}" for name in self.suggestions)
        super().__init__(
            f"the module {module!r}{where} has no {attribute!r}",
            hint=f"did you mean {choices}?" if choices else f"define {attribute!r} there, or name what the application is called",
        )
        self.module = module
        self.attribute = attribute


class NotCallableError(TamagoError):
    """The attribute can't be called."""

    def __init__(self, reference: Reference, value: object, *, suggestions: Iterable[str] = ()) -> None:
        self.suggestions = tuple(suggestions)
        choices = " or ".join(f"{reference.module}:{name}" for name in self.suggestions)
        super().__init__(
            f"{reference} is {_article(type(value).__name__)}, which cannot be called",
            hint=f"did you mean {choices}?" if choices else "name an ASGI or WSGI application, or a function that makes one",
        )
        self.reference = reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A parsed `module:attribute`; `call` for one written with `()`."""

    module: str
    attribute: str
    call: bool = False

    def __str__(self) -> str:
        return f"{self.module}:{self.attribute}{'()' if self.call else ''}"


def parse(text: str, *, default: str = "") -> Reference:
    """Read `module:attribute`, `module:dotted.attribute` or `module:factory()`. Without an attribute it is `default`, if any."""
    module, _, attribute = text.strip().partition(":")
    call = attribute.endswith("()")
    attribute = attribute.removesuffix("()") or default
    names = [*module.split("."), *attribute.split(".")]
    if not all(name.isidentifier() for name in names) or module.endswith(".py"):
        raise BadReferenceError(text)
    return Reference(module=module, attribute=attribute, call=call)


def import_module(name: str, directory: str) -> ModuleType:
    """Import the module. What it raises itself comes through unchanged."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        # `import main` may fail because of an import inside of main: then main exists, and the traceback is what helps.
        if name == missing or name.startswith(missing + "."):
            raise ModuleMissingError(name, directory, missing=missing) from None
        raise


def find(reference: Reference, directory: str, *, resembles: Callable[[object], bool]) -> Any:
    """Import and return what the reference names. `resembles` picks what is worth suggesting when it is not there."""
    module = import_module(reference.module, directory)
    value: Any = module
    for name in reference.attribute.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise AttributeMissingError(
                reference.module,
                reference.attribute,
                file=getattr(module, "__file__", None),
                suggestions=suggest(module, reference.attribute, resembles=resembles),
            ) from None
    if not callable(value):
        raise NotCallableError(reference, value, suggestions=suggest(module, "app", resembles=resembles))
    return value


def suggest(module: ModuleType, wanted: str, *, resembles: Callable[[object], bool]) -> list[str]:
    """Return up to three names in the module that may have been meant: those spelt alike, then those of the right kind."""
    names = [name for name in vars(module) if not name.startswith("_")]
    alike = [name for name in difflib.get_close_matches(wanted, names) if callable(getattr(module, name))]
    kind = [name for name in names if resembles(getattr(module, name))]
    return list(dict.fromkeys([*(name for name in alike if name in kind), *kind, *alike]))[:3]


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
