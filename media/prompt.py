"""Prompt: what somebody asked us to say, and the key that addresses its audio."""

import hashlib
import json
from dataclasses import asdict, dataclass

# Part of every key: raise it when the same request would sound different (new normaliser, new levelling).
RENDERING = 1


@dataclass(frozen=True, slots=True)
class Prompt:
    """Either `text` (with how to say it) or `media_url`. `rate_hz` is 8000, or 16000 for G.722."""

    text: str | None = None
    media_url: str | None = None
    language: str = "en-gb"
    voice: str | None = None
    speed: float = 1.0  # 0.5 to 2.0
    ssml: bool = False
    rate_hz: int = 8000

    def __post_init__(self) -> None:
        if (self.text is None) == (self.media_url is None):
            raise ValueError("a prompt has either text or media_url")

    @property
    def key(self) -> str:
        """Hex SHA-256 of what was asked; equal requests share one rendering."""
        asked = json.dumps({"rendering": RENDERING, **asdict(self)}, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(asked.encode()).hexdigest()
