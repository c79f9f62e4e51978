package dashboard

import (
	"slices"
	"strings"
	"time"

	"github.com/ebbscale/ebb/messages"
	"github.com/ebbscale/ebb/messages/view"
)

// The JSON of the page and of /api/v1. Times are milliseconds since 1970 and 0 when
// they are not known; docs/dashboard.md has the meaning of each field.

type head struct {
	Name     messages.AutoscalerName `json:"name"`
	Now      int64                   `json:"now"`
	Told     int64                   `json:"told"`
	Problem  string                  `json:"problem,omitempty"`
	Troubles []Trouble               `json:"troubles"`
	Version  string                  `json:"version"`
	Holder   string                  `json:"holder"`
	Started  int64                   `json:"started"`
	Stopping bool                    `json:"stopping,omitempty"`
	Pause    *pauseRow               `json:"pause,omitempty"`
	Rival    *rivalRow               `json:"rival,omitempty"`
	ClearML  sourceRow               `json:"clearml"`
	EC2      sourceRow               `json:"ec2"`
	Pending  int                     `json:"events_pending"`
	Lost     int                     `json:"events_lost"`
	Counts   map[string]int          `json:"counts"`
	Running  int                     `json:"running"`
	Waiting  int                     `json:"waiting"`
	// WaitingUnknown is how many queues there are of which nobody knows what waits.
	WaitingUnknown int `json:"waiting_unknown"`
	// WaitSince is since when the task that waits longest does.
	WaitSince int64   `json:"wait_since"`
	Cost      costRow `json:"cost"`
}

type pauseRow struct {
	At    int64  `json:"at"`
	By    string `json:"by,omitempty"`
	Why   string `json:"why,omitempty"`
	Until int64  `json:"until,omitempty"`
}

type rivalRow struct {
	At   int64  `json:"at"`
	Text string `json:"text"`
}

type sourceRow struct {
	LastGood  int64  `json:"last_good"`
	DownSince int64  `json:"down_since"`
	Class     string `json:"class,omitempty"`
	Message   string `json:"message,omitempty"`
}

type costRow struct {
	Hourly       float64 `json:"hourly_usd"`
	Today        float64 `json:"today_usd"`
	UnknownNow   int     `json:"unknown_now"`
	UnknownToday int     `json:"unknown_today"`
	// Resources is what each resource type has had today; one that had no instance is
	// not in it.
	Resources map[messages.ResourceName]shareRow `json:"resources"`
}

type shareRow struct {
	Hours float64 `json:"today_hours"`
	USD   float64 `json:"today_usd"`
}

type queueRow struct {
	Name      messages.QueueName      `json:"name"`
	Known     bool                    `json:"known"`
	Waiting   int                     `json:"waiting"`
	WaitSince int64                   `json:"wait_since"`
	Resources []messages.ResourceName `json:"resources"`
	Covered   int                     `json:"covered"`
	Launching int                     `json:"launching"`
	Unmet     int                     `json:"unmet"`
	Reasons   []string                `json:"reasons,omitempty"`
}

type resourceRow struct {
	Name      messages.ResourceName `json:"name"`
	Known     bool                  `json:"known"`
	Retired   bool                  `json:"retired,omitempty"`
	Max       int                   `json:"max"`
	Alive     int                   `json:"alive"`
	Launching int                   `json:"launching"`
	Counts    map[string]int        `json:"counts"`
	Types     []string              `json:"types"`
	Markets   []string              `json:"markets"`
	Queues    []messages.QueueName  `json:"queues"`
	Held      []string              `json:"held,omitempty"`
	Blocks    []blockRow            `json:"blocks,omitempty"`
	IdleMax   float64               `json:"max_idle_seconds"`
	BootMax   float64               `json:"boot_within_seconds"`
}

type blockRow struct {
	Offering string `json:"offering"`
	Class    string `json:"class"`
	Until    int64  `json:"until"`
}

