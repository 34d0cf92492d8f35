#!/bin/sh
# Debian's SSH server, unpacked and not installed: its service must not start here.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

need_packages openssh-client # its ssh-keygen makes the keys
begin_part sshd "$(debian_release)"
fetch_debs "$dir" openssh-server libwrap0
end_part
