"""Numbers, money, telephone numbers and codes in the languages other than English."""

import re
import unicodedata

import pytest
from gtts.lang import tts_langs
from num2words import CONVERTER_CLASSES, num2words

from media.lexicon import WORDS
from media.reading import spoken

SIMPLE = [
    ("fr", "Vous avez 3 messages et 12,5 euros", "Vous avez trois messages et douze virgule cinq euros"),
    ("fr", "code 4821007", "code quatre huit deux un zéro zéro sept"),
    ("de", "Ihr Code ist 0042, um 14:30 Uhr", "Ihr Code ist null null vier zwei, um 14:30 Uhr"),
    ("pt-br", "Faltam 21 dias, 3% a menos", "Faltam vinte e um dias, três% a menos"),
    ("ar", "لديك ٣ رسائل", "لديك ثلاثة رسائل"),
    ("ru", "5 минут", "пять минут"),
    ("sw", "Nambari 42", "Nambari 42"),
    ("yo", "Ẹ káàbọ̀ 5", "Ẹ káàbọ̀ 5"),
    ("hi", "आपके पास 5 संदेश हैं।", "आपके पास 5 संदेश हैं"),
    ("xx", "12 abc", "12 abc"),
    ("fr", "5 m² ± 1", "cinq m^2 ± un"),
]
DECIMALS = [
    ("it", "12,50", "dodici virgola cinque zero"),
    ("cy", "0,5", "dim pwynt pump"),
    ("tr", "3,05", "üç virgül sıfır beş"),
    ("tr", "3,5", "üç virgül beş"),
    ("bn", "-5", "মাইনাস পাঁচ"),
    ("vi", "-5", "âm năm"),
    ("es", "3,5", "tres coma cinco"),
    ("es-mx", "3.5", "tres punto cinco"),
    ("cs", "-3,5", "mínus tři čárka pět"),
    ("ar", "٣٫٥", "ثلاثة فاصلة خمسة"),
    ("sw", "-3,05", "-3,05"),
    ("fr", "10²", "10^2"),
]
THOUSANDS = [
    ("fr", "1 000 000", "un million"),
    ("fr", "12\u202f500 habitants", "douze mille cinq cents habitants"),
    ("fr", "12\u2009500,5", "douze mille cinq cents virgule cinq"),
    ("de-ch", "1’250’000", "eine Million zweihundertfünfzigtausend"),
    ("es", "1.234.567,8", "un millón doscientos treinta y cuatro mil quinientos sesenta y siete coma ocho"),
    ("pl", "612 345 678", "sześć jeden dwa, trzy cztery pięć, sześć siedem osiem"),
    (
        "fr",
        "612\u00a0345\u00a0678",
        "six cent douze millions trois cent quarante-cinq mille six cent soixante-dix-huit",
    ),
    ("fr", "12 500 600", "douze millions cinq cent mille six cents"),
    ("sw", "1 000 000", "1000000"),
    ("sw", "watu 12 500", "watu 12500"),
    ("de", "1 2 3", "eins zwei drei"),
]
MONEY = [
    ("fr", "1 250,50 €", "mille deux cent cinquante euros cinquante"),
    ("fr", "12,50 €", "douze euros cinquante"),
    ("fr", "12,05 €", "douze euros et cinq centimes"),
    ("fr", "0,50 €", "cinquante centimes"),
    ("fr", "1,00 €", "un euro"),
    ("fr-ca", "12,50 $", "douze dollars cinquante"),
    ("de", "12,50 €", "zwölf Euro und fünfzig Cent"),
    ("de", "-12,50 EUR", "minus zwölf Euro und fünfzig Cent"),
    ("de", "1.250 €", "eintausendzweihundertfünfzig Euro"),
    ("es", "€12,50", "doce euros con cincuenta céntimos"),
    ("it", "1.200,00 €", "milleduecento euro"),
    ("pt", "12,50 €", "doze euros e cinquenta cêntimos"),
    ("ru", "12,50 €", "двенадцать евро, пятьдесят центов"),
    ("tr", "12,50 ₺", "12,50 ₺"),  # its currency words are not known: the engine's own
    ("ar", "12,50 €", "12,50 €"),
    ("hu", "5 €", "öt €"),
    ("fr", "solde du compte : 1250 €", "solde du compte: mille deux cent cinquante euros"),
    ("sw", "KES 1 250,50 €", "KES 1250,50 €"),
]
NAMES = [
    ("fr", "06 12 34 56 78", "zéro six, douze, trente-quatre, cinquante-six, soixante-dix-huit"),
    ("fr", "06.12.34.56.78", "zéro six, douze, trente-quatre, cinquante-six, soixante-dix-huit"),
    ("fr", "+33 6 12 34 56 78", "+ trente-trois, six, douze, trente-quatre, cinquante-six, soixante-dix-huit"),
    ("fr", "bus 07", "bus zéro sept"),
    ("de", "0171 234567", "null eins sieben eins, zwei drei vier fünf sechs sieben"),
    ("de", "030/1234567", "null drei null, eins zwei drei vier fünf sechs sieben"),
    ("de", "am 05.06.2026", "am 05.06.2026"),
    ("de", "am 05-06-2026", "am 05-06-2026"),
    ("sw", "0042", "0 0 4 2"),
    ("sw", "0802 000 000", "0 8 0 2, 0 0 0, 0 0 0"),
    ("de", "Ihr Code lautet: 4829.", "Ihr Code lautet: vier acht zwei neun."),
    ("de", "Passwort 4829", "Passwort vier acht zwei neun"),
    ("es", "Su código de verificación es 4829", "Su código de verificación es cuatro ocho dos nueve"),
    ("fr", "votre code de vérification est le 4829", "votre code de vérification est le quatre huit deux neuf"),
    ("fr", "mot de passe : 4829", "mot de passe: quatre huit deux neuf"),
    ("pt", "O código é 4829", "O código é quatro oito dois nove"),
    ("it", "codice 4829", "codice quattro otto due nove"),
    ("it", "PIN 4829", "PIN quattro otto due nove"),
    ("es", "OTP 123 456", "OTP uno dos tres, cuatro cinco seis"),
    ("tr", "kodunuz 4829", "kodunuz dört sekiz iki dokuz"),
    ("ru", "код 4829", "код четыре восемь два девять"),
    ("fr", "carte **** 1234", "carte un deux trois quatre"),
    ("fr", "le code expire dans 10 minutes", "le code expire dans dix minutes"),
]
DIALLED = [
    ("fr", "composez *901*00#", "composez étoile neuf zéro un étoile zéro zéro dièse"),
    ("fr", "tapez 9#", "tapez neuf dièse"),
    ("fr", "tapez * ou #.", "tapez étoile ou dièse."),
    ("de", "*737#", "Stern sieben drei sieben Raute"),
    ("pt-br", "digite 12#", "digite um dois jogo da velha"),
    ("sw", "piga *901*00#", "piga * 9 0 1 * 0 0 #"),
    ("de", "*5 Minuten*", "*fünf Minuten*"),
]


