package dashboard

import (
	"net/url"
	"strings"
)

// links are templates of addresses; {id} stands for what they are about, {queue}
// and so on. Empty when the page is not known.
type links struct {
	Instance string `json:"instance,omitempty"`
	Task     string `json:"task,omitempty"`
	Queues   string `json:"queues,omitempty"`
}

func linksFor(a Autoscaler) links {
	var l links
	if a.Region != "" && url.PathEscape(a.Region) == a.Region {
		domain := a.Region + ".console.aws.amazon.com"
		switch {
		case strings.HasPrefix(a.Region, "cn-"):
			domain = a.Region + ".console.amazonaws.cn"
		case strings.HasPrefix(a.Region, "us-gov-"):
			domain = a.Region + ".console.amazonaws-us-gov.com"
		}
		l.Instance = "https://" + domain + "/ec2/home?region=" + a.Region + "#InstanceDetails:instanceId={id}"
	}
	web, err := url.Parse(a.WebServer)
	if err == nil && web.Host != "" && (web.Scheme == "https" || web.Scheme == "http") {
		web.User, web.RawQuery, web.Fragment = nil, "", ""
		base := strings.TrimSuffix(web.String(), "/")
		l.Task = base + "/projects/*/experiments/{id}/output/log"
		l.Queues = base + "/workers-and-queues/queues"
	}
	return l
}
