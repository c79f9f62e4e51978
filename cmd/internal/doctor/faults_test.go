package doctor_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebbscale/ebb/adapters/fake/fakeec2"
	"github.com/ebbscale/ebb/cmd/internal/certificate/certtest"
	"github.com/ebbscale/ebb/cmd/internal/doctor"
	"github.com/ebbscale/ebb/internal/freeport"
)

// TestHealthy: where everything is well, nothing is complained of, and nothing
// is changed.
func TestHealthy(t *testing.T) {
	t.Parallel()

	c := newClinic(t)
	report := c.examine()
	if bad := wrong(report, doctor.Fail, doctor.Warn); len(bad) > 0 {
		t.Errorf("complains of %q:\n%s", bad, show(t, report))
	}
	if got := wrong(report, doctor.NotChecked); !slices.Equal(got, []string{"not_checked aws.quota"}) {
		t.Errorf("not checked: %q", got)
	}
	for _, id := range doctor.Checks() {
		external := slices.Contains([]doctor.ID{doctor.NATSLogin, doctor.NATSJetStream, doctor.NATSStreams}, id)
		if made := slices.ContainsFunc(report, func(c doctor.Check) bool { return c.ID == id }); made == external {
			t.Errorf("%s is made: %t", id, made)
		}
	}
	if n := len(c.ec2.Instances()); n != 0 {
		t.Errorf("%d instances were launched", n)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "state")); err == nil {
		t.Error("the state directory was made")
	}
	left, err := os.ReadDir(c.dir)
	if err != nil || len(left) != 1 { // the configuration
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// webServer answers as the nginx of ClearML's web application: its page to who
// reads, and "not allowed" to who writes.
func webServer() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusMethodNotAllowed)
			_, _ = w.Write([]byte("<html><head><title>405 Not Allowed</title></head><body><hr><center>nginx</center></body></html>"))
			return
		}
		_, _ = w.Write([]byte("<!doctype html><html><title>ClearML</title></html>"))
	})
}

// fault is one thing that is wrong in an otherwise good world.
type fault struct {
	spoil func(c *clinic)
	// id and subject are of the check that has to end with status (Fail, if
	// empty). Its message and its cure contain these.
	id      doctor.ID
	subject string
	status  doctor.Status
	message string
	fix     string
}

// faults of ClearML.
func clearmlFaults() map[string]fault {
	return map[string]fault{
		"wrong ClearML key": {
			spoil: func(c *clinic) { c.edit("secret_key: "+clearmlSecret, "secret_key: another") },
			id:    doctor.ClearMLLogin, message: "refuses the credentials", fix: "autoscalers[0].clearml.access_key and autoscalers[0].clearml.secret_key",
		},
		"ClearML token that is none": {
			spoil: func(c *clinic) {
				c.edit("access_key: "+clearmlKey+", secret_key: "+clearmlSecret, "auth_token: x.y.z")
			},
			id: doctor.ClearMLLogin, fix: "autoscalers[0].clearml.auth_token",
		},
		"address of the web server": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) { c.atClearML = serve(c.t, webServer()) }
			},
			id: doctor.ClearMLServer, message: "not the API server", fix: "autoscalers[0].clearml.api_server",
		},
		"no ClearML server": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) { c.atClearML = "http://" + freeport.Address(c.t) }
			},
			id: doctor.ClearMLServer, message: "unreachable", fix: "autoscalers[0].clearml.api_server",
		},
		"no such name": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) { c.atClearML = "http://clearml.invalid:8008" }
			},
			id: doctor.ClearMLServer, fix: "autoscalers[0].clearml.api_server",
		},
		"TLS where there is none": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) { c.atClearML = strings.Replace(c.atClearML, "http:", "https:", 1) }
			},
			id: doctor.ClearMLServer, message: "TLS", fix: "write http:// in autoscalers[0].clearml.api_server",
		},
		"a certificate that is not trusted": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) {
					server := httptest.NewTLSServer(webServer())
					c.t.Cleanup(server.Close)
					c.atClearML = server.URL
				}
			},
			id: doctor.ClearMLServer, message: "TLS", fix: "SSL_CERT_FILE",
		},
		"a proxy whose server is away": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) {
					c.atClearML = serve(c.t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no upstream", http.StatusBadGateway) }))
				}
			},
			id: doctor.ClearMLServer, message: "server in trouble", fix: "log of ClearML's API server",
		},
		"missing queue": {
			spoil: func(c *clinic) { c.edit("queues: [training]", "queues: [trainning]") },
			id:    doctor.ClearMLQueues, subject: "trainning", status: doctor.Warn, message: "does not exist", fix: "autoscalers[0].resources[0].queues",
		},
		"clocks apart": {
			spoil: func(c *clinic) { c.ahead = -10 * time.Minute },
			id:    doctor.ClearMLClock, status: doctor.Warn, message: "10m0s ahead of the server's", fix: "NTP",
		},
		"workers of another autoscaler": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) {
					report(c, "dynamic_aws:other:g5.xlarge:i-0123456789abcdef0")
				}
			},
			id: doctor.ClearMLWorkers, status: doctor.Warn, message: "dynamic_aws:other:g5.xlarge:i-0123456789abcdef0", fix: "autoscalers[0].workers_prefix",
		},
		"workers on instances of another autoscaler": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) { report(c, "dynamic_aws:gpu:g5.xlarge:i-0123456789abcdef0") }
			},
			id: doctor.ClearMLWorkers, status: doctor.Warn, fix: "autoscalers[0].workers_prefix",
		},
	}
}

