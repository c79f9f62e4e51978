package clearml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	fast "github.com/segmentio/encoding/json"
)

// meta is the part of ClearML's envelope that says how a call went. The
// versions in it are strings or numbers, so they are not read.
type meta struct {
	ID            string `json:"id"`
	ResultCode    int    `json:"result_code"`
	ResultSubcode int    `json:"result_subcode"`
	ResultMsg     string `json:"result_msg"`
}

// checked is the data of an answer that knows what must be in it.
type checked interface{ check() error }

// envelope is an answer. Data is decoded in place, as the lists are long.
type envelope[T checked] struct {
	Meta *meta `json:"meta"`
	Data *T    `json:"data"`
}

// decode reads an answer of status 200, whole or not at all. A poll of ten
// thousand workers is ten megabytes: with encoding/json alone, reading it would
// be most of what a poll costs. FuzzDecode holds the two against each other.
func decode[T checked](payload []byte, header http.Header) (T, *trouble) {
	var none T
	var got envelope[T]
	if fast.Unmarshal(payload, &got) != nil {
		// encoding/json has the last word on what is wrong, and says where.
		got = envelope[T]{}
		if err := json.Unmarshal(payload, &got); err != nil {
			return none, undecodable(payload, err)
		}
	}
	switch {
	case got.Meta == nil || got.Meta.ResultCode == 0:
		return none, shapeTrouble("the answer is JSON but not ClearML's: it has no meta.result_code; %s", wrongServer)
	case got.Meta.ResultCode != http.StatusOK:
		return none, answerTrouble(got.Meta.ResultCode, header, *got.Meta, true)
	case got.Data == nil:
		return none, shapeTrouble("the answer has no data")
	}
	if err := (*got.Data).check(); err != nil {
		return none, shapeTrouble("%s", err)
	}
	return *got.Data, nil
}

const wrongServer = "check that the URL is that of the API server (port 8008 by default), and what proxies answer in its place"

func undecodable(payload []byte, err error) *trouble {
	start := bytes.TrimSpace(payload)
	var syntax *json.SyntaxError
	switch {
	case len(start) == 0:
		return cutTrouble("the answer is empty; %s", wrongServer)
	case start[0] == '<':
		return shapeTrouble("the answer is a web page and not JSON; %s", wrongServer)
	case start[0] == '{' && errors.As(err, &syntax) && syntax.Offset >= int64(len(payload)):
		return cutTrouble("the answer is cut off after %d bytes", len(payload))
	case errors.As(err, &syntax):
		return shapeTrouble("the answer is not JSON (%s at byte %d); %s", err, syntax.Offset, wrongServer)
	}
	return shapeTrouble("the answer is not as ClearML gives it: %s", err)
}

// refused reads an answer whose status is not 200.
func refused(status int, payload []byte, header http.Header) *trouble {
	var got struct {
		Meta *meta `json:"meta"`
	}
	if err := json.Unmarshal(payload, &got); err == nil && got.Meta != nil && got.Meta.ResultCode == status {
		return answerTrouble(status, header, *got.Meta, true)
	}
	text := bytes.TrimSpace(payload)
	if len(text) > 0 && text[0] == '<' {
		text = []byte(http.StatusText(status) + " (a web page, probably of a proxy)")
	}
	return answerTrouble(status, header, meta{ID: "", ResultCode: status, ResultSubcode: 0, ResultMsg: string(text)}, false)
}

// dateOf is the server's clock as the Date header tells it, zero without one.
func dateOf(header http.Header) time.Time {
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// stamp is a time as the server writes it: with an offset, or in UTC without
// one; to the second, milli- or microsecond. Null is the zero time.
type stamp struct{ time.Time }

// UnmarshalJSON reads one time.
func (s *stamp) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	if len(raw) < 2 || raw[0] != '"' {
		return fmt.Errorf("time %.40s is not a string", raw)
	}
	text := string(raw[1 : len(raw)-1])
	for _, layout := range [...]string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05",
	} {
		// Parse takes a fraction of a second even where the layout has none.
		if at, err := time.Parse(layout, text); err == nil {
			s.Time = at.UTC()
			return nil
		}
	}
	return fmt.Errorf("time %q is not in ISO 8601", text)
}

// latest is the newest of the times.
func latest(times ...stamp) time.Time {
	var newest time.Time
	for _, at := range times {
		if at.After(newest) {
			newest = at.Time
		}
	}
	return newest
}
