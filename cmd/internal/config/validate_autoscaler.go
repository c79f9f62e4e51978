package config

import (
	"fmt"
	"net/url"
	"strings"
)

func (c *checker) autoscaler(path string, a Autoscaler) {
	at := func(key string) string { return child(path, key) }
	c.name(at("name"), a.Name)
	c.clearml(at("clearml"), a.ClearML)
	c.aws(at("aws"), a.AWS)
	switch {
	case a.Git.Password != "" && a.Git.User == "":
		c.add(at("git.user"), "is missing beside git.password", "write the user; with an access token, the one that your host names (GitHub: any, GitLab: oauth2)")
	case a.Git.User != "" && a.Git.Password == "":
		c.add(at("git.password"), "is missing beside git.user", "write the password or access token, or remove git.user to clone with SSH keys")
	}
	c.longEnough(at("max_idle_time"), a.MaxIdleTime)
	c.longEnough(at("max_spin_up_time"), a.MaxSpinUpTime)
	c.longEnough(at("polling_interval"), a.PollingInterval)
	c.shortEnough(at("polling_interval"), a.PollingInterval, "tasks would wait that long before anybody looks, as in an outage")
	c.lifetimes(path, a)
	c.workersPrefix(at("workers_prefix"), a.WorkersPrefix)
	c.docker(path, a)
	if a.IAMInstanceProfile.ARN != "" && a.IAMInstanceProfile.Name != "" {
		c.add(at("iam_instance_profile"), "has both arn and name", "keep one")
	}
	c.matches(at("iam_instance_profile.arn"), a.IAMInstanceProfile.ARN)
	c.matches(at("iam_instance_profile.name"), a.IAMInstanceProfile.Name)
	if line, message := checkHOCON(a.ClearMLConf.Reveal()); message != "" {
		if line > 0 {
			message = fmt.Sprintf("%s (line %d of the text)", message, line)
		}
		c.add(at("clearml_conf"), "is not HOCON: "+message, "write what could stand in clearml.conf, such as agent.package_manager.type: pip")
	}
	c.matches(at("agent_version"), a.AgentVersion)
	c.oneOf(at("on_shutdown"), string(a.OnShutdown))
	c.script(at("init_script"), a.InitScript)

	if len(a.Resources) == 0 {
		c.missing(at("resources"))
	}
	names := map[string]int{}
	for i, r := range a.Resources {
		p := item(at("resources"), i)
		if first, twice := names[r.Name]; twice && r.Name != "" {
			c.add(child(p, "name"), c.show(child(p, "name"), r.Name)+" is the name of "+item(at("resources"), first)+" too", "give each resource of an autoscaler its own name")
		} else {
			names[r.Name] = i
		}
		c.resource(p, r, a.AWS.Region)
	}
	c.queues(path, a, names)
}

// lifetimes checks when instances end for other reasons than idleness. An
// instance that ends before its worker may come would be launched for ever.
func (c *checker) lifetimes(path string, a Autoscaler) {
	at := child(path, "max_lifetime")
	for i, r := range a.Resources {
		if spinUp := a.SpinUpTime(r); a.MaxLifetime > 0 && a.MaxLifetime <= spinUp {
			c.add(at, fmt.Sprintf("%s is not above the max_spin_up_time of %s, %s: instances would end before they run a task",
				shortDuration(a.MaxLifetime), item("resources", i), shortDuration(spinUp)), "write a longer time, such as 24h, or 0 for no limit")
			break
		}
	}
	if a.DeadMan.Unreachable > 0 {
		c.longEnough(child(path, "dead_man.unreachable"), a.DeadMan.Unreachable)
	}
}

func (c *checker) docker(path string, a Autoscaler) {
	at := func(key string) string { return child(path, key) }
	if a.DockerMode && a.BaseDockerImage == "" {
		c.add(at("docker_mode"), "is true, and there is no base_docker_image", "write the image that tasks without a container of their own run in, or docker_mode: false")
	}
	if strings.ContainsAny(a.BaseDockerImage, "\n\r") {
		c.add(at("base_docker_image"), "has several lines", "write the image and its arguments on one line")
	}
}

func (c *checker) clearml(path string, s ClearML) {
	at := func(key string) string { return child(path, key) }
	if c.required(at("api_server"), s.APIServer) {
		c.address(at("api_server"), s.APIServer, "http", "https")
		c.notHostedElse(at("api_server"), s.APIServer)
	}
	c.address(at("web_server"), s.WebServer, "http", "https")
	c.address(at("files_server"), s.FilesServer, "http", "https")
	switch {
	case s.AuthToken != "" && (s.AccessKey != "" || s.SecretKey != ""):
		c.add(at("auth_token"), "stands beside access_key or secret_key", "keep the token, or the two keys")
	case s.AuthToken != "":
	case s.AccessKey == "" && s.SecretKey == "":
		c.add(at("access_key"), "is missing", "write access_key and secret_key (ClearML: Settings > Workspace > Create new credentials), or auth_token; or set CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY")
	case s.AccessKey == "":
		c.add(at("access_key"), "is missing beside secret_key", "write it, or set CLEARML_API_ACCESS_KEY")
	case s.SecretKey == "":
		c.add(at("secret_key"), "is missing beside access_key", `write "${ENV:NAME}" or "${FILE:/path}", or set CLEARML_API_SECRET_KEY`)
	}
}

