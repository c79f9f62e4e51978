package config

import (
	"net/url"
	"slices"
	"strings"
)

// file decodes the whole tree.
func (d *decoder) file() File {
	o := d.object("", d.t.root)
	f := File{
		StateDir: o.text("state_dir"),
		Log:      d.log(o.object("log")),
		NATS:     d.nats(o.object("nats")),
		Lease:    d.lease(o.object("lease")),
		HTTP:     d.http(o.object("http")),
	}
	o.list("autoscalers", func(o *object) { f.Autoscalers = append(f.Autoscalers, d.autoscaler(o)) })
	o.foreign = map[string]string{
		"hyper_params": "autoscalers", "configurations": "autoscalers", "auto_scaler": "autoscalers", "autoscaler": "autoscalers",
	}
	o.done()
	return f
}

func (d *decoder) log(o *object) Log {
	defer o.done()
	return Log{Level: o.text("level"), Format: o.text("format")}
}

func (d *decoder) lease(o *object) Lease {
	defer o.done()
	return Lease{TTL: o.duration("ttl")}
}

func (d *decoder) http(o *object) HTTP {
	h := HTTP{
		Listen: o.text("listen"), Token: o.secret("token"), User: o.text("user"), Password: o.secret("password"),
		BehindTLSProxy: o.flag("behind_tls_proxy"),
	}
	tls := o.object("tls")
	h.TLS = HTTPTLS{CertFile: tls.text("cert_file"), KeyFile: tls.text("key_file")}
	tls.done()
	o.done()
	return h
}

func (d *decoder) nats(o *object) NATS {
	n := NATS{
		URL: o.text("url"), Listen: o.text("listen"),
		CredsFile: o.text("creds_file"), NKeyFile: o.text("nkey_file"),
		User: o.text("user"), Password: o.secret("password"), Token: o.secret("token"),
	}
	tls := o.object("tls")
	n.TLS = TLS{CAFile: tls.text("ca_file"), CertFile: tls.text("cert_file"), KeyFile: tls.text("key_file")}
	tls.done()
	o.done()
	if n.URL == "" && n.Listen == "" {
		n.Listen = listenDefault
	}
	return n
}

func (d *decoder) autoscaler(o *object) Autoscaler {
	a := Autoscaler{
		Name: o.text("name"),
	}
	a.ClearML = d.clearml(o.object("clearml"))
	a.AWS = d.aws(o.object("aws"))
	git := o.object("git")
	a.Git = Git{User: git.text("user"), Password: git.secret("password")}
	git.done()

	a.MaxIdleTime = o.duration("max_idle_time")
	a.MaxSpinUpTime = o.duration("max_spin_up_time")
	a.PollingInterval = o.duration("polling_interval")
	a.MaxLifetime = o.duration("max_lifetime")
	deadMan := o.object("dead_man")
	a.DeadMan = DeadMan{Unreachable: deadMan.duration("unreachable")}
	deadMan.done()
	a.WorkersPrefix = o.text("workers_prefix")
	a.BaseDockerImage = o.text("base_docker_image")
	a.DockerMode = o.flag("docker_mode")
	if !o.has("docker_mode") {
		a.DockerMode = a.BaseDockerImage != ""
	}
	profile := o.object("iam_instance_profile")
	a.IAMInstanceProfile = IAMInstanceProfile{ARN: profile.text("arn"), Name: profile.text("name")}
	profile.done()
	a.InitScript = o.secret("init_script")
	a.ClearMLConf = o.secret("clearml_conf")
	a.AgentVersion = o.text("agent_version")
	a.ExcludeBashrc = o.flag("exclude_bashrc")
	a.OnShutdown = ShutdownAction(o.text("on_shutdown"))
	a.RequeueLostTasks = o.flag("requeue_lost_tasks")
	a.WarnDuplicateTasks = o.flag("warn_duplicate_tasks")
	o.list("resources", func(o *object) { a.Resources = append(a.Resources, d.resource(o)) })
	a.Queues = d.queues(o)
	o.foreign = foreignNames()
	o.done()
	d.reconcile(o.path, &a)
	return a
}

func (d *decoder) clearml(o *object) ClearML {
	c := ClearML{
		APIServer: o.text("api_server"), WebServer: o.text("web_server"), FilesServer: o.text("files_server"),
		AccessKey: o.text("access_key"), SecretKey: o.secret("secret_key"), AuthToken: o.secret("auth_token"),
	}
	o.done()
	web, files := serversBeside(c.APIServer)
	if c.WebServer == "" {
		c.WebServer = web
	}
	if c.FilesServer == "" {
		c.FilesServer = files
	}
	return c
}

