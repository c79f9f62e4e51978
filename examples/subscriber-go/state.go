package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
)

// remembered is how many ids are kept to tell an event that was stored twice. ebb repeats
// at most the 500 that were on their way when an answer of the server got lost.
const remembered = 1000

// state is all that this program knows: how far it has read and what it counted up to
// there. Both are in one file, so that they never tell two stories.
type state struct {
	path string
	// Sequence is the number in the stream of the last message that was handled.
	Sequence uint64 `json:"sequence"`
	// Instances are the resource types of those that there are, by autoscaler and id.
	Instances map[string]map[string]string `json:"instances"`
	// Seen are the ids of the last events, the oldest first.
	Seen []string `json:"seen"`
}

// load reads the state; without a file it is that of a first start.
func load(path string) (*state, error) {
	s := &state{path: path, Instances: map[string]map[string]string{}, Seen: []string{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("read state %s (delete it to read all events anew): %w", path, err)
	}
	return s, nil
}

// save writes the state beside the file and then in its place: a kill leaves the old one
// or the new one, never half of one.
func (s *state) save() error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path+".new", text, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return os.Rename(s.path+".new", s.path)
}

// first says whether an event comes for the first time.
func (s *state) first(id string) bool {
	if slices.Contains(s.Seen, id) {
		return false
	}
	s.Seen = append(s.Seen, id)
	s.Seen = s.Seen[max(0, len(s.Seen)-remembered):]
	return true
}

// autoscaler is the name of the autoscaler that an event is of.
func (e event) autoscaler() string {
	name, err := url.PathUnescape(strings.TrimPrefix(e.Source, "/ebb/"))
	if err != nil {
		return e.Source
	}
	return name
}

// count keeps the instances that there are. An autoscaler that starts finds its instances
// again and tells of each (instance.adopted), so what was known before is dropped: the end
// of one may have gone untold while ebb was away.
func (s *state) count(e event) {
	switch strings.TrimPrefix(e.Type, "ebb.v1.") {
	case "autoscaler.started":
		delete(s.Instances, e.Source)
	case "instance.launched", "instance.adopted", "instance.stray":
		if s.Instances[e.Source] == nil {
			s.Instances[e.Source] = map[string]string{}
		}
		s.Instances[e.Source][e.Data.Instance] = e.Data.Resource
	case "instance.gone":
		delete(s.Instances[e.Source], e.Data.Instance)
	}
}

// counts says how many instances of each resource type there are.
func (s *state) counts() string {
	numbers := map[string]int{}
	for _, instances := range s.Instances {
		for _, resource := range instances {
			numbers[resource]++
		}
	}
	var parts []string
	for _, resource := range slices.Sorted(maps.Keys(numbers)) {
		parts = append(parts, fmt.Sprintf("%s %d", resource, numbers[resource]))
	}
	return strings.Join(parts, ", ")
}
