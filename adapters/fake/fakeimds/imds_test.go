package fakeimds_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/ebbscale/ebb/adapters/fake/fakeimds"
)

type guest struct {
	meta fakeimds.Metadata
	gone bool
	now  time.Time
	url  string
}

func newGuest(t *testing.T) *guest {
	t.Helper()
	g := &guest{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	g.meta = fakeimds.Metadata{
		InstanceID: "i-0abc", InstanceType: "g4dn.xlarge", ImageID: "ami-1", Zone: "us-east-1a", Region: "us-east-1", AccountID: "123456789012",
		Architecture: "x86_64", LocalIPv4: "172.31.0.4", LifeCycle: "spot", UserData: []byte("#!/bin/sh\n"), TokenNeeded: true,
		Tags: map[string]string{"Name": "w"},
	}
	server := httptest.NewServer(fakeimds.New(fakeimds.Config{
		Now:    func() time.Time { return g.now },
		Lookup: func() (fakeimds.Metadata, bool) { return g.meta, !g.gone },
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// ask makes a request; headers are name, value, name, value.
func (g *guest) ask(t *testing.T, method, path string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

const (
	ttl   = "X-aws-ec2-metadata-token-ttl-seconds"
	token = "X-aws-ec2-metadata-token"
	meta  = "/latest/meta-data/"
)

func TestToken(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	for name, c := range map[string]struct {
		method string
		header []string
		want   int
	}{
		"no ttl":        {http.MethodPut, nil, 400},
		"ttl of zero":   {http.MethodPut, []string{ttl, "0"}, 400},
		"ttl too long":  {http.MethodPut, []string{ttl, "21601"}, 400},
		"through proxy": {http.MethodPut, []string{ttl, "60", "X-Forwarded-For", "1.2.3.4"}, 403},
		"with get":      {http.MethodGet, []string{ttl, "60"}, 405},
		"good":          {http.MethodPut, []string{ttl, "21600"}, 200},
	} {
		if got, _ := g.ask(t, c.method, "/latest/api/token", c.header...); got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
	}
	_, short := g.ask(t, http.MethodPut, "/latest/api/token", ttl, "60")
	status := func(headers ...string) int {
		code, _ := g.ask(t, http.MethodGet, meta+"instance-id", headers...)
		return code
	}
	if got := [3]int{status(), status(token, "wrong"), status(token, short)}; got != [3]int{401, 401, 200} {
		t.Errorf("without, wrong and good token: %v", got)
	}
	g.now = g.now.Add(61 * time.Second)
	if got := status(token, short); got != 401 {
		t.Errorf("a token that ran out: %d", got)
	}
	g.meta.TokenNeeded = false
	if got := [2]int{status(), status(token, "wrong")}; got != [2]int{200, 401} {
		t.Errorf("where none is needed, without and wrong: %v", got)
	}
	g.meta.Disabled = true
	if got := status(); got != 403 {
		t.Errorf("disabled service: %d", got)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	_, key := g.ask(t, http.MethodPut, "/latest/api/token", ttl, "60")
	read := func(path string) string {
		code, text := g.ask(t, http.MethodGet, path, token, key)
		if code != http.StatusOK {
			return http.StatusText(code)
		}
		return text
	}
	check := func(path, want string) {
		t.Helper()
		if got := read(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	check(meta+"instance-id", "i-0abc")
	check(meta+"instance-type", "g4dn.xlarge")
	check(meta+"instance-life-cycle", "spot")
	check(meta+"placement/availability-zone", "us-east-1a")
	check(meta+"placement/", "availability-zone\nregion")
	check(meta, "ami-id\ninstance-id\ninstance-life-cycle\ninstance-type\nlocal-ipv4\nplacement/")
	check("/latest/user-data", "#!/bin/sh\n")
	check(meta+"spot/instance-action", "Not Found")
	check(meta+"events/recommendations/rebalance", "Not Found")
	check(meta+"tags/instance/Name", "Not Found")
	check("/1999", "Not Found")
	if got := read("/latest/dynamic/instance-identity/document"); !strings.Contains(got, `"region": "us-east-1"`) {
		t.Errorf("identity is %s", got)
	}
	g.meta.Action, g.meta.ActionAt = "terminate", g.now.Add(2*time.Minute)
	g.meta.RebalanceAt, g.meta.TagsShown, g.meta.UserData = g.now, true, nil
	check(meta+"spot/instance-action", `{"action": "terminate", "time": "2026-11-23T12:02:00Z"}`)
	check(meta+"events/recommendations/rebalance", `{"noticeTime": "2026-11-23T12:00:00Z"}`)
	check(meta+"tags/instance", "Name")
	check(meta+"tags/instance/Name", "w")
	check("/latest/user-data", "Not Found")
}

// TestSDK reads with the client of the AWS SDK.
func TestSDK(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	client := imds.New(imds.Options{Endpoint: g.url, ClientEnableState: imds.ClientEnabled})
	out, err := client.GetMetadata(t.Context(), &imds.GetMetadataInput{Path: "instance-type"})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Content.Close()
	text, err := io.ReadAll(out.Content)
	if err != nil || string(text) != "g4dn.xlarge" {
		t.Errorf("instance type is %q, %v", text, err)
	}
	doc, err := client.GetInstanceIdentityDocument(t.Context(), &imds.GetInstanceIdentityDocumentInput{})
	if err != nil || doc.Region != "us-east-1" || doc.Architecture != "x86_64" {
		t.Errorf("identity is %+v, %v", doc, err)
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	g.gone = true
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+meta, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		resp.Body.Close()
		t.Errorf("a vanished instance answered %d", resp.StatusCode)
	}
}
