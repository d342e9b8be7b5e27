"""How English writes numbers, dates, money and codes, and the order in which they are said as words. Pure.

Every rule is a bounded pattern and a function from its match to words (`media.phrases`), applied in order; words
contain no digits, so what one rule has said no later rule says again. Every repetition in a pattern has an upper
bound: the cost is linear in the text.
"""

import re
from collections.abc import Callable
from functools import partial

from media import codes, phrases
from media.codes import DIALLED, MASK
from media.numerals import CURRENCIES, Region
from media.phrases import MONTH, UNITS, WEEKDAY
from media.shortforms import expand

# --- the rules --------------------------------------------------------------------------------------------------------

Rule = Callable[[re.Match[str], Region], str]

_AMOUNT = r"[0-9](?:[0-9,.]{0,18}[0-9])?"
_FREE = r"(?<![\w.,])"  # a number does not begin inside a word or another number
_DOMAINS = "com|org|net|io|ng|uk|de|edu|gov|info|app|dev|eu|ai|ke|za|gh|africa"
_CODES = "|".join(code for code in CURRENCIES if code.isalpha() and len(code) > 1)
_BESIDE = rf"(?! ?(?:{_CODES}|US\$|[$£€₦₹¥₵]|naira|dollar|euro|pound|rupee|cedi|rand|shilling|people))"
_SIGNS = r"US\$|A\$|C\$|[$£€₦₹¥₵]"
_SCALE = r"(?P<scale>thousand|million|billion|trillion|bn|[kKmMbB])(?!\w)"
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_STRONG = r"code|pin|otp|passcode|password|reference|ref|token|account|acct|tracking|serial|confirmation|meter|id"
_WEAK = r"ticket|booking|order|invoice|case|extension|ext|room|gate|flight|voucher|policy|customer|route|plate|error"
_LINK = r"(?:\s(?:code|number|no|num|id|is|was)\b\.?){0,3}\s{0,2}[:=#-]?\s{0,2}#?"
_TOKEN = (
    r"(?=[A-Za-z]{0,10}[0-9]|[A-Za-z]{1,10}-[0-9])(?:[A-Za-z0-9]{%s,24}|[A-Za-z]{1,10}(?=-[0-9]))"
    r"(?:-[A-Za-z0-9]{1,24}){0,4}(?![\w%%/:-]|[.,][0-9])"
)
# What a seat letter follows; 5m after one of the second list is a length.
_SEATS = r"seat|apt\.?|apartment|terminal|gate|unit|room|row|block|flat|suite|platform"
_PLACES = r"floor|door|bay|stand|zone|stop|exit|hall|pier|table|bed|ward|plot|shop|lot|house|bus|coach|carriage|counter"
_YEAR_SHORT = r"'?[2-9][0-9](?=\s{0,3}(?:$|[,;!?)]|\.(?![0-9])|(?:at|from|to|until|by|and)\b))"
_COUNTED = r"(?!\s(?:minute|hour|second|day|week|month|year|time|people|item|user|customer|of\b))"
_PER = "months?|mo|year|yr|week|wk|day|hour|hr|h|person|user|unit|minute|min|second|sec|s|call|kg|night|litre|km"


def _rule(pattern: str, say: Rule | str, flags: int = 0) -> tuple[re.Pattern[str], Rule]:
    if isinstance(say, str):
        words = say
        return re.compile(pattern, flags), lambda _match, _region: words
    return re.compile(pattern, flags), say


