package config_test

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebbscale/ebb/cmd/internal/config"
)

// anyText draws what people, and nobody, would write.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9_./:@-]{0,12}`),
		rapid.String(),
		rapid.SampledFrom([]string{
			"true", "no", "~", "null", "15", "1e3", "0x10", "2024-01-01", "- a", "a: b", "#x", "  lead", "trail  ", "\ttab\n", "a\nb", "\n\na\n\n",
			"a\n  b\n c", "a \nb", "'", "\"", "\\", "${ENV:X}", "$${FILE:/x}", "${ENV:", "$${ENV:-a}", "#!/bin/bash\nset -e\n\techo ${HOME}\n",
			"<<", "*a", "&a", "!x", "%y", "@z", "`", "\u2028", "\u0085", "\x00", "\x7f", "\U0001F600", "ꔀ", "a\r\nb", "---", "...", "? x", "=", "{a", "[b",
		}),
	)
}

func anySecret() *rapid.Generator[config.Secret] {
	return rapid.Custom(func(t *rapid.T) config.Secret {
		// The mark of redaction itself cannot be a secret.
		return config.Secret(anyText().Filter(func(s string) bool { return s != config.Redacted }).Draw(t, "secret"))
	})
}

// anyDuration is never zero where zero means something else.
func anyDuration() *rapid.Generator[time.Duration] {
	return rapid.Map(rapid.Int64Range(1, int64(1000*time.Hour)), func(n int64) time.Duration { return time.Duration(n) })
}

func list[T any](g *rapid.Generator[T]) *rapid.Generator[[]T] {
	return rapid.Map(rapid.SliceOfN(g, 0, 3), func(s []T) []T {
		if len(s) == 0 {
			return nil
		}
		return s
	})
}

func key() *rapid.Generator[string] {
	return rapid.Map(anyText(), func(s string) string { return strings.ReplaceAll(s, "\x00", "") })
}

// launchValue draws what a free object may hold.
func launchValue(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Map(anyText(), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Int(), func(i int) any { return i }),
		rapid.Map(rapid.Float64().Filter(func(f float64) bool { return f != math.Trunc(f) || math.Abs(f) < 1e6 }), func(f float64) any { return f + 0 }),
	}
	if depth > 0 {
		leaves = append(leaves,
			rapid.Map(rapid.SliceOfN(launchValue(depth-1), 0, 3), func(s []any) any { return append([]any{}, s...) }),
			rapid.Map(rapid.MapOfN(key(), launchValue(depth-1), 0, 3), func(m map[string]any) any { return m }),
		)
	}
	return rapid.OneOf(leaves...)
}

func anyResource(t *rapid.T, name string, queues []string) config.Resource {
	r := config.Resource{
		Name: name, InstanceTypes: list(anyText()).Draw(t, "types"),
		Market: config.Market(rapid.SampledFrom([]string{"spot", "on_demand"}).Draw(t, "market")), SpotMaxPrice: anyText().Draw(t, "price"), PricePerHour: anyText().Draw(t, "hour"),
		OnDemandFallback: config.Fallback{
			Enabled: rapid.Bool().Draw(t, "enabled"), Patience: anyDuration().Draw(t, "patience"),
			Blackout: rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "blackout"),
		},
		AvailabilityZones: list(anyText()).Draw(t, "zones"), Subnets: list(anyText()).Draw(t, "subnets"),
		AMIID: anyText().Draw(t, "ami"), MaxInstances: rapid.IntRange(0, 9).Draw(t, "max"), Queues: queues,
		KeyPair: anyText().Draw(t, "key"), SecurityGroups: list(anyText()).Draw(t, "groups"),
		CPUOnly: rapid.Bool().Draw(t, "cpu"), Monitoring: rapid.Bool().Draw(t, "monitoring"),
		MaxIdleTime:   rapid.SampledFrom([]time.Duration{0, time.Second, 90 * time.Minute}).Draw(t, "idle"),
		MaxSpinUpTime: rapid.SampledFrom([]time.Duration{0, 1500 * time.Millisecond}).Draw(t, "spin up"),
		InitScript:    anySecret().Draw(t, "script"),
	}
	if tags := rapid.MapOfN(key(), anyText(), 0, 3).Draw(t, "tags"); len(tags) > 0 {
		r.Tags = tags
	}
	if extra := rapid.MapOfN(key(), launchValue(2), 0, 3).Draw(t, "extra"); len(extra) > 0 {
		r.ExtraLaunchParameters = extra
	}
	for range rapid.IntRange(0, 2).Draw(t, "volumes") {
		r.Volumes = append(r.Volumes, config.Volume{
			Device: anyText().Draw(t, "device"), SizeGB: rapid.IntRange(0, 9).Draw(t, "size"), Type: rapid.SampledFrom([]string{"gp2", "io2"}).Draw(t, "type"),
			SnapshotID: anyText().Draw(t, "snapshot"), IOPS: rapid.IntRange(-1, 9).Draw(t, "iops"), Throughput: rapid.IntRange(0, 9).Draw(t, "throughput"),
			Encrypted: rapid.Bool().Draw(t, "encrypted"), DeleteOnTermination: rapid.Bool().Draw(t, "delete"),
		})
	}
	return r
}

