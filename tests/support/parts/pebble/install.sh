#!/bin/sh
# Pebble, Debian's build: an ACME server for tests that believes every challenge.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

need_packages openssl # for its own TLS certificate
begin_part pebble "$(debian_release)"
fetch_debs "$dir" pebble
end_part
