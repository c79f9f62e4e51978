package fakeec2

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// namespace is the XML namespace of the API version that SDKs speak.
const namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"

// maxRequest bounds the body of a request, in bytes.
const maxRequest = 1 << 20

// operation answers one action: a value that encodes to the XML of its result.
type operation func(c *Cloud, q *query) (any, error)

type handler struct {
	cloud      *Cloud
	operations map[string]operation
	admin      http.Handler
	requests   atomic.Uint64
}

// Handler speaks the EC2 Query API, GetCallerIdentity of STS, and the admin API
// below /_fake/.
func (c *Cloud) Handler() http.Handler {
	return &handler{cloud: c, operations: operations(), admin: c.adminHandler()}
}

// operations is every action that the region answers.
func operations() map[string]operation {
	return map[string]operation{
		"RunInstances":                  opRunInstances,
		"DescribeInstances":             opDescribeInstances,
		"TerminateInstances":            opTerminateInstances,
		"DescribeInstanceStatus":        opDescribeInstanceStatus,
		"GetConsoleOutput":              opGetConsoleOutput,
		"ModifyInstanceAttribute":       opModifyInstanceAttribute,
		"DescribeSpotInstanceRequests":  opDescribeSpotInstanceRequests,
		"CancelSpotInstanceRequests":    opCancelSpotInstanceRequests,
		"CreateTags":                    opCreateTags,
		"DeleteTags":                    opDeleteTags,
		"DescribeTags":                  opDescribeTags,
		"DescribeInstanceTypes":         opDescribeInstanceTypes,
		"DescribeInstanceTypeOfferings": opDescribeInstanceTypeOfferings,
		"DescribeImages":                opDescribeImages,
		"DescribeSubnets":               opDescribeSubnets,
		"DescribeSecurityGroups":        opDescribeSecurityGroups,
		"DescribeKeyPairs":              opDescribeKeyPairs,
		"DescribeAvailabilityZones":     opDescribeAvailabilityZones,
	}
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_fake/") {
		h.admin.ServeHTTP(w, r)
		return
	}
	id := fmt.Sprintf("00000000-0000-4000-8000-%012x", h.requests.Add(1))
	values, err := readForm(r)
	if err != nil {
		writeError(w, id, errorf("InvalidRequest", "The request body could not be read: %v", err))
		return
	}
	action := values.Get("Action")
	if action == actionIdentity {
		h.serveIdentity(w, r, id)
		return
	}
	if err := h.admit(r, action); err != nil {
		writeError(w, id, err)
		return
	}
	op, ok := h.operations[action]
	if !ok {
		writeError(w, id, errorf("InvalidAction", "The action %s is not valid for this web service.", action))
		return
	}
	if d := h.cloud.takeDelay(action, pageOf(values.Get("NextToken"))); d > 0 && !h.wait(r, d) {
		panic(http.ErrAbortHandler) // the caller has gone
	}
	body, err := op(h.cloud, newQuery(values))
	switch {
	case errors.Is(err, ErrDropped):
		panic(http.ErrAbortHandler)
	case errors.Is(err, ErrTimeout):
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case err != nil:
		writeError(w, id, err)
	default:
		writeResult(w, action, id, body)
	}
}

// wait lets d pass on the region's clock, false when the caller went away.
func (h *handler) wait(r *http.Request, d time.Duration) bool {
	over := make(chan struct{})
	stop := h.cloud.clock.AfterFunc(d, func() { close(over) })
	defer stop()
	select {
	case <-over:
		return true
	case <-r.Context().Done():
		return false
	}
}

func readForm(r *http.Request) (url.Values, error) {
	values := r.URL.Query()
	if r.Method != http.MethodPost {
		return values, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxRequest))
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(values, form)
	return values, nil
}

// admit checks the access key of the request's signature, when the region has
// keys. The signature itself is not verified: the region holds no secrets.
func (h *handler) admit(r *http.Request, action string) error {
	if len(h.cloud.keys) == 0 {
		return nil
	}
	scope, err := h.known(r, action)
	if err != nil {
		return err
	}
	if scope[2] != h.cloud.cat.Region {
		return errorf("AuthFailure", "Credential should be scoped to a valid region, not '%s'.", scope[2])
	}
	return nil
}

// known is the scope of a signature (key, day, region, service, end), if its key
// is one of the region's.
func (h *handler) known(r *http.Request, action string) ([]string, error) {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if auth := r.Header.Get("Authorization"); strings.HasPrefix(auth, "AWS4-HMAC-SHA256 ") {
		for part := range strings.SplitSeq(strings.TrimPrefix(auth, "AWS4-HMAC-SHA256 "), ",") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(part), "Credential="); ok {
				credential = v
			}
		}
	}
	if credential == "" {
		return nil, errorf("MissingParameter", "The request must contain the parameter AWSAccessKeyId")
	}
	scope := strings.Split(credential, "/")
	known := false
	for _, key := range h.cloud.keys {
		known = known || key == scope[0]
	}
	if !known || len(scope) != 5 {
		h.cloud.log.Debug().Str("action", action).Msg("access key is not known")
		return nil, errorf("AuthFailure", "AWS was not able to validate the provided access credentials")
	}
	return scope, nil
}

func writeResult(w http.ResponseWriter, action, id string, body any) {
	var fields bytes.Buffer
	if err := xml.NewEncoder(&fields).EncodeElement(body, xml.StartElement{Name: xml.Name{Local: "body"}}); err != nil {
		writeError(w, id, &APIError{Code: "InternalError", Message: err.Error(), Status: http.StatusInternalServerError})
		return
	}
	inner := bytes.TrimSuffix(bytes.TrimPrefix(fields.Bytes(), []byte("<body>")), []byte("</body>"))
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.Header().Set("X-Amzn-Requestid", id)
	write(w, fmt.Appendf(nil, "%s<%sResponse xmlns=\"%s\"><requestId>%s</requestId>%s</%sResponse>", xml.Header, action, namespace, id, inner, action))
}

func writeError(w http.ResponseWriter, id string, err error) {
	e := &APIError{Code: "InternalError", Message: "An internal error has occurred", Status: http.StatusInternalServerError}
	errors.As(err, &e)
	if e.Code == codeNotXML {
		http.Error(w, "Internal Server Error", e.Status)
		return
	}
	type item struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	text, encErr := xml.Marshal(struct {
		XMLName   xml.Name `xml:"Response"`
		Error     item     `xml:"Errors>Error"`
		RequestID string   `xml:"RequestID"`
	}{Error: item{e.Code, e.Message}, RequestID: id})
	if encErr != nil {
		http.Error(w, encErr.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.Header().Set("X-Amzn-Requestid", id)
	w.WriteHeader(e.Status)
	write(w, append([]byte(xml.Header), text...))
}

// write sends a body. A caller that has gone away is not an error of the region.
func write(w io.Writer, body []byte) {
	if _, err := w.Write(body); err != nil {
		return
	}
}
