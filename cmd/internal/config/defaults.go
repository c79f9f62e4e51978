package config

// AgentVersionDefault is the clearml-agent that instances install unless told
// otherwise: the version ebb is tested with.
const AgentVersionDefault = "3.0.3"

// The other defaults are in the table of keys. What depends on other keys has its
// default where it is decoded: docker_mode, market, the web and files servers, and
// the fields of a volume.

// listenDefault is where the embedded NATS server listens.
const listenDefault = "127.0.0.1:4222"

// httpDefault is where the dashboard is served.
const httpDefault = "127.0.0.1:8480"

// Defaults of a volume. volumeSizeFlat is that of ClearML's flat ebs_volume_size.
const (
	volumeTypeDefault = "gp3"
	volumeSizeFlat    = 80
)
