"""What is said for one match of an English rule: the pattern is in `media.english`, the words are made here. Pure.

Each function takes the match and the region and returns words; a match that makes no sense (25:61, 31 February as a
date) comes back as it was, for a later and simpler rule.
"""

import re

from media.codes import groups
from media.numerals import (
    CURRENCIES,
    DIGITS,
    MONTHS,
    SCALES,
    Region,
    cardinal,
    counted,
    date,
    digits,
    grouped,
    letters,
    money,
    number,
    ordinal,
    time,
    year,
)

# --- addresses --------------------------------------------------------------------------------------------------------

SPELLED_SIGNS = {
    ".": "dot", "-": "dash", "/": "slash", "_": "underscore", "@": "at", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "%": "percent", "#": "hash", "+": "plus", "~": "tilde",
}  # fmt: skip


def address(text: str) -> str:
    """A URL, host or e-mail address, part by part."""
    said: list[str] = []
    for part in re.findall(r"[A-Za-z]+|[0-9]|[^A-Za-z0-9]", text):
        if part in SPELLED_SIGNS:
            said.append(SPELLED_SIGNS[part])
        elif part.isdigit() and part.isascii():
            said.append(DIGITS[int(part)])
        elif part.isalnum():
            said.append(letters(part) if part.lower() in _ADDRESS_LETTERS else part)
    return " ".join(said)


_ADDRESS_LETTERS = {"www", "uk", "ng", "us", "za", "ke", "gh", "api", "http", "https", "sms", "html", "pdf", "tv"}


def url(match: re.Match[str], region: Region) -> str:
    text, tail = _split_tail(match["url"])
    return address(re.sub(r"^[a-z]{2,8}://", "", text, flags=re.I).rstrip("/")) + tail


def _split_tail(text: str) -> tuple[str, str]:
    """Punctuation at the end belongs to the sentence."""
    core = text.rstrip(".,;:!?)'\"")
    return core, text[len(core) :].replace(")", "")


def email(match: re.Match[str], region: Region) -> str:
    return address(match[0])


def dotted(match: re.Match[str], region: Region) -> str:
    """IPv4 digit by digit with "dot"; versions number by number with "point"."""
    parts = match["dotted"].split(".")
    version = "version " if match["v"] else ""
    if len(parts) == 4 and not version and all(int(part) <= 255 for part in parts):
        suffix = f" slash {cardinal(int(match['mask']), region)}" if match["mask"] else ""
        port = f" port {digits(match['port'])}" if match["port"] else ""
        return " dot ".join(digits(part) for part in parts) + suffix + port
    tail = f" slash {match['mask']}" if match["mask"] else f" colon {digits(match['port'])}" if match["port"] else ""
    return version + " point ".join(cardinal(int(part), region) for part in parts) + tail


# --- dates and times --------------------------------------------------------------------------------------------------

