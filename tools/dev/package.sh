# Packages for owners: a .deb, and an OCI image where a container engine runs. Sourced by ./dev.

packages=build/packages

# library_packages FILE: the Debian packages that hold the shared libraries a program is linked with.
library_packages() {
	ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | while read -r library; do
		dpkg-query -S "$library" 2>/dev/null || dpkg-query -S "/usr$library" 2>/dev/null ||
			dpkg-query -S "$(readlink -f "$library")"
	done | sed 's/:.*//' | sort -u | sed "s/^libc6$/libc6 (>= $(libc_version))/" | paste -sd, - | sed 's/,/, /g'
}

# An older libc lacks symbols that the program was linked with; the other libraries' package names carry their ABI.
libc_version() { dpkg-query -W -f='${source:Upstream-Version}' libc6; }

project_version() { sed -n "s/^ *version: '\([^']*\)'.*/\1/p" meson.build | head -1; }

write_control() {
	cat <<END
Package: hbcloud
Version: $version
Architecture: $architecture
Maintainer: the hbcloud authors <hbcloud@localhost>
Depends: $(library_packages build/hbcloud), adduser, ca-certificates, tzdata
Section: admin
Priority: optional
Description: control plane of a personal cloud
 Knows the machines, runs services on them, gathers their metrics and records
 every deployment; one program with a dashboard, an API and a command line.
END
}

build_deb() {
	version=$(project_version) architecture=$(dpkg --print-architecture)
	tree=build/deb
	rm -rf "$tree"
	mkdir -p "$tree/DEBIAN" "$packages"
	DESTDIR="$root/$tree" meson install -C build --no-rebuild --quiet >&2
	strip "$tree/usr/bin/hbcloud"
	install -D -m 0644 infrastructure/systemd/hbcloud.service "$tree/usr/lib/systemd/system/hbcloud.service"
	install -D -m 0644 LICENSE "$tree/usr/share/doc/hbcloud/copyright"
	for script in postinst prerm postrm; do
		install -m 0755 "infrastructure/systemd/$script" "$tree/DEBIAN/$script"
	done
	write_control >"$tree/DEBIAN/control"
	deb=$packages/hbcloud_${version}_$architecture.deb
	dpkg-deb --root-owner-group --build "$tree" "$deb" >&2
	say "built $deb"
}

build_image() {
	if ! command -v docker >/dev/null 2>&1 || ! docker info >/dev/null 2>&1; then
		say "no container engine answers here, so no image is built"
		return 0
	fi
	(. /etc/os-release && docker build --network=host --build-arg "DEBIAN=${VERSION_ID:-12}" -t "hbcloud:$version" -f infrastructure/docker/Dockerfile .) >&2
	say "built the image hbcloud:$version"
}

job_package() {
	need_packages binutils
	build_release
	build_deb
	build_image
}
