package bench_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ebbscale/ebb/adapters/clearml"
	"github.com/ebbscale/ebb/adapters/ec2"
	"github.com/ebbscale/ebb/bus"
	"github.com/ebbscale/ebb/messages"
)

// onDisk sets ledger and publisher to the real ones: the embedded NATS server,
// which writes through to the disk before it answers.
func onDisk(b *testing.B, p ports) ports {
	b.Helper()
	server, err := bus.Start(b.Context(), bus.ServerConfig{StateDir: b.TempDir(), SyncAlways: true, Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Close(); err != nil {
			b.Error(err)
		}
	})
	conn, err := bus.Connect(b.Context(), bus.ConnConfig{Server: server, Name: "bench", Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(conn.Close)
	ledger, err := conn.OpenLedger(b.Context(), bus.LedgerConfig{Autoscaler: "prod"})
	if err != nil {
		b.Fatal(err)
	}
	p.ledger, p.publisher = ledger, conn
	return p
}

// ec2Wire is the real adapter but for listings, which come from memory: a
// listing of ten thousand has a benchmark of its own.
type ec2Wire struct {
	*ec2.Adapter

	world *world
}

// List implements actors.EC2.
func (e ec2Wire) List(ctx context.Context) ([]messages.Instance, error) { return e.world.List(ctx) }

// overEC2Wire sets EC2 to the real adapter, SDK and all, in front of a server
// on loopback.
func overEC2Wire(b *testing.B, w *world, p ports) ports {
	b.Helper()
	p.ec2 = ec2Wire{Adapter: ec2Adapter(b, runInstances(w)), world: w}
	return p
}

func ec2Adapter(b *testing.B, handler http.HandlerFunc) *ec2.Adapter {
	b.Helper()
	server := httptest.NewServer(handler)
	b.Cleanup(server.Close)
	client, err := ec2.NewClient(b.Context(), ec2.ClientConfig{
		Region: "us-east-1", AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example", EndpointURL: server.URL,
	})
	if err != nil {
		b.Fatal(err)
	}
	templates := make(map[messages.ResourceName]ec2.Template, manyResources)
	for r := range manyResources {
		templates[resourceName(r)] = ec2.Template{
			AMI: "ami-0123456789abcdef0", SecurityGroups: []string{"sg-0123456789abcdef0"}, UserData: make([]byte, 4<<10),
		}
	}
	adapter, err := ec2.New(ec2.Config{Autoscaler: "prod", Client: client, Resources: templates, Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	return adapter
}

// runInstances answers RunInstances calls, and nothing else.
func runInstances(w *world) http.HandlerFunc {
	return func(answer http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		at := time.Now()
		form, parseErr := url.ParseQuery(string(body))
		count, countErr := strconv.Atoi(form.Get("MaxCount"))
		if err != nil || parseErr != nil || countErr != nil || form.Get("Action") != "RunInstances" {
			http.Error(answer, "not a RunInstances call", http.StatusBadRequest)
			return
		}
		launched := w.launch(messages.LaunchRequest{
			Launch: messages.LaunchID(tagOf(form, "ebb:intent")), Token: form.Get("ClientToken"),
			Resource: messages.ResourceName(tagOf(form, "ebb:resource")), Offering: offering(), Count: count,
		}, at)
		var items strings.Builder
		for _, instance := range launched {
			items.WriteString(instanceXML(instance))
		}
		answer.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(answer, `<RunInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">`+
			`<reservationId>r-1</reservationId><instancesSet>%s</instancesSet></RunInstancesResponse>`, items.String())
	}
}

// tagOf finds a tag of a launch by its key.
func tagOf(form url.Values, key string) string {
	for name, values := range form {
		if at, isKey := strings.CutSuffix(name, ".Key"); isKey && values[0] == key {
			return form.Get(at + ".Value")
		}
	}
	return ""
}

// instanceXML is an instance as DescribeInstances shows it, with what EC2 says
// besides what ebb reads: two kilobytes, as for an instance with one disk and
// one network interface.
func instanceXML(i messages.Instance) string {
	tags := ""
	for _, tag := range [][2]string{
		{"Name", "prod " + string(i.Resource)},
		{"ebb:autoscaler", "prod"},
		{"ebb:resource", string(i.Resource)},
		{"ebb:intent", string(i.Launch)},
	} {
		tags += "<item><key>" + tag[0] + "</key><value>" + tag[1] + "</value></item>"
	}
	const launchTime = "2006-01-02T15:04:05.000Z"
	return `<item><instanceId>` + string(i.ID) + `</instanceId><imageId>ami-0123456789abcdef0</imageId>` +
		`<instanceState><code>16</code><name>` + string(i.State) + `</name></instanceState>` +
		`<privateDnsName>ip-10-0-0-1.ec2.internal</privateDnsName><dnsName/><reason/><amiLaunchIndex>0</amiLaunchIndex><productCodes/>` +
		`<instanceType>` + i.Offering.InstanceType + `</instanceType><launchTime>` + i.LaunchedAt.Format(launchTime) + `</launchTime>` +
		`<placement><availabilityZone>` + i.Offering.Zone + `</availabilityZone><groupName/><tenancy>default</tenancy></placement>` +
		`<monitoring><state>disabled</state></monitoring><subnetId>` + i.Offering.Subnet + `</subnetId><vpcId>vpc-0123456789abcdef0</vpcId>` +
		`<privateIpAddress>10.0.0.1</privateIpAddress><sourceDestCheck>true</sourceDestCheck>` +
		`<groupSet><item><groupId>sg-0123456789abcdef0</groupId><groupName>workers</groupName></item></groupSet>` +
		`<architecture>x86_64</architecture><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/sda1</rootDeviceName>` +
		`<blockDeviceMapping><item><deviceName>/dev/sda1</deviceName><ebs><volumeId>vol-0123456789abcdef0</volumeId><status>attached</status>` +
		`<attachTime>` + i.LaunchedAt.Format(launchTime) + `</attachTime><deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping>` +
		`<virtualizationType>hvm</virtualizationType><clientToken>` + i.Token + `</clientToken><tagSet>` + tags + `</tagSet><hypervisor>xen</hypervisor>` +
		`<networkInterfaceSet><item><networkInterfaceId>eni-0123456789abcdef0</networkInterfaceId><subnetId>` + i.Offering.Subnet + `</subnetId>` +
		`<vpcId>vpc-0123456789abcdef0</vpcId><status>in-use</status><privateIpAddress>10.0.0.1</privateIpAddress>` +
		`<attachment><attachmentId>eni-attach-0123456789abcdef0</attachmentId><deviceIndex>0</deviceIndex><status>attached</status></attachment>` +
		`</item></networkInterfaceSet><ebsOptimized>false</ebsOptimized><enaSupport>true</enaSupport>` +
		`<cpuOptions><coreCount>2</coreCount><threadsPerCore>2</threadsPerCore></cpuOptions>` +
		`<metadataOptions><state>applied</state><httpTokens>required</httpTokens><httpEndpoint>enabled</httpEndpoint></metadataOptions></item>`
}

// describeInstances answers listings, a thousand instances a page.
func describeInstances(machines []machine) http.HandlerFunc {
	const size = 1000
	var pages []string
	for from := 0; from < len(machines); from += size {
		var items strings.Builder
		for _, m := range machines[from:min(from+size, len(machines))] {
			items.WriteString(`<item><reservationId>r-1</reservationId><instancesSet>` + instanceXML(m.instance) + `</instancesSet></item>`)
		}
		next := ""
		if from+size < len(machines) {
			next = fmt.Sprintf("<nextToken>%d</nextToken>", len(pages)+1)
		}
		pages = append(pages, `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">`+
			`<reservationSet>`+items.String()+`</reservationSet>`+next+`</DescribeInstancesResponse>`)
	}
	return func(answer http.ResponseWriter, r *http.Request) {
		page := 0
		if token := r.PostFormValue("NextToken"); token != "" {
			page, _ = strconv.Atoi(token)
		}
		if page >= len(pages) {
			http.Error(answer, "no such page", http.StatusBadRequest)
			return
		}
		answer.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(answer, pages[page])
	}
}

// clearmlWire is a ClearML server of canned answers on loopback.
type clearmlWire struct {
	world *world

	mu              sync.Mutex
	workers, queues []byte
	calls           int
}

// overClearMLWire sets ClearML to the real adapter in front of such a server.
func overClearMLWire(b *testing.B, w *world, p ports) (ports, *clearmlWire) {
	b.Helper()
	wire := &clearmlWire{world: w}
	w.staged = wire.stage
	server := httptest.NewServer(wire)
	b.Cleanup(server.Close)
	client, err := clearml.New(clearml.Config{
		APIServer: server.URL, AccessKey: "key", SecretKey: "secret", HTTPClient: server.Client(),
		Clock: w.clock, Rand: rand.New(rand.NewPCG(1, 2)), Log: zerolog.Nop(),
	})
	if err != nil {
		b.Fatal(err)
	}
	p.clearml = client
	return p, wire
}

// stage writes the answers as the recorded server does, the rows with all that
// ebb does not read.
func (c *clearmlWire) stage(snapshot messages.ClearMLSnapshot) {
	const stamp = "2006-01-02T15:04:05.000000-07:00"
	var workers, queues strings.Builder
	for i, row := range snapshot.Workers {
		task := ""
		if row.Task != "" {
			task = fmt.Sprintf(`"queue": {"id": "b1b9c7219a7748bca88107d6eb426b6e", "name": "queue-0000", "next_task": null, "num_tasks": 0}, `+
				`"task": {"id": %q, "last_iteration": 0, "name": %q, "running_time": 0}, `, row.Task, row.TaskName)
		}
		fmt.Fprintf(&workers, `%s{"company": {"id": "d1bd92a3b039400cbafc60a7a5b1e52b", "name": "clearml"}, "id": %q, "ip": "10.0.0.1", `+
			`"key": "worker_d1bd92a3b039400cbafc60a7a5b1e52b___tests___%s", "last_activity_time": %q, "last_report_time": %q, `+
			`"queues": [{"id": "b1b9c7219a7748bca88107d6eb426b6e", "name": "queue-0000", "next_task": null, "num_tasks": 0}], `+
			`"register_time": %q, "register_timeout": 600, "system_tags": [], "tags": [], %s"user": {"id": "__tests__", "name": "tests"}}`,
			comma(i), row.ID, row.ID, row.LastActive.Format(stamp), row.LastActive.Format(stamp), row.Registered.Format(stamp), task)
	}
	for i, queue := range snapshot.Queues {
		fmt.Fprintf(&queues, `%s{"entries": [`, comma(i))
		for n, entry := range queue.Entries {
			fmt.Fprintf(&queues, `%s{"task": %q, "added": %q}`, comma(n), entry.Task, entry.Added.Format(stamp))
		}
		fmt.Fprintf(&queues, `], "id": %q, "metadata": {}, "name": %q, "system_tags": [], "tags": []}`, queue.ID, queue.Name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.workers = envelope(`{"workers": [` + workers.String() + `]}`)
	c.queues = envelope(`{"queues": [` + queues.String() + `], "scroll_id": "1ec5ea0b52e941e6b7203f988a9dc8b3"}`)
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ", "
}

func envelope(data string) []byte {
	return []byte(`{"meta": {"id": "c387d492891c4714bbaff588b780fbee", "trx": "c387d492891c4714bbaff588b780fbee", ` +
		`"endpoint": {"name": "any", "requested_version": "2.30", "actual_version": "2.4"}, "result_code": 200, ` +
		`"result_subcode": 0, "result_msg": "OK", "error_stack": "", "error_data": {}}, "data": ` + data + `}`)
}

// ServeHTTP answers logins and polls. Logins are not counted: there is one in
// weeks.
func (c *clearmlWire) ServeHTTP(answer http.ResponseWriter, r *http.Request) {
	now := c.world.clock.Now()
	answer.Header().Set("Date", now.Format(http.TimeFormat))
	c.mu.Lock()
	workers, queues := c.workers, c.queues
	c.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/auth.login"):
		claims, _ := json.Marshal(map[string]int64{"iat": now.Unix(), "exp": now.AddDate(1, 0, 0).Unix()})
		part := base64.RawURLEncoding.EncodeToString
		_, _ = answer.Write(envelope(fmt.Sprintf(`{"token": "%s.%s.%s"}`, part([]byte(`{"alg":"HS256"}`)), part(claims), part([]byte("signed")))))
		return
	case c.world.refuse():
		http.Error(answer, "not now", http.StatusForbidden)
		return
	case strings.HasSuffix(r.URL.Path, "/workers.get_all"):
		write(answer, workers)
	case strings.HasSuffix(r.URL.Path, "/queues.get_all"):
		write(answer, queues)
		c.world.answer()
	default:
		http.NotFound(answer, r)
	}
	c.mu.Lock()
	c.calls++
	c.mu.Unlock()
}

// write answers with the length, as the real server does.
func write(answer http.ResponseWriter, body []byte) {
	answer.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = answer.Write(body)
}

// count is how many calls the server got.
func (c *clearmlWire) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}
