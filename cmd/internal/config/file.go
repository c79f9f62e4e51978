package config

import (
	"time"

	"github.com/ebbscale/ebb/messages"
)

// File is everything one process is told. It is complete: defaults are filled in.
type File struct {
	// StateDir is where the embedded event store and other durable state live.
	StateDir string `json:"state_dir"`
	Log      Log    `json:"log"`
	NATS     NATS   `json:"nats"`
	Lease    Lease  `json:"lease"`
	HTTP     HTTP   `json:"http"`
	// Autoscalers holds at least one, with distinct names.
	Autoscalers []Autoscaler `json:"autoscalers"`
}

// Log says how the process logs.
type Log struct {
	// Level is trace, debug, info, warn or error.
	Level string `json:"level"`
	// Format is auto (console on a terminal, else json), json or console.
	Format string `json:"format"`
}

// Lease says how long the right to act for an autoscaler lasts without renewal,
// so that of several processes with the same autoscaler one acts at a time.
type Lease struct {
	// TTL is from 5 s to 5 min.
	TTL time.Duration `json:"ttl"`
}

// Timing is how leases with this TTL are kept, in the proportions of
// [messages.DefaultLeaseTiming]: renewed after 4/15 of it, and not acted on in
// the last 3/15.
func (l Lease) Timing() messages.LeaseTiming {
	return messages.LeaseTiming{TTL: l.TTL, Renew: l.TTL * 4 / 15, Margin: l.TTL * 3 / 15}
}

// DeadMan says when an instance ends itself because nobody is left to end it.
type DeadMan struct {
	// Unreachable is how long the ClearML server may be out of reach of an
	// instance that runs no task; 0 is for ever.
	Unreachable time.Duration `json:"unreachable"`
}

// NATS says where events and durable state go.
type NATS struct {
	// URL is the external server, or several separated by commas; empty starts
	// the embedded one.
	URL string `json:"url"`
	// Listen is the host:port of the embedded server, on loopback; empty exactly
	// when URL is set.
	Listen string `json:"listen"`
	// The logins and TLS are for an external server.
	CredsFile string `json:"creds_file"`
	NKeyFile  string `json:"nkey_file"`
	User      string `json:"user"`
	Password  Secret `json:"password"`
	Token     Secret `json:"token"`
	TLS       TLS    `json:"tls"`
}

// TLS names PEM files for an external server; CertFile and KeyFile are the
// client's.
type TLS struct {
	CAFile   string `json:"ca_file"`
	CertFile string `json:"cert_file"`
	KeyFile  string `json:"key_file"`
}

// HTTP says where the dashboard, the metrics and the health checks are served.
type HTTP struct {
	// Listen is host:port, or HTTPOff.
	Listen string `json:"listen"`
	// Token is what actions need, and reading too when others can reach Listen;
	// empty has one made up, which is kept in StateDir.
	Token Secret `json:"token"`
	// User and Password may take the place of the token, over TLS only.
	User     string `json:"user"`
	Password Secret `json:"password"`
	// TLS is the server's certificate and key.
	TLS HTTPTLS `json:"tls"`
	// BehindTLSProxy says that whatever reaches Listen came over TLS to a proxy.
	BehindTLSProxy bool `json:"behind_tls_proxy"`
}

// HTTPOff in place of host:port serves nothing.
const HTTPOff = "off"

// Serves says whether there is anything to serve on.
func (h HTTP) Serves() bool { return h.Listen != "" && h.Listen != HTTPOff }

// HTTPTLS names PEM files.
type HTTPTLS struct {
	CertFile string `json:"cert_file"`
	KeyFile  string `json:"key_file"`
}

// ShutdownAction says what happens to instances when their autoscaler stops.
type ShutdownAction string

// What an autoscaler does with its instances when it stops.
const (
	ShutdownKeep ShutdownAction = "keep" // leave all running
	ShutdownIdle ShutdownAction = "idle" // terminate the idle ones
	ShutdownAll  ShutdownAction = "all"  // terminate all, also those running a task
)

