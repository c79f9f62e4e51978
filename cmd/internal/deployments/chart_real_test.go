//go:build real && linux

package deployments_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ebbscale/ebb/cmd/internal/app"
)

// update rewrites deployments/kubernetes/plain; `make manifests` sets it.
var update = flag.Bool("update", false, "rewrite the plain manifests")

const chartDir = root + "/deployments/kubernetes/chart/ebb"

// values are the values files that the chart is tried with.
func values(t *testing.T) map[string]string {
	t.Helper()

	files, err := filepath.Glob(chartDir + "/ci/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("values to try the chart with: %v, %v", files, err)
	}
	named := map[string]string{"plain": root + "/deployments/kubernetes/plain/values.yaml"}
	for _, file := range files {
		named[strings.TrimSuffix(filepath.Base(file), ".yaml")] = file
	}
	return named
}

func render(t *testing.T, args ...string) (string, error) {
	t.Helper()

	return tool(t, "helm", append([]string{"template", "ebb", chartDir, "--namespace", "ebb"}, args...)...)
}

// object is a manifest, as YAML gives it.
type object map[string]any

// at follows keys and indexes into the object; nil when there is nothing.
func (o object) at(path ...any) any {
	var value any = map[string]any(o)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			below, _ := value.(map[string]any)
			value = below[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

func (o object) text(path ...any) string {
	text, _ := o.at(path...).(string)
	return text
}

// objects renders the chart and gives its manifests by kind. There is one of each.
func objects(t *testing.T, args ...string) map[string]object {
	t.Helper()

	out, err := render(t, args...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, out)
	}
	all := map[string]object{}
	for decoder := yaml.NewDecoder(strings.NewReader(out)); ; {
		var o map[string]any
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		kind := object(o).text("kind")
		if all[kind] != nil {
			t.Fatalf("there are two of %s", kind)
		}
		all[kind] = o
	}
}

// TestChartLints has Helm judge the chart, with each set of values.
func TestChartLints(t *testing.T) {
	t.Parallel()

	for name, file := range values(t) {
		if out, err := tool(t, "helm", "lint", "--strict", chartDir, "--values", file); err != nil {
			t.Errorf("helm lint with %s: %v\n%s", name, err, out)
		}
	}
}

// TestChartKinds says which objects come with which values.
func TestChartKinds(t *testing.T) {
	t.Parallel()

	want := map[string][]string{
		"least":    {"ConfigMap", "Secret", "Service", "ServiceAccount", "StatefulSet"},
		"plain":    {"ConfigMap", "NetworkPolicy", "Service", "ServiceAccount", "StatefulSet"},
		"embedded": {"ConfigMap", "Ingress", "NetworkPolicy", "Secret", "Service", "ServiceAccount", "ServiceMonitor", "StatefulSet"},
		"external": {"ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"},
	}
	files := values(t)
	if len(files) != len(want) {
		t.Fatalf("values are %v", files)
	}
	for name, file := range files {
		if got := slices.Sorted(maps.Keys(objects(t, "--values", file))); !slices.Equal(got, want[name]) {
			t.Errorf("%s: %v, want %v", name, got, want[name])
		}
	}
}

// TestChartMatchesSchemas validates what the chart renders against the schemas of the
// oldest and the newest Kubernetes that it is for. Of kinds that are not Kubernetes'
// own there is no schema: ServiceMonitor, looked at in TestChartFitsTogether.
func TestChartMatchesSchemas(t *testing.T) {
	t.Parallel()

	validate := func(manifests, version string) (string, error) {
		path := filepath.Join(t.TempDir(), "manifests.yaml")
		if err := os.WriteFile(path, []byte(manifests), 0o600); err != nil {
			t.Fatal(err)
		}
		return tool(t, "kubernetes-validate", "--strict", "--kubernetes-version", version, path)
	}
	for name, file := range values(t) {
		manifests, err := render(t, "--values", file)
		if err != nil {
			t.Fatalf("%v\n%s", err, manifests)
		}
		for _, version := range []string{"1.27", "1.37"} {
			out, err := validate(manifests, version)
			passed, kinds := strings.Count(out, " passed for resource "), strings.Count(manifests, "\nkind: ")
			if monitors := strings.Count(manifests, "\nkind: ServiceMonitor\n"); err != nil || passed != kinds-monitors || passed < 5 {
				t.Errorf("%s, Kubernetes %s: %d of %d passed, %v\n%s", name, version, passed, kinds, err, out)
			}
		}
		for from, to := range map[string]string{"    readOnlyRootFilesystem:": "    readOnlyRootFileSystem:", "containerPort: 8480": "containerPort: http"} {
			if out, err := validate(strings.Replace(manifests, from, to, 1), "1.37"); err == nil {
				t.Errorf("%s: %s instead of %s passes: %s", name, to, from, out)
			}
		}
	}
}

// TestPlainManifests holds the manifests for those without Helm to the chart.
func TestPlainManifests(t *testing.T) {
	t.Parallel()

	path := root + "/deployments/kubernetes/plain/ebb.yaml"
	want, err := render(t, "--values", values(t)["plain"])
	if err != nil {
		t.Fatalf("%v\n%s", err, want)
	}
	want = "# Made from the chart and values.yaml by `make manifests`. Do not edit this file.\n" + want
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, []byte(want)) {
		t.Errorf("plain/ebb.yaml is not what the chart renders (%v): make manifests", err)
	}
}

