"""Make the virtual environment .venv of this checkout, with everything installed. Needs only Python 3.11+.

python3 .ci/setup.py            what createos-nb needs to run
python3 .ci/setup.py --test     and what its tests need
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Create .venv, or bring it up to date."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--test", action="store_true", help="install what the tests need, too")
    test = arguments.parse_args().test
    if sys.version_info < (3, 11):
        sys.exit(f"createos_nb needs Python 3.11 or newer; this is {sys.version.split()[0]}. Run a newer one.")
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        sys.exit("Python's venv or pip is missing. On Debian or Ubuntu: apt-get install python3-venv")
    started = time.monotonic()
    home = ROOT / ".venv"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists() or subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode:
        venv.EnvBuilder(with_pip=True, clear=True, symlinks=os.name != "nt").create(home)
    what = f"{ROOT}[{'test' if test else 'all'}]"
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--constraint", str(ROOT / ".ci/constraints.txt"), "--editable", what]
    print(f"Installing createos_nb into {home} (about a minute) …", flush=True)
    if code := subprocess.run(command, check=False).returncode:
        sys.exit(f"pip could not install it (exit code {code}; its own message is above). Run this again.")
    # Every process of a platform, a kernel and a command reads these; where PYTHONDONTWRITEBYTECODE is set, each
    # would compile them anew, for a quarter of a second.
    subprocess.run([python, "-m", "compileall", "-q", str(ROOT / "createos_nb")], check=False)
    print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)


if __name__ == "__main__":
    main()