// Autoscaler is one named autoscaler: a ClearML server, an AWS region, defaults,
// resource types and the queues they serve.
type Autoscaler struct {
	// Name has letters, digits, - and _ only: it is part of subjects and tags.
	Name    string  `json:"name"`
	ClearML ClearML `json:"clearml"`
	AWS     AWS     `json:"aws"`
	Git     Git     `json:"git"`

	// MaxIdleTime is how long a worker may be idle before its instance is drained
	// and terminated. MaxSpinUpTime is how long an instance may take from launch
	// to its worker reporting. A resource may override both.
	MaxIdleTime   time.Duration `json:"max_idle_time"`
	MaxSpinUpTime time.Duration `json:"max_spin_up_time"`
	// PollingInterval is the time between two looks at the queues.
	PollingInterval time.Duration `json:"polling_interval"`
	// MaxLifetime is the age at which an instance takes no new task and is ended
	// after the one it runs; 0 is no limit.
	MaxLifetime time.Duration `json:"max_lifetime"`
	DeadMan     DeadMan       `json:"dead_man"`

	// WorkersPrefix is the first part of the workers' names. No other autoscaler
	// on the same ClearML server may have it.
	WorkersPrefix string `json:"workers_prefix"`
	// DockerMode runs tasks in containers; BaseDockerImage is the default image,
	// followed by its arguments if any.
	DockerMode         bool               `json:"docker_mode"`
	BaseDockerImage    string             `json:"base_docker_image"`
	IAMInstanceProfile IAMInstanceProfile `json:"iam_instance_profile"`
	// InitScript is a bash script run on each instance before the agent starts.
	// It is a Secret because such scripts often log in somewhere.
	InitScript Secret `json:"init_script"`
	// ClearMLConf is HOCON appended to the instances' clearml.conf. It is a Secret
	// because it often holds the keys of storage.
	ClearMLConf Secret `json:"clearml_conf"`
	// AgentVersion is the version of clearml-agent that instances install.
	AgentVersion  string `json:"agent_version"`
	ExcludeBashrc bool   `json:"exclude_bashrc"`

	OnShutdown ShutdownAction `json:"on_shutdown"`
	// RequeueLostTasks puts the task of a lost instance back into its queue.
	RequeueLostTasks bool `json:"requeue_lost_tasks"`
	// WarnDuplicateTasks records when two live workers run the same task.
	WarnDuplicateTasks bool `json:"warn_duplicate_tasks"`

	// Resources are the resource types, with distinct names, in file order.
	Resources []Resource `json:"resources"`
	// Queues lists every queue served, each with its resources in the order they
	// are asked. It agrees with the Queues of each resource.
	Queues []Queue `json:"queues"`
}

// ClearML is a ClearML server and the credentials for it, which the instances get
// too: either AccessKey and SecretKey, or AuthToken.
type ClearML struct {
	APIServer   string `json:"api_server"`
	WebServer   string `json:"web_server"`
	FilesServer string `json:"files_server"`
	AccessKey   string `json:"access_key"`
	SecretKey   Secret `json:"secret_key"`
	AuthToken   Secret `json:"auth_token"`
}

// AWS is a region and the credentials for it: either the role of the machine (or
// pod) that ebb runs on, or a key.
type AWS struct {
	Region          string `json:"region"`
	UseIAMRole      bool   `json:"use_iam_role"`
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey Secret `json:"secret_access_key"`
	SessionToken    Secret `json:"session_token"`
	// EndpointURL replaces the address of EC2, for tests and private endpoints.
	EndpointURL string `json:"endpoint_url"`
}

// Git is the login with which agents clone repositories.
type Git struct {
	User     string `json:"user"`
	Password Secret `json:"password"`
}

// IAMInstanceProfile is given to every instance; at most one field is set.
type IAMInstanceProfile struct {
	ARN  string `json:"arn"`
	Name string `json:"name"`
}

// Queue is a ClearML queue and the resources that serve it, first asked first.
type Queue struct {
	Queue     string   `json:"queue"`
	Resources []string `json:"resources"`
}

// Market is how an instance is bought.
type Market string

// The markets.
const (
	Spot     Market = "spot"
	OnDemand Market = "on_demand"
)

// ZoneAuto alone in AvailabilityZones leaves the choice of the zone to AWS.
const ZoneAuto = "auto"

