"""Hubs of pretrained weights: quiet, quick when they cannot be reached, and one line about what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from inverter.sources.quiet import quiet
from inverter_errors import BadInput, InverterError, Unreachable

PATIENCE = 5.0
"""Seconds for the hub's first answer."""
LOCAL = "give a local file with weights="
"""What to do without a hub, for most sources."""
REMOTE_CODE = ("trust_remote_code", "custom code", "execute the")
"""What the libraries' errors say of a network that needs Python code of its repository."""


@contextmanager
def hub(spec: str, asks: bool = True, instead: str = LOCAL, fetched: str = "") -> Iterator[None]:
    """A context for the libraries that fetch from the Hugging Face hub.

    One request finds out whether the hub answers. If it does not, only files that are cached are used: the libraries
    would retry for half a minute for each file.

    Args:
        spec: of the network, for errors.
        asks: False if no file of the hub is needed: none is fetched.
        instead: what to do without the hub, for errors.
        fetched: what is fetched, for errors; default: the pretrained weights of the network.

    Raises:
        Unreachable: if the hub or another server cannot be reached, and the files are not cached.
        BadInput: for all other errors of a library; one line, with the reason.
    """
    silence = _silence() if asks else None
    try:
        with quiet(), _offline(not asks or silence is not None):
            yield
    except (InverterError, MemoryError):
        raise
    except Exception as error:  # the libraries raise many types for what is the user's input
        raise _explained(spec, error, silence, asks, instead, fetched) from error


def unreachable(spec: str, why: str | Exception, instead: str = LOCAL, fetched: str = "") -> Unreachable:
    """The error for what a server did not give; the last line of an error is its reason."""
    reason = why if isinstance(why, str) else _last_line(why)
    return Unreachable(f"{fetched or f'the pretrained weights of {spec}'} could not be fetched ({reason}); {instead}")


def _explained(
    spec: str, error: Exception, silence: str | None, asks: bool, instead: str, fetched: str
) -> InverterError:
    text = str(error)
    if any(words in text for words in REMOTE_CODE):
        return BadInput(
            f"{spec} needs Python code from its repository, which is not run unasked: load it with "
            "trust_remote_code=True in a function of your own, FILE.py:FACTORY"
        )
    absence = any(isinstance(each, OSError) for each in _chain(error))  # of a file, or of the hub
    if silence is not None and absence:
        return unreachable(spec, silence, instead, fetched)
    if absent := next((each for each in _chain(error) if type(each).__name__ in _ABSENT), None):
        return BadInput(f"the hub has no public {spec} ({_ABSENT[type(absent).__name__]}): check its name, or log in")
    if asks and absence:
        return unreachable(spec, error, instead, fetched)
    return BadInput(f"{spec} could not be loaded: {type(error).__name__}: {' '.join(text.split())[:300]}")


_ABSENT = {
    "GatedRepoError": "its owner grants access one by one",
    "RepositoryNotFoundError": "it does not exist, or is private",
    "RevisionNotFoundError": "it has no such revision",
}
"""Errors of huggingface_hub for repositories that are not there for everybody."""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def _silence() -> str | None:
    """Why the hub does not answer; None if it does, or if the user has switched it off: then its library says so."""
    try:
        from huggingface_hub import constants, get_session
    except ModuleNotFoundError:
        return None
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, and they are not cached"
    try:
        with quiet():
            get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except Exception as error:  # of whatever the library uses for requests
        return f"{constants.ENDPOINT} does not answer: {_last_line(error)}"
    return None


@contextmanager
def _offline(only_cached: bool) -> Iterator[None]:
    try:
        from huggingface_hub import constants
    except ModuleNotFoundError:
        only_cached = False
    if not only_cached:
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
