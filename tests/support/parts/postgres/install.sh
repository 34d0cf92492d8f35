#!/bin/sh
# Debian's PostgreSQL server, unpacked and not installed: no cluster and no service of it may start here.
# The libraries it needs are installed, as they start nothing.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

begin_part postgres "$(debian_release)"
apt_knows postgresql || retry "reading Debian's package lists" apt_get update
server=$(apt-cache depends postgresql | awk '/Depends: postgresql-[0-9]/ { print $2; exit }')
# shellcheck disable=SC2046 # a list of package names; LLVM is for its compiler of queries, which is left out
need_packages $(apt-cache depends "$server" | awk '/ Depends: lib/ && !/llvm/ { print $2 }')
fetch_debs "$dir" "$server"
ln -s "usr/lib/postgresql/${server#postgresql-}/bin" "$dir/bin"
end_part
