# Tests, sanitizers, fuzzers, coverage. Sourced by ./dev. Each tier leaves "passed failed skipped" in build/test-results/<tier>.

ALL_TIERS="unit component contract scenario browser fuzz"
results=build/test-results
FUZZ_CLANG=clang-19

# record TIER KIND FILE...: counts what a runner wrote down; a runner that wrote nothing counts as one failure.
record() {
	tier=$1
	shift
	mkdir -p "$results"
	python3 tools/count_tests.py "$@" >"$results/$tier"
	read -r tier_passed tier_failed tier_skipped <"$results/$tier"
	say "$tier: $tier_passed passed, $tier_failed failed, $tier_skipped skipped"
}

has_tests() { [ -n "$(find "$1" -name "$2" -print 2>/dev/null | head -1)" ]; }

# Debian's suite of JSON Schema, and the newer one with draft 2020-12 (its absence skips those cases alone).
schema_suites() {
	suites=/usr/share/json-schema-test-suite
	newer=$(tests/support/parts/json-schema-suite/install.sh) && suites=$suites:$newer/json
	printf '%s' "$suites"
}

# unit_tests DIR NAME: runs cmocka below a configured build folder, one count a test case.
unit_tests() {
	rm -f "$1/meson-logs/testlog.json"
	JSON_SCHEMA_SUITE=$(schema_suites) meson test -C "$1" --no-rebuild --print-errorlogs --timeout-multiplier "${TEST_SLOWER:-1}" >&2 || true
	record "$2" meson "$1/meson-logs/testlog.json"
}

tier_unit() {
	need_c_tests
	configure_release
	compile build
	unit_tests build unit
}

tier_component() {
	[ -e web/package.json ] || return 0
	need_node
	npm_ci web
	component_report=$root/$results/component.json
	rm -f "$component_report"
	npm --prefix web run --silent test -- --reporter=default --reporter=json --outputFile.json="$component_report" >&2 || true
	record component vitest "$component_report"
}

# parts_for TIER: builds what the tier starts, so that the time it takes is seen here and not inside a test.
# A part that cannot be had is a skip in its tests, and in CI a failure.
parts_for() {
	case $1 in
	scenario) tier_parts="docker-old registry caddy pebble sshd compose" ;;
	browser) tier_parts="docker-old registry caddy chromium" ;;
	*) tier_parts="" ;;
	esac
	[ "$1" = scenario ] && [ "$quick" = 0 ] && tier_parts="$tier_parts docker-new consul"
	for part in $tier_parts; do
		"tests/support/parts/$part/install.sh" >/dev/null || say "the part $part could not be installed"
	done
}

# node_tests TIER: tests/<tier>/**/*.test.ts on node's own runner, against build/hbcloud or $HBCLOUD_BINARY.
node_tests() {
	has_tests "tests/$1" '*.test.ts' || return 0
	need_node
	npm_ci tests
	parts_for "$1"
	mkdir -p "$results"
	HBCLOUD_TEST_QUICK=$quick node --test --test-concurrency="${TEST_JOBS:-3}" --test-timeout=600000 \
		--test-reporter=spec --test-reporter-destination=stdout \
		--test-reporter=tap --test-reporter-destination="$results/$1.tap" "tests/$1/**/*.test.ts" >&2 || true
	record "${2:-$1}" tap "$results/$1.tap"
}

# The proofs at their full length; `./dev test` runs the same files with fewer rounds.
job_proof() {
	need_binary
	need_node
	npm_ci tests
	parts_for scenario
	HBCLOUD_PROOF=full exec node --test --test-concurrency=1 --test-timeout=1800000 --test-reporter=spec "tests/scenario/proof-*.test.ts"
}

# Scenarios also run some of the C tests, against real parts.
need_binary() {
	if [ -z "${HBCLOUD_BINARY:-}" ]; then
		need_c_tests
		build_release
		compile build
	fi
}

fuzzers() { find tests/fuzz -maxdepth 1 -name '*.c' 2>/dev/null | sed 's#.*/\(.*\)\.c$#\1#' | LC_ALL=C sort; }

# fuzz_one NAME SECONDS: new inputs stay out of the repository, in build-fuzz/corpus; a crash is kept with its input.
fuzz_one() {
	fuzz_name=$1 fuzz_seconds=$2
	mkdir -p "build-fuzz/corpus/$fuzz_name" build-fuzz/crashes
	set -- "build-fuzz/corpus/$fuzz_name"
	[ ! -d "tests/fuzz/corpus/$fuzz_name" ] || set -- "$@" "tests/fuzz/corpus/$fuzz_name"
	say "fuzzing $fuzz_name for $fuzz_seconds s"
	"build-fuzz/bin/$fuzz_name" -max_total_time="$fuzz_seconds" -rss_limit_mb=2048 -timeout=20 \
		-artifact_prefix="build-fuzz/crashes/$fuzz_name-" "$@" >"build-fuzz/$fuzz_name.log" 2>&1 || {
		tail -40 "build-fuzz/$fuzz_name.log" >&2
		return 1
	}
}

# The rooms' libraries are built with coverage feedback for the fuzzer; each target is linked with all of them.
build_fuzzers() {
	# shellcheck disable=SC2086 # a list of package names
	need_packages $C_PACKAGES "$FUZZ_CLANG" "libclang-rt-${FUZZ_CLANG#clang-}-dev"
	CC=$FUZZ_CLANG configure build-fuzz --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
		-Dc_args=-fsanitize=fuzzer-no-link -Dtests=disabled
	compile build-fuzz
	mkdir -p build-fuzz/bin
	for fuzzer in $(fuzzers); do
		link_fuzzer "$fuzzer"
	done
}

