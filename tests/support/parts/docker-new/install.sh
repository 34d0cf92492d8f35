#!/bin/sh
# Docker Engine 29 (API 1.44 to 1.52), built from its Go module: Debian 12 has no package of it. About 7 minutes cold.
# It runs on the containerd and runc of docker-old. go.mod and go.sum beside this file pin every module.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

need_packages libnftables1 libsystemd0
"$part_dir/../docker-old/install.sh" >/dev/null
begin_part docker-new 29.0.0-beta.2
need_packages gcc libc6-dev pkg-config libnftables-dev libsystemd-dev
need_go 25
mkdir -p "$dir/bin"
build() {
	GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=1 nice -n 10 \
		go -C "$part_dir" build -trimpath -ldflags='-s -w' -o "$dir/bin/" \
		github.com/moby/moby/v2/cmd/dockerd github.com/moby/moby/v2/cmd/docker-proxy
}
retry "building Docker Engine 29" build
end_part
