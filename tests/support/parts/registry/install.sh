#!/bin/sh
# Debian's docker-registry, unpacked and not installed: its service must not start here.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

begin_part registry "$(debian_release)"
fetch_debs "$dir" docker-registry
end_part
