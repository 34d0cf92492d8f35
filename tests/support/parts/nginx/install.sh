#!/bin/sh
# Debian's nginx, unpacked and not installed: its service must not take port 80 here.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

begin_part nginx "$(debian_release)"
fetch_debs "$dir" nginx
end_part
