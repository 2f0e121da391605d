"""The seven routes of a resource, as Egg's and Rails' `resources` have them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNCOUNTED = {"data", "equipment", "information", "media", "money", "news", "series", "species"}
_IRREGULAR = {
    "analysis": "analyses",
    "cache": "caches",
    "child": "children",
    "cookie": "cookies",
    "crisis": "crises",
    "man": "men",
    "movie": "movies",
    "person": "people",
    "quiz": "quizzes",
    "woman": "women",
}
_IRREGULAR_BACK = {plural: singular for singular, plural in _IRREGULAR.items()}


@dataclass(frozen=True, slots=True)
class ResourceRoute:
    """One row of the table. In `name` "*" stands for the plural and "?" for the singular; in `path`, behind the prefix, "?" for the id."""

    action: str
    methods: tuple[str, ...]
    path: str
    name: str


RESOURCE_ROUTES = (
    ResourceRoute("index", ("GET",), "", "*"),
    ResourceRoute("new", ("GET",), "/new", "new_?"),
    ResourceRoute("create", ("POST",), "", "*"),
    ResourceRoute("show", ("GET",), "/{?}", "?"),
    ResourceRoute("edit", ("GET",), "/{?}/edit", "edit_?"),
    ResourceRoute("update", ("PATCH", "PUT"), "/{?}", "?"),
    ResourceRoute("destroy", ("DELETE",), "/{?}", "destroy_?"),
)
"""In the order of registration: `/new` stands before `/{id}`, which would take it."""


def resource_name(template: str, name: str) -> str:
    """Return a route's name for a resource called `name`, in singular or plural."""
    return template.replace("*", pluralize(name)).replace("?", singularize(name))


def pluralize(name: str) -> str:
    """Return the plural of the last word of a snake_case name; a plural stays what it is."""
    head, word = _last_word(name)
    if word in _IRREGULAR:
        return head + _IRREGULAR[word]
    if word in _UNCOUNTED or word in _IRREGULAR_BACK or singularize(word) != word:
        return name
    if re.search(r"[^aeiou]y$", word):
        return f"{head}{word[:-1]}ies"
    return f"{head}{word}es" if re.search(r"(s|x|zz|ch|sh)$", word) else f"{head}{word}s"


def singularize(name: str) -> str:
    """Return the singular of the last word of a snake_case name; a singular stays what it is."""
    head, word = _last_word(name)
    if word in _UNCOUNTED:
        return name
    if word in _IRREGULAR_BACK:
        return head + _IRREGULAR_BACK[word]
    if re.search(r"[^aeiou]ies$", word) and len(word) > 4:
        return f"{head}{word[:-3]}y"
    if re.search(r"(ss|x|zz|ch|sh|[^ao]us)es$", word):
        return f"{head}{word[:-2]}"
    return name if re.search(r"(ss|us|is)$", word) or not word.endswith("s") else name[:-1]


def _last_word(name: str) -> tuple[str, str]:
    cut = name.rfind("_") + 1
    return name[:cut], name[cut:]
