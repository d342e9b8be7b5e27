"""The reference page at /docs: made from the OpenAPI description, static, without one foreign request. Pure."""

import base64
import hashlib
import json
import re
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--line:#dcdcd8;--text:#1a1a18;--muted:#5f5f5a;--accent:#1f5fbf}
@media(prefers-color-scheme:dark){:root{--bg:#101214;--card:#171a1d;--line:#2b3137;--text:#e8eaed;--muted:#9ba3ab;
--accent:#7aa7ff}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1rem}a{color:var(--accent)}h1,h2{line-height:1.2}
section{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:1rem;margin:1rem 0}
code,pre{font:12.5px/1.5 ui-monospace,monospace}
pre{overflow-x:auto;border-left:2px solid var(--line);padding-left:.8rem}
table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem
.25rem 0;border-top:1px solid var(--line)}caption{text-align:left;color:var(--muted);padding:.6rem 0 .2rem}
.method{font-weight:600;margin-right:.5rem}.muted{color:var(--muted)}
""".strip()

CSP = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
_VERBS = ("get", "post", "put", "patch", "delete")


def page(document: dict[str, Any]) -> str:
    """HTML of the whole description."""
    info = document["info"]
    operations = [
        (path, verb, operation)
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
        if verb in _VERBS
    ]
    sections = "".join(_operation(document, *each) for each in operations)
    contents = "".join(
        f'<li><a href="#{escape(o["operationId"])}"><code>{verb.upper()} {escape(path)}</code></a> '
        f"{escape(o['summary'])}"
        for path, verb, o in operations
    )
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tocsin API</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>"
        f'<h1>{escape(info["title"])} API <span class="muted">{escape(info["version"])}</span></h1>'
        f'{_prose(info["description"])}<p><a href="/openapi.json">openapi.json</a></p><ul>{contents}</ul>'
        f"{sections}<h2>Objects</h2>{schemas}</main></body></html>"
    )


def _operation(document: dict[str, Any], path: str, verb: str, operation: dict[str, Any]) -> str:
    answers = "".join(
        f"<tr><td><code>{escape(str(status))}</code><td>{escape(answer['description'])}<td>{_content(answer)}"
        for status, answer in _resolved(document, operation["responses"])
    )
    return (
        f'<section id="{escape(operation["operationId"])}"><h2><span class="method">{verb.upper()}</span>'
        f"<code>{escape(path)}</code></h2><p>{escape(operation['summary'])}.</p>"
        f"{_prose(operation.get('description', ''))}{_parameters(operation)}{_request(operation)}"
        f"<table><caption>Answers</caption>{answers}</table></section>"
    )


def _resolved(document: dict[str, Any], responses: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    shared = document["components"]["responses"]
    return [(s, shared[a["$ref"].rpartition("/")[2]] if "$ref" in a else a) for s, a in responses.items()]


def _parameters(operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}<td>{_type(p.get('schema', {}))}"
        f"<td>{_inline(p.get('description', ''))}"
        for p in operation.get("parameters", [])
    )
    return f"<table><caption>Parameters</caption>{rows}</table>" if rows else ""


def _request(operation: dict[str, Any]) -> str:
    parts = []
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        examples = [each["value"] for each in body.get("examples", {}).values()] or [body.get("example")]
        shown = "".join(f"<pre>{escape(json.dumps(e, indent=1, ensure_ascii=False))}</pre>" for e in examples if e)
        parts.append(f"<p>Body: <code>{escape(kind)}</code> {_type(body.get('schema', {}))}</p>{shown}")
    return "".join(parts)


def _content(answer: dict[str, Any]) -> str:
    return ", ".join(
        f"<code>{escape(kind)}</code> {_type(body.get('schema', {}))}"
        for kind, body in answer.get("content", {}).items()
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    rows = "".join(
        f"<tr><td><code>{escape(member)}</code>{' *' if member in required else ''}<td>{_type(said)}"
        f"<td>{_inline(said.get('description', ''))}"
        for member, said in schema.get("properties", {}).items()
    )
    return (
        f'<section id="{escape(name)}"><h2>{escape(name)}</h2>{_prose(schema.get("description", ""))}'
        f"<table><caption>Members; * is required</caption>{rows}</table></section>"
    )


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(_type(each) for each in schema[word] if each)
    if "enum" in schema or "const" in schema:
        return " · ".join(f"<code>{escape(str(v))}</code>" for v in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    bounds = [f"{label} {schema[key]}" for key, label in _BOUNDS.items() if key in schema]
    said = ", ".join([str(schema.get("format") or schema.get("type", "any")), *bounds])
    return escape(said + (f"; default {json.dumps(schema['default'])}" if "default" in schema else ""))


_BOUNDS = {"minimum": "from", "maximum": "to", "maxLength": "at most"}


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph.strip())


def _inline(text: str) -> str:
    """The little Markdown our descriptions use: code and strong."""
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text.strip()))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe)
