"""A ladder as a Mermaid sequence diagram: for tickets and pages that draw it themselves. Pure."""

from collections.abc import Sequence

from sip.ladder import Kind, Row, host, kind, label, lanes, slow

# Solid: requests; dotted: answers; an open head: the answer is not the last one.
_ARROWS = {Kind.REQUEST: "->>", Kind.PROVISIONAL: "--)", Kind.FINAL: "-->>"}


def as_mermaid(rows: Sequence[Row], us: str) -> str:
    """`us`: the name of our side. Renders in every reader of Mermaid 10 or later."""
    hosts = {peer: f"peer{number}" for number, peer in enumerate(lanes(rows), 1)}
    drawn = ["sequenceDiagram", f"    participant us as {_safe(us)}"]
    drawn += [f"    participant {name} as {_safe(peer) or 'trunk'}" for peer, name in hosts.items()]
    for before, row in zip((None, *rows), rows, strict=False):
        ends = ("us", hosts[host(row.peer)]) if row.sent else (hosts[host(row.peer)], "us")
        drawn.append(f"    {ends[0]}{_ARROWS[kind(row)]}{ends[1]}: {row.delta_ms:+d} ms {_safe(label(row))}")
        late = slow(row, before)
        if late:
            drawn.append(f"    Note over us: {_safe(late)}")
    return "\n".join(drawn) + "\n"


def _safe(words: str) -> str:
    """A peer wrote some of this. What means something to Mermaid or to the page around it goes as its number."""
    return "".join(
        letter if letter.isalnum() or letter in " .,:/()[]_+-…" else f"#{ord(letter)};"
        for letter in words
        if letter.isprintable()
    )
