"""From a handler's signature to where each of its arguments comes from. Runs at boot; decides, and touches no request."""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tamago.app.binding.annotations import Unresolved, namespace_of, resolve
from tamago.app.binding.bad_values import Source
from tamago.app.binding.contract import App, Route
from tamago.app.binding.errors import InjectionError
from tamago.app.binding.handlers import Handler
from tamago.app.binding.markers import MARKERS, Cookie, Marker
from tamago.app.binding.shapes import Shape, foreign_types, shape_of
from tamago.core.context_class import Service

REQUIRED: Final = inspect.Parameter.empty
_STR: Final = msgspec.inspect.StrType()
_PATH_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_CONVERTED = {"int": int, "float": float}
_TEXT_CONVERTERS = {"", "str", "path"}
_WITHOUT_BODY = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One argument of a handler: it is read as `key` from `source`, and becomes a value of type `annotation`.

    `converter` is the path's, `signed` and `encrypt` are the cookie's. `default` is REQUIRED if there is none.
    """

    name: str
    keyword: bool
    source: Source
    key: str
    annotation: Any = str
    info: msgspec.inspect.Type = _STR
    shape: Shape = Shape.TEXT
    default: Any = REQUIRED
    converter: str = ""
    signed: bool = True
    encrypt: bool = False

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


def path_parameters(path: str) -> dict[str, str]:
    """Return the parameters of a route's path: name → converter, "" for none."""
    return {name: converter or "" for name, converter in _PATH_PARAMETER.findall(path)}


class ParameterReader:
    """Reads one handler's parameters and gathers everything that is wrong with them."""

    def __init__(self, route: Route, handler: Handler, app: App) -> None:
        self._route = route
        self._app = app
        self._handler = handler
        self._in_path = path_parameters(route.path)
        self._names: Mapping[str, Any] = namespace_of(handler.function)
        self.problems: list[str] = []

    def read(self) -> tuple[Parameter, ...]:
        """Return the parameters in order; look at `problems` first."""
        read = [self._read(parameter) for parameter in self._handler.parameters]
        found = tuple(parameter for parameter in read if parameter is not None)
        bodies = [parameter.name for parameter in found if parameter.source is Source.BODY]
        if len(bodies) > 1:
            self.problems.append(f"{' and '.join(bodies)} would both be the body: put them into one struct, or mark one with Query()")
        if bodies and (self._route.websocket or set(self._route.methods) <= _WITHOUT_BODY):
            which = "a websocket" if self._route.websocket else "/".join(sorted(self._route.methods))
            self.problems.append(f"{bodies[0]} would be the body, and {which} has none: for the query write Annotated[..., Query()]")
        return found

    def _read(self, parameter: inspect.Parameter) -> Parameter | None:
        name = parameter.name
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            self.problems.append(
                f"{parameter.replace(annotation=REQUIRED)} says nothing of what is wanted; if it is a decorator's, use functools.wraps"
            )
            return None
        keyword = parameter.kind is parameter.KEYWORD_ONLY
        written = parameter.annotation
        annotation = written if written is parameter.empty else resolve(written, self._names, self._app.service_index.names)
        if self._is_context(name, annotation):
            return Parameter(name=name, keyword=keyword, source=Source.CONTEXT, key="")
        if isinstance(annotation, Unresolved):
            self.problems.append(
                f"the annotation {annotation.text!r} of {name} means nothing when the program runs ({annotation.problem}): "
                "import it outside of `if TYPE_CHECKING`"
            )
            return None
        if isinstance(annotation, type) and issubclass(annotation, Service):
            return self._service(name, keyword, annotation)
        return self._value(parameter, annotation, keyword=keyword)

    def _is_context(self, name: str, annotation: Any) -> bool:
        """The context is what is called `ctx`, or is annotated with its class. The class's import may be for the type checker only."""
        if annotation in self._app.context_class.__mro__:
            return annotation is not object
        return name == "ctx" and name not in self._in_path

    def _service(self, name: str, keyword: bool, service: type[Service]) -> Parameter | None:
        try:
            path = self._app.service_index.path_of(service)
        except InjectionError as error:
            self.problems.extend(f"{name}: {problem}" for problem in error.problems)
            return None
        return Parameter(name=name, keyword=keyword, source=Source.SERVICE, key=path)

    def _value(self, parameter: inspect.Parameter, annotation: Any, *, keyword: bool) -> Parameter | None:
        name = parameter.name
        marker = self._marker(name, annotation, parameter.default)
        if annotation is REQUIRED:
            if name not in self._in_path:
                self.problems.append(f"{name} has no annotation and is not in the path {self._route.path}{self._meant(name)}")
                return None
            annotation = _converted_type(self._in_path[name])
        try:
            info = msgspec.inspect.type_info(annotation)
            msgspec.json.Decoder(annotation)
        except (TypeError, NameError) as error:
            self.problems.append(f"the type of {name} cannot be checked: {error}")
            return None
        source = self._source(name, marker, shape_of(info), required=parameter.default is REQUIRED)
        made = Parameter(
            name=name,
            keyword=keyword,
            source=source,
            key=_key(name, source, marker),
            annotation=annotation,
            info=info,
            shape=shape_of(info),
            default=parameter.default,
            converter=self._in_path.get(name, "") if source is Source.PATH else "",
            signed=marker.signed if isinstance(marker, Cookie) else True,
            encrypt=isinstance(marker, Cookie) and marker.encrypt,
        )
        self.problems.extend(_misfit(made))
        return made

    def _marker(self, name: str, annotation: Any, default: Any) -> Marker | None:
        metadata = typing.get_args(annotation)[1:] if typing.get_origin(annotation) is typing.Annotated else ()
        markers = [item() if isinstance(item, type) else item for item in metadata if isinstance(item, MARKERS) or item in MARKERS]
        inside = {id(item) for item in metadata}
        if isinstance(default, MARKERS) or any(id(item) not in inside for item in _markers_in(annotation)):
            self.problems.append(
                f"{name} has its marker in the wrong place: write Annotated[TYPE, Header()], with `| None` in TYPE if need be"
            )
        if len(markers) > 1:
            self.problems.append(f"{name} is marked to come from several places: {', '.join(map(repr, markers))}")
        return markers[0] if markers else None

    def _source(self, name: str, marker: Marker | None, shape: Shape, *, required: bool) -> Source:
        if marker is not None:
            return marker.source
        if name in self._in_path:
            return Source.PATH
        if shape in {Shape.TEXT, Shape.TEXTS}:
            if required and (meant := self._meant(name)):
                self.problems.append(f"{name} is not in the path {self._route.path}{meant} (for the query write Annotated[..., Query()])")
            return Source.QUERY
        return Source.BODY

    def _meant(self, name: str) -> str:
        """Return a question if a parameter of the path, which the handler does not take, has almost this name."""
        untaken = self._in_path.keys() - {parameter.name for parameter in self._handler.parameters}
        close = difflib.get_close_matches(name, sorted(untaken), n=1, cutoff=0.75)
        return f": did you mean {close[0]}?" if close else ""