// TestChartPods looks at the pods for what the page promises of them.
func TestChartPods(t *testing.T) {
	t.Parallel()

	for name, file := range values(t) {
		all := objects(t, "--values", file)
		workload := all["StatefulSet"]
		if workload == nil {
			workload = all["Deployment"]
		}
		pod := object{"spec": workload.at("spec", "template", "spec")}
		container := object{"container": pod.at("spec", "containers", 0)}
		for what, ok := range map[string]bool{
			"one container":                pod.at("spec", "containers", 1) == nil,
			"no root":                      pod.at("spec", "securityContext", "runAsNonRoot") == true && pod.at("spec", "securityContext", "runAsUser") == 65532,
			"seccomp":                      pod.text("spec", "securityContext", "seccompProfile", "type") == "RuntimeDefault",
			"read-only root":               container.at("container", "securityContext", "readOnlyRootFilesystem") == true,
			"no more privileges":           container.at("container", "securityContext", "allowPrivilegeEscalation") == false,
			"no capabilities":              container.text("container", "securityContext", "capabilities", "drop", 0) == "ALL",
			"no token of Kubernetes":       pod.at("spec", "automountServiceAccountToken") == false,
			"nothing of the host":          pod.at("spec", "hostNetwork") == nil && pod.at("spec", "hostPID") == nil,
			"a limit of memory":            container.text("container", "resources", "limits", "memory") != "",
			"liveness":                     container.text("container", "livenessProbe", "httpGet", "path") == "/healthz",
			"readiness":                    container.text("container", "readinessProbe", "httpGet", "path") == "/readyz",
			"an image that is not latest":  !strings.HasSuffix(container.text("container", "image"), ":latest") && strings.ContainsAny(container.text("container", "image"), ":@"),
			"the configuration is mounted": container.text("container", "volumeMounts", 0, "mountPath") == "/etc/ebb",
		} {
			if !ok {
				t.Errorf("%s: %s is missing", name, what)
			}
		}
		grace, _ := pod.at("spec", "terminationGracePeriodSeconds").(int)
		if time.Duration(grace)*time.Second <= app.StopMax {
			t.Errorf("%s: Kubernetes kills ebb after %d s, and it may take %s to stop", name, grace, app.StopMax)
		}
	}
}

