"""A signal in the midst of an import ends the command with the exit code that we return, not by a signal."""

import os
import subprocess
import sys
from pathlib import Path

MODULE = """
import os, signal, sys
from voice.cli.interrupts import Interrupts

Interrupts()
try:
    exec("os.kill(os.getpid(), signal.SIGTERM)")  # as an import that makes a dataclass
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_signal_inside_exec_leaves_us_our_exit_code(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(MODULE)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}

    done = subprocess.run([sys.executable, "-m", "interrupted"], env=environ, timeout=30, check=False)

    assert done.returncode == 130