MONTH = (
    "(?P<month>"
    + "|".join(f"{name}|{name[:3]}|{name.upper()}|{name[:3].upper()}" for name in MONTHS)
    + r"|Sept|SEPT)\b\.?"
)
_WEEKDAYS = {
    "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "thur": "Thursday",
    "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip
WEEKDAY = "(?:Tues|Thurs|Thur|Mon|Tue|Wed|Thu|Fri|Sat|Sun)"


def _month_number(text: str) -> int:
    return 1 + next(index for index, name in enumerate(MONTHS) if name[:3].lower() == text[:3].lower())


def _full_year(text: str) -> int:
    return int(text) + (0 if len(text) > 2 else 2000 if int(text) < 70 else 1900)


def date_iso(match: re.Match[str], region: Region) -> str:
    said = date(int(match["d"]), int(match["m"]), int(match["y"]), region)
    if said is None:
        return groups(match, region)
    if not match["h"]:
        return said
    clock = time(int(match["h"]), int(match["min"]), region, leading_zero=True)
    if clock is None:
        return said
    zone = match["zone"] or ""
    if zone in {"Z", "z", "+00:00", "-00:00"}:
        return f"{said} at {clock} U-T-C"
    if zone:
        sign = "plus" if zone[0] == "+" else "minus"
        part = f" {cardinal(int(zone[-2:]), region)}" if int(zone[-2:]) else ""
        return f"{said} at {clock} U-T-C {sign} {cardinal(int(zone[1:3]), region)}{part}"
    return f"{said} at {clock}"


def date_numeric(match: re.Match[str], region: Region) -> str:
    first, second, of_year = int(match["a"]), int(match["b"]), _full_year(match["y"])
    slashes = match["sep"] == "/"
    day, month = (second, first) if region.us and slashes else (first, second)
    if month > 12 >= day:
        day, month = month, day
    return date(day, month, of_year, region) or groups(match, region)


def date_short(match: re.Match[str], region: Region) -> str:
    """20/11 after a word that expects a day."""
    first, second = int(match["a"]), int(match["b"])
    day, month = (second, first) if region.us else (first, second)
    if month > 12 >= day:
        day, month = month, day
    said = date(day, month, None, region)
    return f"{match['lead']} {said}".lstrip() if said else match[0]


def expiry(match: re.Match[str], region: Region) -> str:
    """03/26 on a card is a month and a year."""
    lead = "Expiry" if match["lead"].lower().startswith("exp") else match["lead"]
    return f"{lead} {MONTHS[int(match['m']) - 1]} {year(_full_year(match['y']), region)}"


def date_named(match: re.Match[str], region: Region) -> str:
    of_year = _full_year(match["y"].lstrip("'")) if match["y"] else None
    said = date(int(match["d"]), _month_number(match["month"]), of_year, region)
    if said is None:
        return match[0]
    # "on 1 Dec. Then": the dot of the short form ends the sentence too.
    ends = match[0].endswith(".") and re.match(r"\s*$|\s+[A-Z]", match.string[match.end() : match.end() + 3])
    return said + ("." if ends else "")


def time_said(match: re.Match[str], region: Region) -> str:
    parts = match.groupdict()
    half = (parts["half"] or "")[:1].lower()
    early = parts["h"][0] == "0" and not half
    said = time(int(parts["h"]), int(parts["min"] or 0), region, leading_zero=early, half=half)
    if said is None:
        return match[0]
    seconds = int(parts.get("s") or 0)
    return f"{said} and {counted(seconds, 'second', 'seconds', region)}" if seconds else said


def hours(match: re.Match[str], region: Region) -> str:
    """1530 hours. A round number without a word before it (1200 hours) is a time that something lasts."""
    hour, minute = match["h"], match["min"]
    if minute == "00" and hour[0] != "0" and not match["lead"]:
        return match[0]
    said = digits(hour) if hour[0] == "0" else cardinal(int(hour), region)
    small = "hundred" if minute == "00" else f"oh {DIGITS[int(minute)]}" if minute[0] == "0" else None
    return f"{match['lead'] or ''}{said} {small or cardinal(int(minute), region)} hours"


def duration(match: re.Match[str], region: Region) -> str:
    names = (("h", "hour"), ("min", "minute"), ("s", "second"))
    parts = match.groupdict()
    said = " ".join(counted(int(parts[key]), name, name + "s", region) for key, name in names if parts.get(key))
    return (parts.get("lead") or "") + said


def weekday(match: re.Match[str], region: Region) -> str:
    return _WEEKDAYS[match["day"].lower()]


def weekdays(match: re.Match[str], region: Region) -> str:
    return f"{_WEEKDAYS[match['from'].lower()]} to {_WEEKDAYS[match['to'].lower()]}"


def year_range(match: re.Match[str], region: Region) -> str:
    return f"{year(int(match['a']), region)} to {year(int(match['b']), region)}"


def year_said(match: re.Match[str], region: Region) -> str:
    return f"{match['lead']} {year(int(match['y']), region)}"


def short_decade(match: re.Match[str], region: Region) -> str:
    return cardinal(int(match["y"]), region)[:-1] + "ies"


def decade(match: re.Match[str], region: Region) -> str:
    said = year(int(match["y"]), region)
    return said[:-1] + "ies" if said.endswith("y") else said + "s"


# --- money, measures, plain numbers -----------------------------------------------------------------------------------


def money_said(match: re.Match[str], region: Region) -> str:
    scale = match["scale"] or ""
    said = money((match["sign"] or "") + match["n"], match["cur"], region, scale)
    return match[0] if said is None else said


def small_money(match: re.Match[str], region: Region) -> str:
    """50¢ and 10p."""
    one, many = CURRENCIES["$" if match["cur"] == "¢" else "£"][2:]
    return counted(int(match["n"]), one, many, region)


def thousands(match: re.Match[str], region: Region) -> str:
    """Written with spaces, apostrophes or dots: as the later rules know it, with commas and a decimal point."""
    cents = match["cents"]
    return re.sub("[ '.]", ",", match["n"]) + (f".{cents}" if cents else "")


def power(match: re.Match[str], region: Region) -> str:
    base = match["n"] if match["n"].isalpha() else number(match["n"], region)
    named = {"2": "squared", "3": "cubed"}.get(match["e"])
    return f"{base} {named or 'to the power of ' + number(match['e'], region)}"


UNITS = {
    "km": "kilometre", "m": "metre", "cm": "centimetre", "mm": "millimetre", "mi": "mile", "ft": ("foot", "feet"),
    "kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": ("ounce", "ounces"),
    "l": "litre", "L": "litre", "ml": "millilitre", "sqm": "square metre", "sqkm": "square kilometre",
    "cum": "cubic metre", "km/h": ("kilometre per hour", "kilometres per hour"), "kph": ("kilometre per hour",
    "kilometres per hour"), "mph": ("mile per hour", "miles per hour"), "m/s": ("metre per second",
    "metres per second"), "°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit",
    "degrees Fahrenheit"), "°": "degree", "%": ("percent", "percent"), "kWh": "kilowatt hour", "kW": "kilowatt",
    "MW": "megawatt", "W": "watt", "V": "volt", "kV": "kilovolt", "mA": "milliamp", "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"), "MHz": ("megahertz", "megahertz"), "GHz": ("gigahertz", "gigahertz"),
    "KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "GiB": "gibibyte", "MiB": "mebibyte", "kbps": ("kilobit per second", "kilobits per second"),
    "Mbps": ("megabit per second", "megabits per second"), "Gbps": ("gigabit per second", "gigabits per second"),
    "ms": "millisecond", "s": "second", "sec": "second", "secs": "second", "min": "minute", "mins": "minute",
    "h": "hour", "hr": "hour", "hrs": "hour", "d": "day", "dB": ("decibel", "decibels"), "bar": ("bar", "bar"),
    "px": "pixel", "bpm": ("beat per minute", "beats per minute"), "mmHg": ("millimetre of mercury",
    "millimetres of mercury"), "pcs": "piece", "pts": "point", "rpm": ("turn per minute", "turns per minute"),
}  # fmt: skip


