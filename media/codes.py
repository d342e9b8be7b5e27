"""Names made of digits, read key by key: telephone numbers, codes, seats, and what is dialled with star and hash. Pure.

The patterns here are the same in every language (`media.polyglot`), the words English.
"""

import re

from media.numerals import DIGITS, Region, cardinal, digits, grouped, letters

# *901*00# and 9#; not *5 words in emphasis*, not #5, not $5*.
DIALLED = (
    r"(?<![\w.,*#$£€₦₹¥₵/:-])(?P<dialled>(?:\*(?=[0-9*]{0,20}[0-9])|#(?=[0-9*]{1,20}[*#])|[0-9]{1,20}(?=[*#]))"
    r"[0-9*#]{1,30})(?![\w*#])(?! [^*#\n0-9]{1,40}\*)"
)
# **** 1234: what a card number ends in.
MASK = r"(?<![\w*])(?:\*{3,16}(?:[ -]\*{3,16}){0,3}|[xX]{4,16}(?:[ -][xX]{4,16}){0,3})[ -]?"


def phone(match: re.Match[str], region: Region) -> str:
    """Digit by digit in the groups it is written in, or in our own when it is one block."""
    text = match["phone"]
    parts = re.findall(r"[0-9]{1,15}", text)
    plus = "plus " if text.startswith("+") else ""
    lead = match.groupdict().get("lead") or ""
    if len(parts) > 1 and max(len(part) for part in parts) <= 6:
        return lead + plus + ", ".join(digits(part) for part in parts)
    return lead + plus + grouped("".join(parts))


def groups(match: re.Match[str], region: Region) -> str:
    return ", ".join(digits(part) for part in re.findall(r"[0-9]{1,40}", match[0]))


def code_said(match: re.Match[str], region: Region) -> str:
    parts = match.groupdict()
    lead = (parts.get("lead") or "").replace("#", "")
    return lead + code(parts["code"]) + (parts.get("tail") or "")


def code(text: str) -> str:
    """Character by character: letters together, digits together, a pause between the two."""
    runs = re.findall(r"[A-Za-z]+|[0-9]+", text)
    return ", ".join(
        grouped(run) if run.isdigit() else run if _is_word(run) and run.islower() else letters(run) for run in runs
    )


def mixed(match: re.Match[str], region: Region) -> str:
    """Letters and digits in one word: AB12C, 4G, server1, COVID-19."""
    text = match[0]
    if not re.search(r"[0-9]", text) or not re.search(r"[A-Za-z]", text):
        return text
    runs = re.findall(r"[A-Za-z]+|[0-9]+", text)
    is_number = any(run.isdigit() and len(run) >= 3 for run in runs)
    wordy = any(_is_word(run) and not (is_number and run.isupper() and len(run) <= 4) for run in runs)
    if not wordy:
        return code(text) if len(text) > 3 else "-".join(letters(r) if r.isalpha() else digits(r) for r in runs)
    said = (
        (run if _is_word(run) else letters(run)) if run.isalpha() else
        cardinal(int(run), region) if len(run) <= 2 and run[0] != "0" else grouped(run)
        for run in runs
    )  # fmt: skip
    return " ".join(said)


def _is_word(run: str) -> bool:
    return run.isalpha() and len(run) >= 3 and bool(re.search("[aeiouyAEIOUY]", run))


def seat(match: re.Match[str], region: Region) -> str:
    """4B, 12A: the number as a number, then the letter."""
    number, letter = match["code"][:-1], match["code"][-1:]
    said = cardinal(int(number), region) if len(number) <= 2 and number[0] != "0" else digits(number)
    return f"{match['lead']}{said}-{letter.upper()}"


def dialled(match: re.Match[str], region: Region) -> str:
    signs = {"*": "star", "#": hash(match, region)}
    return " ".join(signs.get(each) or DIGITS[int(each)] for each in match["dialled"])


def hash(match: re.Match[str], region: Region) -> str:
    return "pound" if region.us else "hash"


def masked(match: re.Match[str], region: Region) -> str:
    before = match.string[max(0, match.start() - 14) : match.start()].lower()
    return "" if re.search(r"\b(?:ending|ends)(?: in| with)? ?$", before) else "ending in "


def vanity(match: re.Match[str], region: Region) -> str:
    """1-800-FLOWERS: the word is the easier part to keep."""
    return f"{groups(match, region)}, {match['word'] if _is_word(match['word']) else letters(match['word'])}"