// TestChartFitsTogether compares what the objects of one release say of each other.
func TestChartFitsTogether(t *testing.T) {
	t.Parallel()

	one := objects(t, "--values", values(t)["embedded"])
	labels := one["StatefulSet"].at("spec", "selector", "matchLabels").(map[string]any)
	pod := one["StatefulSet"].at("spec", "template", "metadata", "labels").(map[string]any)
	for key, value := range labels {
		if pod[key] != value {
			t.Errorf("pods have %s=%v, and the selector wants %v", key, pod[key], value)
		}
	}
	for who, selector := range map[string]any{
		"service": one["Service"].at("spec", "selector"), "policy": one["NetworkPolicy"].at("spec", "podSelector", "matchLabels"),
		"monitor": one["ServiceMonitor"].at("spec", "selector", "matchLabels"),
	} {
		if !maps.Equal(selector.(map[string]any), labels) {
			t.Errorf("%s selects %v and the pods are %v", who, selector, labels)
		}
	}
	// The monitor's selector is about the service's labels.
	for key, value := range labels {
		if one["Service"].at("metadata", "labels", key) != value {
			t.Errorf("the monitor wants a service with %s=%v", key, value)
		}
	}
	port := one["Service"].text("spec", "ports", 0, "name")
	for who, name := range map[string]string{
		"monitor": one["ServiceMonitor"].text("spec", "endpoints", 0, "port"),
		"ingress": one["Ingress"].text("spec", "rules", 0, "http", "paths", 0, "backend", "service", "port", "name"),
		"policy":  one["NetworkPolicy"].text("spec", "ingress", 0, "ports", 0, "port"),
		"pod":     one["StatefulSet"].text("spec", "template", "spec", "containers", 0, "ports", 0, "name"),
		"probe":   one["StatefulSet"].text("spec", "template", "spec", "containers", 0, "readinessProbe", "httpGet", "port"),
	} {
		if name != port {
			t.Errorf("%s names port %q, and the service's is %q", who, name, port)
		}
	}
	key := one["ServiceMonitor"].text("spec", "endpoints", 0, "authorization", "credentials", "key")
	if one["Secret"].text("metadata", "name") != one["ServiceMonitor"].text("spec", "endpoints", 0, "authorization", "credentials", "name") ||
		one["Secret"].at("stringData", key) == nil {
		t.Errorf("the monitor takes its token from key %q, which the Secret has not", key)
	}
	if one["ServiceAccount"].text("metadata", "annotations", "eks.amazonaws.com/role-arn") == "" {
		t.Error("the role of the service account is lost")
	}
	if size := one["StatefulSet"].at("spec", "replicas"); size != 1 {
		t.Errorf("%v pods on one disk", size)
	}
	several := objects(t, "--values", values(t)["external"])
	if size := several["Deployment"].at("spec", "replicas"); size != 3 {
		t.Errorf("%v pods, want 3", size)
	}
	var ports []any
	for _, entry := range several["NetworkPolicy"].at("spec", "egress", 1, "ports").([]any) {
		ports = append(ports, entry.(map[string]any)["port"])
	}
	if !slices.Equal(ports, []any{80, 443, 8008, 4222, 4333}) {
		t.Errorf("the pods may reach ports %v", ports)
	}
}

// TestChartConfiguration has ebb read the configurations that the chart renders, with
// the secrets that the pod has.
func TestChartConfiguration(t *testing.T) {
	t.Parallel()

	for name, file := range values(t) {
		all := objects(t, "--values", file)
		text := strings.ReplaceAll(all["ConfigMap"].text("data", "ebb.yaml"), "/run/secrets/ebb/", "/run/secrets/")
		secrets := []string{"clearml_access_key", "clearml_secret_key", "http_token"}
		if made := all["Secret"]; made != nil {
			keys, _ := made.at("stringData").(map[string]any)
			secrets = slices.Collect(maps.Keys(keys))
			for _, problem := range misfits(text, secrets) {
				t.Errorf("%s: %s", name, problem)
			}
		}
		var environ []string
		workload := all["StatefulSet"]
		if workload == nil {
			workload = all["Deployment"]
		}
		for _, entry := range workload.at("spec", "template", "spec", "containers", 0, "env").([]any) {
			variable := object(entry.(map[string]any))
			if variable["value"] == nil {
				variable["value"] = "from-a-secret"
			}
			environ = append(environ, variable.text("name")+"="+variable.text("value"))
		}
		got, err := load(t, text, environ, secrets)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if external := all["Deployment"] != nil; (got.NATS.URL != "") != external || (got.NATS.Listen == "") != external {
			t.Errorf("%s: NATS at %q, listening on %q", name, got.NATS.URL, got.NATS.Listen)
		}
		if !strings.Contains(text, "listen: 0.0.0.0:8480") {
			t.Errorf("%s: nobody can reach its probes", name)
		}
	}
}

// TestChartRefuses gives the chart values that cannot be meant.
func TestChartRefuses(t *testing.T) {
	t.Parallel()

	for _, c := range []struct{ set, says string }{
		{"config.autoscalers=null", "autoscalers"},
		{"config.state_dir=/x", "state_dir"},
		{"config.http.listen=0.0.0.0:9", "listen"},
		{"replicaCount=0", "replicaCount"},
		{"replicas=2", "replicas"},
		{"image.tag=latest", "tag"},
		{"image.digest=sha256:abc", "digest"},
		{"nats.url=http://nats:4222", "url"},
		{"nats.url=nats://ebb:secret@nats:4222", "url"},
		{"config.nats.url=nats://nats:4222", "write nats.url instead"},
		{"secrets.a=b", "existingSecret and secrets are both set"},
		{"serviceAccount.roleArn=ebb", "roleArn"},
		{"ingress.enabled=true", "host"},
		{"terminationGracePeriodSeconds=30", "terminationGracePeriodSeconds"},
		{"persistence.accessModes={ReadWriteMany}", "accessModes"},
	} {
		if out, err := render(t, "--values", values(t)["plain"], "--set", c.set); err == nil || !strings.Contains(out, c.says) {
			t.Errorf("--set %s: %v, want %q: %.400s", c.set, err, c.says, out)
		}
	}
	if out, err := render(t); err == nil || !strings.Contains(out, "autoscalers") {
		t.Errorf("without values: %v: %s", err, out)
	}
}