# shellcheck disable=SC2046 # lists of options and files
link_fuzzer() {
	"$FUZZ_CLANG" -g -O1 -std=gnu17 -D_GNU_SOURCE -Isrc -fsanitize=fuzzer,address,undefined "tests/fuzz/$1.c" \
		-o "build-fuzz/bin/$1" -Wl,--start-group $(find build-fuzz/src -name '*.a') -Wl,--end-group \
		$(pkg-config --cflags --libs jansson yaml-0.1 libpcre2-8 sqlite3 libcurl libssh libsodium openssl libzstd zlib) -lm -pthread
}

# run_fuzzers SECONDS NAME...
run_fuzzers() {
	fuzz_time=$1
	shift
	fuzz_passed=0 fuzz_failed=0
	for fuzzer in "$@"; do
		if fuzz_one "$fuzzer" "$fuzz_time"; then
			fuzz_passed=$((fuzz_passed + 1))
		else
			fuzz_failed=$((fuzz_failed + 1))
		fi
	done
	mkdir -p "$results"
	printf '%s %s 0\n' "$fuzz_passed" "$fuzz_failed" >"$results/fuzz"
	say "fuzz: $fuzz_passed passed, $fuzz_failed failed"
}

tier_fuzz() {
	[ -n "$(fuzzers)" ] || return 0
	build_fuzzers
	# shellcheck disable=SC2046 # names without spaces
	run_fuzzers 5 $(fuzzers)
}

run_tier() {
	case $1 in
	unit) tier_unit ;;
	component) tier_component ;;
	contract | scenario | browser)
		need_binary
		node_tests "$1"
		;;
	fuzz) tier_fuzz ;;
	esac
}

# parse_tiers DEFAULT ARGUMENT...: sets $tiers and $quick.
parse_tiers() {
	quick=0 tiers="" default_tiers=$1
	shift
	for argument in "$@"; do
		case $argument in
		--quick) quick=1 ;;
		unit | component | contract | scenario | browser | fuzz) tiers="$tiers $argument" ;;
		*)
			say "there is no tier '$argument'; the tiers are: $ALL_TIERS"
			exit 2
			;;
		esac
	done
	[ -n "$tiers" ] || tiers=$default_tiers
}

# summary: adds the tiers' counts; the line that others read stands last, alone. The runners' own reports lie beside the
# counts and are not read: one without a newline at its end once swallowed the counts of the tier after it.
summary() {
	for counted in $ALL_TIERS; do
		cat "$results/$counted" 2>/dev/null || :
	done | awk '
		NF == 3 && /^[0-9 ]+$/ { passed += $1; failed += $2; skipped += $3 }
		END {
			printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
			exit (failed > 0 || passed == 0)
		}'
}

# A tier whose build breaks is a failure of that tier and does not keep the others from running.
run_tiers() {
	rm -rf "$results"
	mkdir -p "$results"
	for tier in $tiers; do
		say "tier $tier"
		attempt run_tier "$tier"
		[ "$attempt_status" = 0 ] || {
			say "the tier $tier could not run"
			[ -e "$results/$tier" ] || echo "0 1 0" >"$results/$tier"
		}
	done
	summary
}

job_test() {
	parse_tiers "$ALL_TIERS" "$@"
	run_tiers
}

# job_sanitized NAME SANITIZERS TIER...: the same tests on a binary of its own build folder. Scenarios run without slow parts.
job_sanitized() {
	sanitized_dir=build-$1 sanitizers=$2
	shift 2
	parse_tiers "unit scenario" "$@"
	quick=1
	need_c_tests
	configure "$sanitized_dir" --buildtype=debugoptimized "-Db_sanitize=$sanitizers" -Db_lundef=false -Dtests=enabled
	compile "$sanitized_dir"
	export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
	export TSAN_OPTIONS="halt_on_error=0:second_deadlock_stack=1:suppressions=$root/tools/dev/tsan.supp"
	export HBCLOUD_BINARY="$root/$sanitized_dir/hbcloud" TEST_SLOWER=5
	tier_unit() { unit_tests "$sanitized_dir" unit; }
	run_tiers
}

# ThreadSanitizer of Debian 12's gcc cannot bear the address randomization of newer kernels.
job_tsan() {
	if [ -z "${HBCLOUD_ASLR_OFF:-}" ] && setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
		HBCLOUD_ASLR_OFF=1 exec setarch "$(uname -m)" --addr-no-randomize ./dev tsan "$@"
	fi
	job_sanitized tsan thread "$@"
}

job_fuzz() {
	build_fuzzers
	# shellcheck disable=SC2046
	[ $# -gt 0 ] || set -- $(fuzzers)
	run_fuzzers "${FUZZ_SECONDS:-60}" "$@"
	[ "$fuzz_failed" = 0 ]
}

job_coverage() {
	need_c_tests
	need_wheels gcovr "$GCOVR_WHEEL"
	configure build-coverage --buildtype=debug -Db_coverage=true -Dtests=enabled
	compile build-coverage
	find build-coverage -name '*.gcda' -delete
	unit_tests build-coverage unit
	"$toolchain/gcovr/bin/gcovr" --root . --filter 'src/' --json-summary build-coverage/coverage.json \
		--gcov-ignore-errors=no_working_dir_found build-coverage
	python3 tools/coverage_by_room.py build-coverage/coverage.json
}
