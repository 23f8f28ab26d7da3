"""Settings: which platform to talk to, with which key, and where this package keeps its files.

An argument wins over the environment, the environment over the official client's files. The key is a
`Secret` from the moment it is read.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from createos_nb.api.secret import Secret, frameless
from createos_nb.errors import SettingsError

DEFAULT_API_URL = "https://api-createos.nodeops.network"
LOCAL_KEY = "skp_local_"
"""What keys of embedded platforms begin with, so that nobody takes one for a real one."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SHOWABLE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9.:\[\]-]+")
_PATH = re.compile(r"[~./\\]|[A-Za-z]:[/\\]")
_A_KEY = "It looks like a key: pass that as api_key=, or set CREATEOS_API_KEY."


@dataclass(frozen=True)
class Settings:
    """Where to send requests and how to sign them.

    Attributes
    ----------
    api_url
        Origin of the API, without ``/v1``.
    credential
        The key or token.
    header
        ``"X-Api-Key"`` or ``"X-Access-Token"``.
    source
        Where the credential came from, for people: ``"CREATEOS_API_KEY"``, a file's path, ``"argument"``.
    """

    api_url: str
    credential: Secret
    header: str
    source: str

    @property
    def account(self) -> str:
        """Whose key it is at which origin, as a name for files; neither can be read from it.

        Another key of the same account has another one: what belongs to whom, only the platform knows.
        """
        import hashlib

        return hashlib.sha256(f"{self.api_url}\0{self.credential.reveal()}".encode()).hexdigest()[:16]

    @property
    def proxy(self) -> str | None:
        """The proxy of the environment that requests go through, with its password; None for none.

        From ``HTTPS_PROXY``, else ``ALL_PROXY``, unless ``NO_PROXY`` names the host. Never one for this machine:
        a proxy has no business in between.
        """
        from urllib.request import getproxies, proxy_bypass

        origin = urlsplit(self.api_url)
        if origin.scheme == "http" or proxy_bypass(origin.netloc):
            return None
        found = getproxies()
        url = found.get(origin.scheme) or found.get("all")
        return url if not url or "://" in url else f"http://{url}"

    @property
    def shown_proxy(self) -> str | None:
        """The proxy without its user and password, for people."""
        return self.proxy and re.sub(r"//[^/?#]*@", "//…@", self.proxy)


@dataclass(frozen=True)
class ProjectLink:
    """The project and environment that a directory belongs to, as the official client keeps them.

    Attributes
    ----------
    path
        The file that says so.
    project_id, environment_id, project_name
        What it says; None where it says nothing.
    """

    path: Path
    project_id: str
    environment_id: str | None = None
    project_name: str | None = None


def project_link(start: str | os.PathLike[str] | None = None) -> ProjectLink | None:
    """Return what the nearest ``.createos.json`` says, looking up from a directory; None when there is none.

    Parameters
    ----------
    start
        Where to begin; default the working directory.

    Raises
    ------
    SettingsError
        The file cannot be read, or does not say which project.
    """
    try:
        directory = Path(start if start is not None else ".").resolve()
    except OSError:  # It was removed.
        return None
    for path in (each / ".createos.json" for each in (directory, *directory.parents)):
        if not _is_file(path):
            continue
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            said = None
        # What else is in it is not shown: it may not be the file that it is taken for.
        project, environment, name = (
            said.get(wire) if isinstance(said, dict) else None
            for wire in ("projectId", "environmentId", "projectName")
        )
        optional = all(value is None or isinstance(value, str) for value in (environment, name))
        if not isinstance(project, str) or not optional:
            raise SettingsError(
                f"{path} does not say which project it belongs to. It holds projectId, environmentId and "
                "projectName; make it anew with the official client, or remove it."
            )
        return ProjectLink(path, project, environment, name)
    return None


def home() -> Path:
    """Return the directory for everything this package keeps (state, journal, leases).

    ``CREATEOS_NB_HOME`` moves it; otherwise it is the platform's directory for user data. It is made when
    missing, readable by its owner alone.
    """
    chosen = os.environ.get("CREATEOS_NB_HOME")
    if chosen:
        path = Path(chosen).expanduser()
    else:
        from platformdirs import user_data_path

        path = user_data_path("createos_nb", appauthor=False)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(
            f"Cannot make {path}: {error.strerror}. Set CREATEOS_NB_HOME to a directory you may write to."
        ) from None
    return path


@frameless
def resolve(
    api_url: str | None = None,
    *,
    api_key: str | Secret | Path | None = None,
    access_token: str | Secret | None = None,
) -> Settings:
    """Find the platform's URL and a key.

    Parameters
    ----------
    api_url
        Origin of the API; default ``CREATEOS_API_URL``, else the public platform.
    api_key
        A key, or the path of the file that holds it; default ``CREATEOS_API_KEY``,
        ``CREATEOS_API_KEY_FILE``, ``CREATEOS_ACCESS_TOKEN``, then the official client's ``~/.createos/.token``.

    access_token
        An OAuth access token, in place of a key.

    Raises
    ------
    SettingsError
        No key was found, the URL is malformed or plain http to another machine, or the key is one of an
        embedded platform and the URL is not.
    """
    found = _found(api_url, api_key=api_key, access_token=access_token)
    if found.credential.reveal().startswith(LOCAL_KEY) and not _is_loopback(found.api_url):
        raise SettingsError(
            f"The API key from {found.source} is one of an embedded platform, and {found.api_url} is not one. "
            "Set CREATEOS_API_URL to where it answers (createos-nb local env), or use a key of your account."
        )
    return found