func anyAutoscaler(t *rapid.T) config.Autoscaler {
	a := config.Autoscaler{
		Name: anyText().Draw(t, "name"),
		ClearML: config.ClearML{
			APIServer: rapid.SampledFrom([]string{"", "https://api.x", "http://c:8008", "odd"}).Draw(t, "api"),
			WebServer: "https://w", FilesServer: "https://f", AccessKey: anyText().Draw(t, "access"),
			SecretKey: anySecret().Draw(t, "secret"), AuthToken: anySecret().Draw(t, "token"),
		},
		AWS: config.AWS{
			Region: anyText().Draw(t, "region"), UseIAMRole: rapid.Bool().Draw(t, "role"), AccessKeyID: anyText().Draw(t, "id"),
			SecretAccessKey: anySecret().Draw(t, "aws"), SessionToken: anySecret().Draw(t, "session"), EndpointURL: anyText().Draw(t, "endpoint"),
		},
		Git:         config.Git{User: anyText().Draw(t, "user"), Password: anySecret().Draw(t, "password")},
		MaxIdleTime: anyDuration().Draw(t, "idle"), MaxSpinUpTime: anyDuration().Draw(t, "spin up"), PollingInterval: anyDuration().Draw(t, "poll"),
		MaxLifetime:   rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "lifetime"),
		DeadMan:       config.DeadMan{Unreachable: rapid.SampledFrom([]time.Duration{0, time.Minute, 6 * time.Hour}).Draw(t, "unreachable")},
		WorkersPrefix: "p" + anyText().Draw(t, "prefix"), DockerMode: rapid.Bool().Draw(t, "docker"), BaseDockerImage: anyText().Draw(t, "image"),
		IAMInstanceProfile: config.IAMInstanceProfile{ARN: anyText().Draw(t, "arn"), Name: anyText().Draw(t, "profile")},
		InitScript:         anySecret().Draw(t, "script"), ClearMLConf: anySecret().Draw(t, "conf"),
		AgentVersion: "1" + anyText().Draw(t, "version"), ExcludeBashrc: rapid.Bool().Draw(t, "bashrc"),
		OnShutdown:       config.ShutdownAction("k" + anyText().Draw(t, "shutdown")),
		RequeueLostTasks: rapid.Bool().Draw(t, "requeue"), WarnDuplicateTasks: rapid.Bool().Draw(t, "warn"),
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "resources") {
		name := string(rune('a'+i)) + anyText().Draw(t, "resource")
		queues := []string{string(rune('x'+i)) + anyText().Draw(t, "queue")}
		a.Resources = append(a.Resources, anyResource(t, name, queues))
		a.Queues = append(a.Queues, config.Queue{Queue: queues[0], Resources: []string{name}})
	}
	return a
}

func anyFile(t *rapid.T) config.File {
	f := config.File{
		StateDir: "/" + anyText().Draw(t, "state"),
		Log:      config.Log{Level: "l" + anyText().Draw(t, "level"), Format: "f" + anyText().Draw(t, "format")},
		NATS: config.NATS{
			URL: anyText().Draw(t, "url"), CredsFile: anyText().Draw(t, "creds"), NKeyFile: anyText().Draw(t, "nkey"), User: anyText().Draw(t, "nats user"),
			Password: anySecret().Draw(t, "nats password"), Token: anySecret().Draw(t, "nats token"),
			TLS: config.TLS{CAFile: anyText().Draw(t, "ca"), CertFile: anyText().Draw(t, "cert"), KeyFile: anyText().Draw(t, "tls key")},
		},
	}
	f.HTTP = config.HTTP{
		Listen: rapid.SampledFrom([]string{config.HTTPOff, "127.0.0.1:1"}).Draw(t, "http"), Token: anySecret().Draw(t, "http token"),
		User: anyText().Draw(t, "http user"), Password: anySecret().Draw(t, "http password"),
		TLS:            config.HTTPTLS{CertFile: anyText().Draw(t, "http cert"), KeyFile: anyText().Draw(t, "http key")},
		BehindTLSProxy: rapid.Bool().Draw(t, "proxy"),
	}
	f.Lease.TTL = rapid.OneOf(anyDuration(), rapid.Just(time.Duration(0))).Draw(t, "ttl")
	if f.NATS.URL == "" {
		f.NATS.Listen = "127.0.0.1:" + anyText().Draw(t, "listen")
	}
	for range rapid.IntRange(1, 2).Draw(t, "autoscalers") {
		f.Autoscalers = append(f.Autoscalers, anyAutoscaler(t))
	}
	return f
}