@pytest.mark.parametrize(("language", "written", "heard"), SIMPLE + DECIMALS + THOUSANDS + MONEY + NAMES + DIALLED)
def test_other_languages_get_words_where_they_are_known(language: str, written: str, heard: str) -> None:
    assert spoken(written, language) == unicodedata.normalize("NFC", heard)


EVERYWHERE = sorted(
    tag for tag in {*(name.replace("_", "-").lower() for name in CONVERTER_CLASSES), *map(str.lower, tts_langs())}
    if tag.split("-")[0] != "en"
)  # fmt: skip


@pytest.mark.parametrize("language", EVERYWHERE)
@pytest.mark.parametrize("written", ["3,05", "12,50", "0,5", "-5", "-12.5", "007"])
def test_no_digit_and_no_sign_of_a_number_is_lost_in_any_language(language: str, written: str) -> None:
    said = spoken(written, language)

    if any(letter in "0123456789" for letter in said):
        assert said in {written, " ".join(written)}
        return
    whole, mark, fraction = re.fullmatch(r"-?([0-9]+)([.,]?)([0-9]*)", written).groups()  # type: ignore[union-attr]
    parts = [*(whole if len(whole) > 1 and whole[0] == "0" else [whole]), *([mark] if mark else []), *fraction]
    name = next(name for name in CONVERTER_CLASSES if name.lower() in {language.replace("-", "_"), _base(language)})
    minus, points = WORDS[_base(name)].minus, {WORDS[_base(name)].comma, WORDS[_base(name)].point}
    left = said.removeprefix(f"{unicodedata.normalize('NFC', minus)} ") if written[0] == "-" else said
    assert (left != said) == (written[0] == "-")
    for part in parts:
        expected = points if part in ",." else {str(num2words(int(part), lang=name)).strip()}
        found = next((word for word in expected if word and left.startswith(unicodedata.normalize("NFC", word))), None)
        assert found, f"{part} is not said: {said}"
        left = left[len(unicodedata.normalize("NFC", found)) :].lstrip()
    assert left == ""


def _base(name: str) -> str:
    base = re.split("[-_]", name)[0]
    return {"nb": "no", "nn": "no", "iw": "he"}.get(base, base)


def test_every_language_of_num2words_has_its_words_for_minus_and_point() -> None:
    bases = {name.partition("_")[0] for name in CONVERTER_CLASSES} - {"en"}

    assert bases <= {name.partition("_")[0] for name in WORDS}