def _markers_in(annotation: Any) -> Iterator[Any]:
    """Yield the markers, however deep in an annotation they stand."""
    for inner in typing.get_args(annotation):
        if isinstance(inner, MARKERS) or inner in MARKERS:
            yield inner
        yield from _markers_in(inner)


def _converted_type(converter: str) -> Any:
    if converter in _TEXT_CONVERTERS:
        return str
    return _CONVERTED.get(converter, Any)


def _key(name: str, source: Source, marker: Marker | None) -> str:
    given = getattr(marker, "name", "")
    if source is Source.HEADER:
        return (given or name.replace("_", "-")).lower()
    return given or name


def _misfit(parameter: Parameter) -> list[str]:
    """Return what is wrong with a type for where it comes from."""
    name, shape, source = parameter.name, parameter.shape, parameter.source
    if source is Source.PATH and parameter.converter not in _TEXT_CONVERTERS:
        wanted = _CONVERTED.get(parameter.converter)
        if wanted is not None and not _takes(parameter.annotation, wanted):
            return [f"{name} is made an {wanted.__name__} by the path, which is not the type of the parameter"]
        return []
    foreign = {cls.__qualname__ for cls in foreign_types(parameter.info)}
    if foreign:
        return [f"{name} cannot be made from a request: msgspec does not know {', '.join(sorted(foreign))}"]
    if source is Source.BODY:
        return []
    allowed = {Source.QUERY: {Shape.TEXT, Shape.TEXTS, Shape.OBJECT}}.get(source, {Shape.TEXT})
    if shape not in allowed and not isinstance(parameter.info, msgspec.inspect.AnyType):
        return [f"{name} comes from one piece of text ({source.value} {parameter.key}), which cannot make its type"]
    return []


def _takes(annotation: Any, wanted: type) -> bool:
    """Return whether there may be values of this type among those of `annotation`, whatever their limits."""
    info = msgspec.inspect.type_info(annotation)
    kinds = {int: (msgspec.inspect.IntType, msgspec.inspect.FloatType), float: (msgspec.inspect.FloatType,)}[wanted]
    return isinstance(info, (*kinds, msgspec.inspect.AnyType))
