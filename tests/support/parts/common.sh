# Sourced by each part's install.sh. A part is built once into $parts/<name>-<version> and complete when .done stands in it.
# POSIX sh; the caller has set -eu and part_dir (its own folder).

root=$(cd "$part_dir/../../../.." && pwd)
job_name=parts
. "$root/tools/dev/common.sh"

debian_release() { (. /etc/os-release && printf 'debian%s' "${VERSION_ID:-unknown}"); }

# begin_part NAME VERSION: sets $dir to an empty folder to fill, or ends the script when the part is there already.
# One process builds at a time; the others wait and find it done.
begin_part() {
	part=$1-$2
	mkdir -p "$parts"
	exec 9>"$parts/$part.lock"
	flock 9
	dir=$parts/$part
	if [ -e "$dir/.done" ]; then
		printf '%s\n' "$dir"
		exit 0
	fi
	say "building the test part $part into $dir"
	rm -rf "$dir"
	mkdir -p "$dir"
}

# end_part: marks it complete and prints where it is, which is all that stdout carries.
end_part() {
	: >"$dir/.done"
	printf '%s\n' "$dir"
}
