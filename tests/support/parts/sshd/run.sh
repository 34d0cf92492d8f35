#!/bin/sh
# Runs an SSH server that needs a user and a folder which only its package's installation would make.
# usage: run.sh DIR SSHD; start it by `unshare --mount`, so that nobody else sees either.
set -eu
dir=$1 sshd=$2
mount --make-rprivate / 2>/dev/null || :
if ! grep -q '^sshd:' /etc/passwd; then
	cp /etc/passwd "$dir/passwd"
	echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin' >>"$dir/passwd"
	mount --bind "$dir/passwd" /etc/passwd
fi
mkdir -p /run/sshd
exec "$sshd" -D -e -f "$dir/sshd_config"