// report has a worker register with the fake ClearML server.
func report(c *clinic, worker string) {
	t := c.t
	t.Helper()
	call := func(action, body string, authorize func(*http.Request)) []byte {
		request := httptest.NewRequest(http.MethodPost, "/v2.30/"+action, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		authorize(request)
		answer := httptest.NewRecorder()
		c.clearml.Handler().ServeHTTP(answer, request)
		if answer.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", action, answer.Code, answer.Body)
		}
		return answer.Body.Bytes()
	}
	var login struct {
		Data struct {
			Token string `json:"token"`
		} `json:"data"`
	}
	if err := json.Unmarshal(call("auth.login", "{}", func(r *http.Request) { r.SetBasicAuth(clearmlKey, clearmlSecret) }), &login); err != nil {
		t.Fatal(err)
	}
	call("workers.register", `{"worker": "`+worker+`", "timeout": 600, "queues": []}`, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+login.Data.Token) })
}

// faults of AWS.
func awsFaults() map[string]fault {
	denied := func(actions ...string) func(*clinic) {
		return func(c *clinic) { c.region.Denied = actions }
	}
	edited := func(from, to string) func(*clinic) {
		return func(c *clinic) { c.edit(from, to) }
	}
	const resource = "autoscalers[0].resources[0]."
	return map[string]fault{
		"wrong AWS key": {
			spoil: edited("access_key_id: "+awsKey, "access_key_id: AKIAWRONG"),
			id:    doctor.AWSCredentials, message: "InvalidClientTokenId", fix: "autoscalers[0].aws.access_key_id and autoscalers[0].aws.secret_access_key",
		},
		"region of another place": {
			spoil: func(c *clinic) {
				c.edit("region: us-east-1", "region: eu-west-1")
				c.edit("availability_zones: [us-east-1a, us-east-1b]", "availability_zones: [eu-west-1a, eu-west-1b]")
			},
			id: doctor.AWSRegion, message: "scoped to a valid region", fix: "autoscalers[0].aws.region",
		},
		"no EC2 there": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) { c.atEC2 = "http://" + freeport.Address(c.t) }
			},
			id: doctor.AWSRegion, message: "refused", fix: "autoscalers[0].aws.endpoint_url",
		},
		"missing RunInstances":       {spoil: denied("RunInstances"), id: doctor.AWSPermission, subject: "ec2:RunInstances", message: "UnauthorizedOperation", fix: "grant ec2:RunInstances to arn:aws:iam::123456789012:user/ebb"},
		"missing TerminateInstances": {spoil: denied("TerminateInstances"), id: doctor.AWSPermission, subject: "ec2:TerminateInstances", fix: "grant ec2:TerminateInstances to arn:aws:iam::123456789012:user/ebb"},
		"missing DescribeInstances":  {spoil: denied("DescribeInstances"), id: doctor.AWSPermission, subject: "ec2:DescribeInstances", fix: "grant ec2:DescribeInstances"},
		"AMI that does not exist": {
			spoil: edited(x86Image, "ami-0123456789abcdef0"),
			id:    doctor.AWSImage, subject: "gpu", message: "ami-0123456789abcdef0 does not exist in us-east-1", fix: resource + "ami_id",
		},
		"AMI of another architecture": {
			spoil: edited(x86Image, armImage),
			id:    doctor.AWSImage, subject: "gpu", message: "is for arm64, and g5.xlarge is x86_64", fix: resource + "ami_id",
		},
		"AMI in the making": {
			spoil: func(c *clinic) { c.region.Catalog.Images[1].State = "pending" },
			id:    doctor.AWSImage, subject: "gpu", message: "pending", fix: resource + "ami_id",
		},
		"parameter that does not exist": {
			spoil: edited("/ebb/images/arm64", "/ebb/images/none"),
			id:    doctor.AWSImage, subject: "cpu", message: "SsmInvalidParameter", fix: "autoscalers[0].resources[1].ami_id",
		},
		"parameter of an AMI of another architecture": {
			spoil: edited("/ebb/images/arm64", "/ebb/images/x86_64"),
			id:    doctor.AWSImage, subject: "cpu", message: "architecture", fix: "autoscalers[0].resources[1].ami_id",
		},
		"subnet in another zone": {
			spoil: edited("availability_zones: [us-east-1a, us-east-1b]", "availability_zones: [us-east-1c, us-east-1b]"),
			id:    doctor.AWSSubnet, subject: "gpu", message: subnetA + " lies in us-east-1a, and the configuration says us-east-1c", fix: resource + "availability_zones",
		},
		"subnet that does not exist": {
			spoil: edited(subnetB, "subnet-0123456789abcdef0"),
			id:    doctor.AWSSubnet, subject: "gpu", message: "does not exist", fix: resource + "subnets",
		},
		"no default VPC": {
			spoil: func(c *clinic) {
				for i := range c.region.Catalog.Subnets {
					c.region.Catalog.Subnets[i].Default = false
				}
			},
			id: doctor.AWSSubnet, subject: "cpu", message: "no default VPC", fix: "autoscalers[0].resources[1].subnets",
		},
		"security group of another VPC": {
			spoil: edited(goodGroup, otherGroup),
			id:    doctor.AWSGroup, subject: "gpu", message: otherGroup + " belongs to vpc-0f00000000000000b", fix: resource + "security_groups",
		},
		"security group that does not exist": {
			spoil: edited(goodGroup, "sg-0123456789abcdef0"),
			id:    doctor.AWSGroup, subject: "gpu", message: "does not exist", fix: resource + "security_groups",
		},
		"unknown key pair": {
			spoil: edited("key_pair: ops", "key_pair: sesame"),
			id:    doctor.AWSKeyPair, subject: "gpu", message: `no key pair "sesame"`, fix: resource + "key_pair",
		},
		"instance type that is not offered in the zones": {
			spoil: edited("[g5.xlarge]", "[p3.2xlarge]"),
			id:    doctor.AWSOffering, subject: "gpu", message: "p3.2xlarge in us-east-1a (offered in us-east-1c)", fix: resource + "subnets",
		},
		"instance type that one of two zones has": {
			spoil: func(c *clinic) {
				c.edit("[g5.xlarge]", "[p3.2xlarge]")
				c.edit(goodSubnet, "availability_zones: [us-east-1b, us-east-1c]")
			},
			id: doctor.AWSOffering, subject: "gpu", status: doctor.Warn, message: "p3.2xlarge in us-east-1b", fix: resource + "availability_zones",
		},
		"instance type that does not exist": {
			spoil: edited("[g5.xlarge]", "[g99.xlarge]"),
			id:    doctor.AWSOffering, subject: "gpu", message: "no instance type g99.xlarge", fix: resource + "instance_types",
		},
		"instance type without a spot market": {
			spoil: edited("[g5.xlarge]", "[p5.48xlarge]"),
			id:    doctor.AWSOffering, subject: "gpu", message: "not sold on the spot market", fix: resource + "market: on_demand",
		},
		"key in the extra launch parameters": {
			spoil: edited("key_pair: ops", "extra_launch_parameters: {KeyName: sesame}"),
			id:    doctor.AWSKeyPair, subject: "gpu", fix: resource + "extra_launch_parameters.KeyName",
		},
		"instance profile that does not exist": {
			spoil: edited("{name: worker}", "{name: nobody}"),
			id:    doctor.AWSProfile, subject: "gpu", message: "Invalid IAM Instance Profile", fix: "autoscalers[0].iam_instance_profile.name",
		},
		"quota": {
			spoil: func(c *clinic) {
				c.prepare = func(c *clinic) {
					if err := c.ec2.Inject(fakeec2.Fault{Action: "RunInstances", Kind: fakeec2.FaultErrorBefore, Code: "VcpuLimitExceeded", Times: -1}); err != nil {
						c.t.Fatal(err)
					}
				}
			},
			id: doctor.AWSLaunch, subject: "gpu", status: doctor.Warn, message: "VcpuLimitExceeded", fix: "Service Quotas",
		},
	}
}

