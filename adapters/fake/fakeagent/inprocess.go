package fakeagent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/ebbscale/ebb/adapters/fake/fakeclearml"
)

// NewInProcess is a fake ClearML server in the same process, without HTTP and
// JSON: the same calls do the same things to the same model, a hundred times as
// fast. Credentials are not looked at, everything is done as the server's
// default user, and faults of the server's HTTP side do not strike; whoever
// wants a network wraps the answer.
func NewInProcess(server *fakeclearml.Server) API { return &inProcess{server} }

type inProcess struct{ server *fakeclearml.Server }

// Call implements API.
func (p *inProcess) Call(ctx context.Context, endpoint string, in Body, out any) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("call %s: %w", endpoint, err)
	}
	name := endpoint[strings.LastIndexByte(endpoint, '/')+1:]
	service, action, _ := strings.Cut(name, ".")
	var err error
	switch service {
	case "auth":
		if token, ok := out.(*Token); ok {
			token.Token = "in process"
		}
	case "queues":
		err = p.queues(action, in, out)
	case "workers":
		err = p.workers(action, in)
	case "tasks":
		err = p.tasks(action, in, out)
	default:
		err = errNoEndpoint(name)
	}
	if refusal, ok := errors.AsType[*fakeclearml.Error](err); ok {
		err = &Refusal{Status: refusal.Code, Subcode: refusal.Subcode, Message: refusal.Msg}
	}
	if err != nil {
		return fmt.Errorf("call %s: %w", endpoint, err)
	}
	return nil
}

func errNoEndpoint(name string) error {
	return &Refusal{Status: http.StatusNotFound, Message: "Unable to find endpoint for name " + name}
}

// text, flag and texts read parameters as the agents write them.
func (b Body) text(name string) string {
	text, _ := b[name].(string)
	return text
}

func (b Body) flag(name string) bool {
	flag, _ := b[name].(bool)
	return flag
}

func (b Body) texts(name string) []string {
	texts, _ := b[name].([]string)
	return texts
}

func (p *inProcess) queues(action string, in Body, out any) error {
	switch action {
	case "get_all":
		return p.findQueues(in, out)
	case "get_next_task":
		entry, _, err := p.server.NextTask(in.text("queue"), "")
		if next, ok := out.(*Next); ok {
			next.Entry.Task = entry.Task
		}
		return err
	case "add_or_update_metadata":
		list, _ := in["metadata"].([]Body)
		items := make([]fakeclearml.MetadataItem, len(list))
		for i, item := range list {
			items[i] = fakeclearml.MetadataItem{Key: item.text("key"), Type: item.text("type"), Value: item.text("value")}
		}
		return p.server.SetMetadata(in.text("queue"), items...)
	default:
		return errNoEndpoint("queues." + action)
	}
}

func (p *inProcess) findQueues(in Body, out any) error {
	ids := in.texts("id")
	switch out := out.(type) {
	case *Metadata:
		out.Values, out.Found = p.server.MetadataValues(ids[0], out.Keys, out.Values)
	case *Queues:
		if name := in.text("name"); name != "" {
			pattern, err := regexp.Compile(name)
			if err != nil {
				return fmt.Errorf("find queues: %w", err)
			}
			names := p.server.QueueNames()
			for id, name := range names {
				if pattern.MatchString(name) {
					out.Queues = append(out.Queues, QueueRow{ID: id, Name: name})
				}
			}
			slices.SortFunc(out.Queues, func(a, b QueueRow) int { return strings.Compare(a.Name, b.Name) })
			return nil
		}
		for _, id := range ids {
			if tags, there := p.server.QueueTags(id); there {
				out.Queues = append(out.Queues, QueueRow{ID: id, Tags: tags})
			}
		}
	}
	return nil
}

func (p *inProcess) workers(action string, in Body) error {
	worker := in.text("worker")
	switch action {
	case "register":
		return p.server.Register(fakeclearml.RegisterRequest{Worker: worker, Queues: in.texts("queues"), IP: localhost})
	case "unregister":
		p.server.Unregister("", worker)
		return nil
	case "status_report":
		return p.server.ReportStatus(fakeclearml.Report{
			Worker: worker, IP: localhost, Task: in.text("task"), Queue: in.text("queue"), Queues: in.texts("queues"),
		})
	default:
		return errNoEndpoint("workers." + action)
	}
}

const localhost = "127.0.0.1"

func (p *inProcess) tasks(action string, in Body, out any) error {
	request := fakeclearml.StatusRequest{
		Task: in.text("task"), Reason: in.text("status_reason"), Message: in.text("status_message"), Force: in.flag("force"),
	}
	var err error
	switch action {
	case "started":
		_, err = p.server.Started(request)
	case "stopped":
		_, err = p.server.Stopped(request)
	case "completed":
		_, err = p.server.Completed(request)
	case "dequeue":
		_, err = p.server.Dequeue(fakeclearml.DequeueRequest{StatusRequest: request, NewStatus: fakeclearml.Status(in.text("new_status"))})
	case "ping":
		p.server.Ping("", request.Task)
	case "edit":
		runtime, _ := in["runtime"].(map[string]any)
		err = p.server.SetTaskRuntime("", request.Task, runtime)
	case "get_by_id":
		var runtime map[string]any
		runtime, err = p.server.TaskRuntime(request.Task)
		if read, ok := out.(*TaskRead); ok {
			read.Task.Runtime = runtime
		}
	case "get_all":
		if list, ok := out.(*Tasks); ok {
			p.findTasks(in, list)
		}
	default:
		err = errNoEndpoint("tasks." + action)
	}
	return err
}

// findTasks answers what only_fields asks for.
func (p *inProcess) findTasks(in Body, out *Tasks) {
	for _, id := range in.texts("id") {
		status, message, there := p.server.TaskNote(id)
		if !there {
			continue
		}
		row := TaskRow{Status: string(status), Message: message}
		if slices.Contains(in.texts("only_fields"), "runtime") {
			row = TaskRow{}
			if runtime, err := p.server.TaskRuntime(id); err == nil {
				row.Runtime = runtime
			}
		}
		out.Tasks = append(out.Tasks, row)
	}
}
