#!/bin/sh
# Runs one container engine with a containerd of its own until it is told to stop, and leaves nothing behind.
# usage: engine.sh DIR BRIDGE ADDRESS/LENGTH POOL DOCKERD [flags of dockerd]; PATH holds containerd, runc and docker-proxy.
# Start it by `unshare --mount --propagation unchanged`: no mount of the engine outlives that namespace.
set -u
dir=$1 bridge=$2 address=$3 pool=$4 dockerd=$5

# A container's root cannot be pivoted inside a plain chroot, whose root is no mount point (nor can it be made private,
# which is why unshare is told to leave that to us): make it one.
root_is_mount() { awk '$5 == "/" { found = 1 } END { exit !found }' /proc/self/mountinfo; }
if ! root_is_mount; then
	mkdir -p "$dir/root"
	mount --rbind / "$dir/root" || exit 1
	exec chroot "$dir/root" /bin/sh "$0" "$@"
fi
mount --make-rprivate / || exit 1
shift 5

# Engines give out host ports in the order of the kernel's range and know only their own: side by side they would take each
# other's. Each reads a range of its own, below the one that this machine's programs get their ports from.
third=${address#*.*.} third=${third%%.*}
from=$((10000 + third * 85))
printf '%d\t%d\n' "$from" $((from + 900)) >"$dir/port-range"
mount --bind "$dir/port-range" /proc/sys/net/ipv4/ip_local_port_range || exit 1

cgroup=hbcloud-test-$bridge
containerd_pid='' dockerd_pid=''
trap 'stopping=1' TERM INT
stopping=0

ip link add "$bridge" type bridge && ip address add "$address" dev "$bridge" && ip link set "$bridge" up || exit 1

mkdir -p "$dir/containerd"
printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$dir/containerd.toml"
containerd --config "$dir/containerd.toml" --root "$dir/containerd/root" --state "$dir/containerd/state" \
	--address "$dir/containerd.sock" --log-level warn >"$dir/containerd.log" 2>&1 &
containerd_pid=$!
start_dockerd() {
	"$dockerd" --containerd "$dir/containerd.sock" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/docker.pid" \
		--host "unix://$dir/docker.sock" --bridge "$bridge" --default-address-pool "base=$pool,size=24" \
		--iptables=false --ip6tables=false --ip-masq=false --ip-forward=false --cgroup-parent "/$cgroup" "$@" >>"$dir/dockerd.log" 2>&1 &
	dockerd_pid=$!
}
start_dockerd "$@"

# `wait` returns when a signal comes or when dockerd ends by itself. A test that wants it away for a while leaves a mark.
while :; do
	wait "$dockerd_pid"
	status=$?
	while [ "$stopping" = 0 ] && [ -e "$dir/paused" ]; do sleep 0.1; done
	if [ "$stopping" != 0 ] || [ ! -e "$dir/again" ]; then
		break
	fi
	rm "$dir/again"
	start_dockerd "$@"
done
[ "$stopping" = 0 ] || status=0

end() {
	kill -TERM "$1" 2>/dev/null
	for _ in $(seq 150); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$1" 2>/dev/null
}
end "$dockerd_pid"
end "$containerd_pid"

# Shims and containers live on without the daemons; both carry this engine's own marks.
for mark in "$dir/containerd.sock" "$dir/exec"; do
	for process in /proc/[0-9]*; do
		case $(tr '\0' ' ' <"$process/cmdline" 2>/dev/null) in
		*containerd-shim*"$mark"*) kill -KILL "${process#/proc/}" 2>/dev/null ;;
		esac
	done
done
find /sys/fs/cgroup -type d -path "*/$cgroup*" -name '*' 2>/dev/null | sort -r | while read -r group; do
	xargs -r kill -KILL <"$group/cgroup.procs" 2>/dev/null
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		rmdir "$group" 2>/dev/null && break
		sleep 0.1
	done
done
ip link delete "$bridge" 2>/dev/null
exit "$status"
