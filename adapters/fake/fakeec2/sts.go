package fakeec2

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
)

// stsNamespace is the XML namespace of the API version of STS that SDKs speak.
const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// actionIdentity is the one action of STS that the region answers, on the same
// address: whoever has a client of EC2 has one of STS. Nobody can be denied it.
const actionIdentity = "GetCallerIdentity"

// serveIdentity answers whose the credentials are: always the same user's. A key
// is good in every region.
func (h *handler) serveIdentity(w http.ResponseWriter, r *http.Request, id string) {
	if len(h.cloud.keys) > 0 {
		if _, err := h.known(r, actionIdentity); err != nil {
			writeSTSError(w, id, stsError(err))
			return
		}
	}
	c := h.cloud
	arn, account := c.cat.callerARN(), c.cat.AccountID
	_, err := serve(c, call{action: actionIdentity}, func(Fault) (bool, error) { return true, nil })
	switch {
	case errors.Is(err, ErrDropped), errors.Is(err, ErrTimeout):
		panic(http.ErrAbortHandler)
	case err != nil:
		writeSTSError(w, id, err)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	write(w, fmt.Appendf(nil, "<GetCallerIdentityResponse xmlns=\"%s\"><GetCallerIdentityResult><Arn>%s</Arn><UserId>AIDAFAKEFAKEFAKEFAKE</UserId>"+
		"<Account>%s</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
		stsNamespace, arn, account, id))
}

// stsError is the error of STS for what EC2 answers with AuthFailure.
func stsError(err error) error {
	if refusal, ok := errors.AsType[*APIError](err); ok && refusal.Code == "AuthFailure" {
		return &APIError{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: http.StatusForbidden}
	}
	return err
}

// writeSTSError writes an error as STS does, which is not as EC2 does.
func writeSTSError(w http.ResponseWriter, id string, err error) {
	e := &APIError{Code: "InternalFailure", Message: "An internal error has occurred", Status: http.StatusInternalServerError}
	errors.As(err, &e)
	type item struct {
		Type    string `xml:"Type"`
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	text, encErr := xml.Marshal(struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Error     item     `xml:"Error"`
		RequestID string   `xml:"RequestId"`
	}{Error: item{"Sender", e.Code, e.Message}, RequestID: id})
	if encErr != nil {
		http.Error(w, encErr.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	w.WriteHeader(e.Status)
	write(w, text)
}
