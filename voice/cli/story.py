"""What the demo prints for a person."""

import contextlib
import time
from dataclasses import dataclass, field


@dataclass
class Story:
    """Silent for a program (`--json`); without colour where nobody would see it."""

    quiet: bool
    colour: bool
    began: float = field(default_factory=time.monotonic)
    is_stopping: bool = False
    mid_line: bool = False

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began

    def say(self, text: str = "") -> None:
        if not self.quiet:
            print("\r" * self.mid_line + text, flush=True)
        self.mid_line = False

    def rewrite(self, text: str) -> None:
        """A line that grows; the next `say` writes over it."""
        if self.colour and not self.quiet:
            print("\r" + text, end="", flush=True)
            self.mid_line = True

    def part(self, name: str, detail: str) -> None:
        """Without a time of its own: all the parts are heard of at the moment the API answers, which is the last."""
        self.say(f"  {self._coloured('✓', '32')} {name:<16} {detail}")

    def verdict(self, good: bool, text: str) -> None:
        self.say(f"  {self._coloured('✓', '32') if good else self._coloured('✗', '31')} {text}")

    def stopping(self) -> None:
        """Said once, at once: calls that are up may take a few seconds to end. A terminal that is gone is no error."""
        if self.is_stopping:
            return
        self.is_stopping = True
        with contextlib.suppress(OSError):
            if self.mid_line:
                self.mid_line = False
                self.say()
            self.say("  Stopping and cleaning up.")

    def _coloured(self, mark: str, code: str) -> str:
        return f"\x1b[{code}m{mark}\x1b[0m" if self.colour else mark
