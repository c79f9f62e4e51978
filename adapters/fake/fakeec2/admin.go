package fakeec2

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// PoolState is a bounded capacity pool. Limit is -1 when it is unbounded.
type PoolState struct {
	Offering
	Limit int `json:"limit"`
	Used  int `json:"used"`
}

// QuotaState is a vCPU quota. Limit is -1 when it is unbounded.
type QuotaState struct {
	Family string `json:"family"`
	Market Market `json:"market"`
	Limit  int    `json:"limit"`
	Used   int    `json:"used"`
}

// Snapshot is the whole region at one moment, for people and for tests.
type Snapshot struct {
	Now          time.Time      `json:"now"`
	Region       string         `json:"region"`
	Throttle     bool           `json:"throttle"`
	Denied       []string       `json:"denied"`
	Instances    []Instance     `json:"instances"`
	SpotRequests []SpotRequest  `json:"spot_requests"`
	Pools        []PoolState    `json:"pools"`
	Quotas       []QuotaState   `json:"quotas"`
	Addresses    map[string]int `json:"addresses"`
	Faults       []Fault        `json:"faults"`
	Calls        []CallCount    `json:"calls"`
}

// Snapshot takes a picture of the region.
func (c *Cloud) Snapshot() Snapshot {
	s := Snapshot{Region: c.cat.Region, Instances: c.Instances(), Faults: c.Faults(), Calls: c.Calls(), Addresses: c.freeAddresses()}
	c.mu.Lock()
	defer c.unlock()
	s.Now, s.Throttle, s.Denied = c.now().UTC(), c.throttle, slices.Clone(c.denied)
	for _, r := range c.spots {
		s.SpotRequests = append(s.SpotRequests, r.SpotRequest)
	}
	for o, p := range c.pools {
		state := PoolState{Offering: o, Limit: -1, Used: p.used}
		if p.limited {
			state.Limit = p.limit
		}
		s.Pools = append(s.Pools, state)
	}
	slices.SortFunc(s.Pools, func(a, b PoolState) int {
		return strings.Compare(a.Type+a.Zone+string(a.Market), b.Type+b.Zone+string(b.Market))
	})
	for k, q := range c.quotas {
		state := QuotaState{Family: k.family, Market: k.market, Limit: -1, Used: q.used}
		if q.limited {
			state.Limit = q.limit
		}
		s.Quotas = append(s.Quotas, state)
	}
	slices.SortFunc(s.Quotas, func(a, b QuotaState) int {
		return strings.Compare(a.Family+string(a.Market), b.Family+string(b.Market))
	})
	return s
}

// adminHandler is the way to look into the region and to break it from outside.
func (c *Cloud) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_fake/state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Snapshot()) })
	mux.HandleFunc("GET /_fake/ledger", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Ledger()) })
	mux.HandleFunc("GET /_fake/usage", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, c.Ledger().Usage(c.now(), nil)) })
	mux.HandleFunc("DELETE /_fake/faults", func(w http.ResponseWriter, _ *http.Request) {
		c.ClearFaults()
		writeJSON(w, struct{}{})
	})
	post(mux, "/_fake/faults", c.Inject)
	type target struct {
		InstanceID    string  `json:"instance_id"`
		NoticeSeconds float64 `json:"notice_seconds"`
		Impaired      bool    `json:"impaired"`
	}
	post(mux, "/_fake/interrupt", func(t target) error {
		return c.InterruptSpot(t.InstanceID, time.Duration(t.NoticeSeconds*float64(time.Second)))
	})
	post(mux, "/_fake/rebalance", func(t target) error { return c.RecommendRebalance(t.InstanceID) })
	post(mux, "/_fake/kill", func(t target) error { return c.Kill(t.InstanceID) })
	post(mux, "/_fake/poweroff", func(t target) error { return c.GuestShutdown(t.InstanceID) })
	post(mux, "/_fake/impair", func(t target) error { return c.Impair(t.InstanceID, t.Impaired) })
	post(mux, "/_fake/capacity", func(p PoolState) error {
		if _, ok := c.cat.typeNamed(p.Type); !ok || !slices.Contains(c.cat.Zones, p.Zone) || (p.Market != Spot && p.Market != OnDemand) {
			return fmt.Errorf("set capacity of %s in %s on %s: name a type and a zone of the catalog, and the market spot or on-demand", p.Type, p.Zone, p.Market)
		}
		c.SetCapacity(p.Offering, p.Limit)
		return nil
	})
	post(mux, "/_fake/quota", func(q QuotaState) error {
		if q.Market != Spot && q.Market != OnDemand {
			return fmt.Errorf("set quota of %s: market %q is neither spot nor on-demand", q.Family, q.Market)
		}
		c.SetQuota(q.Family, q.Market, q.Limit)
		return nil
	})
	post(mux, "/_fake/addresses", func(in struct {
		SubnetID string `json:"subnet_id"`
		Free     int    `json:"free"`
	},
	) error {
		if _, ok := c.cat.subnetWithID(in.SubnetID); !ok {
			return fmt.Errorf("set free addresses: there is no subnet %q", in.SubnetID)
		}
		c.SetAddresses(in.SubnetID, in.Free)
		return nil
	})
	post(mux, "/_fake/throttle", func(in struct {
		On bool `json:"on"`
	},
	) error {
		c.SetThrottle(in.On)
		return nil
	})
	post(mux, "/_fake/denied", func(in struct {
		Actions []string `json:"actions"`
	},
	) error {
		c.SetDenied(in.Actions...)
		return nil
	})
	return mux
}

// post takes a JSON body to f and answers 400 with the reason when f refuses.
func post[T any](mux *http.ServeMux, path string, f func(T) error) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		var in T
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			http.Error(w, fmt.Sprintf("read body of %s: %v", path, err), http.StatusBadRequest)
			return
		}
		if err := f(in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, struct{}{})
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, fmt.Sprintf("encode answer: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write(w, append(text, '\n'))
}
