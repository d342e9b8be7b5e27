"""Text or an address in, a WAV that a phone line can play out.

prompt.py     Prompt: what was asked, and the hash that addresses its audio
reading.py    how numbers, dates, money, phone numbers and codes are spoken; what text is refused (pure)
english.py  phrases.py  codes.py  numerals.py  shortforms.py
              its English: patterns in order, what is said for each, for codes, number words, abbreviations (pure)
polyglot.py  lexicon.py
              its other languages: their numbers, and the words around them that num2words lacks (pure)
ssml.py       the small SSML subset we understand, as pieces to render (pure)
speech.py     SpeechEngine port, SpeechError, the chain with fallback
google.py  offline.py     the engines: gTTS; flite and espeak-ng          spelling.py  ToneEngine, the twin
audio.py      decode, resample, level, trim, join; refuses silence and bombs
loudness.py   how loud, and where anything is heard (pure)
bounded.py    one child program within time, memory and output; the programs: decoder.py  espeak.py
fetch.py      a caller's audio file, downloaded within limits
library.py    PromptLibrary: the audio for a prompt; one render per key at a time
shelf.py      its files: a WAV and its sidecar, disk budget, scratch folder
heard.py      compares what was sent with what a phone recorded (pure)
tones.py      DTMF, beep, ringback: made and recognised (pure)
"""
