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
    *(".env", ".env[-._]*", "*.env", ".envrc"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *(".netrc", "_netrc", ".pypirc", ".git-credentials", ".pgpass", ".my.cnf", ".htpasswd", ".dockercfg"),
    *(".token", ".vault-token", "credentials", "credentials.json", "client_secret*.json", "service-account*.json"),
    *(".secrets", *(f"*secrets.{kind}" for kind in ("json", "toml", "yml", "yaml", "properties"))),
    *("*.tfstate", "*.tfstate.*", "*.tfvars", "kubeconfig", "rclone.conf", ".s3cfg", ".boto"),
    *(".bash_history", ".zsh_history", ".python_history", ".psql_history", ".mysql_history", ".node_repl_history"),
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
_PRIVATE_KEY = re.compile(
    rb"""(?x)
    \A (?:\xef\xbb\xbf)? \s* -----BEGIN [A-Z\ ]* PRIVATE\ KEY
    | (?: [\r\n"'`] | \\n ) [\ \t]* -----BEGIN [A-Z\ ]* PRIVATE\ KEY (?:\ BLOCK)? -----
      (?: \s* [\r\n]+ | (?:\\r)? \\n ) (?: [\w-]+ : \ [^\r\n]* [\r\n]+ )* \s* [A-Za-z0-9+/]{40}
    """
)
"""Of a text that has one in it the key itself counts: a program may put it together from a variable."""
_DOCKER_LOGIN = re.compile(rb'"auths"\s*:\s*\{\s*"[^"]+"\s*:\s*\{\s*"(?:auth|identitytoken)"')
_COPY = re.compile(r"(?:~|\.(?:bak|old|orig|save|swp|swo|tmp|backup|\d{1,3}))+$")
"""What editors and people put behind the name of a copy."""
_OTHER = {".ds_store": "of the file manager", "thumbs.db": "of the file manager", ".git": "version control"}


def directory_reason(name: str) -> str:
    """Return why a directory of this name is left out, empty when it is not."""
    folded = name.casefold()
    return DIRECTORIES.get(folded, SECRETS if folded == ".env" or folded.startswith(".env.") else "")


def name_reason(name: str) -> str:
    """Return why a file of this name is left out, empty when it is not."""
    folded = name.casefold()
    # A copy has what the file has: vi hides its own behind another dot, emacs between number signs.
    plain = _COPY.sub("", folded.strip("#"))
    names = {folded, plain, plain.removeprefix(".")}
    if any(fnmatch.fnmatchcase(each, pattern) for pattern in SECRET_NAMES for each in names):
        return SECRETS
    return _OTHER.get(folded, "")


def content_reason(name: str, content: bytes) -> str:
    """Return why a file with this content is left out, empty when it is not."""
    if _PRIVATE_KEY.search(content):
        return "holds a private key: use the environment's variables"
    if _DOCKER_LOGIN.search(content):
        return "holds a registry's password: use the environment's variables"
    if _API_KEY.search(content):
        return "holds an API key of CreateOS: use the environment's variables"
    if name.casefold() in _CONFIGURATION and _INLINE_SECRET.search(content):
        return "holds a secret: write ${NAME} instead, and set that variable for the build"
    return ""
