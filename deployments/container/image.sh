#!/usr/bin/env bash
# Builds the image of ebb for all its platforms, with a bill of materials (SPDX, made by
# BuildKit's scanner) and provenance (SLSA) attached to it. `make image` calls this.
#
#   IMAGE=registry.example.com/ebb PUSH=yes deployments/container/image.sh
#
# From the environment:
#   IMAGE      name without tag (default ebb)
#   VERSION    tag and what `ebb --version` says (default: git describe)
#   PLATFORMS  default linux/amd64,linux/arm64
#   PUSH       yes pushes; otherwise the image goes into .cache/ebb-VERSION.oci.tar
#   GO_IMAGE   the image to build in, to pin it by digest
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! docker buildx version >/dev/null 2>&1; then
	echo "image.sh: this needs docker with the buildx plugin (docker-buildx), and a builder for attestations: docker buildx create --use --driver docker-container" >&2
	exit 1
fi

image=${IMAGE:-ebb}
version=${VERSION:-$(git describe --tags --always --dirty)}
revision=$(git rev-parse HEAD)
created=$(git show --no-patch --format=%cI HEAD)
# Times in the layers are the commit's, so that the same commit gives the same image.
SOURCE_DATE_EPOCH=$(git show --no-patch --format=%ct HEAD)
export SOURCE_DATE_EPOCH

arguments=(
	--platform "${PLATFORMS:-linux/amd64,linux/arm64}"
	--build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "CREATED=$created"
	--sbom=true --provenance=mode=max
	--tag "$image:$version"
)
if [ -n "${GO_IMAGE:-}" ]; then
	arguments+=(--build-arg "GO_IMAGE=$GO_IMAGE")
fi
if [ "${PUSH:-no}" = yes ]; then
	arguments+=(--push)
else
	mkdir -p .cache
	arguments+=(--output "type=oci,dest=.cache/ebb-$version.oci.tar,rewrite-timestamp=true")
fi
exec docker buildx build "${arguments[@]}" .
