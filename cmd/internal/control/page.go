package control

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ebbscale/ebb/messages"
)

// instancesOnce is how many instances one answer holds at most, and bytesOnce how
// many bytes of them: with the queues and resource types beside them they fit
// into a message of a NATS server that is configured as usual (1 MiB).
const (
	instancesOnce = 800
	bytesOnce     = 500_000
)

// page leaves out the instances that are in an earlier or a later answer. Queues
// and resource types are in the first one only.
func page(status messages.Status, after messages.InstanceID) (Status, error) {
	from, _ := slices.BinarySearchFunc(status.Instances, after, func(i messages.InstanceStatus, id messages.InstanceID) int {
		if i.Instance <= id {
			return -1
		}
		return 1
	})
	rest := status.Instances[from:]
	most, bytes := 0, 0
	for most < min(len(rest), instancesOnce) {
		data, err := json.Marshal(rest[most])
		if err != nil {
			return Status{}, fmt.Errorf("write instance %s: %w", rest[most].Instance, err)
		}
		if bytes += len(data) + 1; bytes > bytesOnce && most > 0 {
			break
		}
		most++
	}
	answer := Status{Status: status, More: len(rest) > most}
	answer.Instances = rest[:most]
	if after != "" {
		answer.Queues, answer.Resources = []messages.QueueStatus{}, []messages.ResourceStatus{}
	}
	return answer, nil
}
