# Everything a person or CI does with this tree. `make help` lists the targets.
# Tool versions are pinned here and nowhere else; docs/adr/0002-tooling.md says why.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

GOLANGCI_LINT_VERSION    := v2.13.1
GO_CHECK_SUMTYPE_VERSION := v0.3.1
HELM_VERSION             := v4.3.1
CYCLONEDX_GOMOD_VERSION  := v1.10.0

GO ?= go
ifeq ($(shell command -v $(GO) 2>/dev/null),)
$(error $(GO) not found: install Go 1.26 or newer from https://go.dev/dl and put it on PATH)
endif

# Linters are built once per machine, not once per clone: they live in the user's
# cache, under the Go version that built them (a linter must be at least as new as
# the code it reads).
EBB_TOOLS_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ebb/tools/$(shell $(GO) env GOVERSION)
GOLANGCI      := $(EBB_TOOLS_DIR)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
SUMTYPE       := $(EBB_TOOLS_DIR)/go-check-sumtype-$(GO_CHECK_SUMTYPE_VERSION)/go-check-sumtype

HELM          := $(EBB_TOOLS_DIR)/helm-$(HELM_VERSION)/helm
CYCLONEDX     := $(EBB_TOOLS_DIR)/cyclonedx-gomod-$(CYCLONEDX_GOMOD_VERSION)/cyclonedx-gomod

# The Python side of the contract tests: an environment of its own, pinned.
EBB_REAL_VENV     ?= $(CURDIR)/.cache/real-venv
REAL_REQUIREMENTS := cmd/internal/contract/requirements.txt
REAL_PACKAGES     := ./cmd/internal/contract/... ./adapters/bootstrap/... ./cmd/internal/archtest ./cmd/internal/monitoring ./adapters/metrics

# The same for the checks of the deployments: hadolint and schemas of Kubernetes.
EBB_DEPLOYMENTS_VENV     ?= $(CURDIR)/.cache/deployments-venv
DEPLOYMENTS_REQUIREMENTS := cmd/internal/deployments/requirements.txt
DEPLOYMENTS_PACKAGE      := ./cmd/internal/deployments
DEPLOYMENTS_PATH         := $(EBB_DEPLOYMENTS_VENV)/bin:$(dir $(HELM))

# What the targets below can be told: make demo ARGS='--headless', make fuzz FUZZTIME=5m.
ARGS     ?=
WEB      := adapters/dashboard/web
PACKAGES ?= ./...
FUZZTIME ?= 15s
SEEDS    ?= 1000
LOAD_SECONDS ?= 10
# A test that waits for ever ends then; a package takes two minutes on two quiet cores.
TEST_LIMIT := 30m
COVER_PACKAGE := ./actors/decide
COVER_MIN     := 95
COVER_PROFILE := .cache/coverage-decide.out

# The race detector needs cgo, so a C compiler. Without one the tests still run, and
# say what they leave out; in CI that is an error.
HAVE_CC := $(shell command -v $(firstword $(shell $(GO) env CC)) 2>/dev/null)

##@ Build and run

.PHONY: build
build: ## bin/ebb: one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/ebb ./cmd/ebb

.PHONY: man
man: build ## bin/man: a manual page for each command
	bin/ebb man --dir bin/man

.PHONY: demo
demo: build ## A whole cluster on this machine: fake EC2, fake ClearML, real ebb (ARGS='--headless' and more)
	bin/ebb demo $(ARGS)

.PHONY: image
image: ## The container image for amd64 and arm64, with SBOM and provenance (docker buildx; IMAGE=… VERSION=… PUSH=yes)
	bash deployments/container/image.sh

.PHONY: sbom
sbom: build $(CYCLONEDX) ## bin/ebb.cdx.json: bill of materials of bin/ebb (CycloneDX), without a container engine
	$(CYCLONEDX) bin -json -licenses -std -version "$$(git describe --tags --always --dirty)" -output bin/ebb.cdx.json bin/ebb

.PHONY: manifests
manifests: $(HELM) ## Render deployments/kubernetes/plain again after a change of the chart
	PATH="$(DEPLOYMENTS_PATH):$$PATH" $(GO) test -tags real -count=1 -run TestPlainManifests $(DEPLOYMENTS_PACKAGE) -update

##@ Prove

.PHONY: test
test: ## All tests with the race detector; needs only Go (and a C compiler for the detector)
ifneq ($(HAVE_CC),)
	CGO_ENABLED=1 $(GO) test -race -timeout $(TEST_LIMIT) $(PACKAGES)
else ifneq ($(CI),)
	@echo "make test: no C compiler ($(shell $(GO) env CC)), and the race detector needs one: apt-get install gcc libc6-dev" >&2; exit 1
else
	@echo "make test: no C compiler ($(shell $(GO) env CC)), so WITHOUT the race detector; for the full test install one: apt-get install gcc libc6-dev" >&2
	CGO_ENABLED=0 $(GO) test -timeout $(TEST_LIMIT) $(PACKAGES)
endif

.PHONY: sim
sim: build ## Whole worlds of the production program on a virtual clock: scenarios, crashes, SEEDS drawn ones
	$(GO) test -count=1 ./cmd/internal/simulation
	bin/ebb sim --seeds $(SEEDS)

.PHONY: test-real
test-real: real-env web-modules ## Contract tests against independent software (boto3, moto, clearml-agent, shellcheck, Chromium); a missing tool fails
	PATH="$(EBB_REAL_VENV)/bin:$$PATH" EBB_REAL_VENV="$(EBB_REAL_VENV)" \
		$(GO) test -tags real -count=1 -timeout $(TEST_LIMIT) $(REAL_PACKAGES)

.PHONY: alerts-check
alerts-check: ## Alert rules with their stories, the board and the metrics before promtool (part of test-real)
	$(GO) test -tags real -count=1 ./cmd/internal/monitoring ./adapters/metrics

.PHONY: real-env
real-env: ## Prepare what test-real needs: a Python environment, shellcheck, npm and Chromium
	@bash tools/real-env.sh "$(EBB_REAL_VENV)" "$(REAL_REQUIREMENTS)"

.PHONY: deployments
deployments: deployments-env ## Check what is in deployments/ and the image's content (Helm, hadolint, systemd, a jail; as root)
	PATH="$(DEPLOYMENTS_PATH):$$PATH" $(GO) test -tags real -count=1 -timeout $(TEST_LIMIT) $(DEPLOYMENTS_PACKAGE)

.PHONY: deployments-env
deployments-env: $(HELM) ## Prepare what deployments needs: Helm, a Python environment, systemd-analyze
	@bash tools/deployments-env.sh "$(EBB_DEPLOYMENTS_VENV)" "$(DEPLOYMENTS_REQUIREMENTS)"

.PHONY: cover
cover: ## Statement coverage of the pure core, with its threshold
	@mkdir -p $(dir $(COVER_PROFILE))
	$(GO) test -count=1 -coverpkg=$(COVER_PACKAGE) -coverprofile=$(COVER_PROFILE) $(COVER_PACKAGE)/...
	@awk -v min=$(COVER_MIN) -v name=$(COVER_PACKAGE) -f tools/cover.awk $(COVER_PROFILE)

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (15s) each
	@bash tools/fuzz.sh $(FUZZTIME)

.PHONY: load
load: ## What 20 open dashboards cost, and how late an event is on them: fails above what docs/performance.md promises
	EBB_LOAD_SECONDS=$(LOAD_SECONDS) $(GO) test -run TestLoad -count=1 -v ./adapters/dashboard

.PHONY: bench
bench: ## All benchmarks, with allocations
	$(GO) test -run '^$$' -bench . -benchmem $(PACKAGES)

.PHONY: web
web: web-modules ## The dashboard's page, from adapters/dashboard/web into adapters/dashboard/assets (needs Node 20)
	cd $(WEB) && node build.mjs ../assets

.PHONY: web-check
web-check: web-modules ## The page's types and tests, and that the committed build is what the source gives
	cd $(WEB) && npx --no-install tsc --noEmit && node test.mjs
	cd $(WEB) && node build.mjs ../../../.cache/web-assets
	diff -r .cache/web-assets adapters/dashboard/assets || { echo "adapters/dashboard/assets is not what its source gives: run make web and commit it" >&2; exit 1; }

.PHONY: web-modules
web-modules:
	@command -v npm >/dev/null || { echo "npm not found: install Node 20 or newer (apt-get install nodejs npm)" >&2; exit 1; }
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error

##@ Keep tidy

.PHONY: lint
lint: tools ## Formatting, go vet, golangci-lint, sum types, go.mod
	$(GOLANGCI) config verify
	$(GOLANGCI) fmt --diff
	$(GO) vet -tags real ./...
	$(GOLANGCI) run
	$(SUMTYPE) -default-signifies-exhaustive=false ./...
	$(GO) mod tidy -diff

.PHONY: fmt
fmt: tools ## Format all Go files as lint wants them
	$(GOLANGCI) fmt

.PHONY: check
check: lint test cover ## What must be green before a commit

.PHONY: tools
tools: $(GOLANGCI) $(SUMTYPE) ## Build the pinned linters (once per machine, some minutes)

$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI_LINT_VERSION) once for this machine; this takes two to three minutes on two cores"
	@GOBIN=$(dir $@) GOFLAGS=-trimpath $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(SUMTYPE):
	@GOBIN=$(dir $@) GOFLAGS=-trimpath $(GO) install github.com/alecthomas/go-check-sumtype/cmd/go-check-sumtype@$(GO_CHECK_SUMTYPE_VERSION)

$(HELM):
	@echo "building helm $(HELM_VERSION) once for this machine; this takes a minute and a half on two cores"
	@GOBIN=$(dir $@) GOFLAGS=-trimpath $(GO) install helm.sh/helm/v4/cmd/helm@$(HELM_VERSION)

$(CYCLONEDX):
	@GOBIN=$(dir $@) GOFLAGS=-trimpath $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_GOMOD_VERSION)

.PHONY: clean
clean: ## Remove what was built here (the linters in $(EBB_TOOLS_DIR) stay)
	rm -rf bin .cache

##@ Help

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