// processFaults are those of the state directory and the embedded server.
func processFaults() map[string]fault {
	listener := func(t *testing.T) string {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Write([]byte("220 not NATS\r\n"))
				_ = conn.Close()
			}
		}()
		return l.Addr().String()
	}
	return map[string]fault{
		"state directory below a file": {
			spoil: func(c *clinic) {
				if err := os.WriteFile(filepath.Join(c.dir, "state"), nil, 0o600); err != nil {
					c.t.Fatal(err)
				}
			},
			id: doctor.StateDir, message: "is a file", fix: "state_dir",
		},
		"state directory where none can be made": {
			spoil: func(c *clinic) {
				c.edit("state_dir: "+filepath.Join(c.dir, "state"), "state_dir: /proc/ebb")
			},
			id: doctor.StateDir, message: "/proc/ebb", fix: "state_dir",
		},
		"address that is taken": {
			spoil: func(c *clinic) {
				c.edits = append(c.edits, [2]string{"nats: {listen: ", "nats: {listen: \"" + listener(c.t) + "\"} # "})
			},
			id: doctor.NATSListen, message: "another program", fix: "nats.listen",
		},
		"dashboard's address of another machine": {
			spoil: func(c *clinic) { c.edit(`http: {listen: "off"}`, `http: {listen: "203.0.113.7:8480"}`) },
			id:    doctor.HTTPListen, message: "cannot assign", fix: "http.listen",
		},
		"dashboard in clear text for other machines": {
			// An address of documentation: nothing listens there, nor can.
			spoil: func(c *clinic) { c.edit(`http: {listen: "off"}`, `http: {listen: "203.0.113.7:8480"}`) },
			id:    doctor.HTTPListen, subject: "clear text", status: doctor.Warn, message: "travel in the clear", fix: "behind_tls_proxy",
		},
		"dashboard's certificate that is not there": {
			spoil: func(c *clinic) {
				c.edit(`http: {listen: "off"}`, `http: {listen: "127.0.0.1:8481", tls: {cert_file: /no/such.pem, key_file: /no/such.key}}`)
			},
			id: doctor.HTTPListen, message: "http.tls.", fix: "http.tls.",
		},
		"dashboard's certificate that has expired":       expiring(-time.Hour, "expired on"),
		"dashboard's certificate that is soon to expire": expiring(100*time.Hour, "in 4 days"),
	}
}

