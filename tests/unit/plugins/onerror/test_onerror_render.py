from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from tamago.app.binding.bad_values import Source, bad_request, bad_value
from tamago.app.errors import BadRequestError, HttpError
from tamago.plugins.onerror.answer_format import Format, choose
from tamago.plugins.onerror.problem import problem_of
from tamago.plugins.onerror.render import About, Rendered, render_error
from tamago.plugins.onerror.request_facts import RequestFacts

SECRET = "the vault's number is 4711"
REQUEST = RequestFacts(method="GET", path="/users/2", accept="text/html", request_id="r-1", headers={"host": "<b>"}, params={"id": "2"})


def about(env: str = "prod", error_page_url: str = "") -> About:
    return About(name="blog", env=env, directory=Path(__file__).parent, config={"level": "INFO"}, error_page_url=error_page_url)


def failed(message: str = SECRET) -> ValueError:
    with pytest.raises(ValueError) as caught:
        raise ValueError(message)
    return caught.value


def render(error: BaseException, kind: Format, env: str = "prod", request: RequestFacts = REQUEST) -> Rendered:
    return render_error(error, request, kind, about(env))


# ── what an error means ─────────────────────────────────────────────────────────────────────────────────────────────


class UpstreamError(Exception):
    status = 404


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ValueError(SECRET), 500, "Internal Server Error"),
        (HttpError(404, "no user 2"), 404, "no user 2"),
        (HttpError(403), 403, "Forbidden"),
        (HttpError(503, SECRET), 503, "Service Unavailable"),
        (HttpError(503, "closed for today", expose=True), 503, "closed for today"),
        (HttpError(400, SECRET, expose=False), 400, "Bad Request"),
        (FileNotFoundError("config.ini"), 500, "Internal Server Error"),
        (UpstreamError(SECRET), 500, "Internal Server Error"),
        (ExceptionGroup("tasks", [HttpError(404, "no user 2")]), 404, "no user 2"),
        (ExceptionGroup("tasks", [HttpError(404), HttpError(403)]), 500, "Internal Server Error"),
    ],
)
def test_only_an_http_error_means_anything_but_500(error: BaseException, status: int, message: str) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.message) == (status, message)


# ── which format ────────────────────────────────────────────────────────────────────────────────────────────────────

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "path", "sent", "kind"),
    [
        (BROWSER, "/", "", Format.HTML),
        ("application/json", "/", "", Format.JSON),
        ("application/json, text/plain, */*", "/", "", Format.JSON),
        ("text/plain", "/", "", Format.TEXT),
        ("*/*", "/", "", Format.TEXT),
        ("", "/", "", Format.TEXT),
        ("*/*", "/", "application/json; charset=utf-8", Format.JSON),
        ("*/*", "/", "application/merge-patch+json", Format.JSON),
        ("*/*", "/", "application/x-www-form-urlencoded", Format.TEXT),
        (BROWSER, "/users.json", "", Format.JSON),
        ("image/png", "/", "", Format.TEXT),
    ],
)
def test_the_format_is_what_the_client_likes_best(accept: str, path: str, sent: str, kind: Format) -> None:
    assert choose(RequestFacts(path=path, accept=accept, content_type=sent)) is kind


# ── production ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("env", ["prod", "staging", ""])
@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize(
    "error",
    [failed(), HttpError(500, SECRET, hint=SECRET, code=SECRET, errors=[SECRET], secret=SECRET), HttpError(400, SECRET, expose=False)],
)
def test_production_tells_nothing(error: BaseException, kind: Format, env: str) -> None:
    rendered = render(error, kind, env)
    everything = rendered.body + json.dumps(dict(rendered.fields))
    for inside in ("vault", "4711", "Traceback", __file__, "ValueError"):
        assert inside not in everything


def test_in_production_an_error_of_ours_has_an_id_to_ask_about() -> None:
    assert json.loads(render(failed(), Format.JSON).body) == {"message": "Internal Server Error", "request_id": "r-1"}
    assert render(failed(), Format.TEXT).body == "Internal Server Error\nrequest id: r-1\n"
    assert "<code>r-1</code>" in render(failed(), Format.HTML).body
    assert "r-1" not in render(HttpError(404), Format.HTML).body


