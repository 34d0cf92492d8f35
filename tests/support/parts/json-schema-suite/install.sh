#!/bin/sh
# The JSON Schema test suite with draft 2020-12, which Debian 12's package does not have yet: it comes inside the source
# archive of PyPI's jsonschema, in its folder json/.
set -eu
part_dir=$(cd "$(dirname "$0")" && pwd)
. "$part_dir/../common.sh"

version=4.25.1
begin_part json-schema-suite "$version"
need_wheels sdist packaging==25.0 >&2
retry "downloading jsonschema's source archive" "$wheels_dir/bin/pip" download --quiet --disable-pip-version-check --no-input \
	--no-deps --no-binary jsonschema --dest "$dir/.archive" "jsonschema==$version" >&2
tar -xzf "$dir/.archive/jsonschema-$version.tar.gz" -C "$dir" --strip-components=1 "jsonschema-$version/json"
rm -rf "$dir/.archive"
end_part
