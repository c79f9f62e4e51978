#!/bin/sh
# Makes everything that the image of ebb contains, as a directory: the static binary,
# the certificate authorities, the user, and a state directory. The Dockerfile runs this
# in its build stage and copies the result into an empty image; `make deployments`
# runs it without any container engine and tries the result in a jail. One script, so that
# what is tried is what is shipped.
#
#   deployments/container/rootfs.sh DIRECTORY
#
# From the environment: VERSION (default devel), GOOS and GOARCH for another platform,
# CA_CERTIFICATES (default Debian's bundle).
set -eu
cd "$(dirname "$0")/../.."

out=${1:?usage: deployments/container/rootfs.sh DIRECTORY}
authorities=${CA_CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}
if [ ! -s "$authorities" ]; then
	echo "rootfs.sh: $authorities is missing or empty: install ca-certificates, or name a bundle in CA_CERTIFICATES" >&2
	exit 1
fi

mkdir -p "$out/usr/bin" "$out/etc/ssl/certs" "$out/var/lib/ebb"

# Flags as in `make build`. No database of time zones: ebb writes all times in UTC.
CGO_ENABLED=0 go build -trimpath -buildvcs=false \
	-ldflags "-s -w -X main.version=${VERSION:-devel}" -o "$out/usr/bin/ebb" ./cmd/ebb

cp "$authorities" "$out/etc/ssl/certs/ca-certificates.crt"
echo 'ebb:x:65532:65532:ebb:/var/lib/ebb:/sbin/nologin' >"$out/etc/passwd"
echo 'ebb:x:65532:' >"$out/etc/group"
chmod 0755 "$out" "$out/usr" "$out/usr/bin" "$out/usr/bin/ebb" "$out/etc" "$out/etc/ssl" "$out/etc/ssl/certs" "$out/var" "$out/var/lib"
chmod 0644 "$out/etc/passwd" "$out/etc/group" "$out/etc/ssl/certs/ca-certificates.crt"
chmod 0700 "$out/var/lib/ebb"
