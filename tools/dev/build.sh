# Building and running. Sourced by ./dev.

C_PACKAGES="gcc libc6-dev pkg-config meson ninja-build python3 tzdata libjansson-dev libyaml-dev libpcre2-dev libsqlite3-dev
	libcurl4-openssl-dev libssh-dev libsodium-dev libssl-dev libzstd-dev zlib1g-dev"
TEST_PACKAGES="libcmocka-dev json-schema-test-suite"

# shellcheck disable=SC2086 # lists of package names
need_c() { need_packages $C_PACKAGES; }
# shellcheck disable=SC2086
need_c_tests() { need_packages $C_PACKAGES $TEST_PACKAGES; }

# web_sum: changes whenever something that the built dashboard depends on does; the client's types come from the contract.
web_sum() {
	find web docs/api \( -name node_modules -o -name dist \) -prune -o -type f -print | LC_ALL=C sort |
		xargs sha256sum | sha256sum
}

build_dashboard() {
	[ -e web/package.json ] || return 0
	[ -e web/dist/index.html ] && [ "$(cat web/node_modules/.dashboard-sources 2>/dev/null)" = "$(web_sum)" ] && return 0
	need_node
	npm_ci web
	say "building the dashboard"
	npm --prefix web run --silent build >&2
	web_sum >web/node_modules/.dashboard-sources
}

# configure DIR OPTION...: sets a build folder up, or brings its options up to date. A dashboard built anew counts as a
# new option: its files' names change, and they are inputs of the build.
configure() {
	build_dir=$1
	shift
	wanted="$* $(cat web/node_modules/.dashboard-sources 2>/dev/null || true)"
	[ "$(cat "$build_dir/.dev-options" 2>/dev/null)" = "$wanted" ] && return 0
	if [ -e "$build_dir/build.ninja" ]; then
		meson configure "$build_dir" "$@" >/dev/null
	else
		meson setup "$build_dir" "$@" >&2
	fi
	printf '%s' "$wanted" >"$build_dir/.dev-options"
}

# compile DIR TARGET...: everything where no target is named.
compile() { ninja -C "$@" >&2; }

# ./dev run must not wait for the tests' packages, so they are only built where cmocka is.
configure_release() {
	if installed libcmocka-dev; then release_tests=enabled; else release_tests=disabled; fi
	configure build --buildtype=release --prefix=/usr "-Ddashboard=$(dashboard_dir)" "-Dtests=$release_tests"
}

dashboard_dir() { if [ -e web/dist/index.html ]; then printf '%s' "$root/web/dist"; fi; }

build_release() {
	need_c
	build_dashboard
	configure_release
	compile build hbcloud
}

job_build() {
	build_release
	say "built build/hbcloud"
}

job_run() {
	build_release
	exec build/hbcloud serve --data ./.hbcloud "$@"
}

job_watch() {
	need_node
	npm_ci web
	export HBCLOUD_URL="${HBCLOUD_URL:-http://127.0.0.1:3000}"
	say "the dashboard reloads as you edit web/; its API calls go to $HBCLOUD_URL, where a hub must run (./dev run)"
	exec npm --prefix web run --silent dev
}

job_screenshot() {
	build_release
	need_node
	npm_ci tests
	tests/support/parts/chromium/install.sh >/dev/null
	exec node tests/support/screenshot.ts "$@"
}

job_bench() {
	build_release
	need_packages libmicrohttpd-dev
	need_node
	npm_ci tests
	npm_ci bench/peers
	for part in nginx wrk postgres docker-old caddy; do
		tests/support/parts/$part/install.sh >/dev/null
	done
	exec node bench/run.ts "$@"
}
