#!/bin/sh
# Debian's own Docker Engine (on Debian 12: 20.10, API at most 1.41) with its containerd and runc, unpacked and not
# installed: no service starts, and an engine that the machine has stays as it is. docker-new uses the same containerd.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

need_packages libdevmapper1.02.1 libseccomp2 libsystemd0 iproute2 util-linux busybox-static
begin_part docker-old "$(debian_release)"
fetch_debs "$dir" docker.io containerd runc
end_part
