"""Withheld: what is never uploaded, whatever was asked for: secrets, caches, and what is no plain file."""

from __future__ import annotations

import fnmatch
import re

SECRETS = "may hold secrets: use the environment's variables"

DIRECTORIES = {
    **dict.fromkeys((".git", ".hg", ".svn"), "version control"),
    "node_modules": "installed packages",
    **dict.fromkeys((".venv", "venv"), "virtual environment"),
    "__pycache__": "compiled files",
    ".ipynb_checkpoints": "checkpoints",
    **dict.fromkeys((".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox"), "cache"),
    **dict.fromkeys((".createos", ".ssh", ".aws", ".azure", ".docker", ".gnupg", ".kube", ".terraform"), SECRETS),
}
"""Directories that are never uploaded, in whatever case they are written, to the reason."""

SECRET_NAMES = (
    *(".env", ".env.*", "*.env", ".envrc"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *(".netrc", "_netrc", ".pypirc", ".git-credentials", ".pgpass", ".my.cnf", ".htpasswd", ".dockercfg"),
    *(".token", ".vault-token", "credentials", "credentials.json", "client_secret*.json", "service-account*.json"),
    *("secrets.json", "secrets.toml", "secrets.yml", "secrets.yaml", "*.tfstate", "*.tfstate.*", "*.tfvars"),
)
"""Files that hold secrets by custom, in whatever case they are written; they are never uploaded."""

_CONFIGURATION = {".npmrc", ".yarnrc", ".yarnrc.yml", "pip.conf", "pip.ini"}
"""Files that a build needs, and that are left out only when a secret stands in them."""

_INLINE_SECRET = re.compile(
    rb"""(?ix)
    (?: _auth | _authtoken | _password | npmauthtoken | password ) ["']? \s* [=:] \s* ["']? (?! \$ ) [^\s"']
    | :// [^\s/:@]+ : (?! \$ ) [^\s/@]+ @
    """
)
_API_KEY = re.compile(rb"(?<![A-Za-z0-9_])skp_[A-Za-z0-9_-]{16}")
_PRIVATE_KEY = re.compile(rb"\s*-----BEGIN [A-Z ]*PRIVATE KEY")
_OTHER = {".ds_store": "of the file manager", "thumbs.db": "of the file manager", ".git": "version control"}


def directory_reason(name: str) -> str:
    """Return why a directory of this name is left out, empty when it is not."""
    folded = name.casefold()
    return DIRECTORIES.get(folded, SECRETS if folded == ".env" or folded.startswith(".env.") else "")


def name_reason(name: str) -> str:
    """Return why a file of this name is left out, empty when it is not."""
    folded = name.casefold()
    if any(fnmatch.fnmatchcase(folded, pattern) for pattern in SECRET_NAMES):
        return SECRETS
    return _OTHER.get(folded, "")


def content_reason(name: str, content: bytes) -> str:
    """Return why a file with this content is left out, empty when it is not."""
    if _PRIVATE_KEY.match(content):
        return "is a private key: use the environment's variables"
    if _API_KEY.search(content):
        return "holds an API key of CreateOS: use the environment's variables"
    if name.casefold() in _CONFIGURATION and _INLINE_SECRET.search(content):
        return "holds a secret: write ${NAME} instead, and set that variable for the build"
    return ""