// notHostedElse refuses the other servers of ClearML's hosted service, whose addresses
// are at hand in a browser: asked as an API server they answer a web page.
func (c *checker) notHostedElse(path, value string) {
	u, err := url.Parse(value)
	if err != nil {
		return
	}
	domain, hosted := strings.CutSuffix(strings.ToLower(u.Hostname()), ".clear.ml")
	server, rest, _ := strings.Cut(domain, ".")
	what, other := map[string]string{"app": "web application", "files": "files server"}[server]
	if !hosted || !other {
		return
	}
	if rest != "" {
		rest += "."
	}
	c.add(path, c.show(path, value)+" is ClearML's "+what+", not its API server", "write https://api."+rest+"clear.ml")
}

func (c *checker) aws(path string, s AWS) {
	at := func(key string) string { return child(path, key) }
	if c.required(at("region"), s.Region) {
		fix := c.key(at("region")).Fix
		if last := s.Region[len(s.Region)-1]; last >= 'a' && last <= 'z' && regionForm(s.Region[:len(s.Region)-1]) {
			fix = fmt.Sprintf("write the region %s; the zone belongs to a resource's availability_zones", s.Region[:len(s.Region)-1])
		}
		c.matches(at("region"), s.Region, fix)
	}
	c.address(at("endpoint_url"), s.EndpointURL, "http", "https")
	hasKey := s.AccessKeyID != "" || s.SecretAccessKey != "" || s.SessionToken != ""
	switch {
	case c.d.t.opaque[at("use_iam_role")]:
	case s.UseIAMRole && hasKey:
		c.add(at("use_iam_role"), "is true, and there is a key as well", "remove the key, or write use_iam_role: false")
	case s.UseIAMRole:
	case !hasKey:
		c.add(at("access_key_id"), "is missing", "write access_key_id and secret_access_key, or use_iam_role: true where ebb runs with an IAM role")
	case s.AccessKeyID == "":
		c.add(at("access_key_id"), "is missing beside secret_access_key or session_token", "write it")
	case s.SecretAccessKey == "":
		c.add(at("secret_access_key"), "is missing beside access_key_id", `write "${ENV:NAME}" or "${FILE:/path}"`)
	}
}

func (c *checker) workersPrefix(path, prefix string) {
	switch {
	case !c.required(path, prefix):
	case strings.Contains(prefix, ":"):
		c.add(path, c.show(path, prefix)+" contains :, which separates the parts of workers' names", "write it without, such as "+slug(prefix, "dynamic_aws"))
	default:
		c.matches(path, prefix, "write letters, digits, - . and _ only, at most 63, such as "+slug(prefix, "dynamic_aws"))
	}
}

func (c *checker) script(path string, script Secret) {
	if strings.ContainsRune(script.Reveal(), 0) {
		c.add(path, "contains a NUL character", "write text only")
	}
}

// queues checks the queues' names and that queues and resources know each other.
func (c *checker) queues(path string, a Autoscaler, resources map[string]int) {
	written := c.d.wrote(child(path, "queues"))
	if written {
		seen := map[string]bool{}
		for i, q := range a.Queues {
			p := item(child(path, "queues"), i)
			c.queueName(p, q.Queue)
			if seen[q.Queue] {
				c.add(p, c.show(p, q.Queue)+" is listed twice", "keep one, with all its resources")
			}
			seen[q.Queue] = true
			c.queueResources(p, q, resources)
		}
	}
	for i, r := range a.Resources {
		p := child(item(child(path, "resources"), i), "queues")
		if len(r.Queues) == 0 {
			c.missing(p)
		}
		seen := map[string]bool{}
		for j, q := range r.Queues {
			if !written {
				c.queueName(item(p, j), q)
			}
			if seen[q] {
				c.add(item(p, j), c.show(p, q)+" is listed twice", "keep one")
			}
			seen[q] = true
		}
	}
}

func (c *checker) queueResources(path string, q Queue, resources map[string]int) {
	if len(q.Resources) == 0 {
		c.add(path, "has no resources", "write the names of resources that serve it, first asked first")
	}
	known := make([]string, 0, len(resources))
	for name := range resources {
		known = append(known, name)
	}
	seen := map[string]bool{}
	for _, r := range q.Resources {
		if _, ok := resources[r]; !ok {
			fix := "write the name of one of this autoscaler's resources"
			if near := nearest(r, known); near != "" {
				fix = "did you mean " + near + "?"
			}
			c.add(path, "names "+c.show(path, r)+", which is not a resource", fix)
		}
		if seen[r] {
			c.add(path, "names "+c.show(path, r)+" twice", "keep one")
		}
		seen[r] = true
	}
}

func (c *checker) queueName(path, name string) {
	switch {
	case len([]rune(name)) < queueNameLeast:
		c.add(path, fmt.Sprintf("%s is too short for a queue: ClearML's names have at least %d characters", c.show(path, name), queueNameLeast), "write the queue's name as ClearML shows it")
	case len([]rune(name)) > tagValueMax:
		c.add(path, fmt.Sprintf("has %d characters: instances carry the queue's name in a tag, and EC2 takes %d", len([]rune(name)), tagValueMax), "rename the queue")
	case strings.TrimSpace(name) != name || strings.ContainsAny(name, "\n\r\t\x00"):
		c.add(path, c.show(path, name)+" begins or ends with a space, or has a line break or tab", "write the queue's name as ClearML shows it")
	}
}
