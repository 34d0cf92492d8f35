#!/bin/sh
# Debian's wrk, which is a command and no service, so it is installed.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

need_packages wrk
begin_part wrk "$(debian_release)"
mkdir -p "$dir/bin"
ln -sf /usr/bin/wrk "$dir/bin/wrk"
end_part
