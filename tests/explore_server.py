"""A server of `inverter explore` with the bundled network, for tests of its pages."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "examples" / "pictures"
TOKEN = "a-token-of-the-tests"


class Server:
    """A server in a process of its own, which can be killed and started again at the same port."""

    def __init__(self, out: Path, images: Path = PICTURES) -> None:
        self.out, self.images = out, images
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"
        self.link = f"{self.address}?token={TOKEN}"
        self.start()

    def start(self) -> None:
        """Starts it, and waits for its link."""
        options = ["--model", "builtin", "--images", str(self.images), "--size", "48", "--steps", "8"]
        where = ["--device", "cpu", "--out", str(self.out), "--port", str(self.port), "--token", TOKEN, "--no-open"]
        command = [sys.executable, "-m", "inverter", "explore", *options, *where]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        assert self.link in self.process.stdout.readline()

    def kill(self) -> None:
        """Ends it at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
