#!/usr/bin/env python3
"""Installs what the program prints about itself: the manual page and the shells' completion.

Run by `meson install`: install.py PROGRAM MANDIR DATADIR
"""
import os
import subprocess
import sys
from pathlib import Path

program, mandir, datadir = sys.argv[1:]
program = os.path.join(os.environ["MESON_BUILD_ROOT"], program)
root = Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"])
FILES = {
    root / mandir / "man1/hbcloud.1": ["man"],
    root / datadir / "bash-completion/completions/hbcloud": ["completion", "bash"],
    root / datadir / "zsh/site-functions/_hbcloud": ["completion", "zsh"],
    root / datadir / "fish/vendor_completions.d/hbcloud.fish": ["completion", "fish"],
}
for path, arguments in FILES.items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE).stdout)
