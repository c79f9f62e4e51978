package fake_test

import (
	"bytes"
	"compress/gzip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake"
)

// script is a bootstrap script with the given head.
func script(head string) string {
	return "#!/bin/bash\n" + head + "\nset -eu\nEBB_WORKER_NAME=\"$EBB_WORKER_NAME:$id\"\nexec agent\n"
}

const goodHead = `EBB_WORKER_NAME='p:gpu:g4dn.xlarge'
EBB_QUEUES='urgent gpu
it'\''s "mine"
default'
CLEARML_API_HOST='http://127.0.0.1:8008'
CLEARML_WEB_HOST='http://127.0.0.1:8080'
CLEARML_FILES_HOST=''
CLEARML_API_ACCESS_KEY='AK'
CLEARML_API_SECRET_KEY=''\''a$b\'
CLEARML_AUTH_TOKEN=''
EBB_INIT_SCRIPT='
CLEARML_API_HOST='\''http://elsewhere'\''
'`

func TestReadUserData(t *testing.T) {
	t.Parallel()
	want := fake.Boot{
		WorkerName: "p:gpu:g4dn.xlarge", Queues: []string{"urgent gpu", `it's "mine"`, "default"}, APIHost: "http://127.0.0.1:8008",
		WebHost: "http://127.0.0.1:8080", AccessKey: "AK", SecretKey: `'a$b\`,
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write([]byte(script(goodHead))); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"plain":    []byte(script(goodHead)),
		"gzip":     packed.Bytes(),
		"exported": []byte(script("export " + strings.ReplaceAll(goodHead, "\nCLEARML", "\nexport CLEARML"))),
	} {
		got, err := fake.ReadUserData(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read %+v, want %+v", name, got, want)
		}
	}
}

func TestReadUserDataOfASupervisor(t *testing.T) {
	t.Parallel()
	head := goodHead + "\nEBB_AUTOSCALER='prod'\n"
	for times, want := range map[string]fake.Boot{
		"": {},
		"EBB_MAX_IDLE_SECONDS='300'\nEBB_UNREACHABLE_SECONDS='21600'": {MaxIdle: 5 * time.Minute, Unreachable: 6 * time.Hour},
		"EBB_MAX_IDLE_SECONDS='0'\nEBB_UNREACHABLE_SECONDS=''":        {},
	} {
		got, err := fake.ReadUserData([]byte(script(head + times)))
		if err != nil || got.Autoscaler != "prod" || got.MaxIdle != want.MaxIdle || got.Unreachable != want.Unreachable {
			t.Errorf("%q: read %+v, %v", times, got, err)
		}
	}
}

func TestReadUserDataRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "EBB_WORKER_NAME"},
		"no queues":     {script(strings.ReplaceAll(goodHead, "EBB_QUEUES", "QUEUES")), "EBB_QUEUES"},
		"no host":       {script("EBB_WORKER_NAME='a'\nEBB_QUEUES='b'\nCLEARML_API_HOST=''"), "CLEARML_API_HOST"},
		"double quotes": {script(`EBB_QUEUES="a"`), "not single-quoted"},
		"open quote":    {"EBB_WORKER_NAME='p:r:t", "not closed"},
		"no number":     {script(goodHead + "\nEBB_AUTOSCALER='a'\nEBB_MAX_IDLE_SECONDS='5m'"), "EBB_MAX_IDLE_SECONDS is \"5m\""},
		"negative":      {script(goodHead + "\nEBB_AUTOSCALER='a'\nEBB_UNREACHABLE_SECONDS='-1'"), "EBB_UNREACHABLE_SECONDS"},
		"broken gzip":   {"\x1f\x8bnonsense", "unpack"},
	} {
		_, err := fake.ReadUserData([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one about %s", name, err, c.want)
		}
	}
}
