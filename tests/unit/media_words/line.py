"""What a telephone line does to a sound (G.711, loss, slips, level, noise), and voices to send down it."""

import io
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
import soxr

from media.speech import Sound
from media.tones import Floats, at_line_rate

PACKET = 160  # samples: 20 ms of G.711
RATE_HZ = 8000


def sound(samples: object, rate_hz: int = RATE_HZ) -> Sound:
    return Sound(np.asarray(samples, dtype=np.float32), rate_hz)


def silence(seconds: float) -> Floats:
    return np.zeros(round(seconds * RATE_HZ), dtype=np.float32)


def after(*parts: Sound | Floats | float) -> Sound:
    """Sounds and pauses (seconds) one after the other, at 8000 Hz."""
    return sound(
        np.concatenate(
            [
                silence(part) if isinstance(part, float) else at_line_rate(part) if isinstance(part, Sound) else part
                for part in parts
            ]
        )
    )


@dataclass(frozen=True)
class Line:
    """One line and its faults; the same seed gives the same faults."""

    law: str = "ULAW"
    gain: float = 0.6
    noise: float = 0.0005  # RMS: -66 dBFS
    loss: float = 0.0  # share of 20 ms packets; half are silence, half a faded repetition of the one before
    slips: int = 0  # jumps of the jitter buffer by 20 to 60 ms, either way
    lead_s: float | None = None  # None: anything up to 2 s
    seed: int = 1

    def carry(self, sent: Sound) -> Sound:
        random = np.random.default_rng(self.seed)
        lead = round((random.uniform(0.1, 2.0) if self.lead_s is None else self.lead_s) * RATE_HZ)
        samples = np.concatenate([np.zeros(lead), at_line_rate(sent) * self.gain, np.zeros(RATE_HZ // 2)])
        for _ in range(self.slips):
            at = int(random.integers(lead, len(samples) - RATE_HZ))
            jump = int(random.integers(1, 4)) * PACKET * int(random.choice([-1, 1]))
            samples = np.concatenate([samples[:at], samples[at - jump :]])
        samples = coded(samples.clip(-1, 1).astype(np.float32), self.law)
        for packet in range(PACKET, len(samples) - PACKET, PACKET):
            if random.random() < self.loss:
                fade = 0.5 if random.random() < 0.5 else 0.0
                samples[packet : packet + PACKET] = samples[packet - PACKET : packet] * fade
        return sound(samples + random.normal(0, self.noise, len(samples)))


def coded(samples: Floats, law: str) -> Floats:
    """Through G.711 and back; "ULAW" or "ALAW"."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format="WAV", subtype=law)
    file.seek(0)
    return np.array(soundfile.read(file, dtype="float32")[0])


def wideband(sent: Sound) -> Sound:
    """What a G.722 leg (16 kHz) sounds like once it is back at 8 kHz: filtered twice, another level."""
    up = soxr.resample(at_line_rate(sent), RATE_HZ, 16000)
    return sound(soxr.resample(np.round(up * 0.7 * 8192) / 8192, 16000, RATE_HZ))


SENTENCES = (
    "Your appointment with Doctor Miller is on Monday at nine thirty in the morning.",
    "The disk on the database server in Frankfurt is almost full, please look at it.",
    "Your one time code is four eight two one, do not share it with anybody else.",
    "This is a reminder that your invoice of twelve dollars is due on Friday next week.",
    "The water level at the northern bridge has passed the second warning mark today.",
    "We could not deliver your parcel this afternoon, press one for another attempt.",
)
ELSEWHERE = {
    "de": (
        "Ihr Termin bei Doktor Müller ist am Montag um neun Uhr dreißig am Vormittag.",
        "Die Festplatte auf dem Server in Frankfurt ist fast voll, bitte sehen Sie nach.",
        "Ihr Paket konnte heute leider nicht zugestellt werden, drücken Sie die Eins.",
    ),
    "fr": (
        "Votre rendez-vous avec le docteur Martin est lundi à neuf heures trente du matin.",
        "Le disque du serveur de données à Lyon est presque plein, veuillez vérifier.",
        "Votre colis n'a pas pu être livré cet après-midi, appuyez sur la touche un.",
    ),
    "sw": (
        "Miadi yako na daktari ni siku ya Jumatatu saa tatu na nusu asubuhi mjini.",
        "Diski ya seva ya hifadhidata mjini Nairobi karibu imejaa, tafadhali angalia.",
        "Hatukuweza kuleta mzigo wako leo mchana, bonyeza moja kujaribu tena.",
    ),
    "hi": (
        "डॉक्टर के साथ आपकी मुलाकात सोमवार सुबह साढ़े नौ बजे शहर में है।",
        "डेटाबेस सर्वर की डिस्क लगभग भर गई है कृपया इसे अभी देखें।",
        "हम आज दोपहर आपका पार्सल नहीं पहुंचा सके एक दबाएं।",
    ),
}
VOICES = (
    *(f"flite {voice}" for voice in ("rms", "slt", "awb", "kal16")),
    *(f"espeak {language}" for language in ("en-gb", *ELSEWHERE)),
)


def sentences(voice: str) -> tuple[str, ...]:
    return ELSEWHERE.get(voice.split()[1], SENTENCES)


@lru_cache(maxsize=256)
def voiced(voice: str, text: str) -> Sound:
    """`text` in the voice of a Debian program; skips the test, loudly, where it is not installed."""
    engine, name = voice.split()
    program = {"flite": "flite", "espeak": "espeak-ng"}[engine]
    if shutil.which(program) is None:
        pytest.skip(f"NO VOICE: {program} is not installed (make peers)")
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "voice.wav")
        arguments = ["-voice", name, "-t", text, "-o", path] if engine == "flite" else ["-v", name, "-w", path, text]
        subprocess.run([program, *arguments], check=True, timeout=20)
        samples, rate_hz = soundfile.read(path, dtype="float32")
    return sound(samples, rate_hz)


def babble(seed: int, seconds: float = 4.0) -> Sound:
    """Speech-like sound without a speech program: voiced syllables with moving resonances, pauses between words."""
    random = np.random.default_rng(seed)
    parts: list[Floats] = []
    while sum(len(part) for part in parts) < seconds * RATE_HZ:
        if random.random() < 0.25:
            parts.append(silence(float(random.uniform(0.05, 0.2))))
            continue
        length = int(random.uniform(0.08, 0.25) * RATE_HZ)
        at = np.arange(length) / RATE_HZ
        pitch = 120 + 20 * np.sin(2 * np.pi * at * 2 + random.uniform(0, 6))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
        formants = [
            (random.uniform(250, 900), 100.0),
            (random.uniform(900, 2300), 150.0),
            (random.uniform(2300, 3300), 200.0),
        ]
        syllable = np.zeros(length)
        for harmonic in range(1, 28):
            hertz = 120 * harmonic
            weight = sum(1 / (1 + ((hertz - centre) / width) ** 2) for centre, width in formants)
            syllable += weight * np.sin(harmonic * phase)
        parts.append((0.1 * syllable * np.hanning(length)).astype(np.float32))
    return sound(np.concatenate(parts)[: round(seconds * RATE_HZ)])