// TestRoundTrip holds import(export(x)) = x, for valid files and any others.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := anyFile(t)
		for _, format := range []config.Format{config.YAML, config.JSON} {
			out, err := config.Export(f, format, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, hint := range []string{string(format), ""} {
				back, _, err := config.Import(out, hint)
				if err != nil {
					t.Fatalf("import as %q: %v\n%s", hint, err, out)
				}
				if !reflect.DeepEqual(back, f) {
					t.Fatalf("import as %q differs\n%s\nexported %s\nback     %s", hint, out, reveal(t, f), reveal(t, back))
				}
			}
		}
	})
}

// TestRoundTripRedacted gives everything back but the secrets, and says so.
func TestRoundTripRedacted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := anyFile(t)
		out, err := config.Export(f, config.YAML, false)
		if err != nil {
			t.Fatal(err)
		}
		back, notes, err := config.Import(out, "yaml")
		if err != nil {
			t.Fatal(err)
		}
		said := 0
		for _, n := range notes {
			if strings.Contains(n.Message, "exported without its secret") {
				said++
			}
		}
		if unset := strip(reflect.ValueOf(&f).Elem()); said != unset {
			t.Fatalf("%d secrets were left out, %d notes say so: %v", unset, said, notes)
		}
		if !reflect.DeepEqual(back, f) {
			t.Fatalf("differs:\n%s\nwant %s\ngot  %s", out, reveal(t, f), reveal(t, back))
		}
	})
}

// strip empties every secret in v and returns how many were set.
func strip(v reflect.Value) int {
	n := 0
	switch {
	case v.Type() == reflect.TypeFor[config.Secret]():
		if v.String() != "" {
			n = 1
		}
		v.SetString("")
	case v.Kind() == reflect.Struct:
		for _, field := range v.Fields() {
			n += strip(field)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			n += strip(v.Index(i))
		}
	}
	return n
}

func reveal(t *rapid.T, f config.File) string {
	t.Helper()
	out, err := config.Export(f, config.JSON, true)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestExportLoads holds that an export with secrets is a file that Load takes.
func TestExportLoads(t *testing.T) {
	t.Parallel()
	f := load(t, config.Source{Path: "testdata/good/full.yaml"})
	for _, format := range []config.Format{config.YAML, config.JSON} {
		out, err := config.Export(f, format, true)
		if err != nil {
			t.Fatal(err)
		}
		if back := load(t, config.Source{Path: write(t, "x."+string(format), string(out))}); !reflect.DeepEqual(back, f) {
			t.Errorf("%s loads as another file:\n%s", format, out)
		}
	}
}

func TestExportRefuses(t *testing.T) {
	t.Parallel()
	with := func(v any) config.File {
		return config.File{Autoscalers: []config.Autoscaler{{Resources: []config.Resource{{ExtraLaunchParameters: map[string]any{"X": v}}}}}}
	}
	tests := map[string]struct {
		f      config.File
		format config.Format
		want   string
	}{
		"hocon":       {config.File{}, config.HOCON, "write yaml or json"},
		"other":       {config.File{}, "toml", "write yaml or json"},
		"not UTF-8":   {config.File{StateDir: "\xff"}, config.YAML, "export state_dir: the text is not UTF-8"},
		"infinite":    {with(math.Inf(1)), config.JSON, "a number is infinite"},
		"other value": {with(struct{}{}), config.JSON, ""},
		"channel":     {with(make(chan int)), config.JSON, "export autoscalers[0].resources[0].extra_launch_parameters.X: a value of type chan int cannot be written"},
		"nothing":     {with(nil), config.JSON, "cannot be written"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Export(test.f, test.format, true)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// FuzzLoad holds that no text makes Load panic, hang or return both a file and an
// error.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/full.*", "testdata/bad/*.yaml", "testdata/import/*.*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, filepath.Ext(path))
		}
	}
	f.Add([]byte("a = [b ${x"), ".conf")
	f.Fuzz(func(t *testing.T, data []byte, ending string) {
		path := filepath.Join(t.TempDir(), "f.yaml")
		switch ending {
		case ".json", ".conf":
			path = strings.TrimSuffix(path, ".yaml") + ending
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.Load(config.Source{Path: path})
		if err != nil && !reflect.DeepEqual(got, config.File{}) {
			t.Errorf("a file beside the error %v", err)
		}
		if err == nil {
			out, err := config.Export(got, config.YAML, true)
			if err != nil {
				t.Fatalf("export what was loaded: %v", err)
			}
			back, _, err := config.Import(out, "")
			if err != nil || !reflect.DeepEqual(back, got) {
				t.Errorf("what was loaded does not survive export and import: %v\n%s", err, out)
			}
		}
	})
}

// FuzzImport holds that no text makes Import panic or hang, and that what it gives
// can be exported.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/import/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "")
		f.Add(data, "hocon")
	}
	f.Add([]byte(`{"queues": {"q": [["a", 1, 2], 3]}, "resource_configurations": "[1, {\"tags\": [{}]}]"}`), "json")
	f.Fuzz(func(t *testing.T, data []byte, hint string) {
		got, _, err := config.Import(data, hint)
		if err != nil {
			return
		}
		if _, err := config.Export(got, config.YAML, true); err != nil && !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("export what was imported: %v", err)
		}
	})
}
