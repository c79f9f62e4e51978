package config

// AgentVersionDefault is the clearml-agent that instances install unless told
// otherwise: the version ebb is tested with.
const AgentVersionDefault = "3.0.3"

// The first layer. Durations are text, as a file would have them. What depends on
// other keys has its default where it is decoded: docker_mode, market, the web and
// files servers, and the fields of a volume.

func fileDefaults() map[string]any {
	return map[string]any{
		"state_dir": "/var/lib/ebb",
		"log":       map[string]any{"level": "info", "format": "auto"},
		"lease":     map[string]any{"ttl": "15s"},
		"http":      map[string]any{"listen": "127.0.0.1:8480", "behind_tls_proxy": false},
	}
}

func autoscalerDefaults() map[string]any {
	return map[string]any{
		"max_idle_time":        "15m",
		"max_spin_up_time":     "30m",
		"polling_interval":     "1m",
		"max_lifetime":         "0s",
		"workers_prefix":       "dynamic_aws",
		"agent_version":        AgentVersionDefault,
		"exclude_bashrc":       false,
		"on_shutdown":          string(ShutdownKeep),
		"dead_man":             map[string]any{"unreachable": "6h"},
		"requeue_lost_tasks":   true,
		"warn_duplicate_tasks": true,
		"aws":                  map[string]any{"use_iam_role": false},
	}
}

func resourceDefaults() map[string]any {
	return map[string]any{
		"cpu_only":   false,
		"monitoring": false,
		"on_demand_fallback": map[string]any{
			"enabled": false, "patience": "2m", "blackout": "0s",
		},
	}
}

// listenDefault is where the embedded NATS server listens.
const listenDefault = "127.0.0.1:4222"

// Defaults of a volume. volumeSizeFlat is that of ClearML's flat ebs_volume_size.
const (
	volumeTypeDefault = "gp3"
	volumeSizeFlat    = 80
)
