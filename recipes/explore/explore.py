"""`inverter explore`: its options, and a server's life from the first line to Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from inverter_errors import BadInput, MissingLibrary
from recipes.gallery.gallery import Gallery
from recipes.options.augmentations import AUGMENTS, TRANSFORMS, AugmentName
from recipes.options.fields import MACHINE, OPTIMISATION, OUTPUT, check_choice, check_integer, check_out, option, texts
from recipes.options.input_values import checked_size
from recipes.options.naming import NamingFields
from recipes.options.priors import HELP, PriorLike
from recipes.runner.network_fields import NetworkFields

if TYPE_CHECKING:
    from inverter.settings import Precision
    from recipes.explore.session import Session

_SHARED = (
    *(field.name for field in fields(NetworkFields)),
    *("out", "device", "size", "steps", "prior", "augment", "seed", "precision", "batch_size", "threads"),
)
"""Options that are those of the gallery."""


@dataclass(frozen=True, kw_only=True)
class Explore(NamingFields, NetworkFields):
    """The options of `inverter explore`.

    Raises:
        BadInput: for a value that the gallery refuses, or a port out of range.

    Example:
        >>> Explore(model="builtin", out="OUT").gallery.layers
        ('all',)
    """

    images: str | Sequence[str] | None = option(
        None, "picture or folder to search for the patches that activate each unit most; may be repeated", repeat=True
    )
    out: str = option("explore", "output folder: a gallery, with a page that needs no server", group=OUTPUT)
    host: str = option("127.0.0.1", "address to listen at; another than this machine's needs --token")
    port: int = option(0, "port to listen at (0: a free one)")
    token: str | None = option(None, "secret of the link, 16 characters or more (default: a random one)")
    size: str | int | Sequence[int] | None = option(
        None, "side of the pictures in pixels, or HxW (default: the model's input size)", group=OPTIMISATION
    )
    steps: int | None = option(None, "optimisation steps for each picture (default: as in the gallery)")
    prior: PriorLike = option("fourier", HELP)
    augment: AugmentName = option("auto", TRANSFORMS, choices=AUGMENTS, group=OPTIMISATION)
    natural: str | None = option(
        None,
        "feature statistics of natural images that views may hold their pictures to: a file of inverter statistics "
        "--model, bn or own (default: those that the network brings with it)",
        group=OPTIMISATION,
    )
    seed: int = option(0, "seed of all random draws", group=OPTIMISATION)
    device: str | None = option(None, "auto, cpu, cuda, cuda:N or mps (default: auto)", group=MACHINE)
    precision: Precision = option("auto", "auto, float32 or bfloat16", group=MACHINE)
    batch_size: int | None = option(None, "pictures optimised together (default: chosen for the device)", group=MACHINE)
    threads: int | None = option(None, "cores to use (default: this machine's)", group=MACHINE)

    def __post_init__(self) -> None:
        check_out(self.out)
        check_integer("port", self.port, 0, 65535)
        for field in fields(self):
            check_choice(field, getattr(self, field.name))
        _ = self.gallery
        for place in texts(self.images or ()):
            if not Path(place).exists():
                raise BadInput(f"images {place!r} is not there; expected a picture or a folder")
        self.check_naming(self.images)

    @property
    def shown_size(self) -> int | tuple[int, int] | None:
        return checked_size(self.size)

    @property
    def gallery(self) -> Gallery:
        """The recipe of the output folder: all units of all stages."""
        return Gallery(layer="all", channels="all", **{name: getattr(self, name) for name in _SHARED})

    @property
    def images_name(self) -> str | None:
        """What pages call the pictures of `images`."""
        return None if self.images is None else ", ".join(Path(place).resolve().name for place in texts(self.images))

    @cached_property
    def images_count(self) -> int:
        """The number of pictures in `images`."""
        from recipes.pictures.reading import named_pictures

        return 0 if self.images is None else len(named_pictures(texts(self.images)))


def serve(options: Explore, announce: Callable[[str], None]) -> None:
    """Runs the server until it is interrupted. The page can be loaded while the network is.

    Args:
        options: of the command.
        announce: called with the link, once the server listens.

    Raises:
        MissingLibrary: without Starlette and uvicorn.
        BlockingIOError: if another run is at work in the output folder.
        InverterError: bad input, in one line.
        OSError: for a port that is taken, or a folder that cannot be written to.
        KeyboardInterrupt: passes through; what is finished is on disk, and the same call continues.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise MissingLibrary("explore needs Starlette and uvicorn: pip install 'inverter-vis[explore]'") from None
    from recipes.explore.listening import Listening
    from recipes.explore.session import Session
    from recipes.outputs.folder_lock import held

    with held(Path(options.out)):
        session = Session(options)
        try:
            with _remembered(session), Listening(session) as listening:
                announce(listening.link)
                session.load()
                if session.ended:
                    raise KeyboardInterrupt
                session.work()
        finally:
            session.close()


@contextmanager
def _remembered(session: Session) -> Iterator[None]:
    """A context in which an interruption that a library swallows while it is imported ends the session all the same."""
    signals = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()

    def interrupt(_signal: int, _frame: object) -> None:
        session.ended = True
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