// TestChartOddNames gives names that YAML would read as something else than text.
func TestChartOddNames(t *testing.T) {
	t.Parallel()

	out, err := tool(t, "helm", "template", "123", chartDir, "--values", values(t)["embedded"],
		"--set", "nameOverride=1e3", "--set", "fullnameOverride=ebb", "--set-string", "secrets.yes=a", "--set-string", "secrets.007=b")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := tool(t, "kubernetes-validate", "--strict", "--kubernetes-version", "1.37", path); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	for _, line := range []string{`app.kubernetes.io/instance: "123"`, `app.kubernetes.io/name: "1e3"`, `"yes": "a"`, `"007": "b"`} {
		if !strings.Contains(out, line) {
			t.Errorf("%s is missing", line)
		}
	}
}

// TestChartTLS looks who speaks TLS with whom.
func TestChartTLS(t *testing.T) {
	t.Parallel()

	probes := func(all map[string]object) (schemes []string) {
		for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
			schemes = append(schemes, all["StatefulSet"].text("spec", "template", "spec", "containers", 0, probe, "httpGet", "scheme"))
		}
		return append(schemes, all["ServiceMonitor"].text("spec", "endpoints", 0, "scheme"))
	}
	behind := objects(t, "--values", values(t)["embedded"])
	if got := probes(behind); !slices.Equal(got, []string{"HTTP", "HTTP", "HTTP", "http"}) {
		t.Errorf("behind the ingress: %v", got)
	}
	if !strings.Contains(behind["ConfigMap"].text("data", "ebb.yaml"), "behind_tls_proxy: true") {
		t.Error("behind an ingress with a certificate, ebb is not told of it: no password works, and the cookie is not Secure")
	}
	for _, set := range []string{"config.http.behind_tls_proxy=false", "ingress.tlsSecret="} {
		if text := objects(t, "--values", values(t)["embedded"], "--set", set)["ConfigMap"].text("data", "ebb.yaml"); strings.Contains(text, "behind_tls_proxy: true") {
			t.Errorf("--set %s: %s", set, text)
		}
	}
	own := objects(t, "--values", values(t)["embedded"], "--set", "config.http.tls.cert_file=/run/secrets/ebb/tls.crt",
		"--set", "config.http.tls.key_file=/run/secrets/ebb/tls.key", "--set", "serviceMonitor.tlsConfig.serverName=ebb.example.com")
	if got := probes(own); !slices.Equal(got, []string{"HTTPS", "HTTPS", "HTTPS", "https"}) {
		t.Errorf("with TLS of its own: %v", got)
	}
	if got := own["ServiceMonitor"].text("spec", "endpoints", 0, "tlsConfig", "serverName"); got != "ebb.example.com" {
		t.Errorf("the monitor expects the certificate of %q", got)
	}
}

// TestChartKeepsClients holds several pods to one for each browser: the others do not
// know its session.
func TestChartKeepsClients(t *testing.T) {
	t.Parallel()

	if got := objects(t, "--values", values(t)["external"])["Service"].text("spec", "sessionAffinity"); got != "ClientIP" {
		t.Errorf("the service of several pods has affinity %q", got)
	}
	if got := objects(t, "--values", values(t)["embedded"])["Service"].at("spec", "sessionAffinity"); got != nil {
		t.Errorf("the service of one pod has affinity %v", got)
	}
}

// TestChartReachableWhenUnready: the dashboard says what is wrong, so it is served
// while something is.
func TestChartReachableWhenUnready(t *testing.T) {
	t.Parallel()

	for name, path := range values(t) {
		if got := objects(t, "--values", path)["Service"].at("spec", "publishNotReadyAddresses"); got != true {
			t.Errorf("%s: publishNotReadyAddresses is %v", name, got)
		}
	}
}
