package simulation_test

import (
	"maps"

	"github.com/cockroachdb/datadriven"

	"github.com/ebbscale/ebb/cmd/internal/simulation"
)

// process reads which process a step is about, the first by default.
func (s *script) process(d *datadriven.TestData, more map[string]any) (seat int, err error) {
	process := 1
	all := map[string]any{"process": &process}
	maps.Copy(all, more)
	err = args(d, all)
	return process - 1, err
}

func (s *script) pause(d *datadriven.TestData) (string, error) {
	seat, err := s.process(d, nil)
	if err == nil {
		s.world.Pause(seat)
	}
	return "", err
}

func (s *script) resume(d *datadriven.TestData) (string, error) {
	seat, err := s.process(d, nil)
	if err == nil {
		s.world.Resume(seat)
	}
	return "", err
}

func (s *script) startProcess(d *datadriven.TestData) (string, error) {
	seat, err := s.process(d, nil)
	if err != nil {
		return "", err
	}
	return "", s.world.StartProcess(seat)
}

// cut takes the network from a process, or gives it back.
func (s *script) cut(d *datadriven.TestData) (string, error) {
	over := false
	seat, err := s.process(d, map[string]any{"over": &over})
	if err == nil {
		s.world.Cut(seat, !over)
	}
	return "", err
}

// reload changes the maximum of a resource type, takes one out, or gives all
// processes the configuration that the world began with.
func (s *script) reload(d *datadriven.TestData) (string, error) {
	resource, most, without, queue, image := "", 0, "", "", ""
	if err := args(d, map[string]any{"resource": &resource, "max": &most, "without": &without, "queue": &queue, "image": &image}); err != nil {
		return "", err
	}
	options := s.options.Clone()
	if queue != "" {
		options.Queues = append(options.Queues, simulation.Queue{Name: queue, Resources: []string{resource}})
	}
	if without != "" {
		options = options.Without(without)
	}
	for n := range options.Resources {
		switch r := &options.Resources[n]; {
		case r.Name != resource || queue != "":
		case image != "":
			r.Image = image
		default:
			r.Max = most
		}
	}
	return "", s.world.Reload(options)
}

// abort lets the user of the n-th unfinished task give it up.
func (s *script) abort(d *datadriven.TestData) (string, error) {
	n := 1
	if err := args(d, map[string]any{"n": &n}); err != nil {
		return "", err
	}
	done, err := s.world.Abort(n - 1)
	if err == nil && !done {
		return "no task is left to abort\n", nil
	}
	return "", err
}

// empty makes ClearML answer empty lists; only in a world that is in-process.
func (s *script) empty(d *datadriven.TestData) (string, error) {
	over := false
	if err := args(d, map[string]any{"over": &over}); err != nil {
		return "", err
	}
	s.world.EmptyLists(!over)
	return "", nil
}

// rename gives a queue of the ClearML server another name.
func (s *script) rename(d *datadriven.TestData) (string, error) {
	queue, to := "default", ""
	if err := args(d, map[string]any{"queue": &queue, "to": &to}); err != nil {
		return "", err
	}
	return "", s.world.RenameQueue(queue, to)
}

// remove deletes a queue from the ClearML server.
func (s *script) remove(d *datadriven.TestData) (string, error) {
	queue := "default"
	if err := args(d, map[string]any{"queue": &queue}); err != nil {
		return "", err
	}
	return "", s.world.DeleteQueue(queue)
}
