"""The words of other languages that number rules need and num2words lacks or has wrong. Pure.

Keyed by num2words' name for the language. What is not here is left to the engine: it may read a sign in a way of its
own, and that is better than a word that we are not sure of.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """`comma` is said for a decimal comma and, where `point` is empty, for a decimal point too."""

    minus: str
    comma: str
    point: str = ""
    star: str = ""
    hash: str = ""


WORDS = {
    "am": Words("አሉታዊ", "ነጥብ"),
    "ar": Words("سالب", "فاصلة", star="نجمة", hash="مربع"),
    "az": Words("mənfi", "vergül", "nöqtə", star="ulduz"),
    "be": Words("мінус", "коска", star="зорачка"),
    "bn": Words("মাইনাস", "দশমিক", star="স্টার", hash="হ্যাশ"),
    "ca": Words("menys", "coma", "punt", "asterisc", "coixinet"),
    "ce": Words("минус", "запятая"),
    "cs": Words("mínus", "čárka", star="hvězdička", hash="křížek"),
    "cy": Words("minws", "pwynt", star="seren"),
    "da": Words("minus", "komma", star="stjerne", hash="firkant"),
    "de": Words("minus", "Komma", star="Stern", hash="Raute"),
    "eo": Words("minus", "komo", "punkto", star="stelo"),
    "es": Words("menos", "coma", "punto", "asterisco", "almohadilla"),
    "fa": Words("منفی", "ممیز", star="ستاره", hash="مربع"),
    "fi": Words("miinus", "pilkku", star="tähti", hash="ruutu"),
    "fr": Words("moins", "virgule", star="étoile", hash="dièse"),
    "he": Words("מינוס", "נקודה", star="כוכבית", hash="סולמית"),
    "hu": Words("mínusz", "vessző", star="csillag", hash="kettőskereszt"),
    "id": Words("minus", "koma", star="bintang", hash="pagar"),
    "is": Words("mínus", "komma", star="stjarna"),
    "it": Words("meno", "virgola", star="asterisco", hash="cancelletto"),
    "ja": Words("マイナス", "点", star="アスタリスク", hash="シャープ"),
    "kn": Words("ಮೈನಸ್", "ಬಿಂದು"),
    "ko": Words("마이너스", "점", star="별표", hash="우물정"),
    "kz": Words("минус", "үтір", star="жұлдызша"),
    "lt": Words("minus", "kablelis", star="žvaigždutė", hash="grotelės"),
    "lv": Words("mīnus", "komats", star="zvaigznīte", hash="restīte"),
    "nl": Words("min", "komma", star="sterretje", hash="hekje"),
    "no": Words("minus", "komma", star="stjerne", hash="firkant"),
    "pl": Words("minus", "przecinek", star="gwiazdka", hash="krzyżyk"),
    "pt": Words("menos", "vírgula", star="asterisco", hash="cardinal"),
    "pt_BR": Words("menos", "vírgula", star="asterisco", hash="jogo da velha"),
    "ro": Words("minus", "virgulă", star="steluță", hash="diez"),
    "ru": Words("минус", "запятая", star="звёздочка", hash="решётка"),
    "sk": Words("mínus", "čiarka", star="hviezdička", hash="mriežka"),
    "sl": Words("minus", "vejica", star="zvezdica", hash="lojtra"),
    "sr": Words("minus", "zapeta", star="zvezdica", hash="taraba"),
    "sv": Words("minus", "komma", star="stjärna", hash="fyrkant"),
    "te": Words("మైనస్", "బిందువు"),
    "tet": Words("menus", "vírgula"),
    "tg": Words("минус", "нуқта"),
    "th": Words("ลบ", "จุด", star="ดอกจัน", hash="สี่เหลี่ยม"),
    "tr": Words("eksi", "virgül", star="yıldız", hash="kare"),
    "uk": Words("мінус", "кома", star="зірочка", hash="решітка"),
    "vi": Words("âm", "phẩy", star="sao", hash="thăng"),
}

# Sums of money: the languages whose currency words num2words declines right. Its Arabic says riyals for every
# currency, its Hungarian, Telugu and Kannada say them in English, and others have none.
MONEY_SAID = frozenset({
    "be", "ca", "cs", "de", "eo", "es", "fi", "fr", "fr_BE", "fr_CH", "he", "it", "ko", "kz", "lt", "lv", "nl", "pl",
    "pt", "ru", "sk", "sr", "tg", "th", "uk",
})  # fmt: skip
CURRENCIES = {
    "€": "EUR",
    "$": "USD",
    "US$": "USD",
    "£": "GBP",
    "₦": "NGN",
    "₹": "INR",
    "¥": "JPY",
    "₺": "TRY",
    "₽": "RUB",
    "₴": "UAH",
    "zł": "PLN",
    "Kč": "CZK",
    "R$": "BRL",
} | {code: code for code in ("EUR", "USD", "GBP", "NGN", "CHF", "PLN", "CZK", "RUB", "UAH", "BRL", "CAD")}

# Nouns before digits that are a name and no amount; the first row with any ending ("kodunuz", "kennwortes").
CODE_STEMS = (
    "code", "kode", "kod", "kód", "koodi", "código", "codigo", "codice", "codi", "код", "пароль", "kennwort",
    "passwort", "wachtwoord", "lösenord", "adgangskode", "passord", "hasło", "heslo", "jelszó", "şifre", "parola",
    "salasana", "contraseña", "senha", "password", "referenz", "référence", "referencia", "referência", "riferimento",
    "konto", "compte", "cuenta", "conta", "conto", "رمز", "كود", "קוד", "रहस्य", "कोड", "কোড", "รหัส",
)  # fmt: skip
CODE_NOUNS = (
    "pin", "otp", "tan", "cvv", "clave", "mã", "mật\\skhẩu", "mot\\sde\\spasse", "iban", "cod", "cvc", "geheimzahl",
    "kundennummer", "msimbo", "nambari", "visa", "mastercard", "carte", "karte", "tarjeta", "cartão", "carta",
    "kaart", "kort", "karta", "карта",
)  # fmt: skip
CODE_COPULAS = (
    "est", "is", "ist", "lautet", "es", "é", "è", "er", "är", "on", "jest", "je", "este", "są", "le", "el", "il", "o",
    "la",
)  # fmt: skip
CODE_OF = (
    "de", "di", "da", "do", "d'", "von", "für", "van", "voor", "for", "til",
)  # fmt: skip
