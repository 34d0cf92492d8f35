# What must hold before a change lands. Sourced by ./dev. Every check runs; the job fails when one did.

CLANG_TIDY=clang-tidy-19

c_sources() { find src tests \( -name node_modules -prune \) -o -name '*.[ch]' -print | LC_ALL=C sort; }

need_clang_format() { need_wheels clang-format "$CLANG_FORMAT_WHEEL"; }

job_format() {
	need_clang_format
	c_sources | xargs "$toolchain/clang-format/bin/clang-format" -i
}

check_format() {
	need_clang_format
	c_sources | xargs "$toolchain/clang-format/bin/clang-format" --dry-run --Werror 2>"build/check-format.log" && return 0
	sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: error:.*/\1/p' build/check-format.log | sort | uniq -c >&2
	say "./dev format lays these files out"
	return 1
}

configure_check() {
	need_c_tests
	configure build-check --buildtype=debugoptimized -Dwerror=true -Dtests=enabled
}

check_warnings() {
	configure_check
	compile build-check
}

check_tidy() {
	need_packages "$CLANG_TIDY"
	configure_check
	compile build-check build.ninja
	find src -name '*.c' | LC_ALL=C sort |
		xargs -P "$(nproc)" -n 4 "$CLANG_TIDY" -p build-check --quiet --warnings-as-errors='*' \
			--extra-arg=-Wno-unknown-warning-option >build/check-tidy.log 2>&1 && return 0
	grep -E 'warning:|error:' build/check-tidy.log | sort -u >&2
	return 1
}

check_layering() { python3 tools/layering.py >&2; }

check_web() {
	[ -e web/package.json ] || return 0
	need_node
	npm_ci web
	npm --prefix web run --silent lint >&2
}

check_test_types() {
	need_node
	npm_ci tests
	npm --prefix tests run --silent types >&2
	npm --prefix tests run --silent check >&2
}

# check_contract: a client written against the last release must still work.
check_contract() {
	last_tag=$(git describe --tags --abbrev=0 2>/dev/null || true)
	if [ -z "$last_tag" ]; then
		say "contract: no release is tagged yet, so there is nothing to compare with"
		return 0
	fi
	need_node
	npm_ci tests
	git show "$last_tag:docs/api/openapi.yaml" >build/openapi-last.yaml
	node tests/contract/contract-diff.ts build/openapi-last.yaml docs/api/openapi.yaml >&2
}

# check_env_example: the file is printed from the settings table, so it can only be stale.
check_env_example() {
	build_release
	build/hbcloud config env-example | diff -u .env.example - >&2 && return 0
	say ".env.example is stale: build/hbcloud config env-example >.env.example"
	return 1
}

# check_drawn: pages that are made from the code.
check_drawn() { python3 tools/deployment_doc.py --check >&2; }

check_scripts() {
	need_packages shellcheck
	shellcheck -s sh -e SC1091,SC2034,SC2154,SC2317 dev tools/dev/*.sh tests/support/parts/*.sh tests/support/parts/*/install.sh >&2 && shellcheck .ci/run >&2
}

job_check() {
	[ $# -gt 0 ] || set -- format warnings tidy layering web test_types contract env_example drawn scripts
	mkdir -p build
	failed_checks=""
	for check in "$@"; do
		say "check $check"
		attempt "check_$check"
		[ "$attempt_status" = 0 ] || failed_checks="$failed_checks $check"
	done
	[ -z "$failed_checks" ] || die "these checks failed:$failed_checks"
	say "all checks hold"
}