// instanceRow can be compared with ==, which is how changes are found.
type instanceRow struct {
	ID        messages.InstanceID   `json:"id"`
	Resource  messages.ResourceName `json:"resource"`
	Type      string                `json:"type"`
	Zone      string                `json:"zone,omitempty"`
	Market    messages.Market       `json:"market"`
	Condition messages.Condition    `json:"condition"`
	Since     int64                 `json:"since"`
	Launched  int64                 `json:"launched"`
	Worker    messages.WorkerID     `json:"worker,omitempty"`
	Task      messages.TaskID       `json:"task,omitempty"`
	TaskName  string                `json:"task_name,omitempty"`
	Why       string                `json:"why,omitempty"`
	Notice    messages.NoticeKind   `json:"notice,omitempty"`
	Hourly    float64               `json:"hourly_usd,omitempty"`
}

type logRow struct {
	ID    string `json:"id"`
	At    int64  `json:"at"`
	Kind  string `json:"kind"`
	About string `json:"about,omitempty"`
	Level string `json:"level"`
	Text  string `json:"text"`
}

func millis(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

func sourceOf(s messages.SourceStatus) sourceRow {
	return sourceRow{LastGood: millis(s.LastGood), DownSince: millis(s.DownSince), Class: string(s.Class), Message: s.Message}
}

func costOf(c view.Cost) costRow {
	row := costRow{
		Hourly: c.HourlyUSD, Today: c.TodayUSD, UnknownNow: c.UnknownNow, UnknownToday: c.UnknownToday,
		Resources: make(map[messages.ResourceName]shareRow, len(c.Today)),
	}
	for name, share := range c.Today {
		row.Resources[name] = shareRow{Hours: share.Hours, USD: share.USD}
	}
	return row
}

func countsOf(numbers []int) (counts map[string]int, running int) {
	counts = make(map[string]int, len(numbers))
	for i, c := range messages.Conditions() {
		counts[string(c)] = numbers[i]
		running += numbers[i]
	}
	return counts, running
}

func (b *board) head(state *view.State, now time.Time) head {
	counts, running := countsOf(state.Counts())
	waiting, oldest := state.Waiting(now)
	told, _ := b.view.Told()
	h := head{
		Name: b.name, Now: millis(now), Told: millis(told), Problem: b.problem, Troubles: b.troubles, Version: state.Version, Holder: state.Holder,
		Started: millis(state.StartedAt), Stopping: state.Stopping, ClearML: sourceOf(state.ClearML), EC2: sourceOf(state.EC2),
		Pending: state.EventsPending, Lost: state.EventsLost, Counts: counts, Running: running, Waiting: waiting,
		Cost: costOf(b.spending.Cost(state, now)),
	}
	for _, queue := range state.Queues {
		if !queue.Known {
			h.WaitingUnknown++
		}
	}
	if waiting > 0 && oldest > 0 {
		h.WaitSince = millis(now.Add(-oldest))
	}
	if p := state.Pause; p != nil && (p.Until.IsZero() || now.Before(p.Until)) {
		h.Pause = &pauseRow{At: millis(p.At), By: p.By, Why: p.Why, Until: millis(p.Until)}
	}
	if state.Rival != nil {
		told := messages.Recorded{At: state.Rival.Since, Event: messages.AutoscalerContested(*state.Rival)}
		h.Rival = &rivalRow{At: millis(told.At), Text: b.line(told)}
	}
	return h
}

func (b *board) queues(state *view.State) []queueRow {
	rows := make([]queueRow, 0, len(state.QueueOrder))
	for _, name := range state.QueueOrder {
		q := state.Queues[name]
		rows = append(rows, queueRow{
			Name: name, Known: q.Known, Waiting: q.Waiting, WaitSince: millis(q.Since()), Resources: q.Resources,
			Covered: q.Verdict.Covered, Launching: q.Verdict.Launching, Unmet: q.Verdict.Unmet, Reasons: b.words(q.Verdict.Reasons),
		})
	}
	return rows
}

func (b *board) resources(state *view.State, now time.Time) []resourceRow {
	counts := make(map[messages.ResourceName]map[string]int)
	for _, i := range state.Instances {
		if counts[i.Resource] == nil {
			counts[i.Resource] = make(map[string]int)
		}
		counts[i.Resource][string(i.Condition)]++
	}
	rows := make([]resourceRow, 0, len(state.ResourceOrder))
	for _, name := range state.ResourceOrder {
		r := state.Resources[name]
		row := resourceRow{
			Name: name, Known: r.Known, Retired: r.Retired, Max: r.Max, Alive: r.Alive, Launching: r.Launching,
			Counts: counts[name], Held: b.words(r.Held), IdleMax: r.IdleSeconds, BootMax: r.BootSeconds,
		}
		if row.Counts == nil {
			row.Counts = map[string]int{}
		}
		for _, o := range r.Offerings {
			row.Types = appendNew(row.Types, o.InstanceType)
			row.Markets = appendNew(row.Markets, string(o.Market))
		}
		for _, block := range r.Blocks {
			if now.Before(block.Until) || block.Until.IsZero() {
				row.Blocks = append(row.Blocks, blockRow{Offering: block.Offering.String(), Class: string(block.Class), Until: millis(block.Until)})
			}
		}
		for _, q := range state.QueueOrder {
			if slices.Contains(state.Queues[q].Resources, name) {
				row.Queues = append(row.Queues, q)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func appendNew(list []string, text string) []string {
	if text == "" || slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

func (b *board) instance(i messages.InstanceStatus) instanceRow {
	row := instanceRow{
		ID: i.Instance, Resource: i.Resource, Type: i.Offering.InstanceType, Zone: i.Offering.Zone, Market: i.Offering.Market,
		Condition: i.Condition, Since: millis(i.Since), Launched: millis(i.LaunchedAt), Worker: i.Worker, Task: i.Task,
		TaskName: i.TaskName, Notice: i.Notice, Hourly: i.HourlyUSD,
	}
	if row.Zone == "" {
		row.Zone = i.Offering.Subnet
	}
	if len(i.Reasons) > 0 {
		row.Why = strings.Join(b.words(i.Reasons), "; ")
	}
	return row
}

func (b *board) words(reasons []messages.Reason) []string {
	var texts []string
	for _, r := range reasons {
		texts = append(texts, b.reason(r))
	}
	return texts
}

// levelOf is how much an event is to be looked at.
func levelOf(event messages.Event) string {
	switch any(event).(type) {
	case messages.ObservationFailed, messages.AutoscalerMisconfigured, messages.AutoscalerContested, messages.InstanceUnended, messages.TaskLost, messages.TaskDuplicated:
		return "error"
	case messages.InstanceRefused, messages.InstanceUnready, messages.InstanceNoticed, messages.InstanceStray, messages.ResourceHeld,
		messages.FleetGuarded, messages.TaskRequeued, messages.AutoscalerPaused, messages.AutoscalerStopped, messages.QueueClosed:
		return "warn"
	default:
		return "info"
	}
}

// historyRow is a history in columns. What a sample does not have is null.
type historyRow struct {
	Step       float64               `json:"step_seconds"`
	At         []int64               `json:"at"`
	Conditions map[string][]int      `json:"conditions"`
	Resources  map[string][]*int     `json:"resources"`
	Waiting    map[string][]*int     `json:"waiting"`
	Wait       map[string][]*float64 `json:"wait_seconds"`
	Hourly     []float64             `json:"hourly_usd"`
}

func historyOf(samples []view.Sample, step time.Duration) historyRow {
	h := historyRow{
		Step: step.Seconds(), At: make([]int64, 0, len(samples)), Conditions: map[string][]int{},
		Resources: map[string][]*int{}, Waiting: map[string][]*int{}, Wait: map[string][]*float64{}, Hourly: make([]float64, 0, len(samples)),
	}
	for at, s := range samples {
		h.At, h.Hourly = append(h.At, millis(s.At)), append(h.Hourly, s.HourlyUSD)
		for i, c := range messages.Conditions() {
			h.Conditions[string(c)] = append(h.Conditions[string(c)], s.Conditions[i])
		}
		column(h.Resources, s.Resources, at, len(samples))
		column(h.Waiting, s.Waiting, at, len(samples))
		column(h.Wait, s.Wait, at, len(samples))
	}
	return h
}

func column[K ~string, V any](columns map[string][]*V, values map[K]V, at, length int) {
	for name, value := range values {
		if columns[string(name)] == nil {
			columns[string(name)] = make([]*V, length)
		}
		columns[string(name)][at] = &value
	}
}
