"""What the doctor found out about one thing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`required`: without it the service does not work. What is neither ok nor required is worth a look."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    required: bool = True

    @property
    def mark(self) -> str:
        return "✓" if self.ok else "✗" if self.required else "!"