// TestTLSInFront: with TLS of its own or of a proxy nothing travels in the clear, and
// on loopback nothing travels.
func TestTLSInFront(t *testing.T) {
	t.Parallel()

	files := certtest.SelfSigned(t, t.TempDir(), time.Now().Add(2400*time.Hour))
	for _, listen := range []string{
		`{listen: "203.0.113.7:8480", behind_tls_proxy: true}`,
		fmt.Sprintf(`{listen: "203.0.113.7:8480", tls: {cert_file: %s, key_file: %s}}`, files.Cert, files.Key),
		fmt.Sprintf(`{listen: %q}`, freeport.Address(t)),
	} {
		c := newClinic(t)
		c.edit(`http: {listen: "off"}`, "http: "+listen)
		if check, warned := find(c.examine(), doctor.HTTPListen, "clear text"); warned {
			t.Errorf("%s: %+v", listen, check)
		}
	}
}

// expiring is a certificate of the dashboard that expires so long from now.
func expiring(left time.Duration, message string) fault {
	return fault{
		spoil: func(c *clinic) {
			files := certtest.SelfSigned(c.t, c.t.TempDir(), time.Now().Add(left))
			c.edit(`http: {listen: "off"}`, fmt.Sprintf(`http: {listen: "%s", tls: {cert_file: %s, key_file: %s}}`,
				freeport.Address(c.t), files.Cert, files.Key))
		},
		id: doctor.HTTPListen, subject: "certificate", status: doctor.Warn, message: message, fix: "renew",
	}
}

// TestFaults plants one fault at a time. The check that is about it has to find
// it and to name the cure, and no other one may fail.
func TestFaults(t *testing.T) {
	t.Parallel()

	all := map[string]fault{}
	for _, some := range []map[string]fault{clearmlFaults(), awsFaults(), processFaults(), natsFaults()} {
		maps.Copy(all, some)
	}
	for name, f := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c := newClinic(t)
			f.spoil(c)
			report := c.examine()
			if f.status == "" {
				f.status = doctor.Fail
			}
			check, ok := find(report, f.id, f.subject)
			if !ok || check.Status != f.status || !strings.Contains(check.Message, f.message) || !strings.Contains(check.Fix, f.fix) {
				t.Errorf("want %s %s %q with %q, cure %q; got %+v\n%s", f.status, f.id, f.subject, f.message, f.fix, check, show(t, report))
			}
			for _, other := range report {
				if other.Status == doctor.Fail && other.ID != f.id {
					t.Errorf("%s %s fails too: %s", other.ID, other.Subject, other.Message)
				}
				if (other.Status == doctor.Fail || other.Status == doctor.Warn) && other.Fix == "" {
					t.Errorf("%s %s has no cure", other.ID, other.Subject)
				}
				if strings.Contains(other.Message+other.Fix, "planted") {
					t.Errorf("%s %s holds a secret: %s", other.ID, other.Subject, other.Message)
				}
			}
		})
	}
}