def unit(match: re.Match[str], region: Region) -> str:
    names = UNITS[match["unit"]]
    one, many = (names, names + "s") if isinstance(names, str) else names
    text = match["n"]
    return f"{number(text, region)} {one if text.lstrip('+-') == '1' else many}"


def scaled(match: re.Match[str], region: Region) -> str:
    return f"{number(match['n'], region)} {SCALES[match['scale']]}"


def ordinal_said(match: re.Match[str], region: Region) -> str:
    return ordinal(int(match["n"]), region)


_PARTS = {2: ("half", "halves"), 4: ("quarter", "quarters")}


def fraction(match: re.Match[str], region: Region) -> str:
    above, below = int(match["a"]), int(match["b"])
    if above == below:
        return f"{cardinal(above, region)} {cardinal(below, region)}"
    lead = f"{cardinal(int(match['whole']), region)} and " if match["whole"] else ""
    if (above, below) == (24, 7):
        return "twenty-four seven"
    if not 2 <= below <= 20 or above >= below:
        return f"{lead}{cardinal(above, region)} over {cardinal(below, region)}"
    one, many = _PARTS.get(below) or (ordinal(below, region), ordinal(below, region) + "s")
    if lead and above == 1:
        return f"{lead}{'a' if one[0] not in 'aeiou' else 'an'} {one}"
    return f"{lead}{cardinal(above, region)} {one if above == 1 else many}"


def number_said(match: re.Match[str], region: Region) -> str:
    """With spaces where a letter touches it."""
    text = match.string
    before = " " if match.start() and text[match.start() - 1].isalnum() else ""
    after = " " if match.end() < len(text) and text[match.end()].isalnum() else ""
    return f"{before}{number(match[0], region)}{after}"


def rest(match: re.Match[str], region: Region) -> str:
    return f" {grouped(match[0])} "


def ratio(match: re.Match[str], region: Region) -> str:
    return f"{cardinal(int(match['a']), region)} to {cardinal(int(match['b']), region)}"


def feet(match: re.Match[str], region: Region) -> str:
    return f"{counted(int(match['a']), 'foot', 'feet', region)} {counted(int(match['b']), 'inch', 'inches', region)}"


_PER = {
    "mo": "month", "yr": "year", "hr": "hour", "h": "hour", "min": "minute", "sec": "second", "s": "second",
    "wk": "week",
}  # fmt: skip


def per(match: re.Match[str], region: Region) -> str:
    return f" per {_PER.get(match['per'], match['per'])}"


def prefixed(match: re.Match[str], region: Region) -> str:
    return f" {_PREFIXES[match['sign']]} "


_PREFIXES = {"#": "number", "~": "about", "<": "less than", ">": "more than"}
