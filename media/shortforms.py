"""Short forms of English and how they are said: abbreviations, acronyms, Roman numerals, signs between words. Pure."""

import re

from media.numerals import CURRENCIES, Region, cardinal, letters, ordinal

_ABBREVIATIONS = {
    "PhD": "P-H-D", "Dr.": "Doctor", "Dr": "Doctor", "Mr.": "Mister", "Mr": "Mister", "Mrs.": "Missus", "Mrs": "Missus",
    "Ms.": "Miz", "Ms": "Miz", "Prof.": "Professor", "Rev.": "Reverend", "Hon.": "Honourable", "Jr.": "Junior",
    "Sr.": "Senior", "Ave.": "Avenue", "Rd.": "Road", "Blvd.": "Boulevard", "Apt.": "Apartment", "Apt": "Apartment",
    "Inc.": "Incorporated", "Ltd.": "Limited", "Ltd": "Limited", "Co.": "Company", "Corp.": "Corporation", "Dept.":
    "Department", "dept.": "department", "Govt.": "Government", "e.g.": "for example", "i.e.": "that is",
    "etc.": "et cetera", "etc": "et cetera", "vs.": "versus", "vs": "versus", "approx.": "approximately",
    "appt.": "appointment", "appt": "appointment", "Appt": "Appointment", "tel.": "telephone", "Tel.": "Telephone",
    "ext.": "extension", "max.": "maximum", "min.": "minimum", "temp.": "temperature", "w/o": "without", "w/": "with",
    "a/c": "account", "c/o": "care of", "incl.": "including", "excl.": "excluding", "msg": "message",
    "Msg": "Message", "pls": "please", "Pls": "Please", "thx": "thanks", "and/or": "and or", "he/she": "he or she",
    "his/her": "his or her", "n/a": "not applicable", "N/A": "not applicable", "OK": "okay", "Ok": "okay",
    "No.": "Number", "no.": "number", "St.": "Street", "hr.": "hour", "hrs.": "hours",
}  # fmt: skip
_ENDS_SENTENCE = frozenset({"etc.", "Inc.", "Ltd.", "Co.", "St.", "Rd.", "Ave.", "Jr.", "Sr."})
_SPELLED = frozenset({
    "AC", "AD", "AI", "AM", "API", "ASAP", "ATM", "AWS", "BIOS", "CEO", "CIA", "CIO", "COO", "CTO", "DIY", "EDT",
    "EMS", "EOD", "EPA", "ER", "EST", "ETA", "EU", "EV", "FAQ", "FBI", "GMT", "HIV", "IBM", "ICU", "ID", "IOU",
    "IP", "IRS", "ISP", "IT", "IVR", "NGO", "NYC", "OTP", "PA", "PDF", "PO", "POA", "PR", "QA", "ROI", "RSA", "SLA",
    "SOS", "SQL", "SUV", "TBA", "UAE", "UAT", "UI", "UK", "UN", "UPI", "UPS", "URL", "US", "USA", "USB", "UTC",
    "UX", "VAT", "VIP",
})  # fmt: skip
_SPELLED_LOWER = frozenset({"sms", "otp", "vpn", "pdf", "url", "atm", "api", "gps", "usb", "dns", "ivr"})
_SHOUTED_WORDS = frozenset({"AM", "AD", "IT", "US", "ID", "UN", "ER", "PA", "UPS", "AC", "IP"})
_NO_VOWEL_WORDS = frozenset({"MR", "MRS", "DR", "ST", "VS", "HMM", "SHH", "MS", "PLS", "THX", "MSG"})
_ROMAN_NOUNS = (
    "War|Chapter|Part|Section|Phase|Type|Class|Act|Volume|Level|Grade|Article|Tier|Stage|Division|Title|Schedule|Book"
)
_ROMAN_NAMES = (
    "Henry|Elizabeth|Charles|George|William|Louis|John|Paul|Benedict|Pius|James|Edward|Richard|Philip|Francis|Leo|"
    "Clement|Gregory|Innocent|Alexander|Nicholas|Catherine|Frederick|Harald|Haakon|Mohammed|Abdullah|Rama"
)
_ROMAN = re.compile(r"(X{0,3})(IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10}


def _roman(match: re.Match[str], region: Region) -> str:
    numeral = match["roman"]
    if not _ROMAN.fullmatch(numeral):
        return match[0]
    values = [_ROMAN_VALUES[letter] for letter in numeral]
    total = sum(-v if v < max(values[index:]) else v for index, v in enumerate(values))
    if match["noun"]:
        return f"{match['noun']} {cardinal(total, region)}"
    return f"{match['name']} the {ordinal(total, region)}"


def _abbreviation(match: re.Match[str], region: Region) -> str:
    key, after = match["abbr"], match.string[match.end() : match.end() + 3]
    before = match.string[max(0, match.start() - 24) : match.start()]
    said = _ABBREVIATIONS[key]
    if key == "St." and re.match(r" [A-Z]", after) and not re.search(r"[A-Z]\w{1,20} $", before):
        return "Saint"
    if key == "no." and not re.match(r" ?\w", after):
        return "no."
    ends = key in _ENDS_SENTENCE and re.match(r"$|\s+[A-Z]|\s*$", after)
    return said + ("." if ends else "")


def acronyms(text: str) -> str:
    """SMS → S-M-S. In a text that shouts, only what cannot be a word is spelled."""
    words = re.findall(r"[A-Za-z]{3,40}", text)
    shouting = sum(word.isupper() for word in words) * 2 > len(words) >= 3

    def said(match: re.Match[str]) -> str:
        word, plural = match["word"], match["s"] or ""
        if word.lower() in _SPELLED_LOWER and not plural:
            return letters(word)
        if not word.isupper() or len(word) > 6 or (shouting and word in _SHOUTED_WORDS):
            return match[0]
        vowelless = not re.search("[AEIOUY]", word) and word not in _NO_VOWEL_WORDS and len(word) <= 5
        if word in _SPELLED or vowelless:
            return letters(word) + ("'s" if plural else "")
        return match[0]

    return re.sub(r"(?<![\w'-])(?P<word>[A-Z]{2,6}|[a-z]{3})(?P<s>s)?(?![\w-])", said, text)


_ABBREVIATION = re.compile(
    r"(?<![\w/.])(?P<abbr>" + "|".join(sorted(map(re.escape, _ABBREVIATIONS), key=len, reverse=True)) + r")(?![\w/])"
)
_NUMERAL = re.compile(
    rf"\b(?:(?P<noun>{_ROMAN_NOUNS}|{_ROMAN_NOUNS.lower()})|(?P<name>{_ROMAN_NAMES})) (?P<roman>[IVX]{{1,6}})(?![\w'-])"
)
_CURRENCY = re.compile(
    rf"(?<![\w-])(?:{'|'.join(code for code in CURRENCIES if code.isalpha() and len(code) > 1)})(?![\w-])"
)
_SIGNS = (
    (re.compile(r"(?<=[A-Z])/(?=[A-Z])"), " "),
    (re.compile(r"(?<=[a-z])/(?=[A-Za-z])"), " or "),
    (re.compile("&"), " and "),
    (re.compile("@"), " at "),
    (re.compile("%"), " percent "),
    (re.compile("°"), " degrees "),
    (re.compile(r"\+"), " plus "),
    (re.compile("="), " equals "),
)


def expand(text: str, region: Region) -> str:
    """`text` with its short forms in full."""
    text = _ABBREVIATION.sub(lambda match: _abbreviation(match, region), text)
    text = _NUMERAL.sub(lambda match: _roman(match, region), text)
    text = _CURRENCY.sub(lambda match: CURRENCIES[match[0]][1], text)
    text = acronyms(text)
    for pattern, words in _SIGNS:
        text = pattern.sub(words, text)
    return text
