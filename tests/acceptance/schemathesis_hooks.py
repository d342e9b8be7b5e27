"""What OpenAPI cannot say about our values, for schemathesis: loaded by it through SCHEMATHESIS_HOOKS."""

from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies as st

# Valid to libphonenumber and nobody's: the fictional block, in the spellings we accept.
_NUMBERS = st.builds(
    lambda form, last: form.format(f"120255501{last:02d}"),
    st.sampled_from(["{}", "+{}", "00{}", " {}"]),
    st.integers(0, 99),
)
# Begins with a letter that every voice can say; what follows may be anything.
_TEXTS = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from("AHpz4"),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=300),
)
_URLS = st.builds(
    lambda host, path: f"https://{host}.example.com/{path}",
    st.from_regex(r"[a-z][a-z0-9]{0,20}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_.~%-]{0,40}", fullmatch=True),
)

schemathesis.openapi.format("phone-number", _NUMBERS)
schemathesis.openapi.format("caller-id", st.sampled_from(["12025550199", "+1 202 555 0199", "0012025550199"]))
schemathesis.openapi.format("spoken-text", _TEXTS)
schemathesis.openapi.format("https-url", _URLS)
schemathesis.openapi.format("language-tag", st.sampled_from(["en-gb", "en", "EN-us", "fr", "sw-ke"]))


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Rules between members, and about the world, which a schema cannot hold: both times within a year, in order."""
    for name, days in (("send_at", 1), ("valid_until", 2)):
        if isinstance(body, dict) and isinstance(body.get(name), str):
            body[name] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    if isinstance(body, dict) and body.get("ssml") is True:
        body["ssml"] = False  # well-formed markup is more than a schema can ask for
    for share in ("busy_pct", "trunk_503_pct", "no_bye_pct", "wrong_codec_pct"):
        if isinstance(body, dict) and type(body.get(share)) in (int, float) and 25 < body[share] <= 100:
            body[share] = 25  # four of them, at most 100 together
    if isinstance(body, dict) and body.get("dry_run") and body.get("media_url"):
        body["dry_run"] = False  # a dry run fetches the audio, and example.com is not reachable from a closed machine
    return body


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: Any) -> Any:
    """Waiting is tested elsewhere; here it would only take time."""
    if isinstance(query, dict) and "wait" in query and str(query["wait"]).rstrip("s").replace(".", "", 1).isdigit():
        query["wait"] = "0"
    return query


@schemathesis.hook
def map_headers(context: schemathesis.HookContext, headers: Any) -> Any:
    if isinstance(headers, dict) and "wait" in str(headers.get("prefer", "")):
        headers["prefer"] = "wait=0"
    return headers