def test_a_client_is_told_what_was_wrong_with_its_request() -> None:
    error = BadRequestError("two fields are wrong", code="invalid", errors=[{"field": "age"}, "name <missing>"])
    assert json.loads(render(error, Format.JSON).body) == {
        "message": "two fields are wrong",
        "code": "invalid",
        "errors": [{"field": "age"}, "name <missing>"],
    }
    assert render(error, Format.TEXT).body == 'two fields are wrong\n- {"field":"age"}\n- name <missing>\n'


def test_a_message_is_no_html() -> None:
    assert "<p>no &lt;script&gt; here</p>" in render(HttpError(404, "no <script> here"), Format.HTML).body


def test_browsers_are_sent_to_a_page_of_the_applications_own() -> None:
    def to(url: str, path: str = "/users/2", error: BaseException | None = None) -> Rendered:
        return render_error(error or failed(), RequestFacts(path=path), Format.HTML, about(error_page_url=url))

    assert (to("/sorry").status, to("/sorry").fields["location"]) == (302, "/sorry?real_status=500")
    assert to("https://example.com/sorry?a=1").fields["location"] == "https://example.com/sorry?a=1&real_status=500"
    assert to("/sorry", path="/sorry").status == 500, "a broken error page leads to itself for ever"
    assert to("/sorry", error=HttpError(404)).status == 404
    assert render_error(failed(), REQUEST, Format.JSON, about(error_page_url="/sorry")).status == 500


# ── header fields ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("env", ["prod", "local", "unittest"])
@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("error", [failed(), HttpError(404)])
def test_errors_have_security_headers_too(error: BaseException, kind: Format, env: str) -> None:
    fields = render(error, kind, env).fields
    assert fields["x-content-type-options"] == "nosniff"
    assert fields["x-frame-options"] == "DENY"
    assert fields["cache-control"] == "no-store"
    assert fields["content-security-policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in fields["content-security-policy"]


@pytest.mark.parametrize("env", ["prod", "local"])
def test_the_policy_allows_the_pages_own_style_and_there_is_no_script(env: str) -> None:
    rendered = render(failed(), Format.HTML, env)
    (style,) = re.findall("<style>(.*?)</style>", rendered.body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in rendered.fields["content-security-policy"]
    assert not re.search(r"<script|style=| on\w+=", rendered.body)


def test_an_errors_own_headers_go_out_with_it() -> None:
    fields = render(HttpError(503, headers={"Retry-After": "5", "Cache-Control": "max-age=5"}), Format.TEXT).fields
    assert (fields["retry-after"], fields["cache-control"]) == ("5", "max-age=5")


# ── while developing ────────────────────────────────────────────────────────────────────────────────────────────────


def test_under_test_text_and_json_say_everything() -> None:
    assert render(failed(), Format.TEXT, "unittest").body.startswith(f"ValueError: {SECRET}\n\nTraceback (most recent call last):")
    body = json.loads(render(failed(), Format.JSON, "unittest").body)
    assert (body["name"], body["message"]) == ("ValueError", SECRET)
    assert "raise ValueError(message)" in body["stack"]


def test_the_page_shows_error_source_request_and_configuration() -> None:
    body = render(failed("it is <broken>"), Format.HTML, "local").body
    assert "it is &lt;broken&gt;" in body
    assert "<details class=ours open><summary><code class=function>failed</code>" in body
    assert "test_onerror_render.py<b>:" in body
    assert "<tr><th>host<td>&lt;b&gt;" in body
    assert "<tr><th>id<td>2" in body
    assert "&quot;level&quot;: &quot;INFO&quot;" in body


def test_the_page_shows_what_to_do_and_notes_and_causes() -> None:
    error = HttpError(500, "outer", hint="try <again>")
    error.__cause__ = failed("inner")
    error.add_note("with user 2")
    body = render(error, Format.HTML, "local").body
    assert "<p class=message>outer</p>" in body
    assert "<b>What to do</b> try &lt;again&gt;" in body
    assert "<p class=note>with user 2</p>" in body
    assert "<i>caused by</i> <small></small>ValueError" in body
    assert "It was never raised" in body


def test_a_narrow_screen_breaks_the_kind_of_an_error_at_its_dots() -> None:
    body = render(json.JSONDecodeError("no JSON", "", 0), Format.HTML, env="local").body
    assert "<h1><small>json.<wbr>decoder.<wbr></small>JSONDecodeError</h1>" in body


def test_text_says_what_is_wrong_with_a_request_once() -> None:
    error = bad_request([bad_value(Source.QUERY, "page", "0", "int >= 1")])
    assert render(error, Format.TEXT).body == "query page: expected int >= 1, got '0'\n"
