#!/usr/bin/env python3
"""Makes one C source of the migration files given: migrations.py OUT NNNN_name.sql ..."""
import os
import re
import sys


def main(out, files):
    rows = []
    for path in sorted(files, key=os.path.basename):
        found = re.fullmatch(r"(\d{4})_(\w+)\.sql", os.path.basename(path))
        if not found:
            sys.exit(f"{path}: a migration is called NNNN_name.sql")
        with open(path, encoding="utf-8") as f:
            lines = [line.rstrip() for line in f]
        text = "\n".join('    "' + l.replace("\\", "\\\\").replace('"', '\\"') + '\\n"' for l in lines if l)
        rows.append((int(found[1]), found[2], text))
    numbers = [r[0] for r in rows]
    if numbers != list(range(1, len(rows) + 1)):
        sys.exit(f"migrations must be numbered 1..n without gaps, have {numbers}")
    with open(out, "w", encoding="utf-8") as f:
        f.write('#include "store/migrations.h"\n\nconst struct migration migrations[] = {\n')
        for number, name, text in rows:
            f.write(f'    {{ {number}, "{name}",\n{text} }},\n')
        f.write("};\nconst size_t migration_count = sizeof migrations / sizeof migrations[0];\n")


main(sys.argv[1], sys.argv[2:])
