# The image of ebb: one static binary in an otherwise empty image, as a user without
# rights. Build it with `make image`; deployments/container/README.md has the rest.

# Pinned by its full tag. To pin it by digest as well:
#   docker buildx imagetools inspect golang:1.26.8-bookworm --format '{{.Manifest.Digest}}'
ARG GO_IMAGE=golang:1.26.8-bookworm

# The build runs on the machine's own platform and compiles for the target's.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
ENV GOTOOLCHAIN=local
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=devel
# GOPROXY=off: what the build links is what go.sum named in the step before.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH GOPROXY=off VERSION=$VERSION sh deployments/container/rootfs.sh /out

FROM scratch
ARG VERSION=devel REVISION=unknown CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="ebb" \
      org.opencontainers.image.description="A queue-driven EC2 autoscaler for ClearML queues" \
      org.opencontainers.image.source="https://github.com/ebbscale/ebb" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
COPY --from=build /out/usr /usr
COPY --from=build /out/etc /etc
COPY --from=build --chown=65532:65532 /out/var/lib /var/lib
# A number and no name: Kubernetes' runAsNonRoot can tell that it is not root.
USER 65532:65532
VOLUME ["/var/lib/ebb"]
EXPOSE 8480
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=40s --retries=3 \
    CMD ["/usr/bin/ebb", "healthcheck"]
ENTRYPOINT ["/usr/bin/ebb"]
CMD ["run", "--config", "/etc/ebb/ebb.yaml"]
