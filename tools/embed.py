#!/usr/bin/env python3
"""Makes the sources that carry the contract and the built dashboard inside the binary.

Writes a table in C, the bytes in one file, and an assembly file that includes the bytes (a C array of megabytes would
take a compiler minutes). Files that shrink are kept a second time, gzipped. The output depends only on the input.
"""
import argparse
import gzip
import hashlib
from pathlib import Path

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
ALREADY_SMALL = {".png", ".woff2", ".ico"}
LEFT_OUT = {".map"}
ALIGN = 16


class Bytes:
    """The one file of bytes, and where each piece begins."""

    def __init__(self):
        self.data = bytearray()

    def add(self, piece):
        self.data += b"\0" * (-len(self.data) % ALIGN)
        begin = len(self.data)
        self.data += piece + b"\0"
        return begin


def files_of(folder):
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and not hidden and path.suffix not in LEFT_OUT:
            yield relative.as_posix(), path


def squeeze(content, suffix):
    if suffix in ALREADY_SMALL:
        return b""
    small = gzip.compress(content, 9, mtime=0)
    return small if len(small) < len(content) * 0.9 else b""


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def row(name, path, store):
    content = path.read_bytes()
    small = squeeze(content, path.suffix)
    tag = '"' + hashlib.sha256(content).hexdigest()[:32] + '"'
    kind = TYPES.get(path.suffix, "application/octet-stream")
    begin = store.add(content)
    begin_small = store.add(small) if small else 0
    return (
        f"    {{ {quoted(name)}, {quoted(kind)}, {quoted(tag)}, embedded_bytes + {begin}, {len(content)}, "
        f"embedded_bytes + {begin_small}, {len(small)} }},"
    )


def c_text(rows, contract_begin, contract_len):
    return "\n".join(
        [
            "/* Made by tools/embed.py. */",
            '#include "http/embedded.h"',
            "",
            "extern const char embedded_bytes[];",
            "",
            f"const char *const embedded_contract = embedded_bytes + {contract_begin};",
            f"const size_t embedded_contract_len = {contract_len};",
            f"const size_t embedded_count = {len(rows)};",
            "const struct embedded_file embedded_files[] = {",
            *rows,
            "    { 0 }",
            "};",
            "",
        ]
    )


def s_text(bytes_file):
    return "\n".join(
        [
            "/* Made by tools/embed.py. */",
            ".section .rodata",
            f".balign {ALIGN}",
            ".globl embedded_bytes",
            ".type embedded_bytes, %object",
            "embedded_bytes:",
            f'.incbin "{bytes_file}"',
            ".size embedded_bytes, . - embedded_bytes",
            '.section .note.GNU-stack,"",%progbits',
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contract", type=Path, required=True)
    parser.add_argument("--dashboard", default="", help="folder of the built dashboard; empty: built without")
    parser.add_argument("--depfile", type=Path, required=True)
    parser.add_argument("--bytes", type=Path, required=True)
    parser.add_argument("--asm", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    arguments = parser.parse_args()

    store = Bytes()
    contract = arguments.contract.read_bytes()
    contract_begin = store.add(contract)
    found = list(files_of(Path(arguments.dashboard))) if arguments.dashboard else []
    rows = [row(name, path, store) for name, path in sorted(found)]
    arguments.bytes.write_bytes(store.data)
    arguments.asm.write_text(s_text(arguments.bytes.resolve()))
    arguments.table.write_text(c_text(rows, contract_begin, len(contract)))
    needed = " ".join(str(path).replace(" ", "\\ ") for path in [arguments.contract, *(path for _, path in found)])
    arguments.depfile.write_text(f"{arguments.table}: {needed}\n")


if __name__ == "__main__":
    main()