def _found(
    api_url: str | None, *, api_key: str | Secret | Path | None, access_token: str | Secret | None
) -> Settings:
    url = _checked_url(api_url or os.environ.get("CREATEOS_API_URL") or DEFAULT_API_URL)
    if access_token is not None:
        if api_key is not None:
            raise SettingsError("Give an API key or an access token, not both.")
        return Settings(url, _checked_key(access_token, "argument"), "X-Access-Token", "argument")
    if isinstance(api_key, Path):
        return Settings(url, _key_in(api_key), "X-Api-Key", str(api_key))
    if api_key is not None:
        return Settings(url, _checked_key(api_key, "argument"), "X-Api-Key", "argument")
    if text := os.environ.get("CREATEOS_API_KEY"):
        return Settings(url, _checked_key(text, "CREATEOS_API_KEY"), "X-Api-Key", "CREATEOS_API_KEY")
    if name := os.environ.get("CREATEOS_API_KEY_FILE"):
        return Settings(url, _key_in(Path(name)), "X-Api-Key", name)
    if text := os.environ.get("CREATEOS_ACCESS_TOKEN"):
        return Settings(url, _checked_key(text, "CREATEOS_ACCESS_TOKEN"), "X-Access-Token", "CREATEOS_ACCESS_TOKEN")
    token_file = Path.home() / ".createos" / ".token"
    if _is_file(token_file):
        return Settings(url, _key_in(token_file), "X-Api-Key", str(token_file))
    raise SettingsError(
        "No API key. Looked at: the api_key argument, CREATEOS_API_KEY, CREATEOS_API_KEY_FILE, "
        f"CREATEOS_ACCESS_TOKEN, {token_file}. Set one of them, or use cos.local() for a platform on this "
        "machine that needs no account."
    )


def _is_file(path: Path) -> bool:
    """Whether there is such a file, and one may know."""
    try:
        return path.is_file()
    except OSError:
        return False


def _like_a_key(text: str) -> bool:
    """Whether this is a key or a token that stands where something else belongs."""
    return "skp_" in text.lower() or text.lstrip(" \"'").startswith("eyJ")


def _checked_url(url: str) -> str:
    """Return the origin of the API. No message has more of a URL than its origin: a key may stand in the rest."""
    if not isinstance(url, str):
        raise SettingsError(f"The API URL must be text, not {type(url).__name__}. Write it like {DEFAULT_API_URL}.")
    if _like_a_key(url):
        raise SettingsError(f"The API URL is not one, or has a key in it. {_A_KEY}")
    match = _SHOWABLE.match(url)
    # What stands before an @ may be a password.
    shown = f" {match[0]}" if match and "@" not in url else ""
    try:
        parts = urlsplit(url)
        loopback = _is_loopback(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = loopback = False
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_fine or parts.username:
        key = "" if "://" in url or "." in url else f" {_A_KEY}"
        raise SettingsError(f"The API URL{shown} is not one. Write it like {DEFAULT_API_URL}.{key}")
    if not _is_host(parts.hostname):
        raise SettingsError(f"The API URL{shown} has no host that there could be. Write it like {DEFAULT_API_URL}.")
    if parts.scheme == "http" and not loopback:
        raise SettingsError(f"The API URL{shown} is plain http, which would send the key in clear. Use https.")
    if parts.path.rstrip("/") not in {"", "/v1"} or parts.query or parts.fragment:
        raise SettingsError(f"The API URL{shown} has a path or a query. Give the origin alone.")
    # One spelling for one place: budgets and kept answers are named after it.
    place = parts.netloc.lower()
    return f"{parts.scheme}://{place.removesuffix(':443' if parts.scheme == 'https' else ':80').removesuffix(':')}"


def _is_host(name: str) -> bool:
    """Whether a host could have this name, which may be an address or of another script."""
    if ":" in name:
        return True
    try:
        labels = name.encode("idna").decode().removesuffix(".").split(".")
    except UnicodeError:
        return False
    return all(re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", label) for label in labels)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in _LOOPBACK or host.endswith(".localhost")


def _key_in(path: Path) -> Secret:
    file = Path(os.path.expanduser(path))
    if _like_a_key(str(path)) and not file.is_file():
        raise SettingsError(f"The file of the API key is none, and its name is not shown. {_A_KEY}")
    try:
        return _checked_key(file.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise SettingsError(
            f"Cannot read the API key in {path}: {error.strerror}. Check the path and its mode."
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"The API key in {path} is not text. Check the path.") from None


def _checked_key(key: str | Secret, source: str) -> Secret:
    if not isinstance(key, str | Secret):
        raise SettingsError(f"The API key must be text, a Secret or a Path, not {type(key).__name__}.")
    text = (key.reveal() if isinstance(key, Secret) else key).strip()
    # The key itself must never be in the message.
    if _PATH.match(text):
        raise SettingsError(f"The API key from {source} looks like a file's path: pass pathlib.Path(…) for one.")
    if text[:1] in {"'", '"'}:
        raise SettingsError(f"The API key from {source} stands in quotes. Take them off.")
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise SettingsError(f"The API key from {source} is empty or has characters no key has. Copy it again.")
    return Secret(text)
