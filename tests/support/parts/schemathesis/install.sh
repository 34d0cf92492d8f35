#!/bin/sh
# Schemathesis: requests made from the contract, sensible and senseless, and each reply held against it.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

version=4.32.5
begin_part schemathesis "$version"
need_packages python3 python3-venv
/usr/bin/python3 -m venv "$dir"
retry "installing schemathesis" "$dir/bin/pip" install --quiet --disable-pip-version-check --no-input "schemathesis==$version"
end_part