// serversBeside derives the web and files servers from the API server's address as
// ClearML does: api.x is beside app.x and files.x, port 8008 beside 8080 and 8081.
// Other addresses tell nothing.
func serversBeside(api string) (web, files string) {
	u, err := url.Parse(api)
	plain := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	if !plain || u.Port() != "" && !validPort(u.Port()) {
		return "", ""
	}
	beside := func(host string) string {
		v := *u
		v.Host = host
		return v.String()
	}
	if rest, ok := strings.CutPrefix(u.Host, "api."); ok {
		return beside("app." + rest), beside("files." + rest)
	}
	if rest, ok := strings.CutSuffix(u.Host, ":8008"); ok {
		return beside(rest + ":8080"), beside(rest + ":8081")
	}
	return "", ""
}

func (d *decoder) aws(o *object) AWS {
	defer o.done()
	return AWS{
		Region: o.text("region"), UseIAMRole: o.flag("use_iam_role"),
		AccessKeyID: o.text("access_key_id"), SecretAccessKey: o.secret("secret_access_key"),
		SessionToken: o.secret("session_token"), EndpointURL: o.text("endpoint_url"),
	}
}

// queues decodes {queue: [resources]} or [{queue, resources}].
func (d *decoder) queues(o *object) []Queue {
	v, path, _ := o.get("queues", KindObjects)
	var queues []Queue
	switch v := v.(type) {
	case nil:
	case map[string]any:
		inner := d.object(path, v)
		inner.free = true // its keys are names of queues
		for i, name := range d.t.doc.keysOf(path, v) {
			d.said[item(path, i)] = child(path, name)
			queues = append(queues, Queue{Queue: name, Resources: inner.texts(name)})
		}
	case []any:
		o.list("queues", func(o *object) {
			queues = append(queues, Queue{Queue: o.text("queue"), Resources: o.texts("resources")})
			o.done()
		})
	default:
		d.fail(path, "must be an object or a list, is "+kindOf(v), "write one line queue: [resource, resource] for each queue")
	}
	return queues
}

// reconcile makes the autoscaler's queues and the resources' queues agree. What one
// side does not say follows from the other; what the two say differently is a
// problem.
func (d *decoder) reconcile(path string, a *Autoscaler) {
	if len(a.Queues) == 0 {
		if d.t.isBroken(child(path, "queues")) {
			return
		}
		a.Queues = queuesOf(a.Resources)
		return
	}
	for i := range a.Resources {
		r := &a.Resources[i]
		var serving []string
		for _, q := range a.Queues {
			if slices.Contains(q.Resources, r.Name) {
				serving = append(serving, q.Queue)
			}
		}
		if len(r.Queues) == 0 {
			r.Queues = serving
			continue
		}
		p := child(item(child(path, "resources"), i), "queues")
		for _, q := range r.Queues {
			if !slices.Contains(serving, q) {
				d.fail(d.saidAt(p), "names the queue "+d.t.show(p, q)+", under which the autoscaler's queues do not name this resource", "write the resource in the autoscaler's queues too, or leave one of the two lists away")
			}
		}
		for _, q := range serving {
			if !slices.Contains(r.Queues, q) {
				d.fail(d.saidAt(p), "does not name the queue "+d.t.show(p, q)+", under which the autoscaler's queues name this resource", "add it, or leave one of the two lists away")
			}
		}
	}
}

// queuesOf lists the queues of resources as they are first named, each with its
// resources in file order.
func queuesOf(resources []Resource) []Queue {
	var queues []Queue
	for _, r := range resources {
		for _, name := range r.Queues {
			i := slices.IndexFunc(queues, func(q Queue) bool { return q.Queue == name })
			if i < 0 {
				i = len(queues)
				queues = append(queues, Queue{Queue: name})
			}
			if !slices.Contains(queues[i].Resources, r.Name) {
				queues[i].Resources = append(queues[i].Resources, r.Name)
			}
		}
	}
	return queues
}

// saidAt is the path under which path was written.
func (d *decoder) saidAt(path string) string {
	for p := path; p != ""; p = enclosing(p) {
		if said, ok := d.said[p]; ok {
			if rest := path[len(p):]; strings.HasPrefix(rest, ".") || rest == "" {
				return said + rest
			}
			return said
		}
	}
	return path
}