_RULES: tuple[tuple[re.Pattern[str], Rule], ...] = (
    # addresses
    _rule(r"(?<![\w.+-])[A-Za-z0-9][\w.+%-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,200}[A-Za-z]{2}(?!\w)", phrases.email),
    _rule(r"(?<!\w)(?P<url>(?:[a-z]{2,8}://|www\.)[^\s<>\"]{1,500})", phrases.url, re.I),
    _rule(
        rf"(?<![\w@.-])(?P<url>(?:[a-z0-9-]{{1,40}}\.){{1,4}}(?:{_DOMAINS})(?:/[^\s<>\"]{{0,300}})?)(?![\w-])",
        phrases.url,
        re.I,
    ),
    # numbers as they are written elsewhere, as the rules below know them; keys before their signs are lost
    _rule(r"(?<![\w.,])\.(?=[0-9])", "0."),
    _rule(
        r"(?<![\w.,])(?<!ersion )(?P<n>[1-9][0-9]{0,2}(?:\.[0-9]{3}){1,4}),(?P<cents>[0-9]{2})(?![\w,]|\.[0-9])",
        phrases.thousands,
    ),
    _rule(
        r"(?<![\w.,])(?<!ersion )(?P<n>[1-9][0-9]{0,2}(?:\.[0-9]{3}){2})(?P<cents>\b\B)?(?![\w,/:-]|\.[0-9])",
        phrases.thousands,
    ),
    _rule(rf"{MASK}(?=[0-9]{{3,6}}(?![\w*#]))", codes.masked),
    _rule(DIALLED, codes.dialled),
    # dates
    _rule(
        r"(?:\b[Tt]he )?(?<![\w-])(?P<y>[12][0-9]{3})(?P<sep>[-/])(?P<m>[0-9]{1,2})(?P=sep)(?P<d>[0-9]{1,2})"
        r"(?:[T ](?P<h>[0-9]{2}):(?P<min>[0-9]{2})(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
        r"\s?(?P<zone>Z\b|z\b|[+-][0-9]{2}:?[0-9]{2})?)?(?![0-9/-])",
        phrases.date_iso,
    ),
    _rule(
        r"(?:\b[Tt]he )?(?<![\w/.-])(?P<a>[0-9]{1,2})(?P<sep>[/.-])(?P<b>[0-9]{1,2})(?P=sep)"
        r"(?P<y>[12][0-9]{3}|(?<=/)[0-9]{2})(?![\w/-]|[.][0-9])",
        phrases.date_numeric,
    ),
    _rule(
        r"\b(?P<lead>[Oo]n|[Bb]y|[Ff]rom|[Uu]ntil|[Tt]ill|[Ss]ince|[Bb]efore|[Aa]fter|[Dd]ated?)(?: the)? "
        r"(?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,2})(?![\w/]|[.,][0-9])",
        phrases.date_short,
    ),
    _rule(r"(?P<lead>)(?<![\w/.,-])(?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,2})(?= at [0-9])", phrases.date_short),
    _rule(
        r"\b(?P<lead>exp|expiry|expiration|valid thru|good thru)(?: date)?[.:]?\s{0,2}"
        r"(?P<m>0[1-9]|1[0-2])/(?P<y>20[0-9]{2}|[0-9]{2})(?![\w/])",
        phrases.expiry,
        re.I,
    ),
    _rule(rf"\b(?P<from>{WEEKDAY})\.?\s?(?:-|to)\s?(?P<to>{WEEKDAY})\b", phrases.weekdays),
    _rule(rf"\b(?P<day>{WEEKDAY})\b\.?(?=,? ?(?:[0-9]|{MONTH.replace('?P<month>', '?:')}))", phrases.weekday),
    _rule(
        rf"(?:\b[Tt]he )?(?<![\w.,:/-])(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?(?: of)?[ -]{MONTH}"
        rf"(?:,?[ -](?P<y>[12][0-9]{{3}}\b|{_YEAR_SHORT}))?(?!\w)",
        phrases.date_named,
    ),
    _rule(
        rf"(?<!(?:st|nd|rd|th) of )\b{MONTH} (?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?(?![\w:/]|[.,][0-9])"
        rf"(?:,? (?P<y>[12][0-9]{{3}})(?!\w))?",
        phrases.date_named,
    ),
    # codes and telephone numbers
    _rule(
        rf"(?P<lead>\b(?:(?i:{_SEATS}) (?=[0-9]{{1,3}}[A-Za-z])|(?i:{_PLACES}) (?=[0-9]{{1,3}}[A-Z])))"
        r"(?P<code>[0-9]{1,3}[A-Za-z])(?![\w%/:-]|[.,][0-9])",
        codes.seat,
    ),
    _rule(
        r"\b(?P<lead>(?:card|VISA|Visa|mastercard|amex|verve|maestro)(?: (?:number|no\.?))?:?\s{0,2}#?)"
        r"(?P<phone>[0-9]{4,6})(?![\w%/:-]|[.,][0-9]|[ -][0-9])",
        codes.phone,
        re.I,
    ),
    _rule(
        rf"\b(?P<lead>(?:{_STRONG})\b{_LINK})(?P<phone>[0-9]{{2,6}}(?:[ -][0-9]{{2,6}}){{1,5}})(?![\w%/:-]|[.,][0-9])"
        rf"{_COUNTED}",
        codes.phone,
        re.I,
    ),
    _rule(r"\b(?P<lead>(?:ending|ends)(?: in| with)? )(?P<phone>[0-9]{3,6})(?![\w%/:-]|[.,][0-9])", codes.phone),
    _rule(rf"\b(?P<lead>(?:{_STRONG})\b{_LINK})(?P<code>{_TOKEN % 2}){_COUNTED}", codes.code_said, re.I),
    _rule(
        rf"\b(?P<lead>(?:ticket|booking|order|invoice|case|policy|customer)\b{_LINK})"
        rf"(?P<phone>[0-9]{{2,6}}(?:[ -][0-9]{{3,6}}){{1,5}})(?![\w%/:-]|[.,][0-9]){_COUNTED}{_BESIDE}",
        codes.phone,
        re.I,
    ),
    _rule(rf"\b(?P<lead>(?:{_WEAK})\b{_LINK})(?P<code>{_TOKEN % 3}){_COUNTED}", codes.code_said, re.I),
    _rule(
        rf"(?P<lead>\b(?:code|pin|otp|passcode|password)\b[^.!?:;0-9\n]{{0,60}}?(?:\bis|:)\s{{0,2}})"
        rf"(?P<code>{_TOKEN % 3}){_COUNTED}",
        codes.code_said,
        re.I,
    ),
    _rule(
        r"(?<![\w.,-])(?P<code>[0-9]{4,10})(?P<tail> is your [^.!?0-9\n]{0,40}?(?:code|pin|otp|passcode|password)\b)",
        codes.code_said,
        re.I,
    ),
    _rule(
        rf"\b(?P<lead>(?:use|enter|type|quote) )(?P<code>[0-9]{{4,10}})(?![\w%/:-]|[.,][0-9]){_COUNTED}",
        codes.code_said,
        re.I,
    ),
    _rule(r"(?<![\w+])(?P<phone>\+\s?[0-9](?:[ ().-]{0,2}[0-9]){6,19})(?![0-9])", codes.phone),
    _rule(
        r"(?<![\w.,/-])(?P<phone>0[0-9]{1,4}(?=(?:[ -]?[0-9]){6,14}(?![0-9]))(?:[ -][0-9]{2,4}){2,5})(?![\w-])",
        codes.phone,
    ),
    _rule(
        r"(?<![\w-])(?:1-[89][0-9]{2}|0?800|8(?:33|44|55|66|77|88))-(?P<word>[A-Z]{3,12})(?![\w-])",
        codes.vanity,
    ),
    _rule(
        rf"(?<![\w.,:/'$£€₦₹¥₵-])(?<![A-Z]{{3}} )(?<![0-9] )(?P<phone>[1-9][0-9]{{2}} [0-9]{{3}} (?!000)[0-9]{{3}})"
        rf"(?![\w:/'-]|[.,][0-9]| [0-9]){_BESIDE}",
        codes.phone,
    ),
    _rule(r"(?<!\w)(?P<phone>\([0-9]{2,5}\)[ -]?[0-9]{3,4}[ -]?[0-9]{3,4})(?!\w)", codes.phone),
    _rule(r"(?<![\w.,/-])(?P<phone>0[0-9]{2,4}[ -][0-9]{3,4}[ -]?[0-9]{3,4})(?![\w-])", codes.phone),
    _rule(r"(?<![\w.,/-])(?P<phone>(?:1[ -])?[0-9]{3}[ -][0-9]{3}[ -][0-9]{4})(?![\w-])", codes.phone),
    _rule(
        r"(?<![\w.,/-])(?P<phone>555-[0-9]{4}|[2-9][0-9]{2}-(?:0[0-9]{3}|[0-9]{3}[1-9]))(?![\w%/-]|[.,][0-9])"
        rf"{_COUNTED}",
        codes.phone,
    ),
    _rule(
        r"(?P<lead>\b(?:dial|tel|telephone|phone|call|text|fax|hotline|helpline|mobile)(?: us)?(?: on| at)?:? )"
        rf"(?P<phone>[0-9]{{3,6}}(?:[ -][0-9]{{2,6}}){{0,4}})(?![\w%/:-]|[.,][0-9]){_COUNTED}",
        codes.phone,
        re.I,
    ),
    _rule(r"(?<![\w-])[0-9]{4}(?:[ -][0-9]{4}){2,4}(?![\w-])", codes.groups),
    _rule(
        r"(?<![\w.,])(?P<v>[vV](?:ersion)?\s?)?(?P<dotted>[0-9]{1,5}(?:\.[0-9]{1,5}){2,5})(?:/(?P<mask>[0-9]{1,2}))?"
        r"(?::(?P<port>[0-9]{1,5}))?(?![\w/-]|\.[0-9])",
        phrases.dotted,
    ),
    _rule(
        r"(?<!\w)(?P<v>v)(?P<dotted>[0-9]{1,4}(?:\.[0-9]{1,4}){0,5})(?P<mask>\b\B)?(?P<port>\b\B)?(?!\w|\.[0-9])",
        phrases.dotted,
    ),
    # ranges, before the two sides become words; a name like INV-2026-42 is none
    _rule(r"(?<![\w-])[A-Za-z]{1,24}(?:-[A-Za-z0-9]{1,24}){1,6}(?![\w-])", codes.mixed),
    _rule(r"(?<![\w.,-])(?P<a>(?:1[5-9]|20)[0-9]{2})\s?-\s?(?P<b>(?:1[5-9]|20)[0-9]{2})(?![\w-])", phrases.year_range),
    _rule(r"(?<![\w.,/-])[0-9]{1,6}(?:-[0-9]{1,6}){2,6}(?![\w-])", codes.groups),
    _rule(rf"(?:(?<=[0-9][0-9%mhCFkKM])|(?<=[0-9])|(?<=[ap]m))(?:-| - )(?=(?:{_SIGNS})?[0-9])", " to "),
    _rule(r"(?<=[0-9])\s?x\s?(?=[0-9])", " by "),
    _rule(r"(?<=[a-z]) x (?=[0-9])", " times "),
    _rule(
        r"(?:(?<=\bN)|(?<![\w.,:/']))(?<![0-9] )(?P<n>[1-9][0-9]{0,2}(?:[ '][0-9]{3}){1,4})"
        r"(?:[.,](?P<cents>[0-9]{1,2}))?(?![ ']?[0-9]|[/:]|[.,][0-9])",
        phrases.thousands,
    ),
    _rule(rf"{_FREE}(?P<n>{_AMOUNT}|\b[A-Za-z])\^(?P<e>-?[0-9]{{1,3}})(?!\w)", phrases.power),
    # times
    _rule(
        r"(?P<lead>\b(?:[Aa]t|[Bb]y|[Ff]rom|[Uu]ntil|[Tt]ill|to|[Bb]efore|[Aa]fter|[Ss]ince) )?(?<![\w.,:-])"
        r"(?P<h>[01][0-9]|2[0-3])(?P<min>[0-5][0-9])\s?(?:hours|hrs)\b(?! of\b)",
        phrases.hours,
    ),
    _rule(
        r"(?<![\w.,:])(?P<h>[0-9]{1,2}):(?P<min>[0-9]{2})(?::(?P<s>[0-9]{2}))?"
        r"(?:\s?(?P<half>[ap]m\b|[ap]\.m\.|AM\b|PM\b|A\.M\.|P\.M\.))?(?![\w:]|\.[0-9])",
        phrases.time_said,
    ),
    _rule(
        r"(?<![\w.,:])(?P<h>[0-9]{1,2})(?:\.(?P<min>[0-9]{2}))?\s?(?P<half>[ap]m\b|[ap]\.m\.|AM\b|PM\b|A\.M\.|P\.M\.)(?!\w)",
        phrases.time_said,
    ),
    _rule(
        rf"{_FREE}(?P<h>[0-9]{{1,3}})\s?h(?:rs?)?\s?(?P<min>[0-9]{{1,2}})\s?(?:mins?|m)?(?:\s?(?P<s>[0-9]{{1,2}})\s?s)?(?!\w)",
        phrases.duration,
    ),
    _rule(r"\b(?P<lead>(?:for|within|last|past|every|after) )(?P<min>[0-9]{1,3})m(?!\w)", phrases.duration, re.I),
    _rule(rf"{_FREE}(?P<min>[0-9]{{1,3}})\s?m(?:in)?\s?(?P<s>[0-9]{{1,2}})\s?s(?!\w)", phrases.duration),
    _rule(
        rf"\b(?P<lead>[Ii]n|[Ss]ince|[Uu]ntil|[Bb]y|[Yy]ear|[Ff]rom|[Oo]f|{MONTH.replace('?P<month>', '?:')})"
        r" (?P<y>(?:1[5-9]|20)[0-9]{2})(?![\w%:/-]|[.,][0-9])",
        phrases.year_said,
    ),
    _rule(r"(?<![\w.,])(?P<y>(?:1[5-9]|20)[0-9]0)'?s(?!\w)", phrases.decade),
    _rule(r"(?<!\w)'(?P<y>[2-9]0)s(?!\w)", phrases.short_decade),
    _rule(r"(?<![\w.,])(?P<a>[0-9])'\s?(?P<b>[0-9]{1,2})(?:\"|'')", phrases.feet),
    # money
    _rule(rf"{_FREE}(?P<n>[0-9]{{1,6}})\s?(?P<cur>¢)", phrases.small_money),
    _rule(r"(?<![\w.,£/-])(?P<n>[0-9]{1,2})(?P<cur>p)(?!\w)", phrases.small_money),
    _rule(
        rf"(?<![\w$])(?P<sign>-)?(?P<cur>{_SIGNS}|(?:{_CODES})(?=[ 0-9])|Rs\.(?= ?[0-9])|N(?=[0-9][0-9,]{{2}}))"
        rf"\s?(?P<n>-?{_AMOUNT})(?:\s?{_SCALE})?",
        phrases.money_said,
    ),
    _rule(
        rf"{_FREE}(?P<sign>-)?(?P<n>{_AMOUNT})\s?(?:{_SCALE}\s)?(?P<cur>{_SIGNS}|(?:{_CODES})(?!\w))",
        phrases.money_said,
    ),
    # measures and plain numbers
    _rule(r"(?P<sign>[#~<>])\s?(?=[0-9])", phrases.prefixed),
    _rule(rf"(?:(?<=[\s(])|^|(?<=[0-9a-z] to ))(?P<n>[+-]?{_AMOUNT})\s?(?P<unit>{_UNIT})(?!\w)", phrases.unit),
    _rule(rf"{_FREE}(?P<n>{_AMOUNT})(?P<scale>k|K|M|bn)(?!\w)", phrases.scaled),
    _rule(rf"{_FREE}(?P<n>[0-9]{{1,15}})(?:st|nd|rd|th)(?!\w)", phrases.ordinal_said, re.I),
    _rule(
        r"(?<![\w.,/])(?:(?P<whole>[0-9]{1,4}) )?(?P<a>[0-9]{1,4})/(?P<b>[0-9]{1,4})(?![\w/]|[.,][0-9])",
        phrases.fraction,
    ),
    _rule(r"(?<![\w.,:])(?P<a>[0-9]{1,4}):(?P<b>[0-9]{1,4})(?![\w:]|[.,][0-9])", phrases.ratio),
    _rule(r"(?<![\w-])[A-Za-z0-9]{1,40}(?:-[A-Za-z0-9]{1,40}){0,5}(?![\w-])", codes.mixed),
    _rule(r"(?:(?:(?<=[\s(])|^)[+-])?[0-9](?:[0-9,.]{0,40}[0-9])?", phrases.number_said),
    _rule(r"[0-9]{1,40}", phrases.rest),
    # signs
    _rule(rf"(?<=[a-z])\s?/\s?(?P<per>{_PER})\b", phrases.per),
    _rule(r"(?:(?<=[\s'(])|^)#(?=[\s.,;!?')]|$)", codes.hash),
    _rule(r"(?:(?<=[\s'(])|^)\*(?=[\s.,;!?')]|$)", "star"),
    _rule(r"#(?=\w)", "hashtag "),
)


def english(text: str, region: Region) -> str:
    """`text` without digits and signs that English has words for."""
    for pattern, say in _RULES:
        text = pattern.sub(partial(_said_by, say, region), text)
    return expand(text, region)


def _said_by(say: Rule, region: Region, match: re.Match[str]) -> str:
    return say(match, region)
