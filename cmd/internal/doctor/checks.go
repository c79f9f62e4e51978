package doctor

// ID names a check.
type ID string

// The checks, in the order in which they are shown.
const (
	Config         ID = "config"
	StateDir       ID = "state_dir"
	Disk           ID = "disk"
	NATSListen     ID = "nats.listen"
	NATSLogin      ID = "nats.login"
	NATSJetStream  ID = "nats.jetstream"
	NATSStreams    ID = "nats.streams"
	HTTPListen     ID = "http.listen"
	ClearMLServer  ID = "clearml.server"
	ClearMLLogin   ID = "clearml.login"
	ClearMLClock   ID = "clearml.clock"
	ClearMLQueues  ID = "clearml.queues"
	ClearMLWorkers ID = "clearml.workers"
	ClearMLOwner   ID = "clearml.owner"
	AWSCredentials ID = "aws.credentials"
	AWSRegion      ID = "aws.region"
	AWSPermission  ID = "aws.permission"
	AWSImage       ID = "aws.image"
	AWSOffering    ID = "aws.offering"
	AWSSubnet      ID = "aws.subnet"
	AWSGroup       ID = "aws.security_group"
	AWSKeyPair     ID = "aws.key_pair"
	AWSProfile     ID = "aws.instance_profile"
	AWSLaunch      ID = "aws.launch"
	AWSQuota       ID = "aws.quota"
	noCheck        ID = "" // a refusal that no check of its own is about
)

// Checks lists every check there is, in the order in which they are shown.
func Checks() []ID {
	return append([]ID{Config}, notConfig()...)
}

// notConfig is the list without the configuration, on which all else rests.
func notConfig() []ID {
	return append(append([]ID{StateDir, Disk, NATSListen, NATSLogin, NATSJetStream, NATSStreams, HTTPListen}, clearmlChecks()...), awsChecks()...)
}

func clearmlChecks() []ID {
	return []ID{ClearMLServer, ClearMLLogin, ClearMLClock, ClearMLQueues, ClearMLWorkers, ClearMLOwner}
}

func awsChecks() []ID {
	return []ID{
		AWSCredentials, AWSRegion, AWSPermission, AWSImage, AWSOffering, AWSSubnet, AWSGroup, AWSKeyPair, AWSProfile, AWSLaunch, AWSQuota,
	}
}

// The actions of AWS that ebb calls, or that AWS asks for when it does; those
// of adapters/iam, and a test holds the two together.
const (
	runInstances       = "ec2:RunInstances"
	createTags         = "ec2:CreateTags"
	describeInstances  = "ec2:DescribeInstances"
	terminateInstances = "ec2:TerminateInstances"
	getConsoleOutput   = "ec2:GetConsoleOutput"
	describeSpot       = "ec2:DescribeSpotInstanceRequests"
	passRole           = "iam:PassRole"
	spotRole           = "iam:CreateServiceLinkedRole"
	getParameters      = "ssm:GetParameters"
)

// Permissions lists the actions of AWS that aws.permission is about.
func Permissions() []string {
	return []string{
		describeInstances, runInstances, createTags, terminateInstances, getConsoleOutput, describeSpot, passRole, getParameters, spotRole,
	}
}
