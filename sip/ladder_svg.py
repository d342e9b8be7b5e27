"""A ladder as a picture: one SVG file that needs nothing else, light or dark as the reader's screen is. Pure.

Requests are solid, provisional answers dotted, final answers thick, so that colour is never the only sign.
"""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from sip.ladder import Kind, Row, host, kind, label, lanes, slow

ROW_PX = 28  # per arrow: the label above its line, and air
HEAD_PX = 44
TIME_PX = 84  # the column of times, left of our lane
LANE_PX = 440  # between two lanes: the longest label of an INVITE fits
NOTE_PX = 116  # right of the last lane: what was slow
LABEL_MOST = 58  # characters above an arrow
HOST_MOST = 40
_FONT_PX = 12

# Both palettes keep 4.5:1 between text and paper (WCAG 2.2 AA), lines 3:1.
_STYLE = """
.paper{fill:#fff}.ink{fill:#1b1f24}.dim{fill:#59626d}.slow{fill:#9a4a00}
text{font:12px ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace}.head{font-weight:600}
.lane{stroke:#aab2bb;stroke-width:1}
.label{paint-order:stroke;stroke:#fff;stroke-width:4px}
.arrow{fill:none;stroke-width:1.5}.request{stroke:#3b4654}.provisional{stroke:#59626d;stroke-dasharray:2 4}
.final{stroke-width:3}.good{stroke:#1a7f37}.bad{stroke:#b42318}.other{stroke:#3b4654}
.tip{stroke:none}.tip.request,.tip.other{fill:#3b4654}.tip.provisional{fill:#59626d}.tip.good{fill:#1a7f37}
.tip.bad{fill:#b42318}
@media (prefers-color-scheme:dark){
.paper{fill:#14181d}.label{stroke:#14181d}.ink{fill:#e6e9ed}.dim{fill:#9aa4b0}.slow{fill:#f0a35e}.lane{stroke:#4a535e}
.request,.other{stroke:#c3cad3}.provisional{stroke:#9aa4b0}.good{stroke:#4ac26b}.bad{stroke:#ff7b72}
.tip{stroke:none}.tip.request,.tip.other{fill:#c3cad3}.tip.provisional{fill:#9aa4b0}.tip.good{fill:#4ac26b}
.tip.bad{fill:#ff7b72}}
"""


def as_svg(rows: Sequence[Row], us: str, name: str) -> str:
    """`us`: the words over our lane; `name`: what the ladder is of, such as the call_id."""
    hosts = lanes(rows) or ("",)
    at = {peer: TIME_PX + LANE_PX * number for number, peer in enumerate(hosts, 1)}
    width = TIME_PX + LANE_PX * len(hosts) + NOTE_PX
    height = HEAD_PX + ROW_PX * len(rows) + ROW_PX // 2
    ident = "".join(letter for letter in name if letter.isascii() and (letter.isalnum() or letter == "_"))
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title_{ident} desc_{ident}">',
        f'<title id="title_{ident}">{_safe(f"SIP ladder of {name}")}</title>',
        f'<desc id="desc_{ident}">{_safe(_in_words(rows, us, hosts))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text class="dim" x="{TIME_PX - 14}" y="22" text-anchor="end">Δ ms</text>',
        *_lane(TIME_PX, us, height, "start"),
    ]
    for peer, x in at.items():
        drawn += _lane(x, peer, height, "middle")
    for number, (before, row) in enumerate(zip((None, *rows), rows, strict=False)):
        y = HEAD_PX + ROW_PX * number + ROW_PX // 2
        drawn.append(_arrow(row, number + 1, slow(row, before), y, at[host(row.peer)], width))
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _lane(x: int, words: str, height: int, anchor: str) -> list[str]:
    return [
        f'<text class="ink head" x="{x}" y="22" text-anchor="{anchor}">{_safe(_short(words, HOST_MOST))}</text>',
        f'<line class="lane" x1="{x}" y1="30" x2="{x}" y2="{height - 6}"/>',
    ]


def _arrow(row: Row, number: int, late: str, y: int, far: int, width: int) -> str:
    look = _look(row)
    tip_x = far if row.sent else TIME_PX
    back = -8 if row.sent else 8  # the head of the arrow, towards where it came from
    start, end = (TIME_PX, far + back) if row.sent else (far, TIME_PX + back)
    way = "to" if row.sent else "from"
    hint = f"{number}. {way} {row.peer}: {row.first_line} ({row.size} characters)"
    note = f'<text class="slow" x="{width - NOTE_PX + 12}" y="{y + 7}">← {_safe(late)}</text>' if late else ""
    return (
        f"<g><title>{_safe(hint)}</title>"
        f'<text class="dim" x="{TIME_PX - 14}" y="{y + 7}" text-anchor="end">{row.delta_ms:+d}</text>'
        f'<text class="ink label" x="{(TIME_PX + far) // 2}" y="{y - 1}" text-anchor="middle">'
        f"{_safe(_short(label(row), LABEL_MOST))}</text>"
        f'<path class="arrow {look}" d="M{start} {y + 6}H{end}"/>'
        f'<path class="tip {look}" d="M{tip_x} {y + 6}l{back * 5 // 4} -4.5v9z"/>{note}</g>'
    )


def _look(row: Row) -> str:
    if kind(row) is not Kind.FINAL:
        return kind(row).value
    code = row.first_line[8:11]
    if code[:1] == "2":
        return "final good"
    return "final bad" if code[:1] in ("4", "5", "6") and code not in ("401", "407") else "final other"


def _in_words(rows: Sequence[Row], us: str, hosts: Sequence[str]) -> str:
    """The whole ladder for somebody who cannot see it."""
    if not rows:
        return "No message."
    took_s = rows[-1].at - rows[0].at
    told = "; ".join(f"{'sent' if row.sent else 'received'} {label(row)}, {row.delta_ms:+d} ms" for row in rows)
    return f"{len(rows)} messages in {took_s:.1f} s between {us} and {', '.join(hosts)}: {told}."


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def _safe(words: str) -> str:
    """A peer wrote some of this: escaped, and without what no XML may hold."""
    return escape("".join(letter for letter in words if letter.isprintable()), {'"': "&quot;"})