// Resource is one resource type: a kind of instance and how many of it there may
// be.
type Resource struct {
	// Name has letters, digits, - and _ only: it is part of workers' names.
	Name string `json:"name"`
	// InstanceTypes are tried in this order.
	InstanceTypes []string `json:"instance_types"`
	Market        Market   `json:"market"`
	// SpotMaxPrice is a decimal number of dollars per hour; "" is no limit but the
	// on-demand price.
	SpotMaxPrice string `json:"spot_max_price"`
	// PricePerHour is what an hour of an instance costs in dollars, a decimal
	// number, for estimates; "" takes AWS's list price.
	PricePerHour     string   `json:"price_per_hour"`
	OnDemandFallback Fallback `json:"on_demand_fallback"`
	// AvailabilityZones is ["auto"] or names of zones. With Subnets as well the
	// two correspond position by position.
	AvailabilityZones []string `json:"availability_zones"`
	Subnets           []string `json:"subnets"`
	// AMIID is an AMI, or "resolve:ssm:" and the name of a parameter that holds one.
	AMIID string `json:"ami_id"`
	// MaxInstances is at least 1.
	MaxInstances int `json:"max_instances"`
	// Queues are served in this order.
	Queues []string          `json:"queues"`
	Tags   map[string]string `json:"tags"`
	// Volumes are disks by device; the AMI's own apply when there are none.
	Volumes        []Volume `json:"volumes"`
	KeyPair        string   `json:"key_pair"`
	SecurityGroups []string `json:"security_groups"`
	// CPUOnly hides GPUs from tasks.
	CPUOnly bool `json:"cpu_only"`
	// Monitoring is detailed (one-minute) CloudWatch monitoring.
	Monitoring bool `json:"monitoring"`
	// ExtraLaunchParameters are fields of EC2's RunInstances, merged last. Values
	// are string, bool, int, float64, []any and map[string]any.
	ExtraLaunchParameters map[string]any `json:"extra_launch_parameters"`

	// MaxIdleTime, MaxSpinUpTime and InitScript replace the autoscaler's unless
	// they are zero: see the methods of Autoscaler.
	MaxIdleTime   time.Duration `json:"max_idle_time,omitzero"`
	MaxSpinUpTime time.Duration `json:"max_spin_up_time,omitzero"`
	InitScript    Secret        `json:"init_script"`
}

// Fallback says when a spot resource may launch on-demand instances instead.
type Fallback struct {
	Enabled bool `json:"enabled"`
	// Patience is how long every spot offering must have been refused before
	// on-demand is asked.
	Patience time.Duration `json:"patience"`
	// Blackout is how long after that spot is not asked at all; 0 asks again as
	// usual.
	Blackout time.Duration `json:"blackout"`
}

// Volume is one EBS disk.
type Volume struct {
	Device string `json:"device"`
	// SizeGB is in GiB, as EC2 counts; 0 takes the size of the snapshot.
	SizeGB     int    `json:"size_gb"`
	Type       string `json:"type"`
	SnapshotID string `json:"snapshot_id"`
	// IOPS and Throughput (MiB/s) are 0 for the type's default.
	IOPS                int  `json:"iops"`
	Throughput          int  `json:"throughput"`
	Encrypted           bool `json:"encrypted"`
	DeleteOnTermination bool `json:"delete_on_termination"`
}

// IdleTime is how long a worker of r may be idle: r's own value, else a's.
func (a Autoscaler) IdleTime(r Resource) time.Duration {
	if r.MaxIdleTime > 0 {
		return r.MaxIdleTime
	}
	return a.MaxIdleTime
}

// SpinUpTime is how long an instance of r may take to start: r's own value, else
// a's.
func (a Autoscaler) SpinUpTime(r Resource) time.Duration {
	if r.MaxSpinUpTime > 0 {
		return r.MaxSpinUpTime
	}
	return a.MaxSpinUpTime
}

// Script is the init script of r's instances: r's own, else a's.
func (a Autoscaler) Script(r Resource) Secret {
	if r.InitScript.IsSet() {
		return r.InitScript
	}
	return a.InitScript
}

// ResourceNamed finds a resource of a; ok is false when there is none.
func (a Autoscaler) ResourceNamed(name string) (r Resource, ok bool) {
	for _, r := range a.Resources {
		if r.Name == name {
			return r, true
		}
	}
	return Resource{}, false
}
