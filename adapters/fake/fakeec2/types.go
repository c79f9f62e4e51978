package fakeec2

import (
	"slices"
	"time"
)

// Market is how an instance is bought.
type Market string

// The two markets of EC2.
const (
	OnDemand Market = "on-demand"
	Spot     Market = "spot"
)

// State is the state of an instance as EC2 names it.
type State string

// The states of an instance.
const (
	Pending      State = "pending"
	Running      State = "running"
	ShuttingDown State = "shutting-down"
	Terminated   State = "terminated"
	Stopping     State = "stopping"
	Stopped      State = "stopped"
)

// Code is the number that EC2 gives to the state.
func (s State) Code() int {
	switch s {
	case Pending:
		return 0
	case Running:
		return 16
	case ShuttingDown:
		return 32
	case Terminated:
		return 48
	case Stopping:
		return 64
	case Stopped:
		return 80
	default:
		return 272
	}
}

// Alive tells whether an instance in this state can do work now or soon.
func (s State) Alive() bool { return s == Pending || s == Running }

// Tag is one key and its value.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// TagSpecification tags everything of one resource type that a launch creates.
type TagSpecification struct {
	ResourceType string
	Tags         []Tag
}

// Reason is a code with its message, as in an instance's state reason.
type Reason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// MetadataOptions are the instance's metadata service settings, in EC2's words.
type MetadataOptions struct {
	HTTPTokens   string `json:"http_tokens"`   // optional or required
	HTTPEndpoint string `json:"http_endpoint"` // enabled or disabled
	HopLimit     int    `json:"hop_limit"`
	InstanceTags string `json:"instance_tags"` // enabled or disabled
}

// BlockDevice is one block device mapping of a launch.
type BlockDevice struct {
	DeviceName          string
	SnapshotID          string
	VolumeSize          int // GiB
	VolumeType          string
	IOPS                int
	Throughput          int
	Encrypted           bool
	DeleteOnTermination bool
}

// SpotOptions are the market options of a spot launch.
type SpotOptions struct {
	MaxPrice             string
	RequestType          string // one-time or empty
	InterruptionBehavior string // terminate or empty
}

// RunInstancesInput is what RunInstances takes. Counts are instances, UserData
// is base64 text. Extra holds parameters that the model has no field for, they
// only count for idempotency.
type RunInstancesInput struct {
	ImageID           string
	InstanceType      string
	MinCount          int
	MaxCount          int
	ClientToken       string
	SubnetID          string
	Zone              string
	KeyName           string
	SecurityGroupIDs  []string
	IAMProfileARN     string
	IAMProfileName    string
	UserData          string
	ShutdownBehavior  string // stop (default) or terminate
	Monitoring        bool
	DisableTerminate  bool // termination protection
	PublicIP          bool
	Metadata          MetadataOptions
	BlockDevices      []BlockDevice
	Spot              *SpotOptions // nil for on-demand
	TagSpecifications []TagSpecification
	DryRun            bool
	Extra             map[string]string
}

// Disk is a volume attached to an instance.
type Disk struct {
	DeviceName          string `json:"device_name"`
	VolumeID            string `json:"volume_id"`
	DeleteOnTermination bool   `json:"delete_on_termination"`
}

// Instance is what a caller sees of an instance at one moment. It is a copy.
type Instance struct {
	ID                 string          `json:"id"`
	ReservationID      string          `json:"reservation_id"`
	ClientToken        string          `json:"client_token,omitempty"`
	Type               string          `json:"type"`
	ImageID            string          `json:"image_id"`
	Architecture       string          `json:"architecture"`
	Zone               string          `json:"zone"`
	SubnetID           string          `json:"subnet_id"`
	VPCID              string          `json:"vpc_id"`
	Market             Market          `json:"market"`
	SpotRequestID      string          `json:"spot_request_id,omitempty"`
	State              State           `json:"state"`
	StateReason        Reason          `json:"state_reason"`
	TransitionReason   string          `json:"transition_reason,omitempty"`
	LaunchTime         time.Time       `json:"launch_time"`
	LaunchIndex        int             `json:"launch_index"`
	PrivateIP          string          `json:"private_ip"`
	PublicIP           string          `json:"public_ip,omitempty"`
	KeyName            string          `json:"key_name,omitempty"`
	SecurityGroupIDs   []string        `json:"security_group_ids,omitempty"`
	IAMProfileARN      string          `json:"iam_profile_arn,omitempty"`
	ShutdownBehavior   string          `json:"shutdown_behavior"`
	Protected          bool            `json:"protected,omitempty"`
	Monitoring         bool            `json:"monitoring,omitempty"`
	Metadata           MetadataOptions `json:"metadata"`
	Disks              []Disk          `json:"disks"`
	NetworkInterfaceID string          `json:"network_interface_id"`
	Tags               []Tag           `json:"tags,omitempty"` // sorted by key
	UserData           []byte          `json:"-"`              // raw, as the guest reads it
}

// Tag is the value of the instance's tag with that key, empty when it has none.
func (i Instance) Tag(key string) string {
	at := slices.IndexFunc(i.Tags, func(t Tag) bool { return t.Key == key })
	if at < 0 {
		return ""
	}
	return i.Tags[at].Value
}

// Reservation is one launch with the instances of it that are shown.
type Reservation struct {
	ID        string
	Instances []Instance
}

// StateChange is the answer of TerminateInstances for one instance.
type StateChange struct {
	InstanceID string
	Previous   State
	Current    State
}

// Filter keeps what has, for the attribute Name, one of Values. Values may hold
// the wildcards * and ?, a backslash takes their meaning away.
type Filter struct {
	Name   string
	Values []string
}

// Notice is what the metadata service tells the guest about its end.
type Notice struct {
	Action      string    // terminate, empty when there is no notice
	At          time.Time // when the action will be taken
	RebalanceAt time.Time // when a rebalance was recommended, zero for never
}
