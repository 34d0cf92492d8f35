#!/bin/sh
# Debian's Chromium, installed: it has no service, and needs many libraries.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

need_packages chromium fonts-dejavu-core
begin_part chromium "$(debian_release)"
mkdir -p "$dir/bin"
ln -sf /usr/bin/chromium "$dir/bin/chromium"
end_part
