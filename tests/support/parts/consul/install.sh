#!/bin/sh
# Consul 1.14 (MPL-2.0), built from its Go module: Debian 12 has no package of it. About 5 minutes cold.
# Its HTTP API for services, checks and keys is that of later ones. go.mod and go.sum beside this file pin every module.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

begin_part consul 1.14.11
need_go 25
mkdir -p "$dir/bin"
build() {
	GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0 nice -n 10 \
		go -C "$part_dir" build -trimpath -ldflags='-s -w' -o "$dir/bin/" github.com/hashicorp/consul
}
retry "building Consul" build
end_part
